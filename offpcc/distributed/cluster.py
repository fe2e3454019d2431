"""Cluster: how this process connects to Ray."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def connected(address: str, processors: int | None = None) -> Iterator[None]:
    """Inside, this process is connected to Ray; processors: of a cluster that starts here."""
    given = {"num_cpus": processors, "include_dashboard": False} if address == "local" else {}
    ray.init(address, log_to_driver=False, logging_level="ERROR", **given)  # type: ignore[arg-type]
    try:
        yield
    finally:
        ray.shutdown()
