"""What passes between parts: the environment's shape, a finished episode, a batch of windows.

The shape letters, used everywhere: B batch, T steps, L episode length, A action size, X input size,
S state size, F feature size, N critic heads, K atoms per head.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from offpcc.agent_spec import OWN_PAST, PRIVILEGED, AgentSpec, Field, Observation

__all__ = [
    "OWN_PAST",
    "PRIVILEGED",
    "AgentSpec",
    "Batch",
    "Episode",
    "Field",
    "Observation",
]


@dataclass(frozen=True)
class Episode:
    """L steps of one episode: all of it, or a segment of one in progress.

    The last observation is its own, never the next one's first. terminated: the environment ended
    it, so nothing follows; otherwise a time limit cut it, or it goes on later (not ended).
    state: the acting memory *before* each step.
    """

    observation: Observation  # {key: (L+1, …)}
    action: np.ndarray  # (L, A)
    reward: np.ndarray  # (L,)
    terminated: bool
    state: np.ndarray  # (L, S)
    log_prob: np.ndarray | None = None  # (L,), of the actions, where the agent gives it
    success: bool | None = None  # where the environment says
    reward_terms: dict[str, float] = field(default_factory=dict)  # sums, if the environment says
    ended: bool = True  # False: cut while in progress
    env_index: int = 0  # which copy of the environment played it
    steps_before: int = 0  # in earlier segments
    reward_before: float = 0.0  # their sum

    def __len__(self) -> int:
        return len(self.reward)

    def as_tensors(self) -> dict[str, Any]:
        """Tensors and plain containers, for a checkpoint."""
        return {name: _change(value, torch.from_numpy) for name, value in vars(self).items()}

    @classmethod
    def from_tensors(cls, plain: Mapping[str, Any]) -> "Episode":
        """The episode that `as_tensors` laid out."""
        return cls(**{name: _change(value, Tensor.numpy) for name, value in plain.items()})


def joined(segments: Sequence[Episode]) -> Episode:
    """The episode that these segments are, one behind the other; without log π."""
    first, last = segments[0], segments[-1]
    shown = {
        key: [*(segment.observation[key][:-1] for segment in segments), values[-1:]]
        for key, values in last.observation.items()
    }
    return replace(
        last,
        observation={key: np.concatenate(parts) for key, parts in shown.items()},
        action=np.concatenate([segment.action for segment in segments]),
        reward=np.concatenate([segment.reward for segment in segments]),
        state=np.concatenate([segment.state for segment in segments]),
        log_prob=None,
        steps_before=first.steps_before,
        reward_before=first.reward_before,
    )


def _change(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value, or each of a mapping's, changed if it is an array or a tensor."""
    if isinstance(value, dict):
        return {name: _change(part, change) for name, part in value.items()}
    return change(value) if isinstance(value, (np.ndarray, Tensor)) else value


@dataclass(frozen=True)
class Batch:
    """B windows of T steps, padded on the right, and the W steps before them that warm the memory.

    Row i's memory starts from state[i] and first reads the observations in columns
    0 … burn_in[i]-1; its window is columns W … W+T, W being the largest burn_in.
    """

    observation: dict[str, Tensor]  # {key: (B, W+T+1, …)}
    action: Tensor  # (B, T, A)
    reward: Tensor  # (B, T)
    terminated: Tensor  # (B, T), 1 at a true end
    mask: Tensor  # (B, T), 1 at a real step
    state: Tensor  # (B, S)
    burn_in: Tensor  # (B,) int64, on the CPU
    weight: Tensor | None = None  # (B, T), of each step's loss, where draws go by priority

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors (but `burn_in`) on a device."""
        return replace(self._each(lambda part: part.to(device)), burn_in=self.burn_in)

    def rows(self, index: Tensor) -> Self:
        """The windows with these numbers."""
        chosen = self.burn_in[index.cpu()]
        return replace(self._each(lambda part: part[index.to(part.device)]), burn_in=chosen)

    def split(self, rows: int) -> Iterator[Self]:
        """The windows in their order, this many at a time."""
        for start in range(0, len(self.mask), rows):
            yield self._each(itemgetter(slice(start, start + rows)))

    def real_observation(self) -> Observation:
        """The observations {key: (N, …)} before each of the N real steps, as arrays."""
        real = self.mask.bool()
        columns = slice(-real.shape[1] - 1, -1)  # the burn-in comes before, the last one after
        return {k: v[:, columns][real].cpu().numpy() for k, v in self.observation.items()}

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A batch of every tensor's change."""
        parts: dict[str, Any] = dict(vars(self))
        for name, part in parts.items():
            if isinstance(part, dict):
                parts[name] = {key: change(values) for key, values in part.items()}
            elif part is not None:
                parts[name] = change(part)
        return type(self)(**parts)


@dataclass(frozen=True, kw_only=True)
class RolloutBatch(Batch):
    """A whole rollout: windows in the order of their steps, those of a segment end to end."""

    log_prob: Tensor  # (B, T), of the actions when they were played
    segment_end: Tensor  # (B, T), 1 at the last step of an episode, or of what there is of it
    discounted_return: Tensor  # (B, T), Σ γ^k r_{t-k} of the episode so far
