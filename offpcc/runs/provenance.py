"""Provenance: what run.json says about where a run's numbers come from."""

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from offpcc.algorithms import Learner
from offpcc.config import locations
from offpcc.config.locations import MODULE, commit, program
from offpcc.runs.run_spec import RunSpec
from offpcc.training.loop import Training


def describe(request: RunSpec, seed: int, agent: Learner, episodes: int) -> dict[str, Any]:
    """What run.json says of a run at its start; episodes: of an evaluation."""
    return {
        "command": command(),
        "env": request.env,
        "algo": request.algo,
        "run_id": str(request.run_id),
        "config": str(request.config) if request.config else None,
        "bind": list(request.bind),
        "group": request.name,
        "seed": seed,
        "spec": agent.spec.as_dict(),
        "eval_episodes": episodes,
        "device": str(agent.policy.device),
        "precision": agent.precision,
        "num_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "processor": processor(),
        "platform": platform.platform(),
        "versions": versions(agent.packages),
        "git_commit": commit(),
        "pid": os.getpid(),
    }


def command() -> str:
    """The command line that started this process."""
    started = MODULE.split() if program() == MODULE else sys.argv[:1]
    return shlex.join([*started, *sys.argv[1:]])


def continued(
    before: dict[str, Any], now: dict[str, Any], resumed: dict[str, Any]
) -> dict[str, Any]:
    """What run.json says of a run that was begun as `before` and goes on as `now`."""
    kept = {
        key: value
        for key, value in before.items()
        if key not in ("final", "resume_exact", "stopped")
    }
    kept["eval_episodes"] = now["eval_episodes"]
    changed = {key: value for key, value in now.items() if before.get(key) != value}
    return kept | {"resumes": [*before.get("resumes", ()), resumed | changed]}


def diagnosis(training: Training, error: Exception) -> dict[str, Any]:
    """What diverged.json says: what was known when the updates stopped to be finite."""
    largest = {
        name: max((float(weight.abs().max()) for weight in part.parameters()), default=0.0)
        for name, part in training.agent.parts().items()
        if isinstance(part, nn.Module)
    }
    counts = {"env_steps": training.collector.steps, "updates": training.updates}
    return {"error": str(error), **counts, "largest_weight": largest, "row": training.last_row}


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Of Python and of the packages that decide the numbers, the learner's own too."""
    names = ("torch", "numpy", "gymnasium", "gin-config", *more)
    own = {"python": platform.python_version(), "offpcc": locations.version()}
    return own | {name: version(name) for name in names}


def processor() -> str:
    """The processor's own name, as far as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What has changed of that between two run.json, a line each."""
    keys = ("versions", "processor", "cpu", "num_threads", "device", "precision")
    return [f"{k}: {before[k]} -> {now[k]}" for k in keys if before.get(k, now[k]) != now[k]]
