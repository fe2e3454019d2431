"""The tasks with bumps: push the right one of two, or one to a target, or the larger of two."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from .bumps import BENT, LINE, REACH, Bumps
from .layouts import EDGE, PLACEMENTS, Layout, away, between, unlike
from .props import GROUND, mark, rail
from .urdf import GOAL

STILL = 0.001  # a bump no further than this from its beginning counts as not moved, m
PUSHED = 0.01  # one that is further than this was pushed, m
SCALE = 0.4  # what places are seen in units of, where there are several, m
NEARLY = 0.05  # a bump this close to its target is there, m
RAILS = 0.021, 0.02  # to either side of the line, and above the floor's level 0, m


class PushRight(Bumps):
    """Push the right one of two bumps to the right, the finger left of it: +1.

    It ends with that, when the left one moves or the right one moves left (-1 with `punish`), and
    when the tip is at ±0.38 m. Where the bumps are drawn from is a name of `PLACEMENTS`.
    """

    def __init__(
        self,
        render_mode: str | None = None,
        *,
        placement: str = "normal",
        punish: bool = False,
        **modes: Any,
    ) -> None:
        if placement not in PLACEMENTS:
            raise ValueError(f"placement is one of {', '.join(PLACEMENTS)}, not {placement!r}")
        super().__init__(render_mode, **modes)
        self.placement, self.punish = placement, punish

    def place(self, random: Generator) -> Layout:
        """Draw from the placement."""
        return PLACEMENTS[self.placement](random)

    def judge(self) -> tuple[float, bool, bool]:
        """Return reward, end and success; a fault that is punished outweighs a success."""
        left, right = self.moved
        tip = self.tip
        fault = abs(left) > STILL or right < -STILL
        punished = fault and self.punish
        success = right > PUSHED and tip < self.places[1] and not punished
        return float(success) - punished, fault or success or abs(tip) >= EDGE, success


class PushToTarget(Bumps):
    """Bring one bump, between two rails, to within 0.05 m of a target that is shown: +1 and end.

    Seen are (tip / 0.4, θ, target / 0.4). For learning from other goals there are `achieved_goal`
    and `desired_goal` (1,) in info, the y of bump and target in m, and `compute_reward`.
    """

    widths = (0.04,)
    stiffest = 0.057
    high = (REACH / SCALE, BENT, 0.24 / SCALE)

    def place(self, random: Generator) -> Layout:
        """Draw bump, target and finger within ±0.24 m; the bump is not at its target yet."""
        bump = between(random, -0.24, 0.24)
        self.target = away(random, (bump,), NEARLY + STILL, 0.24)
        return Layout(away(random, (bump,), 0.04, 0.24), (bump,))

    def add_fixtures(self) -> None:
        """Load the rails, and a mark at the target."""
        self.scene.show(mark(GOAL), (LINE, self.target, GROUND))
        aside, height = RAILS
        for x in (LINE - aside, LINE + aside):
            self.scene.load(rail(), (x, 0.0, height))

    def observe(self) -> tuple[float, ...]:
        """Return (tip / 0.4, θ, target / 0.4)."""
        return self.tip / SCALE, self.angle, self.target / SCALE

    def compute_reward(
        self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any
    ) -> NDArray[np.float32]:
        """Return 1 where a bump at `achieved_goal` (..., 1) is at its target, else 0."""
        gap = np.abs(np.asarray(achieved_goal) - np.asarray(desired_goal))[..., 0]
        return (gap <= NEARLY).astype(np.float32)

    def judge(self) -> tuple[float, bool, bool]:
        """Return reward, end and success, which are one here."""
        there = bool(self.compute_reward(self.places, [self.target], {}))
        return float(there), there, there

    def notes(self) -> dict[str, Any]:
        """Return where the bump is and where it should be, (1,) each, m."""
        return {"achieved_goal": np.array(self.places), "desired_goal": np.array([self.target])}


class PushLarger(Bumps):
    """Push the larger of two bumps to the right, once both were touched: +1.

    It ends when the larger one was pushed or moves left, and when the smaller one moves. Seen are
    (tip / 0.4, small / 0.4, large / 0.4, θ): where the bumps are, and not which were touched.
    """

    widths = (0.04, 0.05)
    high = (REACH / SCALE, 1.0, 1.0, BENT)

    def place(self, random: Generator) -> Layout:
        """Draw an order, a gap and a place; nothing is touched yet."""
        return unlike(random)

    def furnish(self, layout: Layout) -> None:
        """Build everything anew; what the finger meets from then on is touched."""
        self.touched = [False, False]
        super().furnish(layout)

    def after_step(self) -> None:
        """Take note of bumps that the finger meets."""
        for number, bump in enumerate(self.bumps):
            if not self.touched[number]:
                self.touched[number] = bool(self.scene.call.getContactPoints(self.arm.number, bump))

    def observe(self) -> tuple[float, ...]:
        """Return (tip / 0.4, small / 0.4, large / 0.4, θ)."""
        small, large = self.places
        return self.tip / SCALE, small / SCALE, large / SCALE, self.angle

    def judge(self) -> tuple[float, bool, bool]:
        """Return reward, end and success."""
        small, large = self.moved
        pushed = large > PUSHED
        success = pushed and self.tip < self.places[1] and all(self.touched)
        return float(success), pushed or large < -STILL or abs(small) > STILL, success
