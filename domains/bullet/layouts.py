"""Layouts: where finger and bumps are when an episode begins; every number is a y in m."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from numpy.random import Generator

EDGE = 0.38  # the arm stops here, to either side


class Layout(NamedTuple):
    """Where an episode begins."""

    finger: float
    bumps: tuple[float, ...]


def between(random: Generator, low: float, high: float) -> float:
    """Return a number drawn evenly; the lower one where rounding has crossed them."""
    return float(random.uniform(low, max(low, high)))


def away(random: Generator, from_: Sequence[float], margin: float, reach: float) -> float:
    """Return a place within ±reach that is drawn anew until it is `margin` from all others."""
    place = between(random, -reach, reach)
    while min(abs(place - other) for other in from_) < margin:
        place = between(random, -reach, reach)
    return place


def apart(random: Generator, least: float, most: float) -> Layout:
    """Draw two bumps from [-0.28, 0.16] and [-0.16, 0.28], their gap from `least` to `most`.

    A coin says which comes first; the other is drawn from what that leaves it. The finger is at
    least 0.04 m from both.
    """
    end, inner = 0.28, min(0.16, 0.28 - least)
    if random.random() < 0.5:
        left = between(random, -end, inner)
        right = between(random, max(-inner, left + least), min(end, left + most))
    else:
        right = between(random, -inner, end)
        left = between(random, max(-end, right - most), min(inner, right - least))
    return Layout(away(random, (left, right), 0.04, EDGE), (left, right))


def anywhere(random: Generator) -> Layout:
    """Draw two bumps within ±0.35, at least 0.06 m apart, and a finger 0.03 m from both."""
    one = between(random, -0.35, 0.35)
    two = away(random, (one,), 0.06, 0.35)
    return Layout(away(random, (one, two), 0.03, 0.4), (min(one, two), max(one, two)))


def on_grid(random: Generator) -> Layout:
    """Draw one of three places for a pair of bumps 0.16 m apart, each and the finger ±0.03 m."""
    left = -0.4 + 0.16 * float(random.integers(1, 4))
    shift = random.uniform(-0.03, 0.03, size=3).tolist()
    return Layout(shift[0], (left + shift[1], left + 0.16 + shift[2]))


def unlike(random: Generator) -> Layout:
    """Draw a small and a large bump within ±0.24, a gap from [0.24, 0.4], in either order."""
    gap = between(random, 0.24, 0.4)
    left = between(random, -0.24, 0.24 - gap)
    pair = (left, left + gap) if random.random() < 0.5 else (left + gap, left)
    return Layout(away(random, pair, 0.04, EDGE), pair)


PLACEMENTS: dict[str, Callable[[Generator], Layout]] = {
    "normal": partial(apart, least=0.12, most=0.32),
    "minmax": partial(apart, least=0.48, most=0.48),
    "real": anywhere,
    "test": on_grid,
}
