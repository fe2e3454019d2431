"""Pendulum: a torque-limited rod to swing up and hold (dynamics as in gymnasium's Pendulum-v1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

GRAVITY = 10.0  # g, m/s²
MASS = 1.0  # m, kg
LENGTH = 1.0  # l, m
LENGTHS = (0.2, 1.0)  # l where it varies, m: equally likely
MAX_TORQUE = 2.0  # u at action 1, N m
MAX_SPEED = 8.0  # |θ̇| is clipped to this, rad/s
DT = 0.05  # one step, s

Angle = TypeVar("Angle", float, Rows)


def wrapped(angle: Angle) -> Angle:
    """Return the same angle in [-π, π), rad."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


class Pendulum(BaseEnv):
    """State (θ, θ̇) in rad and rad/s, θ = 0 upright and counter-clockwise positive; never ends.

    The observation is (cos θ, sin θ, θ̇), the action times 2 N m the torque about the pivot.
    """

    metadata = drawn_at(fps=20)
    step_time = DT
    high: ClassVar[tuple[float, ...]] = (1.0, 1.0, MAX_SPEED)
    state_limit = (math.inf, MAX_SPEED)
    extras = 2  # the rod's length, m, and the last torque, N m
    frame = Frame(size=(400, 400), scale=140.0)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw θ from U(-π, π) and θ̇ from U(-1, 1)."""
        return random.uniform(-math.pi, math.pi), random.uniform(-1.0, 1.0), LENGTH, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step; its cost is that of the action and of the state that it was taken in."""
        angle, speed, length, _ = self.values
        torque = MAX_TORQUE * action[0]
        cost = wrapped(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        # A uniform rod about its end: inertia m l²/3, weight at l/2.
        fall = 3 * GRAVITY / (2 * length) * np.sin(angle)
        speed = speed + (fall + 3 * torque / (MASS * length**2)) * DT
        speed = speed.clip(-MAX_SPEED, MAX_SPEED)
        self.values = np.array((angle + speed * DT, speed, length, torque))
        return -cost, np.zeros(len(cost), bool)

    def observe(self) -> Sequence[Rows]:
        """Return (cos θ, sin θ, θ̇), the last in rad/s."""
        angle, speed, *_ = self.values
        return np.cos(angle), np.sin(angle), speed

    def draw(self, canvas: Canvas) -> None:
        """Draw the rod, the mark it should point at, and the torque as a curved arrow."""
        angle, speed, length, torque = self.values[:, 0].tolist()
        tip = (-length * math.sin(angle), length * math.cos(angle))
        canvas.line([(0.0, 0.0), (0.0, 1.08)], "faint", width=0.015)
        canvas.polygon([(0.0, 1.1), (-0.06, 1.22), (0.06, 1.22)], "goal")
        canvas.line([(0.0, 0.0), tip], "body", width=0.14)
        canvas.disc((0.0, 0.0), 0.05, "ink")
        canvas.curl((0.0, 0.0), 0.3, start=math.pi / 2, sweep=1.2 * torque, colour="action")
        canvas.text(f"angle {wrapped(angle):+.2f} rad    velocity {speed:+.2f} rad/s", row=0)
        canvas.text(f"torque {torque:+.2f} N m", row=1, colour="action")


class VariableLength(Pendulum):
    """The rod is 0.2 m or 1 m long, drawn anew for each episode; its length is seen."""

    high = (*Pendulum.high, max(LENGTHS))
    low = (-1.0, -1.0, -MAX_SPEED, min(LENGTHS))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the state as ever, then the length."""
        angle, speed, _, torque = super().begin(random)
        return angle, speed, LENGTHS[random.integers(2)], torque

    def observe(self) -> Sequence[Rows]:
        """Return (cos θ, sin θ, θ̇, l), the last two in rad/s and m."""
        return *super().observe(), self.values[2]

    def draw(self, canvas: Canvas) -> None:
        """Draw the pendulum and write the rod's length beside it."""
        super().draw(canvas)
        canvas.text(f"length {self.values[2, 0]:.1f} m", row=2, colour="hidden")
