"""UR5's first three joints, set at once: see a target while near a switch, and then go to it.

In closed form, and not in PyBullet: nothing moves but the arm, and it is at once where the action
says. Heights are those of the UR5's joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas, Colour

SHOULDER = 0.089159  # height of the second joint, m
UPPER_ARM, FOREARM = 0.425, 0.39225  # from there to the elbow, and on to the wrist, m
OUT, BACK = 0.13585, -0.1197  # to the left at the shoulder, and at the elbow, m
SCALE, CENTRE = (math.pi, math.pi / 8, math.pi / 4), (0.0, -math.pi / 8, 0.0)  # of actions, rad
SWITCH = (0.0, 0.0, -math.pi / 4)  # rad
NEAR = math.radians(10.0)  # in each joint, at the switch and at the target
SHOWN = 10  # steps for which the target shows after the arm was at the switch
START = (math.pi / 8, 0.003228, -0.127945)  # most of |θ1| at first, θ2 and θ3, rad
ASIDE = math.pi / 4  # least |θ1| of a target, rad
ELBOW, WRIST = 0.05, 0.15  # a target's heights are greater, m
SIDE_VIEW, TOP_VIEW = (-1.4, -0.5), (0.7, -0.1)  # where the arm's base is drawn, m


class UR5Top(BaseEnv):
    """State (θ1, θ2, θ3) in rad, each set by its action; 0 is level and ahead, below 0 is up.

    The observation is the state, and the target's angles, or zeros unless it shows. It pays 1 to be
    within 10° of the target in each joint, which ends the episode.
    """

    metadata = drawn_at(fps=4)
    high = (math.pi, START[1], math.pi / 4, math.pi, 0.0, math.pi / 4)
    low = (-math.pi, -math.pi / 4, -math.pi / 4) * 2
    action_size = 3
    state_limit = (math.pi, math.pi / 4, math.pi / 4)
    extras = 4  # the target's angles, and the steps since the arm was at the switch
    frame = Frame(size=(640, 400), scale=200.0)
    near_switch: ClassVar[float] = NEAR  # rad in each joint

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw θ1 from U(-π/8, π/8), and a target aside, with elbow and wrist above the floor."""
        start = random.uniform(-START[0], START[0]), *START[1:]
        target = drawn_target(random)
        while (
            abs(target[0]) <= ASIDE or not (np.array(heights(*target[1:])) > (ELBOW, WRIST)).all()
        ):
            target = drawn_target(random)
        return *start, *target, math.inf

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Be where the action says."""
        angles = column(SCALE) * action + column(CENTRE)
        target, since = self.values[3:6], self.values[6] + 1
        switched = (abs(angles - column(SWITCH)) <= self.near_switch).all(0)
        self.values = np.array((*angles, *target, np.where(switched, 0.0, since)))
        self.success = (abs(angles - target) <= NEAR).all(0)
        return self.success.astype(np.float64), self.success

    def observe(self) -> Sequence[Rows]:
        """Return three angles, and the target's or zeros, rad."""
        return *self.values[:3], *np.where(self.values[6] <= SHOWN, self.values[3:6], 0.0)

    def draw(self, canvas: Canvas) -> None:
        """Draw arm, switch and target, seen from the side in their own planes, and from above."""
        angles, target = self.values[:3, 0].tolist(), self.values[3:6, 0].tolist()
        x, y = SIDE_VIEW
        canvas.line([(x - 0.2, y), (x + 1.2, y)], "ink", width=0.012)
        poses: tuple[tuple[Sequence[float], Colour, float], ...] = (
            (SWITCH, "limit", 0.03),
            (target, "goal", 0.03),
            (angles, "body", 0.05),
        )
        for pose, colour, width in poses:
            for points in (from_the_side(*pose), from_above(*pose)):
                canvas.line(points, colour, width)
                canvas.disc(points[-1], 0.8 * width, "ink")
        shows = self.values[6, 0] <= SHOWN
        degrees = " ".join(f"{math.degrees(angle):+.0f}°" for angle in angles)
        canvas.text(f"from the side, and from above    joints {degrees}", row=0)
        canvas.text("orange: the switch", row=1, colour="limit")
        word = "shows" if shows else "does not show"
        canvas.text(f"green: the target, which {word}", row=2, colour="goal")


class UR5MdpTop(UR5Top):
    """The same where every place is the switch: the target shows after the first action."""

    near_switch = math.inf


def column(numbers: Sequence[float]) -> Rows:
    """Return numbers (n,) as (n, 1), for every copy."""
    return np.array(numbers)[:, None]


def drawn_target(random: np.random.Generator) -> tuple[float, float, float]:
    """Return angles (rad) from the range of targets."""
    low, high = (-math.pi, -math.pi / 4, -math.pi / 4), (math.pi, 0.0, math.pi / 4)
    turn, lift, bend = random.uniform(low, high)
    return float(turn), float(lift), float(bend)


def heights(lift: ArrayLike, bend: ArrayLike) -> tuple[Rows, Rows]:
    """Return how high (m) the elbow and the wrist are at θ2, θ3 (rad)."""
    elbow = SHOULDER - UPPER_ARM * np.sin(lift)
    return elbow, elbow - FOREARM * np.sin(np.add(lift, bend))


def from_the_side(turn: float, lift: float, bend: float) -> list[tuple[float, float]]:
    """Return where base, shoulder, elbow and wrist are drawn, in the arm's own plane."""
    elbow, wrist = heights(lift, bend)
    ahead = UPPER_ARM * math.cos(lift)
    further = ahead + FOREARM * math.cos(lift + bend)
    x, y = SIDE_VIEW
    along = ((0.0, 0.0), (0.0, SHOULDER), (ahead, float(elbow)), (further, float(wrist)))
    return [(x + reach, y + height) for reach, height in along]


def from_above(turn: float, lift: float, bend: float) -> list[tuple[float, float]]:
    """Return where base, shoulder, elbow and wrist are drawn, and the way to the side between."""
    ahead = UPPER_ARM * math.cos(lift)
    further = ahead + FOREARM * math.cos(lift + bend)
    aside = OUT + BACK
    way = ((0.0, 0.0), (0.0, OUT), (ahead, OUT), (ahead, aside), (further, aside))
    sine, cosine = math.sin(turn), math.cos(turn)
    x, y = TOP_VIEW
    return [(x + cosine * a - sine * b, y + sine * a + cosine * b) for a, b in way]
