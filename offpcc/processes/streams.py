"""The standard streams, for a process that printing must not end: a full disk, a closed pipe."""

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class LossyFile(io.FileIO):
    """A file whose writes never fail: what cannot be written is lost."""

    def write(self, data: Any, /) -> int:
        """Gives how many bytes are done with."""
        written = None
        with suppress(OSError):
            written = super().write(data)  # None: a file that does not wait, and has no place left
        return memoryview(data).nbytes if written is None else written


def tolerate_write_errors() -> None:
    """Replaces sys.stdout and sys.stderr, for prints, progress bars, logging and Python's own end.

    A stream that was closed before the process began leads nowhere, and not into the next file
    that is opened.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = _lossy(1, sys.stdout)
    sys.stderr = _lossy(2, sys.stderr)


def _lossy(descriptor: int, before: TextIO | None) -> TextIO:
    file = io.BufferedWriter(LossyFile(descriptor, "w", closefd=False))
    encoding = before.encoding if before else None
    return io.TextIOWrapper(file, encoding=encoding, errors="backslashreplace", line_buffering=True)
