"""Pace: how long collecting and learning take, and which of them is the limit."""

import time
from collections import deque
from statistics import median

from offpcc.processes.notices import say_once

JUDGED = 3  # requests after which it is said which is the limit
SLOW = 20  # times the median request, in which a worker must have answered


class Pace:
    """Takes the times of requests, and of what the learner does between them."""

    def __init__(self) -> None:
        # Of the latest requests: seconds of the slowest worker, and of the learner after it.
        self.collecting: deque[float] = deque(maxlen=JUDGED)
        self.learning: deque[float] = deque(maxlen=JUDGED)
        self._returned = 0.0  # when a request was handed over

    def called(self, uniform: bool) -> None:
        """The learner asks for more. uniform: whether it has not begun to learn."""
        if self._returned and not uniform:
            self.learning.append(time.perf_counter() - self._returned)
        if len(self.learning) == JUDGED:
            say_once("pace", self.verdict())

    def returns(self, seconds: float) -> None:
        """The learner is handed a request that took the slowest worker so many seconds."""
        self.collecting.append(seconds)
        self._returned = time.perf_counter()

    def patience(self, timeout: float) -> float:
        """Seconds after which a worker is taken for lost, given the least that there may be."""
        return max(timeout, SLOW * median(self.collecting or [0.0]))

    def verdict(self) -> str:
        """Whether more workers would help, in a line."""
        collecting, learning = median(self.collecting), median(self.learning)
        helps = "will help" if collecting > learning else "will not help"
        return (
            f"collecting takes {collecting:.2g} s a request, learning {learning:.2g} s: more "
            f"workers {helps}"
        )
