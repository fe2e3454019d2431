"""Replay: what the experience is; it decides what is learned from, and how often."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from offpcc.data import Episode
from offpcc.replay.batch import Batch


class Replay(ABC):
    """Takes what was played and yields the batches that new steps of the environment are worth."""

    @abstractmethod
    def add(self, episode: Episode) -> None:
        """Takes in an episode, or a segment of one: see `Episode`."""

    @abstractmethod
    def batches(self, steps: int) -> Iterator[Batch]:
        """The batches owed for this many new environment steps."""

    @property
    @abstractmethod
    def lack(self) -> str:
        """What was missing, in words, where nothing was owed."""

    def update_priorities(self, batch: Batch, td_error: Tensor) -> None:
        """Takes the critic's errors |δ| (B, T) on the last batch."""
        return  # unless draws go by them

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Counters, generators, and what is under way, but no episode that is over."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave, once the chunks are in."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory that it takes once it is full, bytes."""

    @property
    @abstractmethod
    def episodes(self) -> range:
        """The numbers of the stored episodes that are over, counted from the run's first."""

    @abstractmethod
    def chunk(self, since: int) -> dict[str, Tensor]:
        """Those with number `since` and later, end to end, for a checkpoint."""

    @abstractmethod
    def extend(self, chunk: dict[str, Tensor]) -> None:
        """Adds the episodes of a chunk, in their order."""
