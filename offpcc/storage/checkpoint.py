"""Checkpoints: a run is saved so that at least one valid copy survives any crash.

A checkpoint is a folder `step-000123000/` of sealed files. It is written beside its final place,
synced to the disk and renamed. Replay chunks, and the actions of a long episode in progress, are
written once and shared between checkpoints: a save costs what is new.
"""

import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offpcc.errors import NoCheckpointError
from offpcc.replay import Replay
from offpcc.storage.atomic_io import make_folder, replace_folder, sync_folder
from offpcc.storage.verified_files import (
    Facts,
    check,
    read_manifest,
    read_state,
    write_manifest,
    write_state,
)

FORMAT = 2
FILE = re.compile(r"[a-z]+\.pt|(chunks|actions)/[\d-]+\.pt")
STEP = re.compile(r"(\.old-)?step-(\d{9,})")
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError)


@dataclass
class Checkpoints:
    """The checkpoints of one run, in its folder `checkpoints/`; keeps the newest `keep`."""

    folder: Path
    keep: int = 2
    _chunks: dict[str, Facts] = field(default_factory=dict)  # of the newest checkpoint
    _actions: dict[str, Facts] = field(default_factory=dict)  # the same

    def save(self, step: int, parts: dict[str, Any], replay: Replay, facts: Facts) -> None:
        """Writes a checkpoint of parts {file name: state} and of the replay.

        A part named `actions/…` never changes and is written once. facts: JSON values for the
        manifest. Raises OSError when the disk does not take it; the checkpoints before are then
        untouched.
        """
        self._add_chunk(replay)
        own = {name: part for name, part in parts.items() if "/" not in name}
        self._add_actions({f"{name}.pt": parts[name] for name in parts.keys() - own.keys()})
        shared = self._chunks | self._actions
        self._write(f"step-{step:09d}", own, {"step": step, **facts}, shared)
        self._prune()

    def save_best(self, policy: dict[str, Any]) -> None:
        """Keeps the best policy so far, beside the checkpoints. Raises OSError as `save` does."""
        self._write("best", {"policy": policy}, {}, {})

    def load(self, replay: Replay) -> tuple[dict[str, Any], Facts]:
        """The parts and the manifest of the newest valid checkpoint; its chunks go into the replay.

        Invalid checkpoints are named on the way, and passed over. Raises NoCheckpointError where
        none is left.
        """
        parts, manifest = self._newest_valid(self._steps())
        files = manifest["files"]
        self._chunks = {n: facts for n, facts in files.items() if n.startswith("chunks/")}
        self._actions = {n: facts for n, facts in files.items() if n.startswith("actions/")}
        for name in sorted(self._chunks, key=_span):
            replay.extend(read_state(self.folder / name))
        return parts, manifest

    def load_policy(self, best: bool = False) -> tuple[dict[str, Any], Facts]:
        """Weights and manifest of the newest or best valid policy. Raises NoCheckpointError."""
        bests = [self.folder / "best", self.folder / ".old-best"]
        parts, manifest = self._newest_valid(bests if best else self._steps(), only="policy.pt")
        return dict(parts["policy"]), manifest

    def forget_after(self, step: int) -> None:
        """Removes what lies beyond the checkpoint of this step, and what is half written."""
        for folder in self._steps():
            if _step(folder) > step:
                shutil.rmtree(folder)
        for draft in self.folder.glob(".tmp-*"):
            shutil.rmtree(draft)

    def _steps(self) -> list[Path]:
        """The checkpoints' folders, the newest first, a replaced one behind its replacement."""
        found = [path for path in self.folder.glob("*") if STEP.fullmatch(path.name)]
        return sorted(found, key=lambda path: (_step(path), path.name[0] != "."), reverse=True)

    def _newest_valid(self, folders: list[Path], only: str = "") -> tuple[dict[str, Any], Facts]:
        """Parts and manifest of the first of these folders that is whole, as far as is asked."""
        complaints = []
        for folder in folders:
            try:
                parts, manifest = self._read(folder, only)
            except DAMAGE as error:
                complaints.append(f"{folder.name}: {error}")
                continue
            for line in complaints:
                print(f"passed over a checkpoint: {line}", file=sys.stderr, flush=True)
            return parts, manifest
        reasons = "; ".join(complaints) or "there is none"
        raise NoCheckpointError(f"no valid checkpoint in {self.folder}: {reasons}")

    def _read(self, folder: Path, only: str) -> tuple[dict[str, Any], Facts]:
        """Parts and manifest, once every file is found as it was written; `only` one, if named."""
        manifest = read_manifest(folder)
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']}, this is format {FORMAT}")
        if odd := [name for name in manifest["files"] if not FILE.fullmatch(name)]:
            raise ValueError(f"the manifest names {odd[0]!r}, which is no file of a checkpoint")
        parts = {}
        for name, facts in manifest["files"].items():
            if only in ("", name):
                path = self.folder / name if "/" in name else folder / name
                check(path, facts)
                if not name.startswith("chunks/"):
                    parts[name.removesuffix(".pt")] = read_state(path)
        return parts, manifest

    def _write(
        self, name: str, parts: dict[str, Any], facts: Facts, shared: dict[str, Facts]
    ) -> None:
        """A folder of parts, in one piece; one that has its name already gives way to it."""
        draft = self.folder / f".tmp-{name}"
        make_folder(self.folder)
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir()
            files = {f"{n}.pt": write_state(draft / f"{n}.pt", s) for n, s in parts.items()}
            write_manifest(draft, {"format": FORMAT, **facts, "files": files | shared})
            replace_folder(draft, self.folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)  # a full disk needs the room

    def _add_chunk(self, replay: Replay) -> None:
        """Writes the episodes that no chunk has, and forgets chunks whose episodes are gone."""
        live = replay.episodes
        first = max([live.start, *(_span(name)[1] for name in self._chunks)])
        if first < live.stop:
            name = f"chunks/{first:09d}-{live.stop:09d}.pt"
            self._chunks[name] = self._write_once(name, replay.chunk(first))
        self._chunks = {n: facts for n, facts in self._chunks.items() if _span(n)[1] > live.start}

    def _add_actions(self, pieces: dict[str, Any]) -> None:
        """Writes the pieces that the newest checkpoint has not, and forgets those that are gone."""
        for name in sorted(pieces.keys() - self._actions.keys()):
            self._actions[name] = self._write_once(name, pieces[name])
        self._actions = {name: self._actions[name] for name in sorted(pieces)}

    def _write_once(self, name: str, state: Any) -> Facts:
        """Writes a file that checkpoints share, in one piece."""
        final = self.folder / name
        make_folder(final.parent)
        draft = final.with_name(".tmp-piece.pt")
        try:
            facts = write_state(draft, state)
            draft.rename(final)
        finally:
            draft.unlink(missing_ok=True)  # a full disk needs the room
        sync_folder(final.parent)
        return facts

    def _prune(self) -> None:
        """Removes older checkpoints, and the shared files that only they had."""
        folders = self._steps()
        for old in folders[self.keep :]:
            shutil.rmtree(old, ignore_errors=True)
        used = self._chunks.keys() | self._actions.keys()
        for folder in folders[: self.keep]:
            used |= _named(folder)
        for file in (*self.folder.glob("chunks/*.pt"), *self.folder.glob("actions/*.pt")):
            if file.relative_to(self.folder).as_posix() not in used:
                file.unlink(missing_ok=True)


def _step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _span(name: str) -> tuple[int, int]:
    """First episode of a chunk, and the one behind its last."""
    first, last = Path(name).stem.split("-")
    return int(first), int(last)


def _named(folder: Path) -> set[str]:
    """The files that a checkpoint names; none if it can not be read."""
    try:
        return set(read_manifest(folder)["files"])
    except (OSError, ValueError):
        return set()
