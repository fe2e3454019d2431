"""The heartbeat: a page of memory in which a worker notes the environment call that is under way.

Another process, the supervisor, reads it. So it sees a call that does not answer, and a process
that ends inside one, whatever holds the interpreter's lock.
"""

import math
import mmap
import os
import signal
import struct
import tempfile
from types import FrameType
from typing import NamedTuple

from offpcc.errors import CallTimeout

VARIABLE = "OFFPCC_HEARTBEAT"  # of the environment: the page's file descriptor
TIMEOUT = 60.0  # seconds for a call, unless configured
CLOSE = 5.0  # seconds for close
EXIT = 25.0  # seconds from the mark of an orderly end to the end
HURRY = 5.0  # seconds for a call once the run was asked to stop
ANSWER, HURRIED_ANSWER = 5.0, 3.0  # seconds in which a worker may end an overdue call itself

CALLS = ("", "constructor", "reset", "step", "render", "close", "exit")
SIZE = 4096  # bytes
_CALL = struct.Struct("<QqqqqB")  # number, copy, seed, episode, step, and which of CALLS
_CODE_AT = _CALL.size - 1
_TIMEOUT, _TIMEOUT_AT = struct.Struct("<d"), 64  # 0: no limit
_END, _END_AT = struct.Struct("<?i"), 72  # whether the worker ended in order, and its exit code
_OVERDUE, _OVERDUE_AT = struct.Struct("<Qdi"), 80  # a call's number, its limit, the stop signal

Page = mmap.mmap | bytearray

_codes = {call: code for code, call in enumerate(CALLS)}
_note = _CALL.pack_into
_page: Page = bytearray(SIZE)  # which nobody reads, until attached
_number = 0  # of calls
_attached = False


# What the worker writes


def begin(call: str, copy: int, seed: int, episode: int, step: int) -> None:
    """Notes that a call is under way, one of CALLS; -1 stands for a number that is not known."""
    global _number
    _number += 1
    _note(_page, 0, _number, copy, seed, episode, step, _codes[call])


def end() -> None:
    """Notes that the call is over."""
    _page[_CODE_AT] = 0


def configure(timeout: float | None) -> None:
    """Sets how many seconds a call may take, close CLOSE at most; None or 0: no limit."""
    _TIMEOUT.pack_into(_page, _TIMEOUT_AT, timeout or 0.0)


def finish(code: int) -> None:
    """Marks that the process ends in order, and with which exit code."""
    _END.pack_into(_page, _END_AT, True, code)
    begin("exit", -1, -1, -1, -1)


def attach() -> bool:
    """Shares the page of a supervisor, or gives False where there is none.

    From then on SIGUSR1 raises CallTimeout in a call that the supervisor finds overdue.
    """
    global _page, _attached
    if VARIABLE not in os.environ:
        return False
    import fcntl  # for POSIX systems only, as supervisors are

    descriptor = int(os.environ.pop(VARIABLE))
    os.set_inheritable(descriptor, False)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)  # until this process ends; no fork has it
    _page, _attached = mmap.mmap(descriptor, SIZE), True
    os.register_at_fork(after_in_child=_detach)
    signal.signal(signal.SIGUSR1, _raise_overdue)
    return True


def attached() -> bool:
    """Whether a supervisor observes this process."""
    return _attached


def _detach() -> None:
    """A fork of the worker's, as environments make them, is not the worker."""
    global _page, _attached
    _page, _attached = bytearray(SIZE), False


def _raise_overdue(number: int, frame: FrameType | None) -> None:
    call, (asked, limit, stop) = read(_page), _OVERDUE.unpack_from(_page, _OVERDUE_AT)
    if call and call.number == asked and call.name != "exit":
        raise CallTimeout(complaint(call, limit, stop))


# What the supervisor reads


class Call(NamedTuple):
    """A call of an environment; -1 stands for what is not known."""

    number: int
    copy: int
    seed: int
    episode: int
    step: int
    code: int

    @property
    def name(self) -> str:
        """One of CALLS."""
        return CALLS[self.code]

    @property
    def place(self) -> str:
        """Which copy, seed, episode and step, as far as they are known; begins with '; '."""
        known = ((key, getattr(self, key)) for key in ("copy", "seed", "episode", "step"))
        place = ", ".join(f"{key} {value}" for key, value in known if value >= 0)
        return f"; {place}" if place else ""


def create() -> int:
    """A file descriptor of a new page."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("heartbeat")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, bytes(SIZE))
    page = mmap.mmap(descriptor, SIZE)
    _TIMEOUT.pack_into(page, _TIMEOUT_AT, TIMEOUT)
    page.close()
    return descriptor


def alive(descriptor: int) -> bool:
    """Whether the worker lives that has attached itself to this page."""
    import fcntl

    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def read(page: Page) -> Call | None:
    """The call that is under way."""
    call = Call(*_CALL.unpack_from(page))
    return call if call.code else None


def finished(page: Page) -> int | None:
    """The exit code of an orderly end, or None."""
    orderly, code = _END.unpack_from(page, _END_AT)
    return code if orderly else None


def complaint(call: Call, limit: float, stop: int) -> str:
    """What is said of an overdue call; stop: the signal that asked the run to stop, or 0."""
    after = f" after {signal.Signals(stop).name}" if stop else ""
    return f"the environment's {call.name} has not answered for {limit:g} s{after}"


class Watch:
    """Judges a worker by its page: by how long one and the same call is under way."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._stop = 0  # the signal that asked the run to stop
        self._call: Call | None = None
        self._limit = self._left = math.inf  # seconds
        self._asked = False

    @property
    def complaint(self) -> str:
        """What is to be said of the call that was overdue, with its place."""
        assert self._call
        return complaint(self._call, self._limit, self._stop) + self._call.place

    def hurry(self, stop: int) -> None:
        """From now on calls have little time, as the run was asked to stop by a signal."""
        self._stop = stop
        if self._left > HURRY:
            self._limit = self._left = HURRY

    def observe(self, seconds: float) -> str:
        """Counts the time since the last look; says "ask" or "kill" once a call is overdue.

        "ask": SIGUSR1 shall raise CallTimeout in it; "kill": that was in vain.
        """
        call = read(self._page)
        if call is None or self._call is None or call.number != self._call.number:
            self._call, self._asked = call, False
            self._limit = self._left = self._limit_of(call) if call else math.inf
            return ""
        self._left -= seconds
        if self._left > 0:
            return ""
        if self._asked:
            return "kill"
        self._asked, self._left = True, HURRIED_ANSWER if self._stop else ANSWER
        _OVERDUE.pack_into(self._page, _OVERDUE_AT, call.number, self._limit, self._stop)
        return "ask"

    def _limit_of(self, call: Call) -> float:
        timeout = _TIMEOUT.unpack_from(self._page, _TIMEOUT_AT)[0] or math.inf
        if call.name == "exit":
            timeout = EXIT
        elif call.name == "close" and timeout < math.inf:
            timeout = min(timeout, CLOSE)
        return min(timeout, HURRY) if self._stop else timeout
