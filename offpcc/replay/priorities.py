"""Priorities: places drawn in proportion to how wrong the critic was about them, by a sum tree.

Prioritised replay (Schaul et al., 2015, 1511.05952) of sequences, as R2D2 mixes their errors
(Kapturowski et al., 2019).
"""

from typing import Any

import numpy as np
import torch

LEAST = 1e-6  # of an error, so that nothing is never drawn again


class Priorities:
    """A queue of places, numbered from the first ever, each with a priority p^α.

    exponent: α; importance: β of the weights (P n)^-β; mix: η of the largest error of a row, the
    rest being their mean's. New places are as urgent as the most urgent so far.
    """

    def __init__(self, exponent: float, importance: float, mix: float) -> None:
        self.exponent, self.importance, self.mix = exponent, importance, mix
        self.first, self.last = 0, 0  # live places
        self.most = 1.0
        self._offset = 0  # of the leaf of place 0
        self._tree = np.zeros(2 * 64)  # node i is the sum of 2 i and 2 i + 1; 1 is that of all

    def __len__(self) -> int:
        """How many places are live."""
        return self.last - self.first

    def append(self, count: int) -> None:
        """Adds places."""
        size = len(self._leaves)
        if len(self) + count > size:
            self._grow(1 << (len(self) + count - 1).bit_length())
        self.last += count
        self._set(np.arange(self.last - count, self.last), np.full(count, self.most))

    def drop(self, count: int) -> None:
        """Forgets the oldest places."""
        self._set(np.arange(self.first, self.first + count), np.zeros(count))
        self.first += count

    def draw(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Places (count,) with probabilities p^α / Σ p^α, one of each of `count` equal parts."""
        total = self._tree[1]
        mass = (np.arange(count) + random.random(count)) / count * total
        node = np.ones(count, np.int64)
        while node[0] < len(self._leaves):
            left = 2 * node
            right = (mass >= self._tree[left]) & (self._tree[left + 1] > 0)
            mass = np.where(right, mass - self._tree[left], mass)
            node = left + right
        place = (node - len(self._leaves) - self._offset - self.first) % len(self._leaves)
        return place + self.first

    def weights(self, place: np.ndarray) -> np.ndarray:
        """How much a drawn place (B,) counts: (P n)^-β, over the largest of these."""
        share = self._leaves[self._leaf(place)] / self._tree[1]
        weight = (share * len(self)) ** -self.importance
        return (weight / weight.max()).astype(np.float32)

    def update(self, place: np.ndarray, errors: np.ndarray, mask: np.ndarray) -> None:
        """Takes the errors |δ| (B, T) of rows that were drawn at these places (B,)."""
        errors = np.where(mask > 0, np.abs(errors), 0.0)
        known = np.isfinite(errors).all(1)  # else the update was left out
        errors[~known] = 0.0
        mean = errors.sum(1) / mask.sum(1).clip(1)
        urgent = (self.mix * errors.max(1) + (1 - self.mix) * mean + LEAST) ** self.exponent
        urgent[~known] = self.most
        self.most = max(self.most, float(urgent.max()))
        self._set(place, urgent)

    def state_dict(self) -> dict[str, Any]:
        """Every live priority, and where in the tree it lies, for sums depend on that."""
        live = self._leaves[self._leaf(np.arange(self.first, self.last))]
        facts = {"size": len(self._leaves), "most": self.most, "leaf": int(self._leaf(self.first))}
        return facts | {"live": torch.from_numpy(live.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`; the places are there already, under whatever numbers."""
        self._tree = np.zeros(2 * state["size"])
        self._offset, self.most = state["leaf"] - self.first, state["most"]
        self._set(np.arange(self.first, self.last), state["live"].numpy())

    @property
    def _leaves(self) -> np.ndarray:
        """The lower half of the tree, a ring of places."""
        return self._tree[len(self._tree) // 2 :]

    def _leaf(self, place: Any) -> Any:
        return (place + self._offset) % len(self._leaves)

    def _set(self, place: np.ndarray, priority: np.ndarray) -> None:
        """Writes leaves, and the sums above them."""
        node = self._leaf(place) + len(self._leaves)
        self._tree[node] = priority
        while len(node) and node[0] > 1:
            node = np.unique(node // 2)
            self._tree[node] = self._tree[2 * node] + self._tree[2 * node + 1]

    def _grow(self, size: int) -> None:
        """A tree of this many leaves, a power of 2."""
        live = np.arange(self.first, self.last)
        known = self._leaves[self._leaf(live)]
        self._tree = np.zeros(2 * size)
        self._set(live, known)
