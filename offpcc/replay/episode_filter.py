"""Episode filters: which episodes are learned from."""

from offpcc.config.ranges import PositiveInt, checked
from offpcc.data import Episode


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
