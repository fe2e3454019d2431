"""Heaven and hell in the plane: an action says where to be, and a priest where heaven is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

REACH = 8.0  # along an axis at action 1, m
SIDE, FAR = 6.25, 6.75  # heaven is at (±SIDE, FAR), hell at (∓SIDE, FAR), m
PRIEST = (5.25, -5.75)  # m
RADIUS = 1.9  # of heaven, hell and the priest's voice, m


class AntReacherTop(BaseEnv):
    """State (x, y), m; the action times 8 m is the next position. Ends in heaven or hell.

    The observation is (x, y, and heaven's x and y, which are 0 unless the priest is near). The
    reward is 1 in heaven, -1 in hell, and else 0. The ant is a point that gets where it wants.
    """

    metadata = drawn_at(fps=4)
    high = (REACH, REACH, SIDE, FAR)
    low = (-REACH, -REACH, -SIDE, 0.0)
    action_size = 2
    state_limit = (REACH, REACH)
    extras = 3  # heaven's side, and the position before, m
    frame = Frame(size=(480, 512), scale=25.0, centre=(0.0, 0.4))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Begin in the middle, and toss a fair coin for heaven's side."""
        return 0.0, 0.0, random.choice((-1.0, 1.0)), 0.0, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Be where the action says."""
        *before, heaven, _, _ = self.values
        x, y = REACH * action
        self.values = np.array((x, y, heaven, *before))
        saved = near(x, y, SIDE * heaven, FAR)
        lost = near(x, y, -SIDE * heaven, FAR)
        self.success = saved
        return saved.astype(np.float64) - lost, saved | lost

    def observe(self) -> Sequence[Rows]:
        """Return (x, y, heaven's x and y or zeros), m."""
        x, y, heaven, *_ = self.values
        met = near(x, y, *PRIEST)
        return x, y, np.where(met, SIDE * heaven, 0.0), np.where(met, FAR, 0.0)

    def draw(self, canvas: Canvas) -> None:
        """Draw heaven, hell, the priest, the ant, and as an arrow where it came from."""
        x, y, heaven, *before = self.values[:, 0].tolist()
        canvas.line([(-8, -8), (8, -8), (8, 8), (-8, 8), (-8, -8)], "faint", width=0.1)
        canvas.disc((SIDE * heaven, FAR), RADIUS, "goal")
        canvas.disc((-SIDE * heaven, FAR), RADIUS, "limit")
        canvas.disc(PRIEST, RADIUS, "faint")
        canvas.disc(PRIEST, 0.4, "hidden")
        if np.hypot(x - PRIEST[0], y - PRIEST[1]) <= RADIUS:
            tip = (PRIEST[0] + 1.2 * heaven, PRIEST[1] + 1.2)
            canvas.arrow([PRIEST, tip], "hidden", width=0.15)
        canvas.arrow([(before[0], before[1]), (x, y)], "action", width=0.15)
        canvas.disc((x, y), 0.35, "body")
        canvas.text(f"position ({x:+.2f}, {y:+.2f}) m", row=0)
        where = "right" if heaven > 0 else "left"
        canvas.text(f"heaven is on the {where}", row=1, colour="goal")


def near(x: Rows, y: Rows, place_x: Rows | float, place_y: float) -> NDArray[np.bool_]:
    """Return who is within 1.9 m of a place."""
    return (x - place_x) ** 2 + (y - place_y) ** 2 <= RADIUS**2
