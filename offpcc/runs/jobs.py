"""Jobs: several trainings side by side, each in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import Self

from offpcc.config.locations import child_command
from offpcc.errors import FAULT, Stopped
from offpcc.processes.cores import cores
from offpcc.processes.interrupt import Interrupt
from offpcc.processes.lifeline import Lifeline
from offpcc.runs.run_spec import RunSpec
from offpcc.training.tracking.live_status import LiveStatus

POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_THREADS = re.compile(r"\s*(TrainingConfig\.)?num_threads\s*=")
COMPLAINT = re.compile(r"(launch\.py|python -m offpcc): ")  # begins the line of an error
Process = subprocess.Popen[str]
Said = SimpleQueue[tuple["Job", str | None]]  # None: a job's last line was before


@dataclass(frozen=True, eq=False)
class Job:
    """A run to begin, or, with a flag, to continue or replace."""

    request: RunSpec
    flags: tuple[str, ...] = ()  # "--resume", "--overwrite", "--debug"

    @property
    def name(self) -> str:
        """<env>/<algo>/<run_id>."""
        return "/".join(self.request.folder.path.parts[-3:])

    @property
    def finished(self) -> bool:
        """Whether its run has final scores."""
        folder = self.request.folder
        return folder.exists and "final" in folder.read()

    def words(self, threads: int | None) -> list[str]:
        """Its command line; threads: how many to ask for, None where the request does."""
        more = [] if threads is None else ["--bind", f"num_threads = {threads}"]
        return [*self.request.arguments, *more, *self.flags]

    def start(self, threads: int, lifeline: Lifeline) -> Process:
        """Its process, with that many threads unless the request asks for others."""
        own = any(map(OWN_THREADS.match, self.request.bind))
        return lifeline.start(
            [*child_command(), *self.words(None if own else threads)],
            env=os.environ | ({} if own else dict.fromkeys(POOLS, str(threads))),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )


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
    """Jobs at work, of which at most `limit` have the cores to themselves.

    Inside, every signal goes to all of them, and `stopped` is the first one, or 0.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self._threads = limit, max(1, cores() // limit)
        self._relay, self._lifeline = Relay(), Lifeline()
        self._said: Said = SimpleQueue()
        self._last: dict[Job, str] = {}
        self._status = LiveStatus()

    def __enter__(self) -> Self:
        self._relay.__enter__()
        self._lifeline.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._lifeline.__exit__(*error)
        self._relay.__exit__(*error)

    @property
    def stopped(self) -> int:
        """The first signal that has come, or 0."""
        return self._relay.number

    @property
    def working(self) -> int:
        """How many jobs are at work."""
        return len(self._relay.working)

    @property
    def hires(self) -> bool:
        """Whether one more job may start."""
        return self.working < self.limit and not self.stopped

    def start(self, job: Job) -> None:
        """Starts a job."""
        process = self._relay.working[job] = job.start(self._threads, self._lifeline)
        if self.stopped:  # came in between
            process.send_signal(self.stopped)
        self._last[job] = "said nothing"
        self._status.begin(job.name)
        Thread(target=_follow, args=(job, process, self._said), daemon=True).start()

    def tell(self, job: Job, line: str) -> None:
        """Shows a line about a job."""
        self._status.tell(job.name, line)

    def wait(self) -> tuple[Job, int, str]:
        """Shows what jobs say until one ends: that one, its exit code, and its last words."""
        while True:
            job, line = self._said.get()
            if line is None:
                code, why = _end(job, self._relay.working.pop(job))
                self._status.end(job.name)
                return job, code, COMPLAINT.sub("", why or self._last[job], count=1)
            self._status.tell(job.name, line)
            # Our own complaint is the reason, whatever else is said on the way out.
            if not COMPLAINT.match(self._last[job]):
                self._last[job] = line


def run(jobs: Sequence[Job], limit: int, again: str = "--resume") -> int:
    """Runs them, `limit` at a time; gives 0, or the exit code of the first that failed.

    A failure stops no other job; at the end each has a line. Raises Stopped once all have stopped
    for a signal, saying that `again` continues them.
    """
    waiting, codes, last = list(jobs), dict.fromkeys(jobs, 0), dict.fromkeys(jobs, "")
    with Crew(limit) as crew:
        while crew.working or (waiting and not crew.stopped):
            while waiting and crew.hires:
                crew.start(waiting.pop(0))
            job, code, words = crew.wait()
            codes[job], last[job] = code, words
    failed = {job: code for job, code in codes.items() if code not in (0, 128 + crew.stopped)}
    for job in failed:
        print(f"failed: {job.name}: {last[job]}", file=sys.stderr)
    if crew.stopped:
        if waiting:
            print(f"not begun: {', '.join(job.name for job in waiting)}", file=sys.stderr)
        raise Stopped(crew.stopped, again)
    return next(iter(failed.values()), 0)


def _follow(job: Job, process: Process, said: Said) -> None:
    listener = Thread(target=_listen, args=(job, process, said), daemon=True)
    listener.start()
    process.wait()
    listener.join(1.0)  # a simulator that outlives the job may have its output open
    said.put((job, None))


def _listen(job: Job, process: Process, said: Said) -> None:
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            said.put((job, line.rstrip()))


def _end(job: Job, process: Process) -> tuple[int, str]:
    """A job's exit code, and the reason where the job could not print it itself."""
    code = process.wait()
    if code < 0:
        return 128 - code, f"killed by {signal.Signals(-code).name}"
    if code == 0 and not job.finished:
        return FAULT, "it exits with 0, but its run.json has no final scores"
    return code, ""
