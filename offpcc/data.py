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

Observation = dict[str, np.ndarray]

PRIVILEGED = "privileged"  # the key of what critics may know, and actors may not
ACTION_MASK = "action_mask"  # the key of what may be chosen, where the environment says so
OWN_PAST = (
    "previous_action",
    "previous_reward",
)  # keys that tell the agent's past, not the environment


@dataclass(frozen=True)
class Field:
    """Shape and type of one observation key: float32 numbers, uint8 pixels, a bool action mask."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """How many numbers one observation of this key holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def plane(self) -> tuple[int, int]:
        """A picture's height and width, as axes from the end; channels last if they are fewer."""
        return (-3, -2) if len(self.shape) == 3 and self.shape[-1] < self.shape[0] else (-2, -1)

    @property
    def is_picture(self) -> bool:
        """Whether these are pixels, (H, W) or with channels in front or behind."""
        return self.dtype == "uint8" and len(self.shape) in (2, 3)


@dataclass(frozen=True)
class AgentSpec:
    """What an agent must know of its environment: the observation's keys and the action's size A.

    choices: how many there are in each discrete part of an action, which is one-hot inside, one
    part behind the other; empty where actions are continuous.
    """

    observation: Mapping[str, Field]
    action: int
    choices: tuple[int, ...] = ()

    @property
    def is_masked(self) -> bool:
        """Whether an observation says which choices are legal, {action_mask: (A,) bool}."""
        field = self.observation.get(ACTION_MASK)
        return field is not None and field.dtype == "bool"

    def without_privileged(self) -> "AgentSpec":
        """What an actor may see of it: all but what only critics may see."""
        return replace(
            self, observation={k: f for k, f in self.observation.items() if k != PRIVILEGED}
        )

    def without_action_mask(self) -> "AgentSpec":
        """The same environment for an agent that may choose anything."""
        seen = {k: f for k, f in self.observation.items() if f.dtype != "bool"}
        return replace(self, observation=seen)

    def as_dict(self) -> dict[str, Any]:
        """Plain containers that JSON can hold; `AgentSpec.from_dict` is the way back."""
        keys = {k: {"shape": list(f.shape), "dtype": f.dtype} for k, f in self.observation.items()}
        choices = {"choices": list(self.choices)} if self.choices else {}
        return {"observation": keys, "action": self.action} | choices

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "AgentSpec":
        """The spec that `as_dict` laid out. Raises ValueError for anything else."""
        try:
            seen = plain["observation"].items()
            keys = {k: Field(tuple(f["shape"]), f["dtype"]) for k, f in seen}
            return cls(keys, int(plain["action"]), tuple(plain.get("choices", ())))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"spec is {plain}, which describes no environment") from error


def action_mask_of(observation: Mapping[str, Tensor]) -> Tensor | None:
    """The legal choices (…, A), bool, of observations {key: (…, ·)}; None where all are.

    A key of numbers that happens to have the name is something to see, and no mask.
    """
    mask = observation.get(ACTION_MASK)
    return mask if mask is not None and mask.dtype == torch.bool else None


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

    @property
    def action_mask(self) -> Tensor | None:
        """The legal choices (B, T+1, A) at the window's observations; None where all are."""
        mask = action_mask_of(self.observation)
        return None if mask is None else mask[:, int(self.burn_in.max()) :]

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
