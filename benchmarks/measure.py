"""Times calls in turn, ours and a peer's, and lays the medians out as rows of a table."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

Call = Callable[[], Any]


class Row(NamedTuple):
    """A line of the table; ours and the peer's are seconds for `amount` of what the unit counts."""

    what: str
    unit: str  # "…/s": a rate; "µs": a time
    ours: float
    peer: float | None = None
    name: str = ""  # the peer's
    amount: int = 1

    def __str__(self) -> str:
        peer = "" if self.peer is None else self._figure(self.peer)
        ratio = "" if self.peer is None else f"{self.peer / self.ours:.2f}"
        return _line(self.what, self.unit, self._figure(self.ours), peer, ratio, self.name)

    def _figure(self, seconds: float) -> str:
        value = seconds * 1e6 if self.unit == "µs" else self.amount / seconds
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def header() -> str:
    """The table's first two lines."""
    names = _line("what", "unit", "ours", "peer", "ratio", "the peer")
    return names + "\n" + "".join("|" if letter == "|" else "-" for letter in names)


def _line(*cells: str) -> str:
    return "| {:44s} | {:9s} | {:>8s} | {:>8s} | {:>5s} | {:28s} |".format(*cells)


class Clock:
    """Calls things over and over, for `span` seconds a turn.

    timer: `time.process_time` does not count what else the machine does, but counts every thread.
    """

    def __init__(
        self, turns: int, span: float, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self.turns, self.span, self.timer = turns, span, timer

    def duel(self, ours: Call, peer: Call) -> tuple[float, float]:
        """Median seconds a call of each, in turn: A B A B …; both have a first turn for nothing."""
        turns = [(self._turn(ours), self._turn(peer)) for _ in range(self.turns + 1)][1:]
        return median(mine for mine, _ in turns), median(theirs for _, theirs in turns)

    def alone(self, call: Call) -> float:
        """Median seconds a call, of half as many turns."""
        return median([self._turn(call) for _ in range(self.turns // 2 + 1)][1:])

    def _turn(self, call: Call) -> float:
        calls, began = 0, self.timer()
        while (passed := self.timer() - began) < self.span or not calls:
            call()
            calls += 1
        return passed / calls
