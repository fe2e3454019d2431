"""What passes between parts: the environment's shape, a finished episode, a batch of windows.

The shape letters, used everywhere: B batch, T steps, L episode length, A action size, X input size,
S state size, F feature size, N critic heads, K atoms per head.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

Observation = dict[str, np.ndarray]

PRIVILEGED = "privileged"  # the key of what critics may know, and actors may not
OWN_PAST = (
    "previous_action",
    "previous_reward",
)  # keys that tell the agent's past, not the environment


@dataclass(frozen=True)
class Field:
    """Shape and type of one observation key: float32 for numbers, uint8 for pixels."""

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

    def without_privileged(self) -> "AgentSpec":
        """What an actor may see of it: all but what only critics may see."""
        return replace(
            self, observation={k: f for k, f in self.observation.items() if k != PRIVILEGED}
        )

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


@dataclass(frozen=True)
class Episode:
    """L steps of one episode: all, or a stretch of one under way.

    The last observation is its own, never the next one's first. terminated: the environment ended
    it, so nothing follows; otherwise a time limit cut it, or it goes on later (not ended).
    state: the acting memory *before* each step; notes: what the agent noted beside its actions.
    """

    observation: Observation  # {key: (L+1, …)}
    action: np.ndarray  # (L, A)
    reward: np.ndarray  # (L,)
    terminated: bool
    state: np.ndarray  # (L, S)
    notes: dict[str, np.ndarray] = field(default_factory=dict)  # {name: (L, …)}
    success: bool | None = None  # where the environment says
    terms: dict[str, float] = field(default_factory=dict)  # of the episode's reward, if it says
    ended: bool = True  # False: cut while under way
    copy: int = 0  # which copy of the environment played it
    steps_before: int = 0  # in earlier stretches
    reward_before: float = 0.0  # their sum

    def __len__(self) -> int:
        return len(self.reward)


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
    notes: dict[str, Tensor] = field(default_factory=dict)  # {name: (B, T)}

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors (but `burn_in`) on a device."""
        return replace(self._each(lambda part: part.to(device)), burn_in=self.burn_in)

    def rows(self, index: Tensor) -> "Batch":
        """The windows with these numbers."""
        chosen = self.burn_in[index.cpu()]
        return replace(self._each(lambda part: part[index.to(part.device)]), burn_in=chosen)

    def split(self, rows: int) -> Iterator["Batch"]:
        """The windows in their order, this many at a time."""
        for start in range(0, len(self.mask), rows):
            yield self._each(itemgetter(slice(start, start + rows)))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """A batch of every tensor's change."""
        parts: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, part in parts.items():
            named = isinstance(part, dict)
            parts[name] = {k: change(v) for k, v in part.items()} if named else change(part)
        return Batch(**parts)
