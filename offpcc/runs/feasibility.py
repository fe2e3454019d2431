"""Feasibility: whether settings that are each in range work together, and in this environment."""

import gymnasium

from offpcc.config.catalog import bare
from offpcc.config.config import Config
from offpcc.config.limits import LONG_EPISODE
from offpcc.errors import ConfigError


def check_together(config: Config, env: str) -> None:
    """Raises ConfigError where the settings of a run do not go together; makes nothing."""
    values = config.values
    copies, steps = values["TrainingConfig.copies"], values["Training.steps"]
    if copies > steps:
        raise ConfigError(
            f"TrainingConfig.copies is {copies:_} and Training.steps {steps:_}: not one step for "
            "each copy; lower copies (--envs), or raise steps"
        )
    capacity = values.get("EpisodeReplay.capacity")
    if capacity is None or _stores_none_whole(config):
        return
    limit = values["make_env.max_episode_steps"] or gymnasium.spec(bare(env)).max_episode_steps
    piece = values["Collector.long_episode"] or LONG_EPISODE  # longer ones come in pieces
    most = min(limit or piece, piece)
    if most > capacity:
        raise ConfigError(
            f"an episode of {bare(env)} may take {most:_} steps, which an EpisodeReplay.capacity "
            f"of {capacity:_} does not hold; raise capacity to {most:_} or more"
        )


def _stores_none_whole(config: Config) -> bool:
    """Whether nothing is played, or the replay takes episodes that are not over yet."""
    values = config.values
    alone = values["Collector.sync"] == "step" and values["TrainingConfig.copies"] == 1
    cut = values["Collector.stretch"] is not None
    return alone or cut or values["TrainingConfig.dataset"] is not None
