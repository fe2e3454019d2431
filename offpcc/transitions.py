"""Transitions: what somebody else's policy saw before and after each step, read from a disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

FILES = ("obs.npy", "next_obs.npy")


def read_transitions(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Observations (N, X) and those a step later, float32.

    source: a folder of obs.npy and next_obs.npy, or the id of a Minari data set on this machine.
    Raises ValueError for what is neither, and for arrays that do not fit together; ImportError for
    a Minari id where minari is not installed.
    """
    if not source:
        raise ValueError("AMP.expert is not set; it is a folder of obs.npy and next_obs.npy")
    folder = Path(source)
    parts = tuple(_read(folder / name) for name in FILES) if folder.is_dir() else _minari(source)
    if parts[0].shape != parts[1].shape or not len(parts[0]):
        shapes = " to ".join(str(part.shape) for part in parts)
        raise ValueError(f"{source}: transitions from {shapes} do not fit")
    before, after = (np.asarray(part, np.float32).reshape(len(part), -1) for part in parts)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError(f"{source}: not all observations are finite")
    return before, after


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _minari(source: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        import minari
    except ImportError as error:
        raise ValueError(
            f"{source!r} is no folder, and no Minari data set without minari: {error}"
        ) from error
    try:
        data = minari.load_dataset(source)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"{source!r} is neither a folder nor a Minari data set here") from error
    seen = [flat(episode.observations) for episode in data.iterate_episodes()]
    return np.concatenate([o[:-1] for o in seen]), np.concatenate([o[1:] for o in seen])


def flat(observations: object) -> np.ndarray:
    """Observations (L, X) of arrays, or of mappings whose parts follow each other."""
    return np.concatenate([part.reshape(len(part), -1) for part in _parts(observations)], -1)


def _parts(observations: object) -> Iterator[np.ndarray]:
    if isinstance(observations, dict):
        for part in observations.values():
            yield from _parts(part)
    else:
        yield np.asarray(observations)
