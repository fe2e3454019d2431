"""Batches: windows of episodes as tensors, for an update."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from offpcc.data import ACTION_MASK, Episode, Observation


def action_mask_of(observation: Mapping[str, Tensor]) -> Tensor | None:
    """The legal choices (…, A), bool, of observations {key: (…, ·)}; None where all are.

    A key of numbers that happens to have the name is something to see, and no mask.
    """
    mask = observation.get(ACTION_MASK)
    return mask if mask is not None and mask.dtype == torch.bool else None


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

    @property
    def action_mask(self) -> Tensor | None:
        """The legal choices (B, T+1, A) at the window's observations; None where all are."""
        mask = action_mask_of(self.observation)
        return None if mask is None else mask[:, int(self.burn_in.max()) :]

    def real_observation(self, keys: Iterable[str]) -> Observation:
        """The observations {key: (N, …)} before each of the N real steps, as arrays."""
        real = self.mask.bool()
        columns = slice(-real.shape[1] - 1, -1)  # the burn-in comes before, the last one after
        return {key: self.observation[key][:, columns][real].cpu().numpy() for key in keys}

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


def episode_as_tensors(episode: Episode) -> dict[str, Any]:
    """An episode as tensors and plain containers, for a checkpoint."""
    return {name: _change(value, torch.from_numpy) for name, value in vars(episode).items()}


def episode_from_tensors(plain: Mapping[str, Any]) -> Episode:
    """The episode that `episode_as_tensors` laid out."""
    return Episode(**{name: _change(value, Tensor.numpy) for name, value in plain.items()})


def _change(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value, or each of a mapping's, changed if it is an array or a tensor."""
    if isinstance(value, dict):
        return {name: _change(part, change) for name, part in value.items()}
    return change(value) if isinstance(value, (np.ndarray, Tensor)) else value
