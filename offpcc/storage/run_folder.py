"""The folder of a run: results/<env>/<algo>/<run_id>/, its lock, and run.json."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from offpcc.errors import EnvironmentFault, RunExistsError, RunLockedError, RunMissingError
from offpcc.storage.atomic_io import make_folder, replace_file, strict_json

LOCK = "run.lock"  # empty: some versions of filelock truncate the file, whoever holds it
HOLDER = "run.pid"  # host:pid of the process that holds the lock, or of the last that did
ENDED = "ended.json"  # the error that ended its last process; none after a kill or a finish
PATIENCE = 0.1  # seconds: `at_work` of another process may be looking at the lock
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


def holder(process: int) -> str:
    """A process of this machine as host:pid, as several machines may share a folder."""
    return f"{socket.gethostname()}:{process}"


class RunFolder:
    """One run's place on the disk."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        """Whether a run was ever begun here."""
        return (self / "run.json").exists()

    @property
    def at_work(self) -> bool:
        """Whether a process is at work on the run; leaves the lock and the folder as they are.

        Raises OSError for a lock that cannot be read.
        """
        if not (self / LOCK).exists():
            return False
        if os.name != "posix":
            return self._refuses()
        import fcntl

        # A shared lock, as a look must not be taken for a process at work by another look.
        with (self / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def read(self) -> dict[str, Any]:
        """What run.json says. Raises RunMissingError, and ValueError for a file that is damaged."""
        if not self.exists:
            raise RunMissingError(f"there is no run in {self.path}")
        return read_json(self / "run.json", NEEDED)

    def write(self, description: dict[str, Any]) -> None:
        """Replaces run.json."""
        self.replace("run.json", strict_json(description))

    def replace(self, name: str, text: str) -> None:
        """Writes a file in one piece: a kill leaves the old one or the new one."""
        replace_file(self / name, text)

    def clear(self) -> None:
        """Removes what an earlier run left here, run.json first; the lock and its holder stay."""
        (self / "run.json").unlink(missing_ok=True)
        for item in self.path.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            elif item.name not in (LOCK, HOLDER):
                item.unlink()

    def check(self, resume: bool = False, overwrite: bool = False) -> None:
        """Whether a run can be resumed here, or else begun; changes nothing.

        Raises RunLockedError if a process is at work on it, RunMissingError, RunExistsError.
        """
        if (self / LOCK).exists():
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

        An error that leaves the block is recorded in ended.json. Raises RunLockedError with the
        other's machine and process id.
        """
        make_folder(self.path)
        with self._lock():
            (self / HOLDER).write_text(holder(os.getpid()), encoding="utf-8")
            (self / ENDED).unlink(missing_ok=True)
            try:
                yield
            except RunExistsError:  # nothing was done here
                raise
            except BaseException as error:
                self._record_end(error)
                raise

    def record_fault(self, process: int, message: str) -> None:
        """Records that an environment ended a process of this machine, if it was the run's last."""
        with suppress(OSError):
            if (self / HOLDER).read_text(encoding="utf-8") == holder(process):
                self._record_end(EnvironmentFault(message))

    def _record_end(self, error: BaseException) -> None:
        lines = str(error).splitlines() or [""]
        facts = {"error": type(error).__name__, "message": lines[0]}
        with suppress(OSError):  # such as a full disk, which may be the error
            self.replace(ENDED, strict_json(facts))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # 0.1 s, which --help need not wait for

        lock = FileLock(self / LOCK, timeout=PATIENCE, poll_interval=PATIENCE / 10)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunLockedError(f"{self._holder()} is at work on {self.path}") from error
        try:
            yield
        finally:
            lock.release()

    def _refuses(self) -> bool:
        """Whether the lock cannot be had."""
        try:
            with self._lock():
                return False
        except RunLockedError:
            return True

    def _holder(self) -> str:
        """Which process holds the lock; it may have had no time to say so."""
        try:
            return f"process {(self / HOLDER).read_text(encoding='utf-8')}"
        except OSError:
            return "another process"
