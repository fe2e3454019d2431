"""Locks between processes, as files; a killed process's lock is free."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offpcc.errors import RunLockedError
from offpcc.storage.atomic_io import make_folder


@contextmanager
def lock(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Inside, no other process has this lock.

    wait: seconds to wait for it. Raises RunLockedError if another process has it still.
    """
    from filelock import FileLock, Timeout  # 0.1 s, which --help need not wait for

    make_folder(path.parent)
    held = FileLock(path)
    try:
        held.acquire(timeout=wait)
    except Timeout as error:
        raise RunLockedError(f"another process has {path} locked") from error
    try:
        yield
    finally:
        held.release()
