"""Rollout: the newest experience, learned from by the policy that collected it, then dropped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from offpcc.config.ranges import PositiveInt, UnitFloat, check_fields
from offpcc.data import AgentSpec, Episode
from offpcc.replay.base import Replay
from offpcc.replay.batch import RolloutBatch, episode_as_tensors, episode_from_tensors


@dataclass
class Rollout(Replay):
    """Collects `rollout_steps` steps of every copy, and yields all of them as one batch of windows.

    A window starts from the acting state that was stored there, and a segment's windows follow
    each other.

    Raises ValueError for settings that cannot work.
    """

    spec: AgentSpec
    state_size: int = 0  # S of the states that segments bring along
    _: KW_ONLY
    rollout_steps: PositiveInt = 2_048  # of every copy, in a rollout
    num_envs: PositiveInt = 1
    sequence_length: PositiveInt | None = 1  # T, steps of a window; None: whole segments
    discount: UnitFloat = 0.99  # γ of the sums
    episode_filter: Callable[[Episode], bool] | None = None  # of an episode's last segment
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        self._held: list[Episode] = []
        self._sums = [0.0] * self.num_envs  # each copy's discounted sum so far

    def add(self, episode: Episode) -> None:
        """Takes one segment in, or the rest of an episode."""
        self._held.append(episode)

    def batches(self, steps: int) -> Iterator[RolloutBatch]:
        """One batch when the rollout is complete."""
        if sum(map(len, self._held)) < self.rollout_steps * self.num_envs:
            return
        segments, self._held = self._held, []
        sums = [self._discounted(segment) for segment in segments]
        chosen = [
            (segment, sum_)
            for segment, sum_ in zip(segments, sums, strict=True)
            if not (segment.ended and self.episode_filter) or self.episode_filter(segment)
        ]
        if chosen:
            yield self._windows(*zip(*chosen, strict=True))

    @property
    def lack(self) -> str:
        """See `Replay`."""
        return f"a rollout is {self.rollout_steps:_} steps of each copy (rollout_steps)"

    def _discounted(self, segment: Episode) -> np.ndarray:
        """Σ γ^k r_{t-k} (L,) of an episode so far, going on where the copy's last segment ended."""
        total = self._sums[segment.env_index] if segment.steps_before else 0.0
        sums = np.empty(len(segment), np.float32)
        for step, reward in enumerate(segment.reward.tolist()):
            sums[step] = total = self.discount * total + reward
        self._sums[segment.env_index] = total
        return sums

    def _windows(self, segments: Sequence[Episode], sums: Sequence[np.ndarray]) -> RolloutBatch:
        """All windows of the segments, in the order of their steps."""
        lengths = np.array([len(segment) for segment in segments])
        width = min(self.sequence_length or lengths.max(), lengths.max())
        windows = -(-lengths // width)  # of each segment
        owner = np.repeat(np.arange(len(segments)), windows)
        first = width * (np.arange(len(owner)) - np.repeat(windows.cumsum() - windows, windows))
        length, start = lengths[owner, None], (lengths.cumsum() - lengths)[owner, None]
        column = first[:, None] + np.arange(width + 1)
        step = start + np.minimum(column[:, :-1], length - 1)
        seen = start + owner[:, None] + np.minimum(column, length)  # one more a segment before it
        mask = column[:, :-1] < length
        last = (column[:, :-1] == length - 1).astype(np.float32)
        ended = np.array([segment.terminated for segment in segments], np.float32)

        def joined(values: Sequence[np.ndarray], index: np.ndarray) -> Tensor:
            return torch.from_numpy(np.concatenate(values)[index])

        return RolloutBatch(
            observation={
                key: joined([segment.observation[key] for segment in segments], seen)
                for key in self.spec.observation
            },
            action=joined([segment.action for segment in segments], step),
            reward=joined([segment.reward for segment in segments], step),
            terminated=torch.from_numpy(last * ended[owner, None]),
            mask=torch.from_numpy(mask.astype(np.float32)),
            state=joined([segment.state for segment in segments], step[:, 0]),
            burn_in=torch.zeros(len(owner), dtype=torch.int64),
            log_prob=joined([cast(np.ndarray, s.log_prob) for s in segments], step),
            segment_end=torch.from_numpy(last),
            discounted_return=joined(sums, step),
        )

    @property
    def nbytes(self) -> int:
        """Memory of a complete rollout, bytes."""
        seen = sum(f.size * np.dtype(f.dtype).itemsize for f in self.spec.observation.values())
        return (
            self.rollout_steps
            * self.num_envs
            * (seen + 4 * (self.spec.action + self.state_size + 4))
        )

    @property
    def episodes(self) -> range:
        """None are kept beyond the rollout under way, which `state_dict` holds."""
        return range(0)

    def chunk(self, since: int) -> dict[str, Tensor]:
        """Nothing: see `episodes`."""
        return {}

    def extend(self, chunk: dict[str, Tensor]) -> None:
        """Nothing: see `episodes`."""

    def state_dict(self) -> dict[str, Any]:
        """The rollout under way."""
        return {
            "held": [episode_as_tensors(segment) for segment in self._held],
            "sums": list(self._sums),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._held = [episode_from_tensors(plain) for plain in state["held"]]
        self._sums = list(state["sums"])
