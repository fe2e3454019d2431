"""Feasibility: whether settings work together, and in this environment."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import gymnasium

from offpcc.config.catalog import bare
from offpcc.config.config import Config
from offpcc.config.limits import LONG_EPISODE
from offpcc.errors import ConfigError


def check_together(config: Config, env: str) -> None:
    """Raises ConfigError where the settings of a run do not go together; makes nothing."""
    values = config.values
    workers, steps = values["TrainingConfig.num_workers"], values["Training.steps"]
    copies = values["TrainingConfig.num_envs"]
    if copies * (workers or 1) > steps:
        each = f" in each of {workers} workers" if workers else ""
        raise ConfigError(
            f"TrainingConfig.num_envs is {copies:_}{each} and Training.steps {steps:_}: not one "
            "step for each copy; lower num_envs (--envs), or raise steps"
        )
    if values["Training.learning_starts"] and "Rollout.rollout_steps" in values:
        raise ConfigError(
            f"Training.learning_starts is {values['Training.learning_starts']:_}, but an on-policy "
            "agent learns from its own actions alone; leave it at 0"
        )
    if workers:
        _check_workers(values)
    elif values["TrainingConfig.staleness"]:
        raise ConfigError("staleness is 1, but there are no workers to play ahead (--workers)")
    if values["TrainingConfig.async_envs"]:
        _check_async(copies, values["TrainingConfig.dataset"])
    size = values.get("EpisodeReplay.buffer_size")
    if size is None or _stores_none_whole(config):
        return
    limit = values["make_env.max_episode_steps"] or gymnasium.spec(bare(env)).max_episode_steps
    piece = values["Collector.long_episode"] or LONG_EPISODE  # longer ones come in pieces
    most = min(limit or piece, piece)
    if most > size:
        raise ConfigError(
            f"an episode of {bare(env)} may take {most:_} steps, which EpisodeReplay.buffer_size "
            f"of {size:_} does not hold; raise buffer_size to {most:_} or more"
        )


def _check_workers(values: Mapping[str, Any]) -> None:
    """Raises ConfigError where workers have nothing to do, or cannot do what is asked."""
    on_policy = values["Collector.rollout_steps"] is not None
    complaints = {
        "baselines play in their own process": values["TrainingConfig.replay"] is None,
        "a data set is played already": values["TrainingConfig.dataset"],
        "each is a process already, so leave async_envs (--async) out": (
            values["TrainingConfig.async_envs"]
        ),
        "staleness 1 needs an off-policy algorithm: this one learns from the newest policy's "
        "actions alone": on_policy and values["TrainingConfig.staleness"],
        "ray is not installed: pip install 'offpcc[ray]'": find_spec("ray") is None,
    }
    for complaint in (text for text, holds in complaints.items() if holds):
        number = values["TrainingConfig.num_workers"]
        raise ConfigError(f"num_workers (--workers) is {number}: {complaint}")


def _check_async(copies: int, dataset: str | None) -> None:
    """Raises ConfigError where processes for the environment's copies have nothing to share."""
    if dataset is not None:
        raise ConfigError(
            f"async_envs (--async) steps copies of the environment, and a run with dataset "
            f"{dataset!r} steps none; leave it out"
        )
    if copies == 1:
        raise ConfigError(
            "async_envs (--async) steps several copies at the same time, and num_envs (--envs) is "
            "1; give --envs 2 or more, or leave --async out"
        )


def _stores_none_whole(config: Config) -> bool:
    """Whether nothing is played, or the replay takes episodes that are not over yet."""
    values = config.values
    one = values["TrainingConfig.num_envs"] == 1 and not values["TrainingConfig.num_workers"]
    alone = values["Collector.weight_sync"] == "step" and one
    cut = values["Collector.rollout_steps"] is not None
    return alone or cut or values["TrainingConfig.dataset"] is not None
