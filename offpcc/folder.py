"""A run's folder: results/<env>/<algo>/<run_id>/, its lock, and its description run.json."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offpcc.faults import RunExistsError, RunLockedError, RunMissingError

NEEDED = ("env", "algo", "seed", "spec")  # of run.json, to continue a run or to play it


def read_json(path: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a JSON file holds.

    Raises ValueError, naming the file, where it is no such file or lacks a key that is needed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, or cut short ({error}); restore it") from error
    missing = [key for key in needed if not isinstance(content, dict) or key not in content]
    if missing or not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it has no {', '.join(missing) or 'keys'}; restore it")
    return content


class RunFolder:
    """One run's place on the disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return (self / "run.json").exists()

    def read(self) -> dict[str, Any]:
        """What run.json says. Raises RunMissingError, and ValueError for a file that is damaged."""
        if not self.exists:
            raise RunMissingError(f"there is no run in {self.path}")
        return read_json(self / "run.json", NEEDED)

    def write(self, description: dict[str, Any]) -> None:
        """Replaces run.json."""
        self.replace("run.json", json.dumps(description, indent=2) + "\n")

    def replace(self, name: str, text: str) -> None:
        """Writes a file in one piece: a kill leaves the old one or the new one."""
        draft = self / f".{name}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self / name)

    def clear(self) -> None:
        """Removes what an earlier run left here, run.json first; the lock stays."""
        (self / "run.json").unlink(missing_ok=True)
        for item in self.path.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            elif item.name != "run.lock":
                item.unlink()

    def check(self, resume: bool = False, overwrite: bool = False) -> None:
        """Whether a run can be resumed here, or else begun; changes nothing.

        Raises RunLockedError if a process is at work on it, RunMissingError, RunExistsError.
        """
        if (self / "run.lock").exists():
            with self._lock():
                pass
        if resume:
            self.read()
        elif not overwrite:
            self.refuse_begun()

    def refuse_begun(self) -> None:
        """Raises RunExistsError if a run was ever begun here."""
        if self.exists:
            raise RunExistsError(
                f"{self.path} exists; continue it with --resume, replace it with --overwrite, or "
                "give another --run_id"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other process may work on the run; a killed one's lock is free.

        Raises RunLockedError with the other's process id.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock() as lock:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    @contextmanager
    def _lock(self) -> Iterator[Any]:
        with (self / "run.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise RunLockedError(
                    f"process {lock.read().strip()} is at work on {self.path}"
                ) from error
            yield lock
