"""Interrupts: a stop signal is noted, and the run ends at its next step with a checkpoint."""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

from offpcc.faults import Stopped


class Interrupt:
    """Inside, SIGTERM and SIGINT are noted; a second one leaves at once.

    Only a process's main thread can take signals: in another one this changes nothing.
    """

    def __init__(self) -> None:
        self.number = 0  # of the signal that came
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
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
        if self.number:
            os._exit(128 + number)
        self.number = number
