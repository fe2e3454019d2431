"""RayPool: workers in processes of Ray, on this machine or on a cluster."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from ray.exceptions import RayActorError, RayError, RayTaskError

from offpcc.config.locations import commit, version
from offpcc.distributed.cluster import connected, ray
from offpcc.distributed.node_check import check_release
from offpcc.distributed.pool import Answers, MakeWorker, WorkerPool
from offpcc.distributed.request import CollectRequest, WorkerLost
from offpcc.errors import ConfigError, EnvironmentFault
from offpcc.processes import notices
from offpcc.processes.cores import cores
from offpcc.processes.heartbeat import CLOSE

MINUTE = 60.0  # seconds between two lines about workers that have not started


class WorkerProcess:
    """What a process of Ray holds: one worker, with one processor core."""

    def __init__(self, folder: str, release: tuple[str, str | None]) -> None:
        """folder: the learner's working folder; release: version and commit of its offpcc."""
        self.release = release
        with suppress(OSError):  # a machine need not have it
            os.chdir(folder)

    def make(self, make: MakeWorker, worker: int, incarnation: int) -> tuple[str, bool]:
        """Makes the worker; gives what is wrong with it, or "", and whether that is a fault."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the learner, which saves
        torch.set_num_threads(1)
        notices.collect()
        try:
            check_release(*self.release, strict=False)
            self.worker = make(worker, incarnation)
        except (ValueError, EnvironmentFault) as error:
            return str(error), isinstance(error, EnvironmentFault)
        return "", False

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the `CollectorWorker` gives."""
        return getattr(self.worker, method)(*arguments)


class RayPool(WorkerPool):
    """Workers that answer on their own; address: of the cluster, None: one that starts here."""

    def __init__(self, make: MakeWorker, size: int, address: str | None = None) -> None:
        super().__init__(make, size)
        self.cluster = ExitStack()
        self.cluster.enter_context(connected(address or "local", max(size, cores())))
        self._asked: dict[ray.ObjectRef, int] = {}  # the worker whose answer it will be
        self._since: dict[int, float] = {}
        self.processes = [self._process() for _ in range(size)]
        try:
            self._made([self._make(worker, 0) for worker in range(size)])
        except BaseException:
            self.close()
            raise

    def _process(self) -> Any:
        found = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}}
        options = {"num_cpus": 1, "max_restarts": 0, "runtime_env": found}
        process = ray.remote(WorkerProcess).options(**options)
        return process.remote(os.getcwd(), (version(), commit()))

    def _make(self, worker: int, incarnation: int) -> ray.ObjectRef:
        return self.processes[worker].make.remote(self.make, worker, incarnation)

    def _made(self, started: Sequence[ray.ObjectRef]) -> None:
        """Returns once they are made. Raises ConfigError or EnvironmentFault where one cannot."""
        left = list(started)
        while left:
            _, left = ray.wait(left, num_returns=len(left), timeout=MINUTE)
            if left:
                print(
                    f"{len(left)} of {len(started)} workers have not started: the cluster has no "
                    "free processor for them, or is slow",
                    file=sys.stderr,
                    flush=True,
                )
        for complaint, is_fault in ray.get(list(started)):
            if complaint:
                raise (EnvironmentFault if is_fault else ConfigError)(complaint)

    def send(self, request: CollectRequest, workers: Sequence[int]) -> None:
        """See `WorkerPool`."""
        shared = ray.put(request)
        for worker in workers:
            self._asked[self.processes[worker].call.remote("collect", shared)] = worker
            self._since[worker] = time.monotonic()

    def receive(self, timeout: float) -> Answers:
        """See `WorkerPool`."""
        # The one that was asked first; others that are late come up in later calls.
        oldest = min(self._asked, key=lambda ref: self._since[self._asked[ref]])
        over = self._since[self._asked[oldest]] + timeout
        ready, _ = ray.wait(list(self._asked), timeout=max(0.0, over - time.monotonic()))
        if ready:
            return {self._asked.pop(ready[0]): _answer(ready[0])}
        worker = self._asked.pop(oldest)
        ray.kill(self.processes[worker])
        return {worker: WorkerLost(f"no answer for {timeout:g} s")}

    def replace(self, worker: int, incarnation: int, numbers: list[int], made: int) -> None:
        """See `WorkerPool`."""
        ray.kill(self.processes[worker])
        self.processes[worker] = self._process()
        with suppress(RayError):  # one that is lost at once is found so when it is asked
            self._made([self._make(worker, incarnation)])
        self.processes[worker].call.remote("start_at", numbers, made)

    def states(self) -> list[dict[str, Any] | WorkerLost]:
        """See `WorkerPool`."""
        refs = [process.call.remote("state_dict") for process in self.processes]
        return [_answer(ref) for ref in refs]

    def load(self, states: Sequence[dict[str, Any]]) -> list[bool | WorkerLost]:
        """See `WorkerPool`."""
        pairs = zip(self.processes, states, strict=True)
        refs = [process.call.remote("load_state_dict", state) for process, state in pairs]
        return [_answer(ref) for ref in refs]

    def close(self) -> None:
        """See `WorkerPool`; a second time, does nothing."""
        processes, self.processes = self.processes, []
        closing = [process.call.remote("close") for process in processes]
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE)
        for process in processes:
            ray.kill(process)
        self.cluster.close()


def _answer(ref: ray.ObjectRef) -> Any:
    """What a worker answers, or that it is lost."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from error  # a bug, or a worker that can not do what it is asked
    except RayError as error:
        ended = isinstance(error, RayActorError)
        return WorkerLost("its process ended" if ended else str(error).splitlines()[0])
