"""Transitions: what somebody else's policy saw before and after each step, read from a disk."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from offpcc.config.catalog import bare

ARRAYS = ("obs", "next_obs", "action", "reward", "terminated", "truncated")  # of a folder's files
MASKS = ("action_mask", "next_action_mask")  # of further files, where choices are masked


def read_transitions(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Observations (N, X) and those a step later, float32.

    source: a folder of obs.npy and next_obs.npy, or the id of a Minari data set on this machine.
    Raises ValueError for what is neither, and for arrays that do not fit together; ImportError for
    a Minari id where minari is not installed.
    """
    if not source:
        raise ValueError("AMP.expert is not set; it is a folder of obs.npy and next_obs.npy")
    folder = Path(source)
    parts = (
        tuple(read_array(folder / f"{name}.npy") for name in ARRAYS[:2])
        if folder.is_dir()
        else _minari(source)
    )
    if parts[0].shape != parts[1].shape or not len(parts[0]):
        shapes = " to ".join(str(part.shape) for part in parts)
        raise ValueError(f"{source}: transitions from {shapes} do not fit")
    before, after = (np.asarray(part, np.float32).reshape(len(part), -1) for part in parts)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError(f"{source}: not all observations are finite")
    return before, after


def read_array(path: Path) -> np.ndarray:
    """An array of numbers from a .npy file. Raises ValueError if that cannot be read."""
    try:
        return cast(np.ndarray, np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _minari(source: str) -> tuple[np.ndarray, np.ndarray]:
    seen = [flat(e.observations) for e in minari_data_set(source).iterate_episodes()]
    return np.concatenate([o[:-1] for o in seen]), np.concatenate([o[1:] for o in seen])


def minari_data_set(source: str) -> Any:
    """A Minari data set on this machine. Raises ValueError if there is none."""
    try:
        import minari
    except ImportError as error:
        raise ValueError(
            f"{source!r} is no folder, and no Minari data set without minari: {error}"
        ) from error
    try:
        return minari.load_dataset(source)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"{source!r} is neither a folder nor a Minari data set here") from error


def refuse_taken(name: str) -> None:
    """Raises ValueError without minari, and for a data set's name that is taken."""
    try:
        from minari.storage import get_dataset_path
    except ImportError as error:
        raise ValueError(f"a Minari data set needs the extra minari: {error}") from error
    if get_dataset_path(name).exists():
        raise ValueError(f"there is a data set {name}; `minari delete {name}` makes room for it")


def write_minari(
    name: str,
    episodes: Sequence[Mapping[str, Any]],
    spaces: tuple[Any, Any],
    *,
    env: str,
    algorithm: str,
) -> None:
    """Episodes as a new Minari data set on this machine, all of it or nothing.

    spaces: of observations and of actions. Raises ValueError for what Minari does not take, and for
    what does not come back to the bit; OSError if the disk does not take it.
    """
    refuse_taken(name)
    from minari.storage import get_dataset_path

    folder = get_dataset_path(name)
    new = next(path for path in (*reversed(folder.parents), folder) if not path.exists())
    whole = False
    try:
        _create(name, episodes, spaces, env, algorithm)
        _compare(episodes, minari_data_set(name).iterate_episodes())
        whole = True
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"no data set was written: {type(error).__name__}: {error}") from error
    finally:
        if not whole:
            shutil.rmtree(new, ignore_errors=True)


def _create(
    name: str, episodes: Sequence[Mapping[str, Any]], spaces: tuple[Any, Any], env: str, algo: str
) -> None:
    import minari
    from minari.data_collector import EpisodeBuffer

    spec = _portable(gymnasium.spec(bare(env)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that nobody says who the author is
        data = minari.create_dataset_from_buffers(
            name,
            [EpisodeBuffer(id=i, **episode) for i, episode in enumerate(episodes)],
            eval_env=spec,
            observation_space=spaces[0],
            action_space=spaces[1],
            algorithm_name=algo,
            description=f"{algo} of offpcc in {env}",
            jpeg_encoding=False,
        )
    if spec:  # given as `env`, it would be made, and never closed
        data.storage.update_metadata({"env_spec": spec.to_json()})


def _portable(spec: EnvSpec) -> EnvSpec | None:
    """A spec that JSON can hold, classes and functions by their names; None if there is none."""
    try:
        named = replace(
            spec,
            entry_point=_name(spec.entry_point),
            vector_entry_point=_name(spec.vector_entry_point),
        )
        named.to_json()
    except (TypeError, ValueError):
        return None
    return named


def _name(entry: str | Callable[..., Any] | None) -> str | None:
    """An entry point as `module:name`. Raises ValueError for what cannot be imported by one."""
    if not callable(entry):
        return entry
    name = getattr(entry, "__qualname__", "<unnamed>")
    if "<" in name:
        raise ValueError(f"{entry} has no name to import it by")
    return f"{entry.__module__}:{name}"


def _compare(written: Sequence[Mapping[str, Any]], read: Iterator[Any]) -> None:
    """Raises ValueError unless episodes have been read as they were written."""
    for number, (expected, found) in enumerate(zip(written, read, strict=True)):
        for key, values in expected.items():
            if not _same(values, getattr(found, key)):
                raise ValueError(f"{key} of episode {number} are not read as they were written")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return np.array_equal(one, other) and np.asarray(one).dtype == np.asarray(other).dtype


def flat(observations: object) -> np.ndarray:
    """Observations (L, X) of arrays, or of mappings and tuples whose parts follow each other."""
    return np.concatenate([part.reshape(len(part), -1) for part in _parts(observations)], -1)


def _parts(observations: object) -> Iterator[np.ndarray]:
    if isinstance(observations, dict | tuple):
        for part in observations.values() if isinstance(observations, dict) else observations:
            yield from _parts(part)
    else:
        yield np.asarray(observations)
