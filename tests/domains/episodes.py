"""Whole episodes of many copies of an environment, played side by side."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from offpcc.domains.base_env import BaseEnv

COPIES = 256
Rows = NDArray[Any]


def play(
    id: str, act: Callable[[Rows], Rows], prepare: Callable[[BaseEnv], None] | None = None
) -> tuple[Rows, Rows, BaseEnv]:
    """Return the returns (n,) and lengths (n,) of one episode of each copy, and their environment.

    `act` gives actions (n, A) for observations (n, X). What `prepare` changes of the environment
    after the reset is seen from the second observation on.
    """
    envs = gymnasium.make_vec(id, COPIES)
    seen, _ = envs.reset(seed=0)
    if prepare is not None:
        prepare(envs.env)
    total, length, over = np.zeros(COPIES), np.zeros(COPIES, int), np.zeros(COPIES, bool)
    while not over.all():
        length += ~over
        seen, reward, terminated, truncated, _ = envs.step(act(seen))
        total, over = total + reward, terminated | truncated
    return total, length, envs.env


def random_policy() -> Callable[[Rows], Rows]:
    """Return what gives actions (n, 1) from U(-1, 1), the same in every run of the tests."""
    chance = np.random.default_rng(0)
    return lambda seen: chance.uniform(-1.0, 1.0, (len(seen), 1))
