"""Child: the command line in a process of its own, and what it prints."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from threading import Thread

from offpcc.config.locations import child_command
from offpcc.processes.lifeline import Lifeline

# In place of the exit codes of processes on other machines:
LOST = 1000  # the machine is gone
NOT_BEGUN = 1001  # the process found no place before it was stopped
LEFT_OPEN = 1.0  # seconds: a simulator that outlives the child may have its output open


class Child:
    """A process of the command line with these words, which ends when the lifeline does.

    env: variables on top of this process's own.
    """

    def __init__(self, words: Sequence[str], env: Mapping[str, str], lifeline: Lifeline) -> None:
        self._process = lifeline.start(
            [*child_command(), *words],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def begin(self) -> str | None:
        """Nothing to wait for, and nothing to tell: it runs."""
        return ""

    def lines(self) -> Iterator[str]:
        """What it prints, until it has ended."""
        said: SimpleQueue[str | None] = SimpleQueue()
        listener = Thread(target=self._listen, args=(said,), daemon=True)
        listener.start()
        Thread(target=self._await, args=(listener, said), daemon=True).start()
        while (line := said.get()) is not None:
            yield line

    def wait(self) -> int:
        """Its exit code once it has ended, or minus the signal that ended it."""
        return self._process.wait()

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        self._process.send_signal(number)

    def _listen(self, said: "SimpleQueue[str | None]") -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                said.put(line.rstrip())

    def _await(self, listener: Thread, said: "SimpleQueue[str | None]") -> None:
        self._process.wait()
        listener.join(LEFT_OPEN)
        said.put(None)
