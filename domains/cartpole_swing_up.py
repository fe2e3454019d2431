"""Cart-pole swing-up: a uniform rod, hung from a cart on a track, to swing up and to balance.

What may be hidden is drawn anew for each episode: the rod's length, or which way the action works.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .pendulum import wrapped
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

GRAVITY = 9.82  # g, m/s²
POLE_MASS = 0.5  # m_p, kg
TOTAL_MASS = 1.0  # M, of cart and pole, kg
FRICTION = 0.1  # b, of the cart, N s/m
LENGTHS = (0.1, 0.6)  # l, of the whole pole, m: equally likely
MAX_FORCE = 10.0  # F at action 1, N
DT = 0.01  # one step, s
MAX_POSITION = 2.4  # |x| of the ends of the track, m
SPREAD = 0.2  # standard deviation of all four entries of a first state

# Explicit Euler makes energy, and blows up where the pole turns fast enough. So that observations
# have bounds, speeds are cut where one step is the whole track, or half a circle. The hardest play
# that we know, pushing in step with the pole from the first step to the last, gets to 83 m/s and
# 119 rad/s in 500 steps, so that this touches no episode that we know of.
MAX_SPEED = 2 * MAX_POSITION / DT  # 480 m/s
MAX_TURN = math.pi / DT  # 314 rad/s


class SwingUp(BaseEnv, ABC):
    """State (x, ẋ, θ, θ̇) in m, m/s, rad, rad/s; θ = 0 upright, positive leaning towards -x.

    The observation is (x, ẋ, cos θ, sin θ, θ̇) and what is hidden. An episode begins near rest, the
    pole hanging.
    """

    metadata = drawn_at(fps=100)
    step_time = DT
    state_limit = (MAX_POSITION, MAX_SPEED, math.inf, MAX_TURN)
    extras = 3  # the pole's length, m, the action's sign, and the last force, N
    frame = Frame(size=(928, 352), scale=140.0)

    def push(self, force: Rows) -> None:
        """Make a step of explicit Euler under a force (N), as if the track had no ends."""
        x, speed, angle, turn, length, sign, _ = self.values
        drive, swing = accelerations(speed, angle, turn, force, length)
        x, angle = x + DT * speed, angle + DT * turn
        speed = (speed + DT * drive).clip(-MAX_SPEED, MAX_SPEED)
        turn = (turn + DT * swing).clip(-MAX_TURN, MAX_TURN)
        self.values = np.array((x, speed, angle, turn, length, sign, force))

    def seen_with(self, last: Rows) -> Sequence[Rows]:
        """Return (x, ẋ, cos θ, sin θ, θ̇, last)."""
        x, speed, angle, turn, *_ = self.values
        return x, speed, np.cos(angle), np.sin(angle), turn, last

    def draw(self, canvas: Canvas) -> None:
        """Draw the track and its ends, the cart, its force, the pole, and the goal of its tip."""
        x, speed, angle, turn, length, _, force = self.values[:, 0].tolist()
        side = 0.15  # m, half a cart
        canvas.line([(-2.9, -0.06), (2.9, -0.06)], "faint", width=0.02)
        for end in (-MAX_POSITION - side, MAX_POSITION + side):
            canvas.line([(end, -0.12), (end, 0.12)], "limit", width=0.05)
        canvas.line([(0.0, 0.0), (0.0, length)], "faint", width=0.015)
        canvas.disc((0.0, length), 0.05, "goal")
        edge = x + math.copysign(side, force)
        canvas.arrow([(edge, 0.0), (edge + 0.04 * force, 0.0)], "action")
        canvas.polygon([(x + a, b) for a, b in _corners(side, 0.06)], "ink")
        tip = (x - length * math.sin(angle), length * math.cos(angle))
        canvas.line([(x, 0.0), tip], "body", width=0.06)
        canvas.text(f"position {x:+.2f} m    velocity {speed:+.2f} m/s", row=0)
        degrees = math.degrees(wrapped(angle))
        canvas.text(f"angle {degrees:+.0f}°    velocity {turn:+.2f} rad/s", row=1)
        canvas.text(f"force {force:+.1f} N", row=2, colour="action")


class VariableLength(SwingUp):
    """The pole is 0.1 m or 0.6 m long; the cart bounces off the ends, and no episode ends."""

    high = (MAX_POSITION, MAX_SPEED, 1.0, 1.0, MAX_TURN, max(LENGTHS))
    low = (-MAX_POSITION, -MAX_SPEED, -1.0, -1.0, -MAX_TURN, min(LENGTHS))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the state, N((0, 0, π, 0), 0.2²), then the length."""
        return *_hanging(random), LENGTHS[random.integers(2)], 1.0, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step; its cost is that of the state that it leads to."""
        before = self.values[0]
        self.push(MAX_FORCE * action[0])
        x, speed, angle, turn, *others = self.values
        hit = abs(x) > MAX_POSITION
        x, speed = np.where(hit, before, x), np.where(hit, -speed, speed)
        self.values = np.array((x, speed, angle, turn, *others))
        cost = wrapped(angle) ** 2 + 0.01 * turn**2 + x**2
        return -0.1 * cost, np.zeros_like(hit)

    def observe(self) -> Sequence[Rows]:
        """Return (x, ẋ, cos θ, sin θ, θ̇, l) in m, m/s, rad/s and m."""
        return self.seen_with(self.values[4])

    def draw(self, canvas: Canvas) -> None:
        """Draw the swing-up and write the pole's length beside it."""
        super().draw(canvas)
        canvas.text(f"length {self.values[4, 0]:.1f} m", row=3, colour="hidden")


class FlipAction(SwingUp):
    """The pole is 0.6 m long; the action may work the wrong way round; |x| > 2.4 m is the end."""

    # The step that ends an episode begins on the track and is made at MAX_SPEED at most.
    high = (MAX_POSITION + DT * MAX_SPEED, MAX_SPEED, 1.0, 1.0, MAX_TURN, 1.0)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the state, N((0, 0, π, 0), 0.2²), then the sign, which is fair."""
        return *_hanging(random), max(LENGTHS), random.choice((-1.0, 1.0)), 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step; its reward, up to 1, is that of the state that it leads to."""
        self.push(MAX_FORCE * self.values[5] * action[0])
        x, _, angle, *_ = self.values
        upright, central = (np.cos(angle) + 1) / 2, np.cos(math.pi * x / (2 * MAX_POSITION))
        return upright * central, abs(x) > MAX_POSITION

    def observe(self) -> Sequence[Rows]:
        """Return (x, ẋ, cos θ, sin θ, θ̇, sign) in m, m/s and rad/s."""
        return self.seen_with(self.values[5])

    def draw(self, canvas: Canvas) -> None:
        """Draw the swing-up and write beside it which way the action works."""
        super().draw(canvas)
        sign, force = self.values[5:, 0].tolist()
        action = force * sign / MAX_FORCE
        canvas.text(f"action {action:+.2f} times sign {sign:+.0f}", row=3, colour="hidden")


def accelerations(
    speed: Rows, angle: Rows, turn: Rows, force: Rows, length: Rows
) -> tuple[Rows, Rows]:
    """Return ẍ (m/s²) and θ̈ (rad/s²) at ẋ (m/s), θ (rad), θ̇ (rad/s), under a force (N)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    moment = POLE_MASS * length  # m_p l, kg m
    net = force - FRICTION * speed
    fling = moment * turn**2 * sine
    drive = -2 * fling + 3 * POLE_MASS * GRAVITY * sine * cosine + 4 * net
    swing = -3 * fling * cosine + 6 * TOTAL_MASS * GRAVITY * sine + 6 * net * cosine
    inertia = 4 * TOTAL_MASS - 3 * POLE_MASS * cosine**2
    return drive / inertia, swing / (length * inertia)


def _hanging(random: np.random.Generator) -> Rows:
    return random.normal((0.0, 0.0, math.pi, 0.0), SPREAD)


def _corners(side: float, top: float) -> Sequence[tuple[float, float]]:
    return (-side, -top), (side, -top), (side, top), (-side, top)
