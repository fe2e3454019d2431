"""Water maze: a platform to be found in a disc of murky water (Morris, 1984), and found again."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas

Place = tuple[float, float]  # (x, y), m; the water is the disc of radius 1 m about (0, 0)

STROKE = 0.04  # moved along an axis at action 1, m a step
THRUST = 0.03  # gained along an axis at action 1, m/step in a step (the simple maze)
MAX_SPEED = 0.1  # along an axis, m/step (the simple maze)
PLATFORM_AT = 0.7  # of the platform's centre from the middle, m (the simple maze)
VISITS = 5  # steps on the platform, after which one is carried away

# Rows of `values`, after the state.
FLAG, VISITED, PLATFORM, ACTION = -6, -5, slice(-4, -2), slice(-2, None)


class Maze(BaseEnv, ABC):
    """What the mazes share; the state begins with the position (x, y) and no episode ends.

    The observation is (x, y, 1 on the platform or else 0, and the platform's x and y). Every
    fifth step on the platform, in a row or not, carries the swimmer away; that step is still seen
    and paid as one on the platform.
    """

    metadata = drawn_at(fps=15)
    high = (1.0,) * 5
    low = (-1.0, -1.0, 0.0, -1.0, -1.0)
    action_size = 2
    extras = 6
    frame = Frame(size=(480, 544), scale=200.0, centre=(0.0, 0.03))
    radius: ClassVar[float]  # of the platform, m

    @abstractmethod
    def platform(self, random: np.random.Generator) -> Place:
        """Return where the platform's centre is in an episode."""

    @abstractmethod
    def start(self, random: np.random.Generator, platform: Place) -> Sequence[float]:
        """Return a state to begin with, or to be carried away to."""

    @abstractmethod
    def moved(self, action: Rows) -> Rows:
        """Return the states after one step of actions (2, n)."""

    def rewards(self, inside: NDArray[np.bool_], distance: Rows) -> Rows:
        """Return 1 on the platform and 0 off it; `distance` is that to its centre, m."""
        return inside.astype(np.float64)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Draw the platform, then the start."""
        platform = self.platform(random)
        return *self.start(random, platform), 0.0, 0.0, *platform, 0.0, 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Move, count a step on the platform, and carry away whoever has had five."""
        state, platform = self.moved(action), self.values[PLATFORM]
        distance = length(state[:2] - platform)
        inside = distance <= self.radius
        visits = self.values[VISITED] + inside
        carried = visits == VISITS
        self.values = np.array((*state, inside, np.where(carried, 0, visits), *platform, *action))
        for copy, random in self.chances(carried):
            x, y = platform[:, copy].tolist()
            self.values[: len(state), copy] = self.start(random, (x, y))
        return self.rewards(inside, distance), np.zeros(len(distance), bool)

    def observe(self) -> Sequence[Rows]:
        """Return (x, y, 1 on the platform or else 0, platform's x and y); lengths in m."""
        return *self.values[:2], self.values[FLAG], *self.values[PLATFORM]

    def draw(self, canvas: Canvas) -> None:
        """Draw the water's edge, the platform, the swimmer and his action as an arrow."""
        x, y = self.values[:2, 0].tolist()
        platform_x, platform_y = self.values[PLATFORM, 0].tolist()
        right, up = self.values[ACTION, 0].tolist()
        canvas.disc((0.0, 0.0), 1.03, "limit")
        canvas.disc((0.0, 0.0), 1.0, "paper")
        canvas.disc((platform_x, platform_y), self.radius, "goal")
        canvas.disc((x, y), 0.05, "body")
        canvas.arrow([(x, y), (x + 0.12 * right, y + 0.12 * up)], "action", width=0.02)
        on = "on" if self.values[FLAG, 0] else "off"
        visited = f"{on} the platform    counted {self.values[VISITED, 0]:.0f} of {VISITS}"
        canvas.text(f"position ({x:+.2f}, {y:+.2f}) m", row=0)
        canvas.text(visited, row=1, colour="goal")


class WaterMaze(Maze):
    """State (x, y), m; a step moves by 0.04 m times the action, and stays within the water.

    Platform, start and every new place are anywhere, the last two off the platform. The reward is
    1 a step on the platform.
    """

    state_limit = (1.0, 1.0)
    radius = 0.3

    def platform(self, random: np.random.Generator) -> Place:
        """Draw its angle, and the distance of its centre, uniformly where all of it fits."""
        return polar(random.uniform(0.0, 2 * math.pi), random.uniform(0.0, 1.0 - self.radius))

    def start(self, random: np.random.Generator, platform: Place) -> Sequence[float]:
        """Draw angle and distance from the middle uniformly, until it is off the platform."""
        while True:
            place = polar(random.uniform(0.0, 2 * math.pi), random.uniform(0.0, 1.0))
            if math.dist(place, platform) > self.radius:
                return place

    def moved(self, action: Rows) -> Rows:
        """Move; out of the water, stay."""
        here = self.values[:2]
        there = here + STROKE * action
        return np.where(length(there) > 1.0, here, there)


class DenseWaterMaze(WaterMaze):
    """The reward is minus the distance from the centre of the platform, which is smaller."""

    radius = 0.2

    def rewards(self, inside: NDArray[np.bool_], distance: Rows) -> Rows:
        """Return minus the distance, m."""
        return -distance


class SimpleWaterMaze(Maze):
    """State (x, y, vx, vy) in m and m/step; actions accelerate, and the edge takes all speed.

    Episodes begin at rest in the middle, and five steps on the platform carry back to there. The
    platform is 0.7 m away, at any angle. The reward is 1 a step on the platform.
    """

    state_limit = (1.0, 1.0, MAX_SPEED, MAX_SPEED)
    radius = 0.3

    def set_platform(self, angle: float) -> None:
        """Put the platform at `angle` (rad) for the episode under way; a reset draws it anew.

        Raises ResetNeeded before the first reset.
        """
        if np.isnan(self.values).any():
            raise ResetNeeded("a platform is set in an episode; call reset() before")
        self.values[PLATFORM] = np.reshape(polar(angle, PLATFORM_AT), (2, 1))

    def platform(self, random: np.random.Generator) -> Place:
        """Draw its angle uniformly."""
        return polar(random.uniform(0.0, 2 * math.pi), PLATFORM_AT)

    def start(self, random: np.random.Generator, platform: Place) -> Sequence[float]:
        """Return the middle, at rest."""
        return 0.0, 0.0, 0.0, 0.0

    def moved(self, action: Rows) -> Rows:
        """Accelerate, then move; out of the water, stay and lose all speed."""
        here, speed = self.values[:2], self.values[2:4]
        speed = (speed + THRUST * action).clip(-MAX_SPEED, MAX_SPEED)
        there = here + speed
        out = length(there) > 1.0
        return np.concatenate((np.where(out, here, there), np.where(out, 0.0, speed)))


def length(vectors: Rows) -> Rows:
    """Return the lengths (n,) of vectors (2, n)."""
    x, y = vectors
    return np.sqrt(x**2 + y**2)


def polar(angle: float, distance: float) -> Place:
    """Return the place at `angle` (rad) and `distance` from the middle."""
    return distance * math.cos(angle), distance * math.sin(angle)
