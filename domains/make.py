"""What gymnasium calls to make a world of the table, or n copies of it at once."""

from typing import Any, cast

from gymnasium.envs.registration import load_env_creator

from domains.world import World
from domains.worlds import Worlds


def single(world: str, **settings: Any) -> World:
    """Return the world of a class named as `module:Class`; settings are its own."""
    return cast(World, load_env_creator(world)(**settings))


def several(world: str, num_envs: int, max_episode_steps: int, **settings: Any) -> Worlds:
    """Return n copies of it, whose episodes are cut at `max_episode_steps`."""
    return Worlds(single(world, copies=num_envs, **settings), max_episode_steps)
