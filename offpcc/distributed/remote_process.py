"""Remote process: what stands on this machine for a run's process on a node of a cluster."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ray.exceptions import RayError, RayTaskError

from offpcc.distributed.cluster import ray
from offpcc.distributed.job_actor import JobActor
from offpcc.distributed.node_check import NodeCheck
from offpcc.processes.child import LOST, NOT_BEGUN

UNLOCKED = 120.0  # seconds for the lock of a lost machine to become free, which NFS frees late
ANSWER = 2.0  # seconds for a signal to be passed on
PAUSES = (signal.SIGTSTP, signal.SIGCONT)
REFUSED, STORAGE = 2, 7  # exit codes


class RemoteProcess:
    """The command line with these words, on a node that has the resources to spare.

    env: variables on top of the node's own. resources: options of a Ray actor. free: whether the
    run's lock is; the process waits for that, but not for ever.
    """

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        check: NodeCheck,
        resources: Mapping[str, Any],
        free: Callable[[], bool],
    ) -> None:
        self._words, self._env, self._check, self._free = words, env, check, free
        self._class = ray.remote(JobActor).options(max_restarts=0, max_concurrency=2, **resources)
        self._actor: Any = None
        self._begun, self._stop = False, 0
        self._code, self._fault = LOST, ""

    def begin(self) -> str | None:
        """Returns once it has a place, with what to tell of that; None if it never has one."""
        until = time.monotonic() + UNLOCKED
        while not (self._stop or self._free() or time.monotonic() > until):
            time.sleep(1.0)
        self._actor = self._class.remote()
        if self._stop:
            ray.kill(self._actor)
        try:
            place: str = ray.get(self._actor.begin.remote(self._check))
        except RayTaskError as error:
            self._fail(error)
            return ""
        except RayError:
            self._code = NOT_BEGUN if self._stop else LOST
            return None
        self._begun = True
        return f"on node {place}"

    def lines(self) -> Iterator[str]:
        """What it prints, until it has ended."""
        try:
            if self._begun:
                yield from self._stream()
        except RayTaskError as error:
            self._fail(error)
        except RayError:
            self._code = LOST
        if self._fault:
            yield self._fault
        ray.kill(self._actor)

    def wait(self) -> int:
        """Its exit code after its lines, minus the signal that ended it, LOST or NOT_BEGUN."""
        return self._code

    def send_signal(self, number: int) -> None:
        """Sends it a signal; before it has a place, one that stops it lets it have none."""
        if self._begun:
            with suppress(RayError):
                ray.get(self._actor.send_signal.remote(number), timeout=ANSWER)
        elif number not in PAUSES:
            self._stop = number
            if self._actor:
                ray.kill(self._actor)

    def _stream(self) -> Iterator[str]:
        run = self._actor.run.options(num_returns="streaming")
        for reference in run.remote(self._words, self._env):
            said = ray.get(reference)
            if isinstance(said, str):
                yield said
            else:
                self._code = said

    def _fail(self, error: RayTaskError) -> None:
        cause = error.cause
        codes = ((ValueError, REFUSED), (OSError, STORAGE))
        self._code = next((code for kind, code in codes if isinstance(cause, kind)), 1)
        self._fault = str(cause).splitlines()[0]
