"""Commands on a Ray cluster, and what they leave behind."""

import csv
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from children import LAUNCH, tiny

from offpcc.training.loop import CLOCK

RSAC = ["--env", "pendulum-p-v0", "--algo", "rsac", "--seed", "1"]
RUNS = Path("results/pendulum-p-v0/rsac")


@contextmanager
def started(folder: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    words = ["--config", tiny(folder), "--bind", "num_threads = 1", *arguments]
    with subprocess.Popen(
        [*LAUNCH, *RSAC, *map(str, words)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome(run: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The rows of a run but for the clock, and the agent of its last checkpoint."""
    with (run / "progress.csv").open() as file:
        rows = [
            {k: v for k, v in row.items() if k not in (*CLOCK, "waited")}
            for row in csv.DictReader(file)
        ]
    newest = max((run / "checkpoints").glob("step-*"))
    return rows, torch.load(newest / "agent.pt", weights_only=False)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.2)
    return condition()


def processes_in(folder: Path) -> list[str]:
    """Of the processes that work in a folder, the names."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process.name())
        except psutil.Error:
            continue
    return found
