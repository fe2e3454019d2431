"""Car: heaven is at one end of a road, hell at the other, and only a priest knows which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas, Colour

FLAG = 1.0  # heaven and hell are at ± this, m
PRIEST = 0.5  # the middle of where he is heard, m
EARSHOT = 0.2  # to either side of it, m
START = 0.2  # greatest distance from the middle at first, m
POWER = 0.0015  # speed gained at action 1, m/step in a step
MAX_SPEED = 0.2  # m/step
MAX_POSITION = 2.4  # m
LIMIT = 160  # steps that hell costs in all, and that an episode lasts


class Car(BaseEnv):
    """State (x, v) in m and m/step; an episode ends at a flag, |x| >= 1 m.

    The observation is (x, v, what the priest says); the action accelerates. The reward is 1 at
    heaven and else 0.
    """

    metadata = drawn_at(fps=30)
    high = (MAX_POSITION, MAX_SPEED, 1.0)
    state_limit = (MAX_POSITION, MAX_SPEED)
    extras = 3  # heaven's side, the steps made, and the last action
    frame = Frame(size=(608, 256), scale=230.0, centre=(0.0, 0.17))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw x from U(-0.2, 0.2) and toss a fair coin for heaven's side; v is 0."""
        return random.uniform(-START, START), 0.0, random.choice((-1.0, 1.0)), 0.0, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Accelerate, then move."""
        x, speed, heaven, steps, _ = self.values
        speed = (speed + POWER * action[0]).clip(-MAX_SPEED, MAX_SPEED)
        x, steps = (x + speed).clip(-MAX_POSITION, MAX_POSITION), steps + 1
        self.values = np.array((x, speed, heaven, steps, action[0]))
        self.success, lost = arrivals(x, heaven)
        return self.rewards(self.success, lost, steps), self.success | lost

    def rewards(self, saved: NDArray[np.bool_], lost: NDArray[np.bool_], steps: Rows) -> Rows:
        """Return 1 for the copies in heaven and 0 for all others."""
        return saved.astype(np.float64)

    def observe(self) -> Sequence[Rows]:
        """Return (x, v, what the priest says), the first two in m and m/step."""
        x, speed, heaven, *_ = self.values
        return x, speed, cue(x, heaven)

    def draw(self, canvas: Canvas) -> None:
        """Draw the road, the car, and its acceleration as an arrow."""
        x, speed, heaven, _, action = self.values[:, 0].tolist()
        draw_road(canvas, x, heaven)
        canvas.arrow([(x, 0.09), (x + 0.2 * action, 0.09)], "action", width=0.02)
        canvas.text(f"position {x:+.2f} m    velocity {speed:+.4f} m/step", row=0)


class EpisodicCar(Car):
    """Every step costs 1, and hell costs besides what is left of 160 steps."""

    def rewards(self, saved: NDArray[np.bool_], lost: NDArray[np.bool_], steps: Rows) -> Rows:
        """Return -1, and for the copies in hell all that they can still lose."""
        return np.where(lost, steps - LIMIT, 0.0) - 1.0


def cue(x: Rows, heaven: Rows, earshot: float = EARSHOT) -> Rows:
    """Return heaven's side, ±1, where x is within `earshot` (m) of the priest, and else 0."""
    heard = (x >= PRIEST - earshot) & (x <= PRIEST + earshot)
    return np.where(heard, heaven, 0.0)


def arrivals(x: Rows, heaven: Rows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return who has arrived in heaven and who in hell."""
    return x * heaven >= FLAG, x * heaven <= -FLAG


def draw_road(canvas: Canvas, x: float, heaven: float, earshot: float = EARSHOT) -> None:
    """Draw the road, its flags, the priest, what he says if he is heard, and the car."""
    left, right = PRIEST - earshot, PRIEST + earshot
    canvas.polygon([(left, -0.04), (right, -0.04), (right, 0.35), (left, 0.35)], "faint")
    canvas.line([(-1.3, 0.0), (1.3, 0.0)], "ink", width=0.01)
    _draw_flag(canvas, heaven * FLAG, "goal")
    _draw_flag(canvas, -heaven * FLAG, "limit")
    canvas.polygon([(PRIEST - 0.05, 0.2), (PRIEST + 0.05, 0.2), (PRIEST, 0.31)], "hidden")
    canvas.disc((PRIEST, 0.31), 0.03, "hidden")
    if left <= x <= right:
        tip = PRIEST + 0.13 * heaven
        canvas.arrow([(PRIEST, 0.25), (tip, 0.25)], "hidden", width=0.015)
    canvas.polygon([(x - 0.07, 0.03), (x + 0.07, 0.03), (x + 0.07, 0.09), (x - 0.07, 0.09)], "body")
    for wheel in (x - 0.04, x + 0.04):
        canvas.disc((wheel, 0.025), 0.025, "ink")
    where = "right" if heaven > 0 else "left"
    canvas.text(f"heaven is on the {where}", row=1, colour="goal")


def _draw_flag(canvas: Canvas, x: float, colour: Colour) -> None:
    canvas.line([(x, 0.0), (x, 0.45)], colour, width=0.015)
    canvas.polygon([(x, 0.45), (x + 0.2 * x, 0.38), (x, 0.31)], colour)
