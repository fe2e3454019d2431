from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

Rows = NDArray[Any]


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows open in memory, also where there is a display."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def pilgrims() -> Callable[..., tuple[Rows, Rows]]:
    """Plays one episode of 1000 copies on the way to heaven; returns and successes (1000,).

    `act` gives actions for observations (n, X) and for what the priest was last heard to say (n,),
    0 if nothing; `entry` is the number of the observation's entry with his word.
    """

    def play(id: str, act: Callable[[Rows, Rows], Rows], entry: int) -> tuple[Rows, Rows]:
        envs = gymnasium.make_vec(id, 1000)
        seen, _ = envs.reset(seed=0)
        total, result = np.zeros((2, 1000))
        saved, over = np.zeros((2, 1000), bool)
        while not over.all():
            result = np.where(seen[:, entry] != 0, np.sign(seen[:, entry]), result)
            seen, reward, terminated, truncated, info = envs.step(act(seen, result))
            total += reward
            saved |= info["success"] & info["_success"]
            over = terminated | truncated
        return total, saved

    return play
