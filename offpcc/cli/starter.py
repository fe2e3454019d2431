"""Starter: where the runs of a command are trained, by --jobs and --ray."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offpcc.runs.starter import Starter


def by_jobs(asked: argparse.Namespace) -> bool:
    """Whether each run has a process of its own, here or on a cluster."""
    return bool(asked.jobs or (asked.ray and not asked.workers))


def check_jobs(asked: argparse.Namespace) -> None:
    """Raises ValueError for no jobs, and ImportError where Ray is asked for and missing."""
    if asked.jobs is not None and asked.jobs < 1:
        raise ValueError(f"--jobs {asked.jobs}: it must be at least 1")
    if asked.ray:
        import offpcc.distributed.cluster  # noqa: F401 - raises


def starter(asked: argparse.Namespace) -> "Starter":
    """What starts the runs: on a cluster with --ray, else on this machine."""
    if asked.ray:
        from offpcc.runs.ray_starter import RayStarter

        return RayStarter(asked.ray, asked.jobs, asked.results)
    from offpcc.runs.starter import LocalStarter

    return LocalStarter(asked.jobs or 1)
