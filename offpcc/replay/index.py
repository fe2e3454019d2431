"""Table: a queue of episodes with named integer columns, from which rows are drawn by weight."""

import numpy as np


class Table:
    """Rows in the order they came; the oldest leave. A row is drawn as often as its `weight`."""

    def __init__(self, *columns: str) -> None:
        self._columns = {name: np.zeros(64, np.int64) for name in (*columns, "cumulative")}
        self._first, self._last = 0, 0  # the live rows of the arrays
        self._dropped = 0  # rows that have left, ever
        self._total = 0  # of all weights, ever

    def __getitem__(self, column: str) -> np.ndarray:
        """The live rows of a column, oldest first."""
        return self._columns[column][self._first : self._last]

    @property
    def live(self) -> range:
        """The live rows' numbers, counted from the first row ever."""
        return range(self._dropped, self._dropped + self._last - self._first)

    def number_from(self, first: int) -> None:
        """Gives the oldest live row this number: after a restore, fewer came than ever did."""
        self._dropped = first

    def append(self, **values: int) -> None:
        """Adds a row."""
        if self._last == len(self._columns["cumulative"]):
            self._make_room()
        self._total += values["weight"]
        for name, value in (values | {"cumulative": self._total}).items():
            self._columns[name][self._last] = value
        self._last += 1

    def add_to_newest(self, terminated: int, length: int, weight: int) -> None:
        """Lengthens the newest row's episode, which may end with that."""
        newest = self._last - 1
        self._total += weight
        self._columns["terminated"][newest] = terminated
        self._columns["length"][newest] += length
        self._columns["weight"][newest] += weight
        self._columns["cumulative"][newest] = self._total

    def drop_oldest(self) -> None:
        """Forgets the oldest row."""
        self._first += 1
        self._dropped += 1

    def draw(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Places (count,) of live rows, a row having as many as its weight, all alike."""
        low = self["cumulative"][0] - self["weight"][0]
        return low + random.integers(self["cumulative"][-1] - low, size=count)

    def rows(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The live rows that places (B,) are of, and where in them: 0 … weight-1."""
        cumulative = self["cumulative"]
        row = cumulative.searchsorted(place, side="right")
        return row, place - (cumulative[row] - self["weight"][row])

    def _make_room(self) -> None:
        """Moves the live rows to the front of arrays twice as long as they are many."""
        size = max(64, 2 * (self._last - self._first))
        for name, old in self._columns.items():
            live = old[self._first : self._last]
            self._columns[name] = np.concatenate((live, np.zeros(size - len(live), np.int64)))
        self._first, self._last = 0, self._last - self._first
