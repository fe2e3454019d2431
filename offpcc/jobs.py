"""Jobs: trainings side by side, each a process of its own, so that one may fail alone."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from signal import Signals
from threading import Thread
from types import FrameType

from offpcc.board import Board
from offpcc.faults import Stopped
from offpcc.interrupt import Interrupt
from offpcc.request import Request

LAUNCH = Path(__file__).parents[1] / "launch.py"
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_THREADS = re.compile(r"\s*(Recipe\.)?threads\s*=")
Process = subprocess.Popen[str]
Said = SimpleQueue[tuple["Job", str | None]]  # None: a job's last line was before


@dataclass(frozen=True, eq=False)
class Job:
    """A run to begin, or, with a flag, to continue or replace."""

    request: Request
    flags: tuple[str, ...] = ()  # "--resume", "--overwrite", "--debug"

    @property
    def name(self) -> str:
        """<env>/<algo>/<run_id>."""
        return "/".join(self.request.folder.path.parts[-3:])

    def start(self, threads: int) -> Process:
        """Its process, with that many threads unless the request asks for others.

        In a session of its own: a terminal's Ctrl-C comes to it through us, and once.
        """
        own = any(map(OWN_THREADS.match, self.request.bind))
        more = [] if own else ["--bind", f"threads = {threads}"]
        return subprocess.Popen(
            [sys.executable, os.path.relpath(LAUNCH), *self.request.arguments, *more, *self.flags],
            env=os.environ | ({} if own else dict.fromkeys(POOLS, str(threads))),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )


class Relay(Interrupt):
    """Inside, SIGTERM and SIGINT are noted, and every one is sent on to all jobs at work."""

    def __init__(self) -> None:
        super().__init__()
        self.working: dict[Job, Process] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        for process in self.working.values():
            process.send_signal(number)


def run(jobs: Sequence[Job], limit: int, again: str = "--resume") -> int:
    """Runs them, `limit` at a time; gives 0, or the exit code of the first that failed.

    A failure stops no other job; at the end each has a line. Raises Stopped once all have stopped
    for a signal, saying that `again` continues them.
    """
    waiting, codes = list(jobs), dict.fromkeys(jobs, 0)
    last = dict.fromkeys(jobs, "said nothing")
    said: Said = SimpleQueue()
    board, threads = Board(), max(1, cores() // limit)
    with Relay() as relay:
        while relay.working or (waiting and not relay.number):
            while waiting and len(relay.working) < limit and not relay.number:
                _start(waiting.pop(0), threads, relay, said, board)
            job, line = said.get()
            if line is None:
                codes[job] = _end(job, relay.working.pop(job), board)
            else:
                board.tell(job.name, line)
                # The complaint of launch.py is the reason, whatever else is said on the way out.
                last[job] = last[job] if last[job].startswith("launch.py: ") else line
    failed = {job: code for job, code in codes.items() if code not in (0, 128 + relay.number)}
    for job, code in failed.items():
        killed = f"killed by {Signals(code - 128).name}" if code > 128 else ""
        why = killed or last[job].removeprefix("launch.py: ")
        print(f"failed: {job.name}: {why}", file=sys.stderr)
    if relay.number:
        if waiting:
            print(f"not begun: {', '.join(job.name for job in waiting)}", file=sys.stderr)
        raise Stopped(relay.number, again)
    return next(iter(failed.values()), 0)


def cores() -> int:
    """How many processors there are for us."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(job: Job, threads: int, relay: Relay, said: Said, board: Board) -> None:
    process = relay.working[job] = job.start(threads)
    if relay.number:  # came in between
        process.send_signal(relay.number)
    board.begin(job.name)
    Thread(target=_listen, args=(job, process, said), daemon=True).start()


def _listen(job: Job, process: Process, said: Said) -> None:
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            said.put((job, line.rstrip()))
    said.put((job, None))


def _end(job: Job, process: Process, board: Board) -> int:
    """What launch.py would leave with: 128 + n where a signal n killed the process."""
    code = process.wait()
    board.end(job.name)
    return code if code >= 0 else 128 - code
