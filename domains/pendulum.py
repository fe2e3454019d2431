"""Pendulum: a torque-limited rod to swing up and hold (dynamics as in gymnasium's Pendulum-v1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from domains.world import Frame, World, drawn_at

if TYPE_CHECKING:
    from domains.canvas import Canvas

GRAVITY = 10.0  # g, m/s²
MASS = 1.0  # m, kg
LENGTH = 1.0  # l, m
MAX_TORQUE = 2.0  # u at action 1, N m
MAX_SPEED = 8.0  # |θ̇| is clipped to this, rad/s
DT = 0.05  # one step, s


def wrapped(angle: float) -> float:
    """Return the same angle in [-π, π), rad."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


class Pendulum(World):
    """State (θ, θ̇) in rad and rad/s, θ = 0 upright and counter-clockwise positive; never ends.

    The observation is (cos θ, sin θ, θ̇), the action times 2 N m the torque about the pivot.
    """

    metadata = drawn_at(fps=20)
    action_size = 1
    state_limit = (math.inf, MAX_SPEED)
    frame = Frame(size=(400, 400), scale=140.0)

    def __init__(self, render_mode: str | None = None, hidden: str = "nothing") -> None:
        super().__init__(render_mode, hidden)
        high = np.array([1.0, 1.0, MAX_SPEED], dtype=np.float32)
        self.observation_space = Box(-high, high, dtype=np.float32)
        self.length = LENGTH
        self._torque = 0.0  # of the last step, N m; only drawn

    def begin(self) -> tuple[float, ...]:
        """Draw θ from U(-π, π) and θ̇ from U(-1, 1)."""
        self._torque = 0.0
        return self.np_random.uniform(-math.pi, math.pi), self.np_random.uniform(-1.0, 1.0)

    def advance(self, action: list[float]) -> tuple[float, bool]:
        """Make a step; its cost is that of the action and of the state that it was taken in."""
        angle, speed = self._state
        torque = self._torque = MAX_TORQUE * action[0]
        cost = wrapped(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
        # A uniform rod about its end: inertia m l²/3, weight at l/2.
        fall = 3 * GRAVITY / (2 * self.length) * math.sin(angle)
        speed += (fall + 3 * torque / (MASS * self.length**2)) * DT
        speed = min(max(speed, -MAX_SPEED), MAX_SPEED)
        self._state = (angle + speed * DT, speed)
        return -cost, False

    def observe(self) -> NDArray[np.float32]:
        """Return (cos θ, sin θ, θ̇), the last in rad/s."""
        angle, speed = self._state
        return np.array((math.cos(angle), math.sin(angle), speed), dtype=np.float32)

    def draw(self, canvas: Canvas) -> None:
        """Draw the rod, the mark it should point at, and the torque as a curved arrow."""
        angle, speed = self._state
        tip = (-self.length * math.sin(angle), self.length * math.cos(angle))
        canvas.line([(0.0, 0.0), (0.0, 1.08)], "faint", width=0.015)
        canvas.polygon([(0.0, 1.1), (-0.06, 1.22), (0.06, 1.22)], "goal")
        canvas.line([(0.0, 0.0), tip], "body", width=0.14)
        canvas.disc((0.0, 0.0), 0.05, "ink")
        turn = 1.2 * self._torque  # rad of arrow
        canvas.curl((0.0, 0.0), 0.3, start=math.pi / 2, sweep=turn, colour="action")
        canvas.text(f"angle {wrapped(angle):+.2f} rad    velocity {speed:+.2f} rad/s", row=0)
        canvas.text(f"torque {self._torque:+.2f} N m", row=1, colour="action")
