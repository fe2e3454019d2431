"""A disk that says what would be left of it after a power failure."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """Notes what is synced below a folder: of a file its content, of a folder its names.

    A file or folder is renamed only once it is synced itself, and all that was published before is.
    What begins with a dot is a draft, which nobody reads.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.content: dict[int, bytes] = {}  # by inode
        self.names: dict[int, dict[str, int]] = {}  # of folders, by inode
        self.renames = 0
        self._fsync = os.fsync
        patch.setattr(os, "fsync", self.sync)
        for name in ("rename", "replace"):
            patch.setattr(os, name, self.renaming(getattr(os, name)))

    def sync(self, handle: int) -> None:
        """In place of os.fsync."""
        self._fsync(handle)
        found = os.fstat(handle)
        path = next(p for p in self.paths() if p.stat().st_ino == found.st_ino)
        if stat.S_ISDIR(found.st_mode):
            self.names[found.st_ino] = {part.name: part.stat().st_ino for part in path.iterdir()}
        else:
            self.content[found.st_ino] = path.read_bytes()

    def renaming(self, original: Any) -> Any:
        """In place of os.rename and os.replace."""

        def rename(source: Path, target: Path) -> None:
            if not Path(target).name.startswith("."):  # or an old one makes way
                assert not [*self.lost(Path(source))], "what is published was not synced"
                assert not [*self.lost()], "what was published before was not synced"
                self.renames += 1
            original(source, target)

        return rename

    def paths(self) -> Iterator[Path]:
        """Everything there is, and the folders that lead there."""
        yield from (self.root, *self.root.parents, *self.root.rglob("*"))

    def lost(self, path: Path | None = None) -> Iterator[Path]:
        """What is there now, drafts left out, and would not be after a power failure."""
        path = path or self.root
        if path.is_file():
            if self.content.get(path.stat().st_ino) != path.read_bytes():
                yield path
            return
        names = self.names.get(path.stat().st_ino, {})
        for part in path.iterdir():
            if not part.name.startswith("."):
                if names.get(part.name) != part.stat().st_ino:
                    yield part
                yield from self.lost(part)
