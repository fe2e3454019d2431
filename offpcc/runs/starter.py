"""Starters: where the process of a job runs, and how many there may be at a time."""

from collections.abc import Iterator
from typing import Protocol, Self

from offpcc.processes.child import Child
from offpcc.processes.cores import cores
from offpcc.processes.lifeline import Lifeline
from offpcc.runs.job import Job


class Process(Protocol):
    """The process of a job, on this machine or on another one."""

    def begin(self) -> str | None:
        """Returns once it runs, with what there is to tell of that; None if it never will."""

    def lines(self) -> Iterator[str]:
        """What it prints, until it has ended."""

    def wait(self) -> int:
        """Its exit code, minus the signal that ended it, LOST or NOT_BEGUN."""

    def send_signal(self, number: int) -> None:
        """Sends it a signal."""


class Starter(Protocol):
    """Inside, jobs can be started; limit: how many at a time, None if they find places themselves.

    shortage: what a job lacks that finds no place.
    """

    limit: int | None
    shortage: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def start(self, job: Job) -> Process:
        """The process of a job, which may have to wait for a place."""


class LocalStarter:
    """Starts at most `limit` jobs at a time on this machine, each on its share of the cores."""

    shortage = ""

    def __init__(self, limit: int) -> None:
        self.limit: int | None = limit
        self._threads = max(1, cores() // limit)
        self._lifeline = Lifeline()

    def __enter__(self) -> Self:
        self._lifeline.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._lifeline.__exit__(*error)

    def start(self, job: Job) -> Process:
        """Its process, which ends when this one does."""
        return Child(job.words(self._threads), job.env(self._threads), self._lifeline)
