"""Copies of an environment, as the config given to gin asks for them."""

from collections.abc import Mapping
from typing import Any

from offpcc.config.bindings import configured
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.async_envs import AsyncEnvs
from offpcc.envs.fault_guard import Guard
from offpcc.envs.make_env import make_env
from offpcc.envs.native_vector_env import NativeVectorEnv, vectorised
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.errors import ConfigError
from offpcc.processes.ram_limit import (
    refuse_many_copies,
    resident_bytes,
)

MEASURED = 8  # environments that are made before it is known what one takes
WORKER_BYTES = 25_000_000  # of a process for one copy, without the environment


def build_env(env_id: str, render_mode: str | None = None, copy: int = 0) -> EnvAdapter:
    """A fresh copy of an environment, as the config given to gin asks for it.

    Raises ConfigError for one that cannot be served, EnvironmentFault for one that cannot be made.
    """
    try:
        env: EnvAdapter = configured(make_env)(env_id, render_mode=render_mode, copy=copy)
    except ValueError as error:
        raise ConfigError(f"{env_id}: {error}") from error
    return env


def build_copies(env_id: str, count: int, first: int = 0) -> VectorEnvAdapter:
    """So many of them, stepped together where the environment can do that.

    first: the number of the first one, in faults.
    """
    env = build_env(env_id, copy=first)
    together = vectorised(env_id, count, env) if count > 1 else None
    if together is None:
        return SequentialEnvs([env, *_more_envs(env_id, count - 1, first)], first)
    env.close()
    return NativeVectorEnv(together, guard=Guard(count, first), **env.settings)


def build_async_copies(env_id: str, count: int, settings: Mapping[str, Any]) -> AsyncEnvs:
    """So many of them, each in a process of its own; settings: the config's, of `make_env`.

    Raises ConfigError for one that cannot be made in another process, and where, by the one that is
    made here for its spaces, all would not fit into memory.
    """
    before = resident_bytes()
    env = build_env(env_id)
    refuse_many_copies(count, WORKER_BYTES + max(0, resident_bytes() - before))
    env.close()
    try:
        return AsyncEnvs(env_id, count, env, **settings)
    except ValueError as error:
        raise ConfigError(f"{env_id}: {error}") from error


def _more_envs(env_id: str, count: int, first: int) -> list[EnvAdapter]:
    """So many behind the first. Raises ConfigError where, by some of them, all would not fit."""
    envs, before = [], resident_bytes()
    for made in range(1, count + 1):
        envs.append(build_env(env_id, copy=first + made))
        if made == MEASURED:
            refuse_many_copies(count, (resident_bytes() - before) / MEASURED)
    return envs
