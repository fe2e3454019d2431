"""Continuous cart-pole: a pole to balance on a cart (Barto, Sutton and Anderson, 1983)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

GRAVITY = 9.8  # g, m/s²
CART_MASS = 1.0  # m_c, kg
POLE_MASS = 0.1  # m_p, kg
CART_MASSES = (0.7, 1.3)  # m_c where it varies: least and greatest, kg
POLE_MASSES = (0.07, 0.13)  # m_p where it varies: least and greatest, kg
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


class CartPole(BaseEnv):
    """State (x, ẋ, θ, θ̇) in m, m/s, rad, rad/s; θ = 0 upright, positive leaning towards +x.

    The observation is the state, the action times 30 N the force on the cart. The reward is 1 a
    step, also for the one that ends the episode: |x| > 2.4 m or |θ| > 12°.
    """

    metadata = drawn_at(fps=50)
    step_time = DT
    high = BOUNDS
    # One step from within these stays within BOUNDS, wherever a state is set.
    state_limit = (2 * MAX_POSITION, MAX_POSITION / DT, 2 * MAX_ANGLE, MAX_ANGLE / DT)
    extras = 3  # the masses of cart and pole, kg, and the last force, N
    frame = Frame(size=(608, 256), scale=100.0, centre=(0.0, 0.6))

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw all four from U(-0.05, 0.05)."""
        return *random.uniform(-0.05, 0.05, size=4), CART_MASS, POLE_MASS, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step of explicit Euler: the positions move at the old velocities."""
        x, speed, angle, turn, *masses, _ = self.values
        force = MAX_FORCE * action[0]
        drive, swing = accelerations(angle, turn, force, *masses)
        x, angle = x + DT * speed, angle + DT * turn
        moved = x, speed + DT * drive, angle, turn + DT * swing
        self.values = np.array((*moved, *masses, force))
        return np.ones_like(x), (abs(x) > MAX_POSITION) | (abs(angle) > MAX_ANGLE)

    def observe(self) -> Sequence[Rows]:
        """Return (x, ẋ, θ, θ̇) in m, m/s, rad, rad/s."""
        return tuple(self.values[:4])

    def draw(self, canvas: Canvas) -> None:
        """Draw the track and its ends, the cart, its force, the pole and the angles it may take."""
        x, speed, angle, turn, *_, force = self.values[:, 0].tolist()
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
        canvas.arrow([(x, 0.15), (x + 0.03 * force, 0.15)], "action")
        canvas.text(f"position {x:+.2f} m    velocity {speed:+.2f} m/s", row=0)
        canvas.text(f"angle {math.degrees(angle):+.1f}°    velocity {turn:+.2f} rad/s", row=1)


class VariableMass(CartPole):
    """The masses of cart and pole are drawn for each episode, each up to 30 % off."""

    # As BOUNDS, with accelerations below 66 m/s² and 105 rad/s² of the lightest cart under the
    # heaviest pole: 240 + 2 · 0.02 · 66 = 242.7 m/s and 20.95 + 2 · 0.02 · 105 = 25.2 rad/s.
    high = (7.3, 243.0, 0.7, 25.5)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the state as ever, then the masses of the cart and of the pole."""
        *state, _, _, force = super().begin(random)
        return *state, random.uniform(*CART_MASSES), random.uniform(*POLE_MASSES), force

    def draw(self, canvas: Canvas) -> None:
        """Draw the cart-pole and write both masses beside it."""
        super().draw(canvas)
        cart, pole = self.values[4:6, 0].tolist()
        canvas.text(f"cart {cart:.2f} kg    pole {pole:.3f} kg", row=-2, colour="hidden")


def accelerations(
    angle: Rows, turn: Rows, force: Rows, cart_mass: Rows, pole_mass: Rows
) -> tuple[Rows, Rows]:
    """Return ẍ (m/s²) and θ̈ (rad/s²) of a pole at θ (rad), θ̇ (rad/s) under a force (N)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    total = cart_mass + pole_mass
    moment = pole_mass * HALF_LENGTH  # m_p l, kg m
    push = (force + moment * turn**2 * sine) / total
    swing = (GRAVITY * sine - cosine * push) / (
        HALF_LENGTH * (4 / 3 - pole_mass * cosine**2 / total)
    )
    return push - moment * swing * cosine / total, swing


def _along(start: tuple[float, float], angle: float, distance: float) -> tuple[float, float]:
    return start[0] + distance * math.sin(angle), start[1] + distance * math.cos(angle)
