"""ObservationView: what turns an environment's observation into what the agent sees."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

Rows = NDArray[Any]  # (n, ·): a copy a row
Flags = NDArray[np.bool_]  # (n,)
Randoms = Sequence[np.random.Generator]  # n: a copy's own


class ObservationView(ABC):
    """One step from what an environment tells to what is shown."""

    space: Box  # of what is shown, for one copy

    @abstractmethod
    def begin(self, observation: Rows, fresh: Flags, randoms: Randoms) -> Rows:
        """Return what is shown of (n, X) when the copies at `fresh` (n,) begin an episode.

        A view with chance spawns from `randoms` (n), and so takes no number of an environment's.
        """

    @abstractmethod
    def follow(self, observation: Rows, action: Rows) -> Rows:
        """Return what is shown of (n, X) after the actions (n, A)."""


def box_like(box: Box, low: Rows, high: Rows) -> Box:
    """Return a box of other bounds in the dtype of `box`."""
    return Box(low, high, dtype=box.dtype.type)


def flat_box(space: gymnasium.Space[Any], what: str) -> Box:
    """Return the space if it is a Box of shape (size,); raises TypeError if it is not."""
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise TypeError(f"a view needs {what} from a Box of shape (size,), not from {space}")
    return space


def entries(box: Box, indices: Sequence[int], what: str) -> NDArray[np.intp]:
    """Return indices of entries; raises ValueError if there are none, doubles or absent ones."""
    size = box.shape[0]
    if not indices or len(set(indices)) < len(indices) or not set(indices) <= {*range(size)}:
        raise ValueError(f"{what} needs different indices from 0 to {size - 1}, not {indices}")
    return np.array(indices, dtype=np.intp)


def with_zero_at(box: Box, indices: Any) -> Box:
    """Return the box, wide enough for a zero in the entries at `indices`."""
    low, high = box.low.copy(), box.high.copy()
    low[indices] = np.minimum(low[indices], 0)
    high[indices] = np.maximum(high[indices], 0)
    return box_like(box, low, high)
