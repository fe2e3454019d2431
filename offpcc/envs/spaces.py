"""Spaces: how observations are stored, and whether they fit their declared spaces."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from offpcc.data import Field
from offpcc.envs.values import SpaceError, check_bytes, first_row, numbers, shortened
from offpcc.processes.notices import say_once

ROUNDING = 1e-5  # relative distance to a bound that no warning is worth
Path = tuple[str | int, ...]  # of keys and places, from a whole observation to one part


class Reader(ABC):
    """Reads the values of one space, which errors call `key`. field: shape and type as stored."""

    field: Field

    def __init__(self, key: str, space: Any) -> None:
        self.key, self.space = key, space
        self.declared = shortened(space)  # in one line, however many numbers it has

    @abstractmethod
    def read(self, value: Any, rows: tuple[int, ...] = ()) -> np.ndarray:
        """A new array (*rows, *field.shape) of a value, or of a batch of `rows` values.

        Raises SpaceError for a value that is not of the space.
        """

    @abstractmethod
    def original(self, stored: np.ndarray) -> np.ndarray:
        """The values (L, …) that stored ones (L, *field.shape) were read from."""

    def array(self, value: Any, rows: tuple[int, ...], *shapes: tuple[int, ...]) -> np.ndarray:
        """A value's array (*rows, …) of one of these shapes. Raises SpaceError for another."""
        array = numbers(self.key, value)
        if array.shape not in [(*rows, *shape) for shape in shapes]:
            given = array.shape[len(rows) :]
            raise SpaceError(f"{self.key} has shape {given}; its space says {shapes[0]}")
        return array


class BoxReader(Reader):
    """Numbers become float32. Pictures, uint8 of two axes or more, stay as they are.

    Of more than three axes, those in front are of stacked pictures, which become channels.
    """

    def __init__(self, key: str, space: spaces.Box) -> None:
        super().__init__(key, space)
        self.bytes = space.dtype == np.uint8
        pixels = self.bytes and len(space.shape) > 1
        self.stack = PictureStack(space.shape) if pixels and len(space.shape) > 3 else None
        shape = self.stack.shape if self.stack else space.shape or (1,)
        self.field = Field(shape, "uint8" if pixels else "float32")
        self._dtype = np.dtype(self.field.dtype)
        slack = [ROUNDING * (1 + np.abs(bound)) for bound in (space.low, space.high)]
        self._low, self._high = space.low - slack[0], space.high + slack[1]
        self._bounded = not self.bytes and bool(np.isfinite([space.low, space.high]).any())

    def read(self, value: Any, rows: tuple[int, ...] = ()) -> np.ndarray:
        """See `Reader`; what leaves the bounds of a Box of floats is said once, and taken."""
        array = self.array(value, rows, self.space.shape)
        if self.bytes:
            check_bytes(self.key, array, len(rows))
        with np.errstate(over="ignore"):
            stored = array.astype(self._dtype)
        stored = self.stack.flat(stored, rows) if self.stack else stored
        stored = stored.reshape(*rows, *self.field.shape)
        if self.bytes:
            return stored
        if not np.isfinite(stored).all():
            row = first_row(~np.isfinite(stored), len(rows))
            raise SpaceError(f"{self.key} is {shortened(array[row] if rows else array)}", row)
        if self._bounded:
            self._watch_bounds(array)
        return stored

    def original(self, stored: np.ndarray) -> np.ndarray:
        """See `Reader`."""
        stored = self.stack.apart(stored) if self.stack else stored
        return stored.reshape(len(stored), *self.space.shape).astype(self.space.dtype)

    def _watch_bounds(self, array: np.ndarray) -> None:
        beyond = (array < self._low) | (array > self._high)
        if beyond.any():
            say_once(
                f"{self.key} {self.space}",
                f"{self.key} leaves its space: {array[beyond][0]:g} is outside of {self.declared}; "
                "it is used as it is",
            )
            self._bounded = False


class PictureStack:
    """Pictures (…, H, W, C) or (…, C, H, W) as one, whose channels are those of all of them.

    shape: that of the one picture.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count, self.one = int(np.prod(shape[:-3])), shape[-3:]
        height, width, last = self.one
        self.channels_last = last < height
        channels_first = (self.count * height, width, last)
        self.shape = (height, width, self.count * last) if self.channels_last else channels_first

    def flat(self, pictures: np.ndarray, rows: tuple[int, ...]) -> np.ndarray:
        """The one picture (*rows, *shape) of each row."""
        pictures = pictures.reshape(*rows, self.count, *self.one)
        if self.channels_last:
            pictures = np.moveaxis(pictures, -4, -2)  # (*rows, H, W, count, C)
        return np.ascontiguousarray(pictures).reshape(*rows, *self.shape)

    def apart(self, stored: np.ndarray) -> np.ndarray:
        """The pictures (L, count, …) that ones (L, *shape) were made of."""
        if not self.channels_last:
            return stored.reshape(len(stored), self.count, *self.one)
        height, width, last = self.one
        apart = stored.reshape(len(stored), height, width, self.count, last)
        return np.moveaxis(apart, -2, -4)


class DiscreteReader(Reader):
    """One-hot of a Discrete value, or of each part of a MultiDiscrete one."""

    def __init__(self, key: str, space: spaces.Discrete | spaces.MultiDiscrete) -> None:
        super().__init__(key, space)
        counts = space.n if isinstance(space, spaces.Discrete) else space.nvec
        self.start, self.counts = np.ravel(space.start), np.ravel(counts)
        self.field = Field((int(self.counts.sum()),))
        self._offsets = np.cumsum(self.counts) - self.counts

    def read(self, value: Any, rows: tuple[int, ...] = ()) -> np.ndarray:
        """See `Reader`; a single choice may come as an array of shape (1,)."""
        shape = self.space.shape or ()
        array = self.array(value, rows, shape, shape or (1,))
        parts = array.reshape(-1, len(self.counts))  # (n, parts)
        chosen = parts.astype(np.int64) - self.start
        wrong = (chosen < 0) | (chosen >= self.counts) | (chosen + self.start != parts)
        if wrong.any():
            row = first_row(wrong, 1)
            part = int(np.flatnonzero(wrong[row])[0])
            first = int(self.start[part])
            last = first + int(self.counts[part]) - 1
            given = parts[row, part].item()
            raise SpaceError(f"{self.key} is {given}; {self.declared} is {first} to {last}", row)
        stored = np.zeros((len(parts), *self.field.shape), np.float32)
        np.put_along_axis(stored, chosen + self._offsets, 1.0, 1)
        return stored.reshape(*rows, *self.field.shape)

    def original(self, stored: np.ndarray) -> np.ndarray:
        """See `Reader`."""
        parts = np.split(stored, self._offsets[1:], -1)
        chosen = np.stack([part.argmax(-1) for part in parts], -1) + self.start
        return chosen.reshape(len(stored), *(self.space.shape or ())).astype(self.space.dtype)


class MultiBinaryReader(Reader):
    """Zeros and ones, as numbers."""

    def __init__(self, key: str, space: spaces.MultiBinary) -> None:
        super().__init__(key, space)
        self.field = Field(tuple(space.shape))

    def read(self, value: Any, rows: tuple[int, ...] = ()) -> np.ndarray:
        """See `Reader`."""
        array = self.array(value, rows, self.field.shape)
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            row = first_row(wrong, len(rows))
            raise SpaceError(f"{self.key} has {array[wrong][0]}; {self.declared} is 0 or 1", row)
        return array.astype(np.float32)

    def original(self, stored: np.ndarray) -> np.ndarray:
        """See `Reader`."""
        return stored.astype(self.space.dtype)


def leaves(space: gymnasium.Space, path: Path = ()) -> Iterator[tuple[Path, gymnasium.Space]]:
    """The parts of a space that hold values, each with its path; Dict and Tuple are taken apart."""
    if isinstance(space, spaces.Dict):
        parts: Any = space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        parts = enumerate(space.spaces)
    else:
        yield path, space
        return
    for key, part in parts:
        yield from leaves(part, (*path, key))


def key_of(path: Path) -> str:
    """The name under which a part is stored; a plain space is the key `observation`."""
    return "/".join(map(str, path)) or "observation"


def part_of(observation: Any, path: Path) -> Any:
    """The part of an observation at a path. Raises SpaceError where it is not there."""
    part = observation
    for key in path:
        try:
            part = part[key]
        except (KeyError, IndexError, TypeError) as error:
            given = shortened(observation)
            raise SpaceError(f"the observation has no {key_of(path)!r}: {given}") from error
    return part


def reader_of(key: str, space: gymnasium.Space) -> Reader:
    """What reads the values of a space. Raises ValueError for one that is not served."""
    if isinstance(space, spaces.Box):
        return BoxReader(key, space)
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return DiscreteReader(key, space)
    if isinstance(space, spaces.MultiBinary):
        return MultiBinaryReader(key, space)
    raise ValueError(
        f"observation {key!r} is a {type(space).__name__} space; offpcc reads Box, Discrete, "
        "MultiDiscrete, MultiBinary, and Dict and Tuple of these: leave it out, or turn it into "
        "numbers, with gymnasium.wrappers.TransformObservation"
    )


def readers_of(parts: Mapping[Path, gymnasium.Space]) -> dict[Path, Reader]:
    """A reader for each part by path. Raises ValueError for two that would have one name."""
    readers = {path: reader_of(key_of(path), space) for path, space in parts.items()}
    names = Counter(reader.key for reader in readers.values())
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(
            f"parts of the observation have one name, {twice[0]!r}, the names on the way to a "
            "part being joined by '/'; rename a key"
        )
    return readers


def nested(parts: Mapping[Path, Any], space: gymnasium.Space, path: Path = ()) -> Any:
    """A whole observation of a space from its parts by path."""
    if isinstance(space, spaces.Dict):
        return {k: nested(parts, part, (*path, k)) for k, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(nested(parts, part, (*path, i)) for i, part in enumerate(space.spaces))
    return parts[path]
