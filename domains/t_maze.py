"""T-maze: a corridor with a cue at its beginning that tells which way to turn at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .base_env import BaseEnv, Rows
from .rendering import Frame, drawn_at

if TYPE_CHECKING:
    from .canvas import Canvas


class TMaze(BaseEnv):
    """State (position,) in steps from the beginning; the agent advances by itself, 1 a step.

    At the junction, `length` steps from the beginning, an action above 0 turns right and another
    one left, and the episode ends: reward 1 on the side of the cue, -1 on the other, and 0 before.
    The observation is (cue, position / length, 1 at the junction); the cue is 1 for right, or -1.
    """

    metadata = drawn_at(fps=10)
    high = (1.0, 1.0, 1.0)
    low = (-1.0, 0.0, 0.0)
    state_limit = (math.inf,)  # what lies beyond the corridor is observed as its end
    extras = 2  # the cue, and the turn: 1 right, -1 left, 0 not yet
    frame = Frame(size=(608, 256), scale=480.0, centre=(0.5, 0.0))

    def __init__(self, *args: Any, length: int = 10, **settings: Any) -> None:
        """Make a corridor of so many steps; the rest is what a `BaseEnv` takes."""
        if length < 1:
            raise ValueError(f"a corridor has at least 1 step, not {length}")
        self.length = length
        super().__init__(*args, **settings)

    def begin(self, random: np.random.Generator) -> Sequence[float]:
        """Stand at the beginning and draw the cue, right and left equally likely."""
        return 0.0, random.choice((-1.0, 1.0)), 0.0

    def advance(self, action: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """Go on by a step, or turn."""
        position, cue, _ = self.values
        ended = position >= self.length
        turn = np.where(ended, np.where(action[0] > 0.0, 1.0, -1.0), 0.0)
        self.success = turn == cue
        self.values = np.array((np.where(ended, position, position + 1.0), cue, turn))
        return turn * cue, ended

    def observe(self) -> Sequence[Rows]:
        """Return the cue, the part of the corridor that lies behind, and 1 at the junction."""
        position, cue, _ = self.values
        return (
            cue,
            (position / self.length).clip(0.0, 1.0),
            np.where(position >= self.length, 1.0, 0.0),
        )

    def draw(self, canvas: Canvas) -> None:
        """Draw the corridor, the cue on its side, the agent, and its turn."""
        position, cue, turn = self.values[:, 0].tolist()
        place = min(max(position / self.length, 0.0), 1.0)
        canvas.line([(0.0, 0.0), (1.0, 0.0)], "faint", width=0.07)
        canvas.line([(1.0, 0.13), (1.0, -0.13)], "faint", width=0.07)
        canvas.disc((1.0, -0.13 * cue), 0.03, "goal")
        canvas.arrow([(0.0, -0.05 * cue), (0.0, -0.11 * cue)], "hidden", width=0.02)
        canvas.arrow([(1.0, 0.0), (1.0, -0.06 * turn)], "action", width=0.015)
        canvas.disc((place, -0.13 * turn), 0.024, "body")
        canvas.text(f"step {position:.0f} of {self.length}", row=0)


class DiscreteTMaze(TMaze):
    """The same with two choices: 1 turns right, 0 left."""

    choices = 2
