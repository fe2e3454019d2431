"""Checkpoints: a whole run saved so that no crash can leave less than one valid copy.

A checkpoint is a folder `step-000123000/` of tensors in plain containers and a manifest with each
file's size and SHA-256. It is written beside its final place, synced to the disk and renamed. The
replay lies in chunks that are written once and shared: a save costs what is new.
"""

import hashlib
import io
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from offpcc.faults import NoCheckpointError
from offpcc.replay import Replay

FORMAT = 1
NAME = re.compile(r"[a-z]+\.pt|chunks/\d{9}-\d{9}\.pt")


@dataclass
class Checkpoints:
    """The checkpoints of one run, in its folder `checkpoints/`; keeps the newest `keep`."""

    folder: Path
    keep: int = 2

    def save(self, step: int, parts: dict[str, Any], replay: Replay, facts: dict[str, Any]) -> Path:
        """Writes a checkpoint of parts {file name: state} and of the replay.

        facts: JSON values for the manifest. Raises OSError when the disk does not take it; the
        checkpoints before are then untouched.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{step:09d}"
        chunks = self._add_chunk(replay)
        final, draft = self.folder / name, self.folder / f".tmp-{name}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        files = {f"{part}.pt": _write(draft / f"{part}.pt", s) for part, s in parts.items()}
        manifest = {"format": FORMAT, "step": step, "files": files | chunks, **facts}
        _write_bytes(draft / "manifest.json", json.dumps(manifest, indent=1).encode())
        _sync(draft)
        before = final.with_suffix(".old")  # the run may have stopped at this very step before
        if final.exists():
            final.rename(before)
        draft.rename(final)
        _sync(self.folder)
        shutil.rmtree(before, ignore_errors=True)
        self._prune()
        return final

    def save_best(self, policy: dict[str, Any]) -> None:
        """Keeps the best policy so far, beside the checkpoints."""
        best = self.folder / "best"
        best.mkdir(parents=True, exist_ok=True)
        _write(best / ".tmp-policy.pt", policy)
        (best / ".tmp-policy.pt").rename(best / "policy.pt")
        _sync(best)

    def load_best(self) -> dict[str, Any]:
        """The best policy's weights. Raises NoCheckpointError where none was kept."""
        path = self.folder / "best" / "policy.pt"
        if not path.exists():
            raise NoCheckpointError(f"no best policy in {self.folder}")
        return dict(_load(path))

    def load(
        self, replay: Replay | None = None, only: str = ""
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parts and the manifest of the newest valid checkpoint.

        replay takes the chunks in, if given; only: read one part alone. Invalid checkpoints are
        named on the way, and passed over. Raises NoCheckpointError where none is left.
        """
        complaints = []
        for folder in sorted(self.folder.glob("step-*"), reverse=True):
            try:
                manifest = self._verified(folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                complaints.append(f"{folder.name}: {error}")
                continue
            for line in complaints:
                print(f"passed over a checkpoint: {line}")
            return self._read(folder, manifest, replay, only), manifest
        told = "; ".join(complaints) or "there is none"
        raise NoCheckpointError(f"no valid checkpoint in {self.folder}: {told}")

    def _read(
        self, folder: Path, manifest: dict[str, Any], replay: Replay | None, only: str
    ) -> dict[str, Any]:
        parts = {}
        for name in sorted(manifest["files"]):
            if name.startswith("chunks/"):
                if replay is not None:
                    replay.extend(_load(self.folder / name))
            elif only in ("", Path(name).stem):
                parts[Path(name).stem] = _load(folder / name)
        return parts

    def _verified(self, folder: Path) -> dict[str, Any]:
        """The manifest of a checkpoint whose files are all as they were written."""
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']}, this is format {FORMAT}")
        for name, known in manifest["files"].items():
            if not NAME.fullmatch(name):
                raise ValueError(f"the manifest names {name!r}, which is no file of a checkpoint")
            content = (self.folder / name if "/" in name else folder / name).read_bytes()
            if len(content) != known["size"]:
                raise ValueError(f"{name} has {len(content)} bytes instead of {known['size']}")
            if hashlib.sha256(content).hexdigest() != known["sha256"]:
                raise ValueError(f"{name} is damaged: its SHA-256 differs")
        return manifest

    def _add_chunk(self, replay: Replay) -> dict[str, Any]:
        """The chunks that hold the replay's episodes, the newest written now."""
        folder, live = self.folder / "chunks", replay.episodes
        folder.mkdir(exist_ok=True)
        known = self._newest_chunks()
        since = max((_span(name)[1] for name in known), default=live.start)
        if since < live.stop:
            first = max(since, live.start)
            name = f"chunks/{first:09d}-{live.stop:09d}.pt"
            draft = folder / ".tmp-chunk.pt"
            known[name] = _write(draft, replay.chunk(first))
            draft.rename(self.folder / name)
            _sync(folder)
        return {name: facts for name, facts in known.items() if _span(name)[1] > live.start}

    def _newest_chunks(self) -> dict[str, Any]:
        """The chunks that the newest checkpoint names."""
        newest = max(self.folder.glob("step-*/manifest.json"), default=None)
        files = json.loads(newest.read_text())["files"] if newest else {}
        return {name: facts for name, facts in files.items() if name.startswith("chunks/")}

    def forget_after(self, step: int) -> None:
        """Removes what lies beyond the checkpoint of this step, and half-written folders."""
        for folder in self.folder.glob("step-*"):
            if int(folder.stem[5:]) > step:
                shutil.rmtree(folder)
        for draft in self.folder.glob(".tmp-*"):
            shutil.rmtree(draft)

    def _prune(self) -> None:
        folders = sorted(self.folder.glob("step-*"))
        for old in folders[: -self.keep]:
            shutil.rmtree(old)
        manifests = [json.loads((f / "manifest.json").read_text()) for f in folders[-self.keep :]]
        used = {name for manifest in manifests for name in manifest["files"]}
        for chunk in (self.folder / "chunks").glob("*.pt"):
            if f"chunks/{chunk.name}" not in used:
                chunk.unlink()


def _span(name: str) -> tuple[int, int]:
    """First episode of a chunk, and the one behind its last."""
    first, last = Path(name).stem.split("-")
    return int(first), int(last)


def _write(path: Path, state: Any) -> dict[str, Any]:
    """Writes a state to the disk, for good; gives its size and SHA-256."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    _write_bytes(path, content)
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _write_bytes(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _load(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu")


def _sync(folder: Path) -> None:
    """Makes the names in a folder last, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
