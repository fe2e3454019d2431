"""Verified files: synced to the disk, with a manifest that tells whether all are whole.

Only tensors and plain containers are written, and nothing else is ever unpickled.
"""

import hashlib
import io
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor

from offpcc.storage.atomic_io import sync_folder, write_file
from offpcc.storage.run_folder import read_json

Facts = dict[str, Any]  # a file's size and SHA-256
PLAIN = (Tensor, int, float, bool, str, NoneType)


def write_state(path: Path, state: Any) -> Facts:
    """Writes tensors in plain containers, for good; gives the file's size and SHA-256.

    Raises TypeError for anything else, which could not be read back.
    """
    _refuse_odd(state, path.name)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_file(path, content)
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def read_state(path: Path) -> Any:
    """What `write_state` wrote, on the CPU. Raises ValueError for what may be code."""
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:  # torch's text says how to run the code after all
        raise ValueError(f"{path.name} is not made of tensors and plain containers") from error


def check(path: Path, facts: Facts) -> None:
    """Raises ValueError, or OSError, if a file is not as it was written."""
    size = path.stat().st_size
    if size != facts["size"]:
        raise ValueError(f"{path.name} has {size} bytes instead of {facts['size']}")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != facts["sha256"]:
            raise ValueError(f"{path.name} is damaged: its SHA-256 differs")


def write_manifest(folder: Path, manifest: Facts) -> None:
    """Writes manifest.json with its own SHA-256, and makes the folder's names last."""
    signed = manifest | {"seal": _digest(manifest)}
    write_file(folder / "manifest.json", _plain_json(signed, indent=1))
    sync_folder(folder)


def read_manifest(folder: Path) -> Facts:
    """What `write_manifest` wrote. Raises ValueError, or OSError, if it is not whole."""
    signed = read_json(folder / "manifest.json")
    if signed.pop("seal", None) != _digest(signed):
        raise ValueError("manifest.json is damaged: its SHA-256 differs")
    return signed


def _refuse_odd(state: Any, place: str) -> None:
    # Exact types: a numpy.float64 is a float, but not to torch.load.
    if type(state) in (dict, OrderedDict, list, tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, part in items:
            _refuse_odd(part, f"{place}/{key}")
    elif type(state) not in PLAIN:
        raise TypeError(f"{place} is a {type(state).__name__}, which a checkpoint can not hold")


def _digest(manifest: Facts) -> str:
    return hashlib.sha256(_plain_json(manifest, sort_keys=True)).hexdigest()


def _plain_json(manifest: Facts, **form: Any) -> bytes:
    """Raises ValueError for numbers that are not finite, which JSON does not know."""
    return json.dumps(manifest, allow_nan=False, **form).encode()
