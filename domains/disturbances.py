"""Disturbances: noise, dropout and delay of observations, and repeated actions.

Chance is drawn from a generator that each episode of each copy has for itself, so that one copy's
numbers depend on nothing but its seed, and the environment's own episode stays what it was.
"""

from abc import abstractmethod
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from .observation_view import (
    Flags,
    ObservationView,
    Randoms,
    Rows,
    box_like,
    flat_box,
    with_zero_at,
)

AHEAD = 64  # steps whose chance is drawn at once: a call a copy and step would be slow
CUT = 5.0  # deviations; noise is cut here so that the box stays a true bound (1 in 1.7 million)


class Disturbance(ObservationView):
    """A view with chance: `draw` it for many steps of one copy, then `disturb` one step of all."""

    def __init__(self) -> None:
        self._allot(0)

    @abstractmethod
    def draw(self, random: np.random.Generator) -> Rows:
        """Return the numbers of the next AHEAD steps (AHEAD, ·) of one copy."""

    @abstractmethod
    def disturb(self, observation: Rows, numbers: Rows) -> Rows:
        """Return what is shown of (n, X), given this step's numbers (n, ·)."""

    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return (n, X); where it is not fresh, what was shown last."""
        if len(self._used) != len(fresh):
            self._allot(len(fresh))
            self._shown = observation
        for copy in np.flatnonzero(fresh).tolist():
            self._randoms[copy] = randoms[copy].spawn(1)[0]
        self._used[fresh] = AHEAD
        return self._show(observation, fresh)

    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return (n, X)."""
        return self._show(observation, np.ones(len(observation), bool))

    def _allot(self, copies: int) -> None:
        self._randoms = [np.random.default_rng() for _ in range(copies)]
        self._used = np.full(copies, AHEAD)  # of the numbers drawn ahead
        self._drawn = np.array([self.draw(random) for random in self._randoms])  # (n, AHEAD, ·)

    def _show(self, observation: Rows, moved: Flags) -> Rows:
        for copy in np.flatnonzero(self._used == AHEAD).tolist():
            self._drawn[copy] = self.draw(self._randoms[copy])
            self._used[copy] = 0
        numbers = self._drawn[np.arange(len(moved)), self._used]
        self._used = self._used + moved
        shown = self.disturb(observation, numbers).astype(observation.dtype)
        self._shown = np.where(moved[:, None], shown, self._shown)
        return self._shown.copy()


class Noise(Disturbance):
    """Adds Gaussian noise of one deviation to every entry, in the entry's own unit."""

    def __init__(self, space: gymnasium.Space[Any], deviation: float) -> None:
        box = flat_box(space, "observations")
        if not 0.0 < deviation < np.inf:
            raise ValueError(f"Noise needs a deviation above 0, not {deviation}")
        self.deviation, self.size = deviation, box.shape[0]
        reach = CUT * deviation
        self.space = box_like(
            box,
            (box.low.astype(np.float64) - reach).astype(box.dtype),
            (box.high.astype(np.float64) + reach).astype(box.dtype),
        )
        super().__init__()

    def draw(self, random: np.random.Generator) -> Rows:
        """Return (AHEAD, X) numbers of the normal distribution."""
        return random.standard_normal((AHEAD, self.size))

    def disturb(self, observation: Rows, numbers: Rows) -> Rows:
        """Return (n, X) with noise."""
        return observation + self.deviation * numbers.clip(-CUT, CUT)


class Dropout(Disturbance):
    """Replaces a whole observation by zeros, with one probability at every step, the first too."""

    def __init__(self, space: gymnasium.Space[Any], probability: float) -> None:
        box = flat_box(space, "observations")
        if not 0.0 < probability <= 1.0:
            raise ValueError(f"Dropout needs a probability above 0, up to 1, not {probability}")
        self.probability = probability
        self.space = with_zero_at(box, slice(None))
        super().__init__()

    def draw(self, random: np.random.Generator) -> Rows:
        """Return (AHEAD, 1) uniform numbers."""
        return random.random((AHEAD, 1))

    def disturb(self, observation: Rows, numbers: Rows) -> Rows:
        """Return (n, X), zero where a number is below the probability."""
        return np.where(numbers < self.probability, 0.0, observation)


class Repeat(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Any environment, where each action is taken `times` times, or until the episode's end.

    Rewards are summed; observation and info are the last ones. Our environments do it themselves.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], times: int) -> None:
        RecordConstructorArgs.__init__(self, times=times)
        super().__init__(env)
        self.times = checked_times(times)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Return the outcome of the last repetition with the sum of all rewards."""
        total = 0.0
        for _ in range(self.times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def checked_times(times: int) -> int:
    """Return how often an action is taken; raises ValueError below 1."""
    if times < 1:
        raise ValueError(f"an action is taken at least 1 time, not {times}")
    return times
