"""Interrupts: a stop signal is noted, and the run ends at its next step with a checkpoint."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from offpcc.errors import Stopped
from offpcc.processes import heartbeat

ONE_REQUEST = 1.0  # seconds: `timeout`, Slurm or pkill send a signal to a process and to its group


def stop_signals() -> list[int]:
    """SIGTERM, SIGINT and SIGHUP, but not a SIGHUP that is ignored, as under nohup."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return list(map(int, numbers))


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, stop signals wait; processes that are started begin with them waiting, too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent() -> None:
    """For a process that was started inside `held_back`: stop signals do nothing to it.

    They may be sent to all processes of a run, and its parent needs this one until it has saved.
    A handler, unlike a signal that is ignored, is not inherited by programs that it starts.
    """
    for number in stop_signals():
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stop_signals())


class Interrupt:
    """Inside, SIGTERM, SIGINT and SIGHUP are noted; a second one, a second later, leaves at once.

    In a worker it does not: whether a second one is meant, the supervisor knows. Only a process's
    main thread can take signals: in another one this changes nothing.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal that came
        self._at = 0.0  # when
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> None:
        """Raises Stopped if a signal has come."""
        if self.number:
            raise Stopped(self.number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._at = number, time.monotonic()
        elif time.monotonic() - self._at > ONE_REQUEST and not heartbeat.attached():
            os._exit(128 + number)
