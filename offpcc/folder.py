"""A run's folder: results/<env>/<algo>/<run_id>/, its lock, and its description run.json."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offpcc.faults import RunLockedError, RunMissingError


class RunFolder:
    """One run's place on the disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return (self / "run.json").exists()

    def read(self) -> dict[str, Any]:
        """What run.json says. Raises RunMissingError."""
        if not self.exists:
            raise RunMissingError(f"there is no run in {self.path}")
        description: dict[str, Any] = json.loads((self / "run.json").read_text())
        return description

    def write(self, description: dict[str, Any]) -> None:
        """Replaces run.json in one piece."""
        draft = self / ".run.json"
        draft.write_text(json.dumps(description, indent=2) + "\n")
        draft.replace(self / "run.json")

    def clear(self) -> None:
        """Removes what an earlier run left here; the lock stays."""
        for item in self.path.iterdir():
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name != "run.lock":
                item.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other process may work on the run; a killed one's lock is free.

        Raises RunLockedError with the other's process id.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self / "run.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise RunLockedError(
                    f"process {lock.read().strip()} is at work on {self.path}"
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
