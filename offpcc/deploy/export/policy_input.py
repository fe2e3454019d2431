"""PolicyInput: what an exported policy reads, in the environment's own shape, type and units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.envs.action_mask import MaskReader
from offpcc.envs.spaces import (
    BoxReader,
    DiscreteReader,
    MultiBinaryReader,
    Path,
    PictureStack,
    Reader,
)

Read = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PolicyInput:
    """One input, whose values are (n, *shape).

    name: in the file. key: under which an agent reads it. path: to it in the environment's
    observation; None: it comes beside the observation. low, high: bounds (*shape), or numbers.
    read: from values to what the agent's normaliser takes, {key: (n, …)}.
    """

    name: str
    key: str
    path: Path | None
    shape: tuple[int, ...]
    dtype: np.dtype
    low: Any
    high: Any
    read: Read
    is_mask: bool = False

    def zeros(self, rows: int = 1) -> Tensor:
        """Values (rows, *shape) that stand for some, to trace with."""
        return torch.from_numpy(np.zeros((rows, *self.shape), self.dtype))


def observed(name: str, path: Path, reader: Reader) -> PolicyInput:
    """The input of a part of the environment's observation."""
    shape = tuple(reader.space.shape or ())
    kind: dict[str, Any] = {"name": name, "key": reader.key, "path": path, "shape": shape}
    kind["dtype"] = np.dtype(reader.space.dtype)
    if isinstance(reader, BoxReader):
        low, high = reader.space.low, reader.space.high
        return PolicyInput(**kind, low=low, high=high, read=_box(reader))
    if isinstance(reader, DiscreteReader):
        first = reader.start.reshape(shape)
        last = first + reader.counts.reshape(shape) - 1
        return PolicyInput(**kind, low=first, high=last, read=_one_hot(reader))
    if isinstance(reader, MultiBinaryReader):
        return PolicyInput(**kind, low=0, high=1, read=lambda values: values.float())
    raise TypeError(f"{type(reader).__name__} has no counterpart in an exported policy")


def masking(name: str, key: str, path: Path | None, reader: MaskReader) -> PolicyInput:
    """The input of an action mask, a part of the observation or beside it."""
    size, dtype = reader.field.shape, np.dtype(bool)
    shape = size
    if reader.space is not None:
        shape, dtype = tuple(reader.space.shape or ()), np.dtype(str(reader.space.dtype))

    def read(values: Tensor) -> Tensor:
        return values.reshape(values.shape[0], *size) != 0

    return PolicyInput(name, key, path, shape, dtype, 0, 1, read, is_mask=True)


def _box(reader: BoxReader) -> Read:
    stored = getattr(torch, reader.field.dtype)

    def read(values: Tensor) -> Tensor:
        values = values.to(stored)
        values = _flat(values, reader.stack) if reader.stack else values
        return values.reshape(values.shape[0], *reader.field.shape)

    return read


def _flat(pictures: Tensor, stack: PictureStack) -> Tensor:
    """See `PictureStack.flat`."""
    pictures = pictures.reshape(pictures.shape[0], stack.count, *stack.one)
    return pictures.movedim(1, -2) if stack.channels_last else pictures


def _one_hot(reader: DiscreteReader) -> Read:
    start = torch.from_numpy(reader.start.astype(np.int64))
    counts = [int(count) for count in reader.counts]

    def read(values: Tensor) -> Tensor:
        chosen = values.reshape(values.shape[0], -1).long() - start  # (n, parts)
        parts = zip(chosen.split(1, 1), counts, strict=True)
        return torch.cat([(part == torch.arange(count)).float() for part, count in parts], 1)

    return read
