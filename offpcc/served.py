"""Served: the classes and functions that a config may bind and refer to, and their arguments."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from offpcc import algorithms, baselines, networks
from offpcc.catalog import nearest
from offpcc.collect import Collector
from offpcc.evaluate import Evaluator
from offpcc.recipe import Recipe
from offpcc.replay import EpisodeReplay, Rollout
from offpcc.train import Training
from offpcc.world import make_world

Item = TypeVar("Item", bound=Callable[..., Any])

# What every run makes; all else is there because a config refers to it.
ROOTS: tuple[Callable[..., Any], ...] = (Recipe, make_world, Collector, Evaluator, Training)
REFERRED: tuple[Callable[..., Any], ...] = (
    algorithms.DDPG,
    algorithms.TD3,
    algorithms.TD3BC,
    algorithms.SAC,
    algorithms.DSAC,
    algorithms.TQC,
    algorithms.REDQ,
    algorithms.A2C,
    algorithms.PPO,
    algorithms.COPG,
    algorithms.PPG,
    algorithms.AMP,
    baselines.SB3DDPG,
    baselines.SB3TD3,
    baselines.SB3SAC,
    baselines.SB3TQC,
    baselines.SB3PPO,
    baselines.SB3RecurrentPPO,
    EpisodeReplay,
    Rollout,
    networks.Encoder,
    networks.Identity,
    networks.LSTM,
    networks.GRU,
    networks.RNN,
    networks.MinGRU,
    networks.Transformer,
)
SERVED: dict[str, Callable[..., Any]] = {item.__name__: item for item in (*ROOTS, *REFERRED)}

# Arguments that the run fills in, whatever has them; all that the recipe has is a choice.
GIVEN = {
    "advance", "agent", "checkpoints", "collector", "copy", "critic_state", "device", "env",
    "evaluator", "facts", "inputs", "interrupt", "keep_states", "recorder", "render_mode",
    "replay", "seed", "spec", "state_size", "store_states", "worlds",
}  # fmt: skip


def serve(item: Item) -> Item:
    """Lets configs bind and refer to a class of one's own, by its name; a decorator, too.

    Raises ValueError for a name that is taken.
    """
    if SERVED.setdefault(item.__name__, item) is not item:
        raise ValueError(f"configs know another {item.__name__}; choose a different name")
    return item


def bindable(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of a class or function that a config may bind."""
    parameters = inspect.signature(SERVED[name]).parameters
    mine = SERVED[name] is Recipe
    return {key: value for key, value in parameters.items() if mine or key not in GIVEN}


def complaint(name: str, argument: str) -> str | None:
    """What is wrong with the names in a binding; None if nothing is."""
    if name not in SERVED:
        return f"unknown class {name!r}{nearest(name, SERVED)}"
    if argument in bindable(name):
        return None
    if argument in inspect.signature(SERVED[name]).parameters:
        return f"{name}.{argument} is not for a config; the run fills it in"
    return f"{name} has no parameter {argument!r}{nearest(argument, bindable(name))}"
