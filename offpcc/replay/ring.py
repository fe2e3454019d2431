"""Rings of rows: flat arrays in which the oldest rows make room for the newest."""

from collections.abc import Mapping

import numpy as np

from offpcc.data import Field


class Ring:
    """Named arrays (rows, …) written round and round.

    Rows are known by the number of rows written before them, ever; where they lie is that number
    modulo the ring's size.
    """

    def __init__(self, fields: Mapping[str, Field], rows: int) -> None:
        self.rows, self.written, self.live = max(rows, 1), 0, 0
        # Zeros come from pages that the system hands out when they are first written to.
        self.arrays = {k: np.zeros((self.rows, *f.shape), f.dtype) for k, f in fields.items()}

    def append(self, values: Mapping[str, np.ndarray], count: int) -> int:
        """Writes count rows {name: (count, …)} behind the newest; gives the first one's number."""
        if self.live + count > self.rows:
            self._grow(self.live + count)
        start = self.written
        index = np.arange(start, start + count) % self.rows
        for name, array in self.arrays.items():
            array[index] = values[name]
        self.written += count
        self.live += count
        return start

    def free(self, count: int) -> None:
        """Forgets the oldest rows, this many."""
        self.live -= count

    def take(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of the rows with these numbers (…): {name: (…, …)}."""
        index = numbers % self.rows
        return {name: array.take(index, 0) for name, array in self.arrays.items()}

    def _grow(self, needed: int) -> None:
        """Room for this many rows, and an eighth more."""
        numbers = np.arange(self.written - self.live, self.written)
        rows = max(needed, self.rows + self.rows // 8)
        for name, array in self.arrays.items():
            larger = np.zeros((rows, *array.shape[1:]), array.dtype)
            larger[numbers % rows] = array[numbers % self.rows]
            self.arrays[name] = larger
        self.rows = rows
