"""Bumps: an arm feels its way along a line and pushes bumps with a finger that may bend.

What speed costs. As published, PyBullet solves for ten way-points on a line, and the joints near
each by 0.001 rad a step, to 0.01 rad. Here the way is worked out in closed form, at 0.409 mm a
step; arm and finger are one body; the arm begins where it would be lowered to; a bump that is not
touched sleeps. That is 5 times as fast. A full action takes 123 steps everywhere, where the
published rule takes 117 to 125, and up to 144 near the edge. Three full actions leave a bump within
1.5 mm of where that rule does if the finger is rigid (0.035 N m and above), within 12 mm of it near
the force at which the bump only just moves (0.028 to 0.031), and unmoved, as it does, below.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Discrete
from numpy.random import Generator
from numpy.typing import ArrayLike

from ..rendering import drawn_at
from .arm import Arm
from .bullet_env import BulletEnv
from .layouts import EDGE, Layout
from .props import GROUND, dome, floor, mark
from .scene import Camera, pybullet
from .ur5 import reach, ur5
from .urdf import LIMIT

LINE = 0.6  # x of the line that tool and bumps are on, m
HEIGHT = 0.2045  # of the tool, m; lowered to 0.2, it stops when all joints are within 0.01 rad
STRIDE = 0.05  # the tool's way at |ρ| = 1, m
PACE = 0.000409  # its way in one step of the simulation, m
SOFT = 0.007  # greatest torque of the hinge's motor at κ = -1, N m
SLOW, FAST = 0.1, 1.0  # its greatest speed before an episode and in it, rad/s
SETTLE = 20  # steps before an episode, in which the bumps come to rest
CHOICES = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))  # of the discrete mode
REACH, BENT = 0.54, 1.1  # greatest |y| of the tip, m, and |θ|, rad
ASLEEP = pybullet.ACTIVATION_STATE_ENABLE_SLEEPING | pybullet.ACTIVATION_STATE_SLEEP


class Bumps(BulletEnv):
    """An arm, its finger and bumps; a task says where they are, what is seen and what counts.

    An action is (ρ, κ): the tool moves by 0.05 ρ m along y, to the right above 0, or until it
    crosses ±0.38 m, while the hinge's motor gives 0.007 N m (κ = -1) to `stiffest` (κ = 1).
    """

    metadata = drawn_at(fps=4)
    high: ClassVar[tuple[float, ...]] = (REACH, BENT)
    action_size = 2
    camera = Camera((0.6, 0.0, 0.19), 0.95, yaw=90.0, pitch=-12.0)
    widths: ClassVar[tuple[float, ...]] = (0.04, 0.04)  # of the bumps, m; they are as high
    stiffest: ClassVar[float] = 0.047  # N m

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        discrete: bool = False,
        action_failure_prob: float = 0.0,
    ) -> None:
        """Make it; `discrete` has 4 actions: left softly or hard, right softly or hard.

        An action comes to nothing with `action_failure_prob`.
        """
        if not 0.0 <= action_failure_prob <= 1.0:
            raise ValueError(f"action_failure_prob is within [0, 1], not {action_failure_prob}")
        super().__init__(render_mode)
        self.action_failure_prob = action_failure_prob
        if discrete:
            self.action_space = Discrete(len(CHOICES))

    @abstractmethod
    def place(self, random: Generator) -> Layout:
        """Draw where an episode begins."""

    @abstractmethod
    def judge(self) -> tuple[float, bool, bool]:
        """Return the reward, whether the episode ends, and whether in success."""

    def add_fixtures(self) -> None:
        """Load what else there is."""

    def after_step(self) -> None:
        """Take note of what only shows while the arm moves."""

    @property
    def tip(self) -> float:
        """The tip's y, m."""
        return self.arm.tip[1]

    @property
    def angle(self) -> float:
        """The finger's θ, rad: 0 is straight, and below it the tip lags to the left."""
        return self.arm.angle

    @property
    def places(self) -> tuple[float, ...]:
        """The y of each bump, m."""
        return tuple(self.scene.place(bump)[1] for bump in self.bumps)

    @property
    def moved(self) -> tuple[float, ...]:
        """How far each bump is from where it began, m; to the right above 0."""
        return tuple(now - then for now, then in zip(self.places, self.began, strict=True))

    def observe(self) -> Sequence[float]:
        """Return the tip's y in m, and the finger's angle θ in rad."""
        return self.tip, self.angle

    def begin(self, random: Generator) -> None:
        """Draw where all is, and let it come to rest there."""
        self.furnish(self.place(random))

    def furnish(self, layout: Layout) -> None:
        """Begin with nothing; load the arm, its finger straight and down, bumps and all else."""
        self.scene.clear()
        self.scene.load(floor(), (0.0, 0.0, GROUND))
        for side in (-EDGE, EDGE):
            self.scene.show(mark(LIMIT), (LINE, side, GROUND))
        joints = reach(LINE, layout.finger, HEIGHT).tolist()
        self.arm = Arm(self.scene, ur5(), joints)
        self.bumps = [
            self.scene.load(dome(width), (LINE, y, 0.0), fixed=False)
            for width, y in zip(self.widths, layout.bumps, strict=True)
        ]
        self.add_fixtures()
        self.tool, self.push, self.stiffness = layout.finger, 0.0, self.stiffest
        self.arm.hold(self.stiffness, SLOW)
        self._follow([joints] * SETTLE)
        for bump in self.bumps:
            self.scene.call.changeDynamics(bump, -1, activationState=ASLEEP)
        self.began = self.places

    def taken(self, action: ArrayLike) -> Sequence[float]:
        """Return (ρ, κ), of a choice too; raises ValueError for what is no action."""
        if not isinstance(self.action_space, Discrete):
            return super().taken(action)
        choice = np.asarray(action)
        if choice.shape or choice not in range(len(CHOICES)):
            raise ValueError(f"an action is a whole number below {len(CHOICES)}, not {action!r}")
        return CHOICES[int(choice)]

    def advance(self, action: Sequence[float]) -> tuple[float, bool, bool]:
        """Push, and see what came of it."""
        push, grip = action
        if self.action_failure_prob and self.np_random.random() < self.action_failure_prob:
            push = 0.0
        self.push = STRIDE * push
        self.stiffness = SOFT + (grip + 1) / 2 * (self.stiffest - SOFT)
        self.arm.hold(self.stiffness, FAST)
        self._follow(self._way())
        return self.judge()

    def captions(self) -> Sequence[str]:
        """Return what is felt, and the last action."""
        return (
            f"tip at {self.tip:+.3f} m, finger bent by {self.angle:+.2f} rad",
            f"pushed by {self.push:+.3f} m with at most {self.stiffness:.3f} N m",
        )

    def _way(self) -> list[list[float]]:
        """Return the joints (steps, 6) on the tool's way, to the step that passes its end."""
        side = math.copysign(1.0, self.push)
        way = min(abs(self.push), EDGE - side * self.tool)
        steps = math.floor(way / PACE) + 1 if self.push and way > 0 else 0
        line = self.tool + side * PACE * np.arange(1, steps + 1)
        self.tool += side * PACE * steps
        joints: list[list[float]] = reach(LINE, line, HEIGHT).tolist()
        return joints

    def _follow(self, way: list[list[float]]) -> None:
        for joints in way:
            self.arm.move(joints)
            self.scene.step()
            self.after_step()
