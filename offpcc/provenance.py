"""Provenance: what else decides a run's numbers: versions, the checkout, the machine."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import torch

from offpcc.catalog import CONFIGS


def provenance() -> dict[str, Any]:
    """The command, versions, the checkout's commit, and what torch runs on, for run.json."""
    return {
        "command": shlex.join(sys.argv),
        "versions": versions(),
        "git_commit": commit(),
        "platform": platform.platform(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    names = ("torch", "numpy", "gymnasium", "gin-config")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def commit() -> str | None:
    """The checkout's commit, with `-dirty` where files have changed; None where there is none."""
    command = ["git", "-C", str(CONFIGS.parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What has changed of that between two run.json, a line each."""
    keys = ("versions", "cpu", "threads", "device")
    return [f"{k}: {before[k]} -> {now[k]}" for k in keys if before.get(k, now[k]) != now[k]]
