"""The lifeline: a pipe by which child processes notice that their parent is gone, however it ended.

Nothing is ever written to it. The parent alone holds the end for writing, so when the parent ends,
whatever reads the other end comes to the end of the file.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

VARIABLE = "OFFPCC_LIFELINE"  # of the environment: the descriptor of the end to read
PARENT_DEATH_SIGNAL = 1  # a name of Linux's prctl


class Lifeline:
    """Inside, processes can be started that notice when this one ends, or leaves the block."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._read)
        os.close(self._write)

    def start(
        self, command: Sequence[str], env: Mapping[str, str], **options: Any
    ) -> "subprocess.Popen[str]":
        """A process in a session of its own: a terminal's Ctrl-C comes to it through us, and once.

        options: those of `subprocess.Popen`.
        """
        return subprocess.Popen(
            command,
            env={**env, VARIABLE: str(self._read)},
            pass_fds=[self._read],
            start_new_session=True,
            **options,
        )

    def wait(self) -> None:
        """In a fork of the parent: returns when the parent ends."""
        os.close(self._write)
        os.read(self._read, 1)


def inherited() -> int | None:
    """The end to read of the lifeline that this process was started with, to be asked for once."""
    if VARIABLE not in os.environ:
        return None
    descriptor = int(os.environ.pop(VARIABLE))
    os.set_inheritable(descriptor, False)
    return descriptor


def end_with(parent: int) -> None:
    """On Linux, has this process killed when its parent ends, whatever it is doing then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)
