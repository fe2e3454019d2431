"""Four links on a cart: swing all of them up and balance them, by moving the cart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

GRAVITY = 9.81  # g, m/s²
LENGTHS = np.array((0.190, 0.226, 0.262, 0.298))  # l, m
CENTRES = np.array((0.120, 0.145, 0.178, 0.140))  # a, from a link's lower joint to its centre, m
MASSES = np.array((0.5, 0.6, 0.6, 0.4))  # m, kg
# Of the four joints, the lowest one first, N m s/rad.
DAMPING = np.array((0.001547562611052, 0.0008598850094355782, 0.0006480318611403285, 0.000586515))
MAX_ACCELERATION = 40.0  # u at action 1, m/s²
MAX_POSITION = 0.75  # |x| beyond this ends the episode, m
MAX_RATE = 35.0  # |q̇| of this and more ends the episode, rad/s
DT = 0.02  # one step, s
SUBSTEPS = 10  # of Runge-Kutta's fourth order in a step

INERTIAS = CENTRES**2 * MASSES / 3  # J, about a link's centre, kg m²
CARRIED = np.array([MASSES[i + 1 :].sum() for i in range(4)])  # S, the mass beyond a link, kg
MOMENTS = CENTRES * MASSES + LENGTHS * CARRIED  # c, kg m
PUBLISHED_MOMENT = CENTRES[0] * MASSES[1] + LENGTHS[0] * CARRIED[0]  # c_1 with m_2 for m_1, kg m

# A set ẋ is at most 11 m/s, and u is at most 40 m/s² over the track's 1.5 m: while an episode goes
# on, ẋ² <= 11² + 2 · 40 · 1.5, ẋ <= 15.6 m/s. Its last step adds 0.8 m/s and begins on the track:
# 0.75 + 0.02 · 16 = 1.07 m. (From reset the cart stays below 12 m/s.)
MAX_SPEED = 11.0
BOUNDS = (1.1, 16.5)


def _couplings() -> Rows:
    """Return M (4, 4) of links in line: it becomes M(q) by the cosines of q_i - q_j."""
    matrix = LENGTHS[:, None] * MOMENTS  # k_ij, right where i < j
    matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T
    return matrix + np.diag(INERTIAS + CENTRES**2 * MASSES + LENGTHS**2 * CARRIED)


def _joint_damping() -> Rows:
    """Return D (4, 4): a joint brakes the difference of its two links' rates."""
    matrix = np.diag(DAMPING) + np.diag((*DAMPING[1:], 0.0))
    return matrix - np.diag(DAMPING[1:], 1) - np.diag(DAMPING[1:], -1)


COUPLINGS, JOINT_DAMPING = _couplings(), _joint_damping()


class QuadInvPendulum(BaseEnv):
    """State (x, q1..q4, ẋ, q̇1..q̇4) in m, rad, m/s, rad/s; a link's q is its angle from upright.

    Angles are absolute and counter-clockwise positive; all start hanging, at π. The action times
    40 m/s² is the cart's acceleration, so that the links do not move the cart. An episode ends
    where |x| > 0.75 m or any |q̇| >= 35 rad/s. The reward, in [0, 1], is greatest with the cart in
    the middle and all links upright and at rest.
    """

    metadata = drawn_at(fps=50)
    step_time = DT
    # A rate is shown as 35 rad/s at most, which only an episode's last observation can pass.
    high = (*BOUNDS, *(1.0, 1.0, MAX_RATE) * 4)
    state_limit = (MAX_POSITION, *(math.inf,) * 4, MAX_SPEED, *(MAX_RATE,) * 4)
    extras = 1  # the cart's last acceleration, m/s²
    frame = Frame(size=(608, 432), scale=170.0, centre=(0.0, 0.05))

    def __init__(
        self,
        render_mode: str | None = None,
        hidden: str = "nothing",
        *,
        published_b1: bool = True,
        **settings: Any,
    ) -> None:
        """Make the environment as it was published: there B_1 has a_1 m_2 in place of a_1 m_1.

        With `published_b1=False` the cart drives the first link as mechanics has it.
        """
        super().__init__(render_mode, hidden, **settings)
        self.drive = MOMENTS.copy()  # B = drive · cos q, kg m
        if published_b1:
            self.drive[0] = PUBLISHED_MOMENT

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw positions and speeds from N(0, 0.01²), the angles about hanging."""
        near = random.normal(scale=0.01, size=10)
        near[1:5] += math.pi
        return *near, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step; the reward is that of the state it leads to and of its own action."""
        state, push = self.values[:10], MAX_ACCELERATION * action[0]
        duration = DT / SUBSTEPS
        for _ in range(SUBSTEPS):
            first = self._change(state, push)
            second = self._change(state + duration / 2 * first, push)
            third = self._change(state + duration / 2 * second, push)
            fourth = self._change(state + duration * third, push)
            state = state + duration / 6 * (first + 2 * second + 2 * third + fourth)
        self.values = np.concatenate((state, push[None]))
        slow = (abs(state[6:]) < MAX_RATE).all(0)  # also False where a rate is no number
        return rewards(state, action[0]), ~slow | (abs(state[0]) > MAX_POSITION)

    def observe(self) -> Sequence[Rows]:
        """Return (x, ẋ), then sine and cosine of q_i - q_{i-1}, and q̇_i, for each link."""
        links = zip(_bends(self.values), self.values[6:10], strict=True)
        entries = [self.values[0], self.values[5]]
        for bend, rate in links:
            entries += [np.sin(bend), np.cos(bend), rate.clip(-MAX_RATE, MAX_RATE)]
        return entries

    def _change(self, state: Rows, push: Rows) -> Rows:
        speed, rates = state[5:6], state[6:]
        swing = accelerations(state[1:5], rates, push, self.drive)
        return np.concatenate((speed, rates, push[None], swing))

    def draw(self, canvas: Canvas) -> None:
        """Draw the track and its ends, the cart and its push, the links, and where to bring them.

        A link whose rate comes near 35 rad/s is drawn in the limits' colour.
        """
        x, *angles = self.values[:5, 0].tolist()
        speed, *rates, push = self.values[5:, 0].tolist()
        canvas.line([(-1.65, 0.0), (1.65, 0.0)], "ink", width=0.012)
        for end in (-MAX_POSITION, MAX_POSITION):
            canvas.line([(end, -0.07), (end, 0.07)], "limit", width=0.03)
        top = float(LENGTHS.sum())
        canvas.line([(0.0, 0.0), (0.0, top)], "faint", width=0.008)
        canvas.disc((0.0, top), 0.045, "goal")
        canvas.polygon(
            [(x - 0.11, 0.04), (x + 0.11, 0.04), (x + 0.11, -0.04), (x - 0.11, -0.04)], "ink"
        )
        joints = [(x, 0.0)]
        for length, angle in zip(LENGTHS.tolist(), angles, strict=True):
            base = joints[-1]
            joints.append((base[0] - length * math.sin(angle), base[1] + length * math.cos(angle)))
        for link, rate in zip(pairwise(joints), rates, strict=True):
            canvas.line(link, "limit" if abs(rate) > 0.8 * MAX_RATE else "body", width=0.04)
        for joint in joints[:-1]:
            canvas.disc(joint, 0.013, "paper")
        canvas.arrow([(x, -0.09), (x + 0.01 * push, -0.09)], "action", width=0.02)
        canvas.text(f"position {x:+.2f} m    velocity {speed:+.2f} m/s", row=0)
        canvas.text(f"fastest link {max(map(abs, rates)):.1f} rad/s", row=1)
        canvas.text(f"acceleration {push:+.1f} m/s²", row=2, colour="action")


def accelerations(angles: Rows, rates: Rows, push: Rows, drive: Rows) -> Rows:
    """Return q̈ (4, n) of links at q, q̇ (4, n) on a cart with ẍ (n,); `drive` is B/cos q (4,)."""
    sine, cosine = np.sin(angles), np.cos(angles)
    apart = angles[:, None] - angles  # (4, 4, n)
    couplings = COUPLINGS[:, :, None]
    # The sums are not a product of matrices: its rounding would depend on the number of copies.
    drag = couplings * np.sin(apart) * rates + JOINT_DAMPING[:, :, None]
    torque = (drive[:, None] * push * cosine + GRAVITY * MOMENTS[:, None] * sine) - (
        drag * rates
    ).sum(1)
    return solved(couplings * np.cos(apart), torque)


def solved(matrix: Rows, right: Rows) -> Rows:
    """Return y (4, n) with matrix (4, 4, n) · y = right (4, n), by elimination.

    M is positive definite, and so no pivots are looked for.
    """
    rows = np.concatenate((matrix, right[:, None]), 1)  # (4, 5, n)
    for pivot in range(4):
        factor = rows[:, pivot] / rows[pivot, pivot]
        factor[pivot] = 0.0
        rows = rows - factor[:, None] * rows[pivot]
    return rows[:, 4] / rows[range(4), range(4)]


def rewards(state: Rows, action: Rows) -> Rows:
    """Return the rewards (n,) of states (10, n) reached by actions (n,) in [-1, 1]."""
    middle = 0.5 + 0.5 * np.exp(-0.7 * state[0] ** 2)
    gentle = 0.8 + 0.2 * (1 - action**2)
    straight = (0.5 + 0.5 * np.cos(_bends(state))).prod(0)
    still = (0.5 + 0.5 * np.exp(-0.2 * state[6:10] ** 2)).min(0)
    return middle * gentle * straight * still


def _bends(state: Rows) -> Rows:
    return np.concatenate((state[1:2], state[2:5] - state[1:4]))  # q_i - q_{i-1}, rad
