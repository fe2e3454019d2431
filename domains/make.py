"""What gymnasium calls to make a world of the table, or n copies of it at once."""

from typing import Any, cast

import gymnasium
from gymnasium.envs.registration import load_env_creator

from domains.disturbances import Repeat
from domains.views import Viewed
from domains.world import World
from domains.worlds import Worlds


def single(world: str, **settings: Any) -> World:
    """Return the world of a class named as `module:Class`; settings are its own."""
    return cast(World, load_env_creator(world)(**settings))


def several(world: str, num_envs: int, max_episode_steps: int, **settings: Any) -> Worlds:
    """Return n copies of it, whose episodes are cut at `max_episode_steps`."""
    return Worlds(single(world, copies=num_envs, **settings), max_episode_steps)


def foreign(world: str, render_mode: str | None = None, repeat: int = 1, **shown: Any) -> Viewed:
    """Return an environment that is not ours, `module:Class`, seen through `Views`."""
    env = cast(gymnasium.Env[Any, Any], load_env_creator(world)(render_mode=render_mode))
    return Viewed(env if repeat == 1 else Repeat(env, repeat), **shown)
