"""Roster: which episodes each worker plays, and how many workers had its copies before."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from offpcc.distributed.pool import WorkerPool
from offpcc.distributed.request import WorkerLost
from offpcc.errors import WorkersLostError

MOST_LOSSES = 3  # of one worker, with no answer in between


class Roster:
    """The workers of a pool; a lost one is replaced, up to three times in a row.

    made: gives the steps that each copy of a worker is to have made, by the worker's index.
    """

    def __init__(self, pool: WorkerPool, num_envs: int, made: Callable[[int], int]) -> None:
        self.pool, self.made = pool, made
        self.numbers = [[0] * num_envs for _ in range(pool.size)]  # of the episodes under way
        self.incarnations = [0] * pool.size  # how many workers had the same copies before
        self.losses = [0] * pool.size  # of each worker since its latest answer

    def answered(self, worker: int, numbers: list[int]) -> None:
        """A worker has answered; numbers: of its copies' episodes under way."""
        self.numbers[worker], self.losses[worker] = numbers, 0

    def replace(self, worker: int, lost: WorkerLost) -> None:
        """Another worker begins the next episode of each copy of a lost one.

        Raises WorkersLostError for one that is lost again and again.
        """
        self.losses[worker] += 1
        self.incarnations[worker] += 1
        if self.losses[worker] == MOST_LOSSES:
            raise WorkersLostError(
                f"worker {worker} was lost {MOST_LOSSES} times in one request ({lost.reason}); the "
                "last checkpoint stands, continue with --resume"
            )
        line = f"worker {worker} was lost ({lost.reason}); another one begins new episodes"
        print(line, file=sys.stderr, flush=True)
        numbers = self.numbers[worker] = [number + 1 for number in self.numbers[worker]]
        self.pool.replace(worker, self.incarnations[worker], numbers, self.made(worker))

    def states(self) -> list[dict[str, Any]]:
        """The states of all workers; one that is lost is replaced before."""
        while True:
            states = self.pool.states()
            lost = {w: state for w, state in enumerate(states) if isinstance(state, WorkerLost)}
            if not lost:
                return [state for state in states if not isinstance(state, WorkerLost)]
            for worker, reason in lost.items():
                self.replace(worker, reason)

    def load(self, states: Sequence[dict[str, Any]]) -> bool:
        """Restores `states`; gives whether all open episodes came out as they were."""
        answers = self.pool.load(states)
        for worker, answer in enumerate(answers):
            if isinstance(answer, WorkerLost):
                self.replace(worker, answer)
        return all(answer is True for answer in answers)
