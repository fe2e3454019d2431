"""The car's road at a higher level: an action says where to be, not how to get there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from . import car
from .base_env import BaseEnv, Rows
from .rendering import drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

REACH = 1.1  # position at action 1, m
PARTS = 20  # that a relative action is made in, and seen in


class CarTop(BaseEnv):
    """State (x,), m; the action times 1.1 m is the next position. An episode ends at a flag.

    The observation is (x, what the priest says). The reward is 1 at heaven, -1 at hell, else 0.
    """

    metadata = drawn_at(fps=4)
    high = (REACH, 1.0)
    state_limit = (REACH,)
    extras = 2  # heaven's side, and the position before
    frame = car.Car.frame
    earshot: ClassVar[float] = car.EARSHOT  # to either side of the priest, m

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw x from U(-0.2, 0.2) and toss a fair coin for heaven's side."""
        x = random.uniform(-car.START, car.START)
        return x, random.choice((-1.0, 1.0)), x

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Be where the action says."""
        before, heaven, _ = self.values
        x = REACH * action[0]
        self.values = np.array((x, heaven, before))
        self.success, lost = car.arrivals(x, heaven)
        return self.success.astype(np.float64) - lost, self.success | lost

    def observe(self) -> Sequence[Rows]:
        """Return (x in m, what the priest says)."""
        x, heaven, _ = self.values
        return x, car.cue(x, heaven, self.earshot)

    def draw(self, canvas: Canvas) -> None:
        """Draw the road, the car, and as an arrow where it came from."""
        x, heaven, before = self.values[:, 0].tolist()
        car.draw_road(canvas, x, heaven, self.earshot)
        canvas.arrow([(before, -0.08), (x, -0.08)], "action", width=0.02)
        canvas.text(f"position {x:+.2f} m", row=0)


class CarTopNarrow(CarTop):
    """The priest is heard only close by."""

    earshot = 0.05


class CarTopRelative(BaseEnv):
    """State (x,), m; the action is a displacement in m, made in 20 parts. Ends at a flag.

    The observation is 20 times (x, 0, what the priest says), as the car would see each part; the
    car stops at a flag, and the parts not made show it there. A part costs 1, and hell besides
    what is left of 160 parts.
    """

    metadata = drawn_at(fps=4)
    # Within the flags a part is at most 1/20 m, and the first beyond one is the last: 1.05 m. The
    # speed in each frame is 0, and its bound that of the car, whose frames these are.
    high = (1.1, car.MAX_SPEED, 1.0) * PARTS
    state_limit = (car.FLAG,)
    extras = 2 + PARTS  # heaven's side, the parts made, and the positions of the last 20 parts, m
    frame = car.Car.frame

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw x from U(-0.2, 0.2) and toss a fair coin for heaven's side."""
        x = random.uniform(-car.START, car.START)
        return x, random.choice((-1.0, 1.0)), 0.0, *[x] * PARTS

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make the parts up to the first that is at a flag."""
        x, heaven, elapsed, *_ = self.values
        part = np.arange(1, PARTS + 1)[:, None]
        planned = x + action * part / PARTS  # (20, n)
        arrived = abs(planned) >= car.FLAG
        made = np.where(arrived.any(0), arrived.argmax(0) + 1, PARTS)
        path = np.take_along_axis(planned, np.minimum(part, made) - 1, 0)
        elapsed = elapsed + made
        self.values = np.array((path[-1], heaven, elapsed, *path))
        self.success, lost = car.arrivals(path[-1], heaven)
        return np.where(lost, elapsed - car.LIMIT, 0.0) - made, self.success | lost

    def observe(self) -> Sequence[Rows]:
        """Return (x in m, 0, what the priest says) for each of the 20 parts, the latest last."""
        heaven, path = self.values[1], self.values[-PARTS:]
        frames = np.stack((path, np.zeros_like(path), car.cue(path, heaven)), 1)  # (20, 3, n)
        return list(frames.reshape(3 * PARTS, -1))

    def draw(self, canvas: Canvas) -> None:
        """Draw the road, the car, and the parts of its last move as dots."""
        x, heaven, elapsed, *path = self.values[:, 0].tolist()
        car.draw_road(canvas, x, heaven)
        for part in path:
            canvas.disc((part, -0.08), 0.012, "action")
        canvas.text(f"position {x:+.2f} m    {elapsed:.0f} of {car.LIMIT} parts made", row=0)
