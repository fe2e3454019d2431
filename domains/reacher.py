"""Reacher: an arm of two links in the plane, its tip to be brought to a target (as Reacher-v2).

The equations of motion are in closed form, and nothing pulls the arm down: the plane is level.
"""

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

LENGTHS = 0.1, 0.11  # of the links, m
RADIUS = 0.01  # of the capsules, m
DENSITY = 1000.0  # of the capsules, kg/m³
ARMATURE = 1.0  # inertia of each joint's motor, kg m²
DAMPING = 1.0  # of each joint, N m s/rad
GEAR = 200.0  # torque at action 1, N m
MAX_BEND = 3.0  # |θ2| stops here, rad
DT = 0.01  # one step of Runge and Kutta, s
STEPS = 2  # of these for one action
TARGET_RADIUS = 0.2  # of the disc that targets lie in, m

# Where the motors put no more power in than damping takes out, |θ̇| is at most √2 · 200 N m over
# 1 N m s/rad = 283 rad/s, and the mass matrix is within 0.2 % of the armature's.
MAX_SPEED = 300.0


def capsule(length: float) -> tuple[float, float]:
    """Return the mass (kg) of a link and its moment of inertia (kg m²) about its middle."""
    rod = DENSITY * math.pi * RADIUS**2 * length
    ends = DENSITY * math.pi * RADIUS**3 * 4 / 3  # two half balls
    inertia = rod * (length**2 / 12 + RADIUS**2 / 4)
    inertia += ends * (length**2 / 4 + 3 / 8 * length * RADIUS + 2 / 5 * RADIUS**2)
    return rod + ends, inertia


# The joints are at 0 and at l1; link 2 points along θ1 + θ2 and turns at θ̇1 + θ̇2. Twice the kinetic
# energy is I1 θ̇1² + m1 (l1 θ̇1 / 2)² + I2 (θ̇1 + θ̇2)² + m2 |v2|², with |v2|² = (l1 θ̇1)² +
# (l2 (θ̇1 + θ̇2) / 2)² + l1 l2 cos θ2 θ̇1 (θ̇1 + θ̇2), and θ̇1² + θ̇2² times the armature. So the mass
# matrix is ((INNER + OUTER + 2 COUPLING cos θ2, OUTER + COUPLING cos θ2), (.., OUTER)) and the
# armature on its diagonal.
_MASSES, _INERTIAS = zip(*map(capsule, LENGTHS), strict=True)
OUTER = _INERTIAS[1] + _MASSES[1] * (LENGTHS[1] / 2) ** 2
INNER = _INERTIAS[0] + _MASSES[0] * (LENGTHS[0] / 2) ** 2 + _MASSES[1] * LENGTHS[0] ** 2
COUPLING = _MASSES[1] * LENGTHS[0] * LENGTHS[1] / 2


class Reacher(BaseEnv):
    """State (θ1, θ2, θ̇1, θ̇2) in rad and rad/s, θ2 relative to the first link; never ends.

    The observation is (cos θ1, cos θ2, sin θ1, sin θ2, target x, y, θ̇1, θ̇2, tip - target x, y, z)
    in m and rad/s. The reward is minus the distance after the step (m), minus the squared action.
    """

    metadata = drawn_at(fps=50)
    step_time = STEPS * DT
    # The z, always 0, may reach as far as the arm is thick: checkers want a box of some width.
    high = (
        *(1.0, 1.0, 1.0, 1.0, TARGET_RADIUS, TARGET_RADIUS, MAX_SPEED, MAX_SPEED),
        *(sum(LENGTHS) + TARGET_RADIUS, sum(LENGTHS) + TARGET_RADIUS, RADIUS),
    )
    action_size = 2
    state_limit = (math.inf, MAX_BEND, GEAR / DAMPING, GEAR / DAMPING)
    extras = 4  # the target's x and y, m, and the last torques, N m
    frame = Frame(size=(400, 416), scale=720.0)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw angles from U(-0.1, 0.1), a target from its disc, speeds from U(-0.005, 0.005)."""
        angles = random.uniform(-0.1, 0.1, size=2)
        target = random.uniform(-TARGET_RADIUS, TARGET_RADIUS, size=2)
        while math.hypot(*target) > TARGET_RADIUS:
            target = random.uniform(-TARGET_RADIUS, TARGET_RADIUS, size=2)
        return *angles, *random.uniform(-0.005, 0.005, size=2), *target, 0.0, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make two steps of Runge and Kutta at the same torques."""
        arm, target, torque = self.values[:4], self.values[4:6], GEAR * action
        for _ in range(STEPS):
            arm = stopped(moved(arm, torque))
        self.values = np.concatenate((arm, target, torque))
        x, y = self._gap()
        cost = np.sqrt(x**2 + y**2) + action[0] ** 2 + action[1] ** 2
        return -cost, np.zeros(len(cost), bool)

    def observe(self) -> Sequence[Rows]:
        """Return the eleven entries."""
        first, second, *speeds = self.values[:4]
        turned = np.cos(first), np.cos(second), np.sin(first), np.sin(second)
        x, y = self._gap()
        return *turned, *self.values[4:6], *speeds, x, y, np.zeros_like(x)

    def draw(self, canvas: Canvas) -> None:
        """Draw the target, the disc it is drawn from, the arm, and the torques as curved arrows."""
        first, second, *_, x, y, push, bend = self.values[:, 0].tolist()
        elbow = (LENGTHS[0] * math.cos(first), LENGTHS[0] * math.sin(first))
        reach = tip_of(*self.values[:2, :1])
        tip = (reach[0].item(), reach[1].item())
        ring = np.linspace(0.0, 2 * math.pi, 73).tolist()
        edge = [(TARGET_RADIUS * math.cos(a), TARGET_RADIUS * math.sin(a)) for a in ring]
        canvas.line(edge, "faint", width=0.002)
        canvas.line([(0.0, 0.0), elbow, tip], "body", width=2 * RADIUS)
        for joint in ((0.0, 0.0), elbow):
            canvas.disc(joint, 0.006, "ink")
        canvas.disc((x, y), 0.012, "goal")
        canvas.disc(tip, 0.006, "paper")
        for joint, heading, torque in (((0.0, 0.0), first, push), (elbow, first + second, bend)):
            sweep = 2.0 * torque / GEAR  # rad of arrow
            canvas.curl(joint, 0.03, start=heading, sweep=sweep, colour="action", width=0.005)
        canvas.text(f"tip to target {math.dist(tip, (x, y)):.3f} m", row=0)
        canvas.text(f"torques {push:+.0f} and {bend:+.0f} N m", row=1, colour="action")

    def _gap(self) -> tuple[Rows, Rows]:
        x, y = tip_of(*self.values[:2])
        return x - self.values[4], y - self.values[5]


def tip_of(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    """Return x and y (m) of the tip of an arm at θ1, θ2 (rad)."""
    near, far = LENGTHS
    return (
        near * np.cos(first) + far * np.cos(first + second),
        near * np.sin(first) + far * np.sin(first + second),
    )


def accelerations(arm: Rows, torque: Rows) -> tuple[Rows, Rows]:
    """Return θ̈1, θ̈2 (rad/s²) of arms (4, n) under torques (2, n), N m."""
    _, bend, first, second = arm
    swing = COUPLING * np.sin(bend)  # of the terms with squared speeds
    push = torque[0] - DAMPING * first + swing * second * (2 * first + second)
    drive = torque[1] - DAMPING * second - swing * first**2
    shared = OUTER + COUPLING * np.cos(bend)
    inner, outer = ARMATURE + INNER - OUTER + 2 * shared, ARMATURE + OUTER
    determinant = inner * outer - shared**2
    return (
        (outer * push - shared * drive) / determinant,
        (inner * drive - shared * push) / determinant,
    )


def moved(arm: Rows, torque: Rows) -> Rows:
    """Return arms (4, n) after DT of Runge and Kutta's fourth order, the joint's stops aside."""

    def slope(at: Rows) -> Rows:
        return np.array((at[2], at[3], *accelerations(at, torque)))

    one = slope(arm)
    two = slope(arm + DT / 2 * one)
    three = slope(arm + DT / 2 * two)
    four = slope(arm + DT * three)
    return arm + DT / 6 * (one + 2 * two + 2 * three + four)


def stopped(arm: Rows) -> Rows:
    """Return arms (4, n) with the second joint no further than its stops, where it rests."""
    first, bend, speed, turn = arm
    beyond = abs(bend) > MAX_BEND
    bend = bend.clip(-MAX_BEND, MAX_BEND)
    return np.array((first, bend, speed, np.where(beyond, 0.0, turn)))
