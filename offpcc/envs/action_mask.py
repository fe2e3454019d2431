"""Action masks: which choices an environment allows, read in the forms that the field has."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from offpcc.data import Field
from offpcc.envs.actions import Choices
from offpcc.envs.values import SpaceError, first_row, numbers


class MaskReader:
    """Reads the legal choices (A,) of an action, the parts of an action behind each other.

    Forms: an array (A,), as sb3-contrib's `action_masks()` gives it; a tuple of an array for each
    part of a MultiDiscrete action, or, of a MultiBinary one, 0, 1 and 2 for 0 alone, 1 alone and
    either, as gymnasium's `sample(mask)` takes them. Entries are 0 or 1, of any type.

    name: what errors call it. shape: that of the array, where it is a part of the observation.
    Raises ValueError for a part of another size.
    """

    def __init__(self, actions: Choices, name: str, space: spaces.Space | None = None) -> None:
        self.choices, self.name, self.space = actions.choices, name, space
        self.field = Field((actions.size,), "bool")
        self._shape = self.field.shape if space is None else (space.shape or ())
        self._binary = (
            actions.space.shape if isinstance(actions.space, spaces.MultiBinary) else None
        )
        if int(np.prod(self._shape)) != actions.size:
            raise ValueError(
                f"the action mask {name} is {space}; the actions {actions.space} need "
                f"{self._expected()}: name another key in make_env.action_mask_key, or None to "
                "choose without a mask"
            )

    def read(self, given: Any, rows: tuple[int, ...] = (), over: Any = False) -> np.ndarray:
        """The legal choices (*rows, A), bool, of a mask, or of a batch of `rows` masks.

        given: None where there is none. over (*rows): where an episode has truly ended. Nothing is
        chosen there, so that a mask that is missing, or allows nothing, counts as all choices.
        Raises SpaceError for a mask of another shape, and for one that is missing, or allows
        nothing, where the episode goes on.
        """
        over = np.broadcast_to(np.asarray(over, bool), rows)
        if given is None:
            if not over.all():
                row = first_row(~over, len(rows))
                raise SpaceError(f"{self.name} is missing; it was there at the first reset", row)
            return np.ones((*rows, *self.field.shape), bool)
        legal = self._entries(given, rows)
        blocked = [~part.any(-1) for part in np.split(legal, np.cumsum(self.choices)[:-1], -1)]
        nothing = np.any(blocked, 0)
        if (nothing & ~over).any():
            row = first_row(nothing & ~over, len(rows))
            part = int(np.flatnonzero([each.reshape(-1)[row] for each in blocked])[0])
            where = f" for part {part} of the action" if len(self.choices) > 1 else ""
            raise SpaceError(f"{self.name} allows no choice{where}", row)
        legal[nothing] = True
        return legal

    def check(self, given: Any) -> None:
        """Raises ValueError for what is no mask of these actions, whatever it allows."""
        self._entries(given, ())

    def original(self, stored: np.ndarray) -> np.ndarray:
        """The parts (L, …) of observations that masks (L, A) were read from."""
        assert self.space is not None
        return stored.reshape(len(stored), *self._shape).astype(self.space.dtype)

    def _entries(self, given: Any, rows: tuple[int, ...]) -> np.ndarray:
        """All parts end to end (*rows, A), a new array of bool. Raises SpaceError."""
        arrays = [numbers(self.name, part) for part in _flat(given)]
        shapes = [array.shape for array in arrays]
        if self._binary is not None and _whole(arrays) and shapes == [(*rows, *self._binary)]:
            self._check(arrays[0], rows, 2)
            either = np.stack([arrays[0] != 1, arrays[0] != 0], -1)
            return either.reshape(*rows, -1)
        parts = [(*rows, count) for count in self.choices]
        if shapes not in ([(*rows, *self._shape)], parts):
            found = [shape[len(rows) :] for shape in shapes]
            given = f"the shape {found[0]}" if len(found) == 1 else f"parts of the shapes {found}"
            raise SpaceError(f"{self.name} has {given}, not {self._expected()}")
        for array in arrays:
            self._check(array, rows, 1)
        return np.concatenate([array.reshape(*rows, -1) != 0 for array in arrays], -1)

    def _check(self, array: np.ndarray, rows: tuple[int, ...], most: int) -> None:
        """Raises SpaceError for entries that are not whole numbers from 0 to `most`."""
        wrong = ~np.isin(array, range(most + 1))
        if wrong.any():
            known = "0, 1 or 2" if most == 2 else "0 or 1"
            row = first_row(wrong, len(rows))
            raise SpaceError(f"{self.name} has {array[wrong][0]}; an entry is {known}", row)

    def _expected(self) -> str:
        """The shapes that there are."""
        if len(self.choices) == 1:
            return f"({self.field.size},)"
        return f"({self.field.size},), or a tuple of {' and '.join(map(str, self.choices))} entries"


def _flat(given: Any) -> Iterator[Any]:
    """The arrays of a tuple of them, however it is nested; or the one array."""
    if isinstance(given, tuple):
        for part in given:
            yield from _flat(part)
    else:
        yield given


def _whole(arrays: list[np.ndarray]) -> bool:
    """Whether it is of whole numbers, and not of truth values."""
    return arrays[0].dtype.kind in "iu"
