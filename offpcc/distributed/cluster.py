"""Cluster: how this process connects to Ray, and what the cluster's nodes are checked for."""

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from offpcc.distributed.left_behind import ended_with_this_process
from offpcc.processes.cores import cores

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise ImportError("ray is not installed: pip install 'offpcc[ray]'") from error

PATIENCE = 5.0  # seconds for the head node to accept a connection; Ray itself tries for minutes
ANSWER = 60.0  # seconds for a node, which may have to start a process first
PORT = 6379  # of `ray start --head`


@contextmanager
def connected(address: str, processors: int | None = None) -> Iterator[None]:
    """Inside, this process is connected to the Ray cluster at an address.

    address: host, host:port, "auto" for the cluster that this machine belongs to, or "local" to
    start Ray on this machine until the block is left. processors: how many it is to have then;
    None: those that there are. Signals are handled as before. Raises ValueError where no cluster
    answers.
    """
    where = address if address == "local" else _reachable(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of the change
    here: dict[str, Any] = {"num_cpus": processors or cores(), "include_dashboard": False}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            where,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(here if address == "local" else {}),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(f"--ray {address}: {' '.join(str(error).split())}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's would leave by sys.exit
    with ended_with_this_process() if address == "local" else nullcontext():
        try:
            yield
        finally:
            ray.shutdown()


def check_nodes(check: Callable[[], str]) -> None:
    """Calls a check on every node; raises ValueError, naming the node, for the first that fails."""
    task = ray.remote(num_cpus=0, max_retries=0)(_call)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    calls = [task.options(scheduling_strategy=place).remote(check) for place in places]
    for node, call in zip(nodes, calls, strict=True):
        try:
            ray.get(call, timeout=ANSWER)
        except RayTaskError as error:
            raise ValueError(str(error.cause)) from error
        except RayError as error:
            name, why = node["NodeManagerHostname"], str(error).strip().splitlines()[0]
            raise ValueError(f"node {name} does not answer: {why}") from error


def _call(check: Callable[[], str]) -> str:
    return check()


def node_resources() -> list[dict[str, float]]:
    """What each node has in all, such as {"CPU": 16.0, "GPU": 1.0}."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _reachable(address: str) -> str:
    """The cluster's address as host:port. Raises ValueError where nothing accepts a connection."""
    named = address if address != "auto" else _own_cluster()
    if named.startswith("ray://"):
        raise ValueError(
            f"--ray {address}: the command has to run on a node of the cluster, not as a Ray "
            "client; connect the machine by `ray start --address=HOST:PORT`, then give --ray"
        )
    host, colon, port = named.rpartition(":")
    host, port = (host, port) if colon else (named, str(PORT))
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"--ray {address}: it is written HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise ValueError(f"--ray {address}: no answer from {host}:{port} ({error})") from error
    return f"{host}:{port}"


def _own_cluster() -> str:
    """The address of the cluster that this machine belongs to. Raises ValueError if none."""
    if found := os.environ.get("RAY_ADDRESS"):
        return found
    file = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray/ray_current_cluster"
    if not file.exists():
        raise ValueError(
            "--ray: this machine belongs to no Ray cluster; start one by `ray start --head`, join "
            "one by `ray start --address=HOST:PORT`, or give --ray local"
        )
    return file.read_text(encoding="utf-8").strip()
