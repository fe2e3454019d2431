"""What gymnasium calls to make an environment of the table, or n copies of it at once."""

from collections.abc import Mapping
from typing import Any, cast

from gymnasium.envs.registration import load_env_creator

from .base_env import BaseEnv
from .disturbances import Repeat
from .observation_views import ViewWrapper
from .vector_env import BatchedEnv

Settings = Mapping[str, Any]


def single(entry_point: str, settings: Settings, **shown: Any) -> BaseEnv:
    """Return the environment of a class named as `module:Class`; settings are its own."""
    return cast(BaseEnv, load_env_creator(entry_point)(**settings, **shown))


def several(
    entry_point: str, settings: Settings, num_envs: int, max_episode_steps: int, **shown: Any
) -> BatchedEnv:
    """Return n copies of it, whose episodes are cut at `max_episode_steps`."""
    return BatchedEnv(single(entry_point, settings, copies=num_envs, **shown), max_episode_steps)


def foreign(
    entry_point: str,
    settings: Settings,
    render_mode: str | None = None,
    repeat: int = 1,
    hidden: str = "nothing",
    **shown: Any,
) -> ViewWrapper:
    """Return an environment that is not ours, `module:Class`, seen through `Views`."""
    env: Any = load_env_creator(entry_point)(render_mode=render_mode, **settings)
    env.hidden = hidden  # for the picture, if it says so
    return ViewWrapper(env if repeat == 1 else Repeat(env, repeat), hidden, **shown)
