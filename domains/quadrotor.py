"""Quadrotor: fly to a point and hold it, with rotors that lag, tremble and may fail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

GRAVITY = 9.8066  # g, m/s²
MASS = 0.640  # m, kg
ARM = 0.14  # L, from the middle to a rotor, m
INERTIA = np.array((0.00728, 0.00728, 0.00993))  # I about the body's axes, kg m²
THRUST = 4.612e-8  # kt, N/rpm²
DRAG = 6.411e-10  # kq, N m/rpm²
MAX_SPIN = 14945.4  # of a rotor, rpm
LAG = 0.4  # of the way to its command that a rotor makes in a substep
NOISE, REVERSION = 0.05, 0.15  # of the Ornstein-Uhlenbeck noise on the rotors' speeds, a step
DT = 0.01  # one step, s
SUBSTEPS = 10  # of Runge-Kutta's fourth order in a step
GOAL = (0.0, 0.0, 2.0)  # m; z points down
CEILING = -4.0  # an arm's length from this z, in m, ends the episode
MAX_POSITION = 5.0  # |x|, |y| or |z| beyond this ends the episode, m

# Thrust and gravity are at most 72 + 10 m/s² along an axis, and the room is 10 m wide: while an
# episode goes on, v² <= 20² + 2 · 82 · 10 from a set speed of 20 m/s, so v <= 45.2 m/s. The last
# step adds 0.9 m/s and less than 0.5 m.
MAX_SPEED, SEEN_SPEED, BEYOND = 20.0, 50.0, 0.5
MAX_RATE = 200.0  # |p|, |q|, |r| that a gyroscope shows; nothing else bounds a spin, rad/s

POSITION, ANGLES, SPEEDS, RATES = (slice(i, i + 3) for i in (0, 3, 6, 9))
SCALES, LAGGED = slice(12, 17), 17  # factors of m, L, kt, I and kq; the lag
ROTORS, TREMBLE, ASKED = (slice(i, i + 4) for i in (18, 22, 26))  # u, n, commanded fractions


class Quadrotor(BaseEnv):
    """State (x, y, z, φ, θ, ψ, v, p, q, r) in m, rad, m/s, rad/s; z points down.

    φ, θ, ψ are roll, pitch and yaw, v (3) is the velocity in the heights, p, q, r turn about the
    body's axes. An action (4) in ±1 asks for 0 to 10.3 N of each rotor. The observation is
    (goal - position, v, sine and cosine of φ, θ, ψ, p, q, r). The reward is greatest at the goal,
    level, facing along x and at rest. An episode ends at the walls, at the ceiling and beyond 90°
    of roll or pitch.
    """

    metadata = drawn_at(fps=50)
    step_time = DT
    high = (
        *(MAX_POSITION + BEYOND + abs(entry) for entry in GOAL),
        *(SEEN_SPEED,) * 3,
        *(1.0,) * 6,
        *(MAX_RATE,) * 3,
    )
    action_size = 4
    state_limit = (
        *(MAX_POSITION,) * 3,
        *(math.pi / 2, math.pi / 2, math.inf),
        *(MAX_SPEED,) * 3,
        *(MAX_RATE,) * 3,
    )
    extras = 18  # five factors of the physics, the lag, u, n and the commanded fractions
    frame = Frame(size=(768, 448), scale=32.0, centre=(0.0, 0.0))

    def __init__(
        self,
        render_mode: str | None = None,
        hidden: str = "nothing",
        *,
        rotor_noise: float = NOISE,
        randomise: bool = True,
        **settings: Any,
    ) -> None:
        """Make the environment; the attributes `noise`, `randomise` and `rotors` stay over resets.

        `rotor_noise` is the scale of the rotors' noise, 0 for none; `randomise` says whether a
        reset draws masses, arms, thrust, drag and lag.
        """
        super().__init__(render_mode, hidden, **settings)
        self.noise, self.randomise = rotor_noise, randomise
        self._rotors = np.ones(4)

    @property
    def rotors(self) -> NDArray[np.float64]:
        """The conditions (4,) of the rotors of all copies: 1 works, 0 has failed, or in between.

        Raises ValueError when set to anything else.
        """
        return self._rotors

    @rotors.setter
    def rotors(self, value: ArrayLike) -> None:
        rotors = np.array(value, np.float64)
        if rotors.shape != (4,) or not ((rotors >= 0) & (rotors <= 1)).all():
            raise ValueError(f"the conditions of the rotors are four numbers in 0-1, not {value!r}")
        self._rotors = rotors

    @property
    def lag(self) -> float:
        """The part of the way to its command that a rotor makes in 1 ms, until the next reset."""
        return float(self.values[LAGGED, 0])

    @lag.setter
    def lag(self, value: float) -> None:
        self.values[LAGGED] = value

    @property
    def u(self) -> NDArray[np.float64]:
        """The speeds (4,) of the rotors as parts of the greatest one, until the next reset."""
        return self.values[ROTORS, 0].copy()

    @u.setter
    def u(self, value: ArrayLike) -> None:
        self.values[ROTORS] = np.asarray(value, np.float64)[:, None]

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw a state about the goal, and physics within 5 % of the nominal one."""
        position = GOAL + random.uniform(-3, 3, 3) / (1, 1, 2)
        angles = random.uniform(-math.pi, math.pi, 3) / (4, 4, 1)
        speeds, rates = random.uniform(-1, 1, 3), random.uniform(-2 * math.pi, 2 * math.pi, 3)
        scales, lag = np.ones(5), LAG
        if self.randomise:
            scales, lag = random.uniform(0.95, 1.05, 5), 0.04 / random.uniform(0.05, 0.2)
        rotors = [0.1] * 4 + [0.0] * 8
        return *position, *angles, *speeds, *rates, *scales, lag, *rotors

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Make a step; the reward is that of the state it leads to and of its own action."""
        working = self._rotors[:, None]
        asked = np.where(working > 0, (working * action + 1) / 2, 0.0)
        state, rotors, tremble = self.values[:12], self.values[ROTORS], self._noise()
        scales, lag = self.values[SCALES], self.values[LAGGED]
        for _ in range(SUBSTEPS):
            rotors = rotors + lag * (np.sqrt(asked) - rotors)
            full = scales[2] * THRUST * MAX_SPIN**2
            thrusts = full * ((rotors + tremble) ** 2).clip(0, 1)
            state = moved(state, thrusts, scales, DT / SUBSTEPS)
        self.values = np.concatenate((state, scales, lag[None], rotors, tremble, asked))
        intact = bool((self._rotors > 0).all())
        return rewards(state, asked, intact), ended(state, scales[1] * ARM)

    def _noise(self) -> Rows:
        if not self.noise:
            return np.zeros_like(self.values[TREMBLE])
        drawn = np.zeros_like(self.values[TREMBLE])
        for copy, random in self.chances(np.ones(self.copies, bool)):
            drawn[:, copy] = random.standard_normal(4)
        return (1 - REVERSION) * self.values[TREMBLE] + self.noise * drawn

    def observe(self) -> Sequence[Rows]:
        """Return (goal - position, v, sine and cosine of φ, θ, ψ in turn, p, q, r)."""
        away = np.array(GOAL)[:, None] - self.values[POSITION]
        angles = [turned(angle) for angle in self.values[ANGLES] for turned in (np.sin, np.cos)]
        return *away, *self.values[SPEEDS], *angles, *self.values[RATES].clip(-MAX_RATE, MAX_RATE)

    def draw(self, canvas: Canvas) -> None:
        """Draw the room from the side and from above, the goal, and each rotor with its thrust."""
        from .quadrotor_picture import Craft, panel

        place, angles, speeds, rates = (
            self.values[part, 0] for part in (POSITION, ANGLES, SPEEDS, RATES)
        )
        pushes = (self.values[ROTORS, 0] + self.values[TREMBLE, 0]) ** 2
        craft = Craft(place, angles, pushes.clip(0, 1) * (self._rotors > 0), self._rotors)
        panel(canvas, craft, GOAL, down=2, heights=(CEILING, MAX_POSITION))
        panel(canvas, craft, GOAL, down=1, heights=(-MAX_POSITION, MAX_POSITION))
        away, speed, spin = (float(_length(rows)) for rows in (place - GOAL, speeds, rates))
        canvas.text(f"{away:.2f} m from the goal    {speed:.2f} m/s    {spin:.1f} rad/s", row=0)
        asked = "    ".join(f"{100 * part:.0f} %" for part in self.values[ASKED, 0])
        canvas.text(f"thrust asked for    {asked}", row=1, colour="action")
        canvas.text("left: from the side    right: from above", row=2)


def change(state: Rows, thrusts: Rows, scales: Rows) -> Rows:
    """Return the state's (12, n) change a second under the rotors' thrusts (4, n), N.

    `scales` (5, n) are factors of m, L, kt, I and kq.
    """
    (sf, st, sp), (cf, ct, cp) = np.sin(state[ANGLES]), np.cos(state[ANGLES])
    p, q, r = state[RATES]
    lift = thrusts.sum(0) / (scales[0] * MASS)
    turn = q * sf + r * cf
    angles = p + st / ct * turn, q * cf - r * sf, turn / ct
    speeds = -lift * (cf * st * cp + sf * sp), -lift * (cf * st * sp - sf * cp)
    f1, f2, f3, f4 = thrusts
    ix, iy, iz = scales[3] * INERTIA[:, None]
    arm, drag = scales[1] * ARM, scales[4] * DRAG / (scales[2] * THRUST)
    rates = (
        ((iy - iz) * q * r + arm * (f2 - f1)) / ix,
        ((iz - ix) * p * r + arm * (f3 - f4)) / iy,
        ((ix - iy) * p * q + drag * (f1 + f2 - f3 - f4)) / iz,
    )
    return np.array((*state[SPEEDS], *angles, *speeds, GRAVITY - lift * cf * ct, *rates))


def moved(state: Rows, thrusts: Rows, scales: Rows, duration: float) -> Rows:
    """Return the state (12, n) after `duration` s of constant thrusts."""
    first = change(state, thrusts, scales)
    second = change(state + duration / 2 * first, thrusts, scales)
    third = change(state + duration / 2 * second, thrusts, scales)
    fourth = change(state + duration * third, thrusts, scales)
    return state + duration / 6 * (first + 2 * second + 2 * third + fourth)


def rewards(state: Rows, asked: Rows, intact: bool) -> Rows:
    """Return the rewards (n,) of states (12, n) reached with these fractions of thrust (4, n).

    Where a rotor has failed, the yaw counts no longer: such a quadrotor has to spin.
    """
    roll, pitch, yaw = np.cos(state[ANGLES])
    near = np.exp(-2 * _length(state[POSITION] - np.array(GOAL)[:, None]))
    calm = 0.7 + 0.3 * np.exp(-0.4 * _length(state[SPEEDS]))
    still = 0.7 + 0.3 * np.exp(-0.4 * _length(state[RATES]))
    level = (0.75 + 0.25 * roll) * (0.75 + 0.25 * pitch)
    facing = (1 + yaw) / 2 if intact else 1.0
    return near * calm * level * facing * still * (0.9 + 0.13 * asked.max(0))


def ended(state: Rows, arm: Rows) -> NDArray[np.bool_]:
    """Return which states (12, n) end an episode, with arms (n,) in m."""
    tilted = (abs(state[3:5]) > math.pi / 2).any(0)
    outside = (abs(state[POSITION]) > MAX_POSITION).any(0)
    return tilted | outside | (state[2] - CEILING <= arm)


def _length(rows: Rows) -> Rows:
    return np.sqrt((rows**2).sum(0))
