"""Ray starter: jobs on the nodes of a Ray cluster, as many at a time as have room there."""

import math
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from offpcc.distributed.cluster import check_nodes, connected, node_resources
from offpcc.distributed.node_check import node_check
from offpcc.distributed.remote_process import RemoteProcess
from offpcc.runs.job import Job

# What decides how a run goes, beside the command line, and is the same on all nodes.
PASSED_ON = ("OFFPCC_", "WANDB_", "MUJOCO_", "PYOPENGL_", "PYTHONPATH")


class RayStarter:
    """Starts jobs on the cluster at an address, at most `limit` at a time.

    A job takes as many CPUs as it has threads: one, or with a limit its share of the cluster. One
    on a GPU takes a GPU, or with a limit its share of it.
    """

    def __init__(self, address: str, limit: int | None, results: str | Path) -> None:
        self.limit, self.shortage = limit, ""
        self._address, self._results = address, results
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(connected(self._address))
            self._check = stack.enter_context(node_check(self._results))
            check_nodes(self._check)
            self._stack = stack.pop_all()
        nodes = node_resources()
        self._gpus = int(sum(node.get("GPU", 0) for node in nodes))
        self._threads = 1
        if self.limit:
            self._threads = threads([int(node.get("CPU", 0)) for node in nodes], self.limit)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(None, None, None)

    def start(self, job: Job) -> RemoteProcess:
        """Its process, which waits for room, and ends when this process does."""
        needed = self._resources(job)
        gpus = f" and {needed['num_gpus']:g} GPU" if needed["num_gpus"] else ""
        self.shortage = f"no node has {needed['num_cpus']:g} CPU{gpus} free"
        hidden = {} if needed["num_gpus"] else {"CUDA_VISIBLE_DEVICES": ""}
        passed = {name: text for name, text in os.environ.items() if name.startswith(PASSED_ON)}
        env = {**passed, **job.env(self._threads), **hidden}
        return RemoteProcess(
            job.words(self._threads), env, self._check, needed, free=lambda: _free(job)
        )

    def _resources(self, job: Job) -> dict[str, float]:
        """What a job takes of a node; where the device is auto, a GPU if the cluster has any."""
        values: Mapping[str, Any] = {}
        with suppress(ValueError):  # which the job itself reports
            values = job.request.compose(resume="--resume" in job.flags).values
        own = values.get("TrainingConfig.num_threads") if job.own_threads else None
        device, gpus = values.get("TrainingConfig.device", "auto"), 0.0
        if device.startswith("cuda") or (device == "auto" and self._gpus):
            gpus = 1 / math.ceil(self.limit / self._gpus) if self.limit and self._gpus else 1.0
        return {"num_cpus": own or self._threads, "num_gpus": gpus}


def _free(job: Job) -> bool:
    """Whether the lock of a lost job's run is free again."""
    with suppress(OSError):  # the job itself reports it
        return not (job.waits and job.request.folder.at_work)
    return True


def threads(cpus: list[int], jobs: int) -> int:
    """The most threads a job may have if nodes with so many CPUs are to hold so many jobs."""
    fits = (n for n in range(max(cpus), 1, -1) if sum(each // n for each in cpus) >= jobs)
    return next(fits, 1)
