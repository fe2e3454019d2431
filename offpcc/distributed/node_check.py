"""Node check: whether a node of a cluster has the driver's folders and its version of offpcc."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offpcc.config.locations import commit, version
from offpcc.storage.atomic_io import make_folder

PATIENCE = 5.0  # seconds for a file to be seen by other machines


@dataclass(frozen=True)
class NodeCheck:
    """Made by the driver, called on a node, where it also enters the driver's working folder."""

    folder: str  # the driver's working folder
    token: str  # a file of the driver's in the results folder, absolute
    version: str  # of the driver's offpcc
    commit: str | None  # of the driver's checkout

    def __call__(self, strict: bool = True) -> str:
        """The node's name. Raises ValueError where runs of this node would not be the driver's.

        strict: whether it matters that files of the checkout have changed; not for a run that
        begins hours after the driver did, while somebody edits a page.
        """
        name = socket.gethostname()
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise ValueError(f"node {name} has no folder {self.folder}: {error}") from error
        until = time.monotonic() + PATIENCE
        while not os.path.exists(self.token):
            if time.monotonic() > until:
                results = os.path.dirname(self.token)
                raise ValueError(f"node {name} does not share {results}: all nodes need one folder")
            time.sleep(0.2)
        check_release(self.version, self.commit, strict)
        return name


def check_release(of_driver: str, its_commit: str | None, strict: bool) -> None:
    """Called on a node; raises ValueError where the driver has another version or commit of offpcc.

    strict: see `NodeCheck`.
    """
    name = socket.gethostname()
    if version() != of_driver:
        raise ValueError(f"node {name} has offpcc {version()}, not {of_driver} as here")
    commits = [each or "" for each in (commit(), its_commit)]
    if not strict:
        commits = [each.removesuffix("-dirty") for each in commits]
    if all(commits) and commits[0] != commits[1]:
        raise ValueError("node {} has commit {} of offpcc, not {}".format(name, *commits))


@contextmanager
def node_check(results: str | Path) -> Iterator[NodeCheck]:
    """Inside, the check of nodes that are to write into a folder of results."""
    make_folder(Path(results))
    token = Path(results).absolute() / f".ray-{uuid.uuid4().hex}"
    token.touch()
    try:
        yield NodeCheck(os.getcwd(), str(token), version(), commit())
    finally:
        token.unlink(missing_ok=True)
