"""AgentSpec: the shape of an environment, as an agent is told of it; imports no torch.

The processes of asynchronous environments import this module, and each would hold a torch of its
own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
