"""Bernoulli bandit: four arms, one of which wins; what was tried must be remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

ARMS = 4
CHANCE = 0.95  # that the winning arm wins; the others never do
WIN, LOSS = 1.0, -0.5  # rewards
COUNTED = 100  # steps; the count stays there, so that it has a bound


class BernoulliBandit(BaseEnv):
    """State (last reward, last arm, steps), the arm -1 before the first step; never ends.

    An action is an arm, from 0 to 3. The observation is (last reward, last arm one-hot, steps),
    zeros before the first step. Which arm wins is drawn for each episode and never shown.
    """

    metadata = drawn_at(fps=4)
    high = (WIN, *[1.0] * ARMS, COUNTED)
    low = (LOSS, *[0.0] * ARMS, 0.0)
    choices = ARMS
    state_limit = (WIN, ARMS - 1, COUNTED)
    extras = 1  # the arm that wins
    frame = Frame(size=(400, 304), scale=80.0, centre=(1.5, 0.45))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the arm that wins, each equally likely."""
        return 0.0, -1.0, 0.0, float(random.integers(ARMS))

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Pull an arm; chance is drawn by those alone who pull the one that wins."""
        _, _, steps, best = self.values
        won = action[0] == best
        for copy, random in self.chances(won):
            won[copy] = random.random() < CHANCE
        reward = np.where(won, WIN, LOSS)
        self.values = np.array((reward, action[0], np.minimum(steps + 1, COUNTED), best))
        return reward, np.zeros(len(reward), bool)

    def observe(self) -> Sequence[Rows]:
        """Return the last reward, the last arm one-hot and the steps taken."""
        reward, last, steps, _ = self.values
        return reward, *(1.0 * (last == arm) for arm in range(ARMS)), steps

    def draw(self, canvas: Canvas) -> None:
        """Draw the arms as boxes, the one that wins ringed, a lamp for a win, the one pulled."""
        reward, last, steps, best = self.values[:, 0].tolist()
        for arm in range(ARMS):
            won = arm == last and reward > 0
            if arm == best:
                canvas.polygon(_box(arm, 0.44), "hidden")
            canvas.polygon(_box(arm, 0.38), "ink")
            canvas.disc((arm, 0.15), 0.2, "goal" if won else "faint")
        if last >= 0:
            canvas.arrow([(last, 1.45), (last, 1.05)], "action", width=0.08)
        canvas.text(f"step {steps:.0f}    last reward {reward:+.1f}", row=0)
        canvas.text("the ringed arm wins", row=1, colour="hidden")


def _box(arm: float, half: float) -> list[tuple[float, float]]:
    low, high = 0.3 - half - 0.1, 0.3 + half + 0.1
    return [(arm - half, low), (arm + half, low), (arm + half, high), (arm - half, high)]
