"""Registry: the classes and functions that a config may bind and refer to."""

from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar

from offpcc.config.schema import Schema, schema_in, schema_of
from offpcc.config.synonyms import hint

Item = TypeVar("Item", bound=Callable[..., Any])

# What every run makes; all else is there because a config refers to it.
ROOTS = ("TrainingConfig", "make_env", "Collector", "Evaluator", "Training")
CLASS_MODULES = {
    "runs.training_config": "TrainingConfig",
    "envs.make_env": "make_env",
    "training.collector": "Collector",
    "training.evaluator": "Evaluator",
    "training.loop": "Training",
    "algorithms": "ActorCritic OffPolicy DDPG TD3 TD3BC SAC DSAC TQC REDQ"
    " OnPolicy A2C PPO COPG PPG AMP",
    "baselines": "Baseline SB3OffPolicy SB3DDPG SB3TD3 SB3SAC SB3TQC SB3PPO SB3RecurrentPPO",
    "replay": "EpisodeReplay Rollout threshold_filter",
    "networks": "Encoder Stack Identity LSTM GRU RNN MinGRU Transformer",
}
REGISTRY: dict[str, Schema] = {
    name: schema_in(f"offpcc.{home}", name)
    for home, names in CLASS_MODULES.items()
    for name in names.split()
}

# Arguments that the run fills in, whatever has them; all that the recipe has is a choice.
RUN_SUPPLIED = {
    "advance", "agent", "callbacks", "checkpoints", "collector", "copy", "critic_state", "device",
    "env", "envs", "episode", "evaluator", "facts", "first", "inputs", "interrupt", "keep_states",
    "recorder", "render_mode", "replay", "seed", "spec", "state_size", "store_states",
}  # fmt: skip


def configurable(item: Item) -> Item:
    """Lets configs bind and refer to a class of one's own, by its name; a decorator, too.

    One that is defined again, by a cell of a notebook or a module that is imported anew, takes the
    place of the one before. Raises ValueError for a name that another module has.
    """
    known = REGISTRY.get(item.__name__)
    if known is None or known.module == item.__module__:
        REGISTRY[item.__name__] = schema_of(item)
    elif known.load() is not item:
        raise ValueError(f"configs know another {item.__name__}; choose a different name")
    return item


def bindable(name: str) -> dict[str, Parameter]:
    """The arguments of a class or function that a config may bind."""
    parameters = REGISTRY[name].parameters
    return {
        k: each
        for k, each in parameters.items()
        if name == "TrainingConfig" or k not in RUN_SUPPLIED
    }


def complaint(name: str, argument: str) -> str | None:
    """What is wrong with the names in a binding; None if nothing is."""
    if name not in REGISTRY:
        return f"unknown class {name!r}{hint(name, REGISTRY)}"
    if argument in bindable(name):
        return None
    if argument in REGISTRY[name].parameters:
        return f"{name}.{argument} is not for a config; the run fills it in"
    return f"{name} has no parameter {argument!r}{hint(argument, bindable(name))}"
