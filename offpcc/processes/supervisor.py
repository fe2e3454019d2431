"""The supervisor: starts a command in a process of its own, observes it, and answers for it.

An environment may hang, even in native code that holds the interpreter's lock, or take its process
along. So it is played in a worker, and the process that was started stays outside: it passes
signals on, ends a worker that does not answer, and ends with an exit code and a line that tell
what happened.
"""

import mmap
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from offpcc.config.locations import program
from offpcc.errors import FAULT
from offpcc.processes import heartbeat
from offpcc.processes.heartbeat import Watch
from offpcc.processes.interrupt import ONE_REQUEST, stop_signals
from offpcc.processes.lifeline import Lifeline, inherited

POLL = 0.2  # seconds between two looks at the page
LONGEST = 1.0  # seconds that a look at the page may count for: a laptop may have slept
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # come from outside
DONE = "all was done, but the process did not end (a thread of the environment's?) and was killed"


def run(
    main: Callable[[], int],
    observed: bool,
    again: str = "",
    record: Callable[[int, str], None] = lambda process, fault: None,
) -> int:
    """Gives the exit code of `main`, called in a worker if it is to be observed.

    The worker is the same command anew, which comes to this call again. again: how a run is
    continued, or nothing. record: called with the worker's process id and a line about the fault
    of an environment that the worker had no time to record. For POSIX systems.
    """
    if heartbeat.attach():
        return _work(main)
    return Supervisor(again, record).run() if observed else main()


def _work(main: Callable[[], int]) -> int:
    code = 1
    try:
        code = main()
    finally:
        heartbeat.finish(code)
    return code


class Inbox:
    """Inside, signals are noted and can be waited for.

    lifeline: a descriptor whose end, that of our own parent, counts as SIGTERM.
    """

    def __init__(self, lifeline: int | None) -> None:
        self._lifeline = lifeline

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*stop_signals(), signal.SIGTSTP, signal.SIGCHLD):
            signal.signal(number, lambda number, frame: None)  # it comes through the pipe
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> list[int]:
        """The signals that have come, after some seconds at the latest."""
        ends = [self._read] if self._lifeline is None else [self._read, self._lifeline]
        ready, _, _ = select.select(ends, [], [], seconds)
        numbers = list(os.read(self._read, 4096)) if self._read in ready else []
        if self._lifeline in ready:
            self._lifeline = None
            numbers.append(signal.SIGTERM)
        return numbers


class Supervisor:
    """The observer of one worker.

    again, record: as those of `run`.
    """

    def __init__(self, again: str, record: Callable[[int, str], None]) -> None:
        self._record = record
        self._resume = f"; the last checkpoint stands, continue with {again}" if again else ""
        self._descriptor = heartbeat.create()
        self._page = mmap.mmap(self._descriptor, heartbeat.SIZE)
        self._watch = Watch(self._page)
        self._suspended = False  # the worker
        self._stop, self._stopped_at = 0, 0.0  # the signal that was passed on, and when
        self._killed = ""  # why, if it was by us

    def run(self) -> int:
        """Starts the worker; gives the exit code once it has ended."""
        command = [sys.executable, *sys.orig_argv[1:]]
        env = {**os.environ, heartbeat.VARIABLE: str(self._descriptor)}
        with Inbox(inherited()) as inbox, Lifeline() as lifeline:
            # In a session of its own: a terminal's Ctrl-C comes to it through us, and once.
            self._worker = subprocess.Popen(
                command, env=env, pass_fds=[self._descriptor], start_new_session=True
            )
            guard = self._fork_guard(lifeline)
            status = self._attend(inbox)
            os.kill(guard, signal.SIGKILL)
            self._kill_orphans()
        code, line = self._answer(status)
        if line:
            print(f"{program()}: {line}", file=sys.stderr)
        if line and code == FAULT:
            self._record(self._worker.pid, line)
        return code

    def _fork_guard(self, lifeline: Lifeline) -> int:
        """A process that stops the worker should this one be killed; gives its id."""
        if process := os.fork():
            return process
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (*stop_signals(), signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        for descriptor in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        lifeline.wait()
        with suppress(ProcessLookupError):  # the worker is gone
            self._take(signal.SIGTERM)
            while heartbeat.alive(self._descriptor):
                self._observe(POLL)
                time.sleep(POLL)
        self._kill_orphans()
        os._exit(0)

    def _kill_orphans(self) -> None:
        """Kills the processes that a worker has left behind that did not end in order."""
        if heartbeat.finished(self._page) is None:
            self._send_all(signal.SIGKILL)

    def _attend(self, inbox: Inbox) -> int:
        """The worker's exit code once it has ended, or minus the signal that ended it."""
        before = time.monotonic()
        while (status := self._status()) is None:
            for number in inbox.wait(POLL):
                self._take(number)
            now = time.monotonic()
            if not self._suspended:
                self._observe(min(now - before, LONGEST))
            before = now
        return status

    def _status(self) -> int | None:
        """The worker's exit code, or minus the signal that ended it; None while it lives."""
        flags = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
        process, status = os.waitpid(self._worker.pid, flags)
        if process and (os.WIFSTOPPED(status) or os.WIFCONTINUED(status)):
            self._suspended = os.WIFSTOPPED(status)
        elif process:
            self._worker.returncode = os.waitstatus_to_exitcode(status)
        return self._worker.returncode

    def _take(self, number: int) -> None:
        """Does what a signal asks for."""
        if number == signal.SIGTSTP:
            self._send_all(signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)  # until SIGCONT
            self._send_all(signal.SIGCONT)
        elif number == signal.SIGCHLD:
            return
        elif not self._stop:
            self._stop, self._stopped_at = number, time.monotonic()
            self._watch.hurry(number)
            os.kill(self._worker.pid, number)
            self._send_all(signal.SIGCONT)
        elif time.monotonic() - self._stopped_at > ONE_REQUEST:
            self._stop = number
            self._kill(f"stopped at once by {_name(number)}{self._resume}")

    def _observe(self, seconds: float) -> None:
        verdict = self._watch.observe(seconds)
        if verdict == "ask":
            os.kill(self._worker.pid, signal.SIGUSR1)
        elif verdict == "kill":
            self._kill(f"{self._watch.complaint}; its process was killed{self._resume}")

    def _kill(self, why: str) -> None:
        self._killed = self._killed or why
        self._send_all(signal.SIGKILL)

    def _send_all(self, number: int) -> None:
        """To the worker and to the processes that it has started."""
        with suppress(OSError):  # it has ended
            os.killpg(self._worker.pid, number)

    def _answer(self, status: int) -> tuple[int, str]:
        """The exit code, and what the worker could not say itself."""
        code, call = heartbeat.finished(self._page), heartbeat.read(self._page)
        if code is not None and not (self._stop and code == FAULT):
            return code, DONE if self._killed else ""
        fault = 128 + self._stop if self._stop else FAULT
        if code is not None:
            return fault, f"stopped by {_name(self._stop)}{self._resume}"
        if self._killed:
            return fault, self._killed
        if self._stop and status == -self._stop:
            return fault, f"stopped by {_name(self._stop)}"
        how = ending(status)
        if call and -status not in KILLS:
            what = f"the environment ended its process ({how}) in {call.name}{call.place}"
            return fault, what + self._resume
        return 128 - status if status < 0 else 1, f"the process ended early ({how}){self._resume}"


def ending(status: int) -> str:
    """How a process ended, by its exit code or minus the signal that ended it."""
    return _name(-status) if status < 0 else f"exit code {status}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
