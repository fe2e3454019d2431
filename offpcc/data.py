"""What passes between parts: the environment's shape, and episodes; imports no torch.

The shape letters, used everywhere: B batch, T steps, L episode length, A action size, X input size,
S state size, F feature size, N critic heads, K atoms per head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

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
