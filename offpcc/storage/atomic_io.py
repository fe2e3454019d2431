"""Atomic files and folders: after a power failure they are whole, or not there."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_file(path: Path, content: bytes) -> None:
    """Writes a file and syncs its content to the disk; on an OSError nothing is left of it."""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)  # a full disk needs the room
        raise


def replace_file(path: Path, text: str) -> None:
    """Writes a text in one piece: a crash leaves the old file or the new one."""
    draft = path.with_name(f".{path.name}")
    write_file(draft, text.encode())
    draft.replace(path)
    sync_folder(path.parent)


def replace_folder(draft: Path, final: Path) -> None:
    """Renames a finished folder to its place; one that is there gives way to it.

    At every moment one of them is there, the older one for a while as `.old-` and its name.
    """
    old = final.with_name(f".old-{final.name}")
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
    draft.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it that are missing, and syncs their names to the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Syncs the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def strict_json(facts: Any) -> str:
    """Facts as JSON, which knows no NaN and no infinity: such numbers become null."""
    return json.dumps(_finite(facts), indent=2, allow_nan=False) + "\n"


def _finite(facts: Any) -> Any:
    if isinstance(facts, Mapping):
        return {key: _finite(value) for key, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [_finite(value) for value in facts]
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts
