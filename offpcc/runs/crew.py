"""Crew: jobs at work, their signals, and what they say."""

import os
import re
import signal
import sys
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType
from typing import Self

from offpcc.errors import FAULT
from offpcc.processes.interrupt import Interrupt
from offpcc.runs.job import Job
from offpcc.runs.starter import Process, Starter
from offpcc.training.tracking.live_status import LiveStatus

COMPLAINT = re.compile(r"(launch\.py|python -m offpcc): ")  # begins the line of an error
REMINDER = 60.0  # seconds between two lines about jobs of which none has begun
Said = SimpleQueue[tuple[Job, str, str]]  # a job "begins", "says" or "ends", and a line


class Relay(Interrupt):
    """Inside, SIGTERM, SIGINT and SIGHUP are noted, and every one goes to all jobs at work, too.

    Ctrl-Z suspends them all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.working: dict[Job, Process] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        if self._before and hasattr(signal, "SIGTSTP"):
            self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self._send(number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        self._send(number)
        os.kill(os.getpid(), signal.SIGSTOP)  # until SIGCONT
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        for process in self.working.values():
            process.send_signal(number)


class Crew:
    """Jobs at work, as many at a time as their starter allows.

    Inside, every signal goes to all of them, and `stopped` is the first one, or 0.
    """

    def __init__(self, starter: Starter) -> None:
        self._starter, self._relay = starter, Relay()
        self._said: Said = SimpleQueue()
        self._last: dict[Job, str] = {}  # of those that have begun
        self._status = LiveStatus()

    def __enter__(self) -> Self:
        self._starter.__enter__()
        self._relay.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._starter.__exit__(*error)
        self._relay.__exit__(*error)

    @property
    def stopped(self) -> int:
        """The first signal that has come, or 0."""
        return self._relay.number

    @property
    def working(self) -> int:
        """How many jobs are at work, or wait for a place."""
        return len(self._relay.working)

    @property
    def hires(self) -> bool:
        """Whether one more job may start."""
        limit = self._starter.limit
        return (limit is None or self.working < limit) and not self.stopped

    def start(self, job: Job) -> None:
        """Starts a job."""
        process = self._relay.working[job] = self._starter.start(job)
        if self.stopped:  # came in between
            process.send_signal(self.stopped)
        Thread(target=_follow, args=(job, process, self._said), daemon=True).start()

    def tell(self, job: Job, line: str) -> None:
        """Shows a line about a job."""
        self._status.tell(job.name, line)

    def wait(self) -> tuple[Job, int, str]:
        """Shows what jobs say until one ends: that one, its exit code, and its last words."""
        while True:
            try:
                job, event, line = self._said.get(timeout=REMINDER)
            except Empty:
                self._remind()
                continue
            if event == "ends":
                return self._end(job)
            if event == "begins":
                self._last[job] = "said nothing"
                self._status.begin(job.name)
            # Our own complaint is the reason, whatever else is said on the way out.
            elif not COMPLAINT.match(self._last[job]):
                self._last[job] = line
            if line or event == "says":
                self._status.tell(job.name, line)

    def _remind(self) -> None:
        if not self._last:
            print(f"{self._starter.shortage}; waiting: {self.working}", file=sys.stderr)

    def _end(self, job: Job) -> tuple[Job, int, str]:
        code, last = self._relay.working.pop(job).wait(), ""
        if job in self._last:
            last = self._last.pop(job)
            self._status.end(job.name)
        if code < 0:
            return job, 128 - code, f"killed by {signal.Signals(-code).name}"
        if code == 0 and not job.finished:
            return job, FAULT, "it exits with 0, but its run.json has no final scores"
        return job, code, COMPLAINT.sub("", last, count=1)


def _follow(job: Job, process: Process, said: Said) -> None:
    try:
        where = process.begin()
        if where is not None:
            said.put((job, "begins", where))
            for line in process.lines():
                said.put((job, "says", line))
    finally:
        said.put((job, "ends", ""))
