"""Makes environments from their ids, as an agent sees them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import gymnasium
from gymnasium.error import DependencyNotInstalled

from offpcc.config.catalog import bare, check_id
from offpcc.config.ranges import NonNegativeFloat, PositiveInt, checked
from offpcc.config.user_modules import import_attribute
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.fault_guard import Guard
from offpcc.errors import EnvironmentFault
from offpcc.processes import heartbeat


@checked
def make_env(
    env: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[str] = (),
    previous_action: bool = False,
    previous_reward: bool = False,
    action_mask_key: str | None = "action_mask",
    max_episode_steps: PositiveInt | None = None,
    success: Literal["last", "any"] = "last",
    timeout: NonNegativeFloat | None = 60.0,
    render_mode: str | None = None,
    copy: int = 0,
) -> EnvAdapter:
    """The environment behind a gymnasium id; `module:Id-v0` imports the module first.

    `module:Name` also takes an environment's class, or a function that makes one, by its name.

    env_kwargs: what its constructor is given. wrappers: `module:Wrapper`, the innermost first.
    action_mask_key: where it says which choices are legal: a key of the observation, else of the
    info; for `action_mask` also, between them, its method `action_masks()`. None: all are.
    max_episode_steps: the time limit of an episode; None: the environment's own. success: the step
    whose `info["success"]`, or else `info["is_success"]`, is an episode's: the "last" one, or
    "any". timeout: seconds after which a call that does not return is ended; None: never. copy: its
    number among several.

    Raises ValueError for an id that is not registered, naming the nearest ones, for spaces that
    cannot be served, a missing package, and a render mode that the environment lacks;
    EnvironmentFault for whatever else its constructor raises.
    """
    check_id(env)
    heartbeat.configure(timeout)
    guard = Guard(first=copy)
    arguments = dict(env_kwargs or {})
    # An environment that draws nothing need not take the argument.
    drawn = {"render_mode": render_mode} if render_mode else {}
    classes = [import_attribute(name, f"wrapper {name}") for name in wrappers]
    return EnvAdapter(
        _constructed(guard, bare(env), max_episode_steps, arguments | drawn, classes),
        guard=guard,
        limit=max_episode_steps or gymnasium.spec(bare(env)).max_episode_steps,
        env_kwargs=None if wrappers else arguments,
        success=success,
        action_mask_key=action_mask_key,
        previous_action=previous_action,
        previous_reward=previous_reward,
    )


def _constructed(
    guard: Guard,
    env_id: str,
    max_episode_steps: int | None,
    arguments: dict[str, Any],
    wrappers: Sequence[Callable[..., Any]],
) -> gymnasium.Env:
    """The environment with its wrappers, and with its spaces, which may be made late."""
    try:
        with guard.constructor:
            made = gymnasium.make(env_id, max_episode_steps, disable_env_checker=True, **arguments)
            for wrapper in wrappers:
                made = wrapper(made)
            _ = made.observation_space, made.action_space
    except EnvironmentFault as fault:
        if reason := _misuse(fault.__cause__, [*arguments]):
            raise ValueError(reason) from fault.__cause__
        raise
    return made


def _misuse(error: BaseException | None, arguments: Sequence[str]) -> str:
    """Why a constructor cannot have worked as it was called; empty where it is its own fault."""
    if isinstance(error, (DependencyNotInstalled, ImportError)):
        return str(error)
    unknown = [name for name in arguments if f"unexpected keyword argument '{name}'" in str(error)]
    if unknown == ["render_mode"]:
        return "it draws no pictures: its constructor takes no render_mode"
    return f"env_kwargs: its constructor takes no {unknown[0]}" if unknown else ""
