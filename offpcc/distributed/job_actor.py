"""Job actor: what starts and holds a run's process on a node of a Ray cluster."""

import signal
from collections.abc import Iterator, Mapping, Sequence

from offpcc.distributed.node_check import NodeCheck
from offpcc.processes.child import Child
from offpcc.processes.lifeline import Lifeline


class JobActor:
    """On a node: one method streams what the process says, the other one sends it signals.

    If the actor ends, in whatever way, its process is asked to stop and save.
    """

    def __init__(self) -> None:
        self._child: Child | None = None
        self._stop = 0  # a signal that came before there was a process

    def begin(self, check: NodeCheck) -> str:
        """The node's name. Raises ValueError where the node does not pass the check."""
        return check(strict=False)

    def run(self, words: Sequence[str], env: Mapping[str, str]) -> Iterator[str | int]:
        """The lines of the process, then its exit code. Raises OSError if it cannot be started."""
        # Ray starts its workers with SIGINT blocked, and a child inherits that.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        with Lifeline() as lifeline:
            self._child = Child(words, env, lifeline)
            if self._stop:
                self._child.send_signal(self._stop)
            yield from self._child.lines()
            yield self._child.wait()

    def send_signal(self, number: int) -> None:
        """Sends the process a signal."""
        self._stop = number
        if self._child:
            self._child.send_signal(number)
