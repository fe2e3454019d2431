"""Episode filters: which episodes are learned from."""

from collections.abc import Callable, Iterable
from typing import Any

from offpcc.config.ranges import PositiveInt, checked
from offpcc.data import Episode, joined
from offpcc.replay.batch import episode_as_tensors, episode_from_tensors


@checked
def threshold_filter(
    episode: Episode,
    *,
    min_length: PositiveInt = 1,
    min_return: float | None = None,
    success: bool = False,
) -> bool:
    """Whether an episode is long enough, has earned enough, and, if asked, was a success.

    episode: a whole one, or its last segment. min_length: steps. min_return: undiscounted; None:
    any. success: whether only those count of which the environment says so.
    """
    length = episode.steps_before + len(episode)
    total = episode.reward_before + float(episode.reward.sum())
    good = min_return is None or total >= min_return
    return length >= min_length and good and (bool(episode.success) or not success)


class FilteredEpisodes:
    """Episodes that wait, segment by segment, until they are over and can be asked about."""

    def __init__(self, accept: Callable[[Episode], bool]) -> None:
        self.accept, self.refused = accept, 0
        self._waiting: dict[int, list[Episode]] = {}  # segments, by env_index

    def add(self, segment: Episode) -> Iterable[Episode]:
        """Takes a segment; gives the whole episode if this was its last one and it is accepted."""
        self._waiting.setdefault(segment.env_index, []).append(segment)
        if not segment.ended:
            return
        episode = joined(self._waiting.pop(segment.env_index))
        if self.accept(episode):
            yield episode
        else:
            self.refused += 1

    def state_dict(self) -> dict[str, Any]:
        """What waits, and how many were refused."""
        segments = (segment for parts in self._waiting.values() for segment in parts)
        return {
            "waiting": [episode_as_tensors(segment) for segment in segments],
            "refused": self.refused,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        for segment in map(episode_from_tensors, state["waiting"]):
            self._waiting.setdefault(segment.env_index, []).append(segment)
        self.refused = state["refused"]
