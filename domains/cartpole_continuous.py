"""Continuous cart-pole: a pole to balance on a cart (Barto, Sutton and Anderson, 1983)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from domains.world import Frame, World, drawn_at

if TYPE_CHECKING:
    from domains.canvas import Canvas

GRAVITY = 9.8  # g, m/s²
CART_MASS = 1.0  # m_c, kg
POLE_MASS = 0.1  # m_p, kg
HALF_LENGTH = 0.5  # l, from the hinge to the pole's centre, m
MAX_FORCE = 30.0  # F at action 1, N
DT = 0.02  # one step, s
MAX_POSITION = 2.4  # |x| beyond this ends the episode, m
MAX_ANGLE = math.radians(12.0)  # |θ| beyond this ends the episode, rad

# Bounds of (x, ẋ, θ, θ̇) that no observation leaves. While an episode goes on, one step of 0.02 s
# stays within the limits, so the speed it was made at is below 2 · 2.4 / 0.02 = 240 m/s and
# 2 · 0.2094 / 0.02 = 20.9 rad/s. After that step at most two more accelerations (below 45 m/s² and
# 75 rad/s² at these speeds) act before the episode is over: 241.8 m/s and 23.9 rad/s. The last step
# begins inside the limits and is made at most one acceleration above: 2.4 + 0.02 · 240.9 = 7.22 m
# and 0.2094 + 0.02 · 22.5 = 0.66 rad. (Hard play from reset: 2.5 m, 5 m/s, 0.33 rad, 7 rad/s.)
BOUNDS = (7.3, 242.0, 0.7, 24.0)


class CartPole(World):
    """State (x, ẋ, θ, θ̇) in m, m/s, rad, rad/s; θ = 0 upright, positive leaning towards +x.

    The observation is the state, the action times 30 N the force on the cart. The reward is 1 a
    step, also for the one that ends the episode: |x| > 2.4 m or |θ| > 12°.
    """

    metadata = drawn_at(fps=50)
    action_size = 1
    # One step from within these stays within BOUNDS, wherever a state is set.
    state_limit = (2 * MAX_POSITION, MAX_POSITION / DT, 2 * MAX_ANGLE, MAX_ANGLE / DT)
    frame = Frame(size=(608, 256), scale=100.0, centre=(0.0, 0.6))

    def __init__(self, render_mode: str | None = None, hidden: str = "nothing") -> None:
        super().__init__(render_mode, hidden)
        high = np.array(BOUNDS, dtype=np.float32)
        self.observation_space = Box(-high, high, dtype=np.float32)
        self.cart_mass = CART_MASS
        self.pole_mass = POLE_MASS
        self._force = 0.0  # of the last step, N; only drawn

    def begin(self) -> tuple[float, ...]:
        """Draw all four from U(-0.05, 0.05)."""
        self._force = 0.0
        return tuple(self.np_random.uniform(-0.05, 0.05, size=4).tolist())

    def advance(self, action: list[float]) -> tuple[float, bool]:
        """Make a step of explicit Euler: the positions move at the old velocities."""
        x, speed, angle, turn = self._state
        self._force = MAX_FORCE * action[0]
        pull, swing = self._accelerations(angle, turn)
        x += DT * speed
        angle += DT * turn
        self._state = (x, speed + DT * pull, angle, turn + DT * swing)
        return 1.0, abs(x) > MAX_POSITION or abs(angle) > MAX_ANGLE

    def _accelerations(self, angle: float, turn: float) -> tuple[float, float]:
        """Return ẍ (m/s²) and θ̈ (rad/s²) under the present force."""
        sine, cosine = math.sin(angle), math.cos(angle)
        total = self.cart_mass + self.pole_mass
        moment = self.pole_mass * HALF_LENGTH  # m_p l, kg m
        push = (self._force + moment * turn**2 * sine) / total
        swing = (GRAVITY * sine - cosine * push) / (
            HALF_LENGTH * (4 / 3 - self.pole_mass * cosine**2 / total)
        )
        return push - moment * swing * cosine / total, swing

    def observe(self) -> NDArray[np.float32]:
        """Return (x, ẋ, θ, θ̇) in m, m/s, rad, rad/s."""
        return np.array(self._state, dtype=np.float32)

    def draw(self, canvas: Canvas) -> None:
        """Draw the track and its ends, the cart, its force, the pole and the angles it may take."""
        x, speed, angle, turn = self._state
        hinge = (x, 0.25)
        canvas.line([(-3.1, 0.0), (3.1, 0.0)], "ink", width=0.02)
        for end in (-MAX_POSITION, MAX_POSITION):
            canvas.line([(end, 0.0), (end, 0.35)], "limit", width=0.05)
        for edge in (-MAX_ANGLE, MAX_ANGLE):
            canvas.line([hinge, _along(hinge, edge, 1.15)], "faint", width=0.015)
        canvas.polygon([(x - 0.3, 0.08), (x + 0.3, 0.08), (x + 0.3, 0.25), (x - 0.3, 0.25)], "ink")
        for wheel in (x - 0.18, x + 0.18):
            canvas.disc((wheel, 0.06), 0.06, "ink")
        canvas.line([hinge, _along(hinge, angle, 2 * HALF_LENGTH)], "body", width=0.08)
        canvas.disc(hinge, 0.03, "ink")
        canvas.arrow([(x, 0.15), (x + 0.03 * self._force, 0.15)], "action")
        canvas.text(f"position {x:+.2f} m    velocity {speed:+.2f} m/s", row=0)
        canvas.text(f"angle {math.degrees(angle):+.1f}°    velocity {turn:+.2f} rad/s", row=1)


def _along(start: tuple[float, float], angle: float, distance: float) -> tuple[float, float]:
    return start[0] + distance * math.sin(angle), start[1] + distance * math.cos(angle)
