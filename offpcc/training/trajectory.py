"""Trajectory: the episode in progress of one copy of an environment."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.data import Episode, Observation


@dataclass
class Trajectory:
    """One copy's episode in progress; each list has an entry a step, observations one more.

    Of a long episode, the lists hold the steps from `first_kept` on. Of earlier steps only the
    actions remain, which are replayed on resume, and the recurrent state at `first_kept`.
    """

    env_index: int
    episode: int  # how many this copy had finished before
    observation: list[Observation] = field(default_factory=list)  # empty before the reset
    action: list[np.ndarray] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)
    log_prob: list[float] = field(default_factory=list)  # empty where the agent gives none
    reward_terms: dict[str, float] = field(default_factory=dict)  # sums of the episode so far
    emitted: int = 0  # steps that were handed over in earlier segments
    emitted_return: float = 0.0  # the reward of these
    first_kept: int = 0
    dropped_actions: list[np.ndarray] = field(default_factory=list)  # (k, A), before `first_kept`
    memory: Tensor | None = None  # the acting state (S,) at `first_kept`; None: zeros

    def __len__(self) -> int:
        """Steps of the episode so far."""
        return self.first_kept + len(self.action)

    def next(self) -> "Trajectory":
        """The same copy's next episode, not begun."""
        return Trajectory(self.env_index, self.episode + 1)

    def stacked(self, since: int = 0) -> dict[str, np.ndarray]:
        """The observations from index `since` on, {key: (steps + 1, …)}."""
        seen = self.observation[since:]
        return {key: np.stack([each[key] for each in seen]) for key in seen[0]} if seen else {}

    def actions(self) -> np.ndarray:
        """All actions of the episode, (L, A)."""
        kept = [np.stack(self.action)] if self.action else []
        parts = [*self.dropped_actions, *kept]
        return np.concatenate(parts) if parts else np.zeros((0, 0))

    def finish(self, terminated: bool, success: bool | None) -> Episode:
        """The finished episode, or its last segment."""
        return self._segment(terminated, success=success)

    def emit_segment(self) -> Episode:
        """What is new of an episode in progress since the last segment."""
        segment = self._segment(False, ended=False)
        self.emitted_return += sum(self.reward[self.emitted - self.first_kept :])
        self.emitted = len(self)
        return segment

    def drop_emitted(self, memory: Tensor) -> None:
        """Drops steps that have all been handed over; memory: the acting state (S,) now."""
        self.dropped_actions.append(np.stack(self.action))
        self.first_kept, self.memory = len(self), memory
        self.observation = self.observation[-1:]
        self.action, self.reward, self.state, self.log_prob = [], [], [], []

    def _segment(self, terminated: bool, **facts: Any) -> Episode:
        since = self.emitted - self.first_kept
        return Episode(
            self.stacked(since),
            np.stack(self.action[since:]),
            np.array(self.reward[since:], np.float32),
            terminated,
            np.stack(self.state[since:]),
            np.array(self.log_prob[since:], np.float32) if self.log_prob else None,
            reward_terms=self.reward_terms,
            env_index=self.env_index,
            steps_before=self.emitted,
            reward_before=self.emitted_return,
            **facts,
        )

    def state_dict(self) -> dict[str, Any]:
        """All of it but `dropped_actions`, as tensors and plain containers."""
        return {
            "episode": self.episode,
            "observation": {k: torch.from_numpy(v) for k, v in self.stacked().items()},
            "action": [torch.from_numpy(a) for a in self.action],
            "reward": list(self.reward),
            "state": [torch.from_numpy(s) for s in self.state],
            "log_prob": list(self.log_prob),
            "reward_terms": dict(self.reward_terms),
            "emitted": self.emitted,
            "emitted_return": self.emitted_return,
            "first_kept": self.first_kept,
            "memory": self.memory,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`, but for the observations: the environment gives them again."""
        self.action = [a.numpy() for a in state["action"]]
        self.reward = list(state["reward"])
        self.state = [s.numpy() for s in state["state"]]
        self.log_prob = list(state["log_prob"])
        self.reward_terms, self.emitted = dict(state["reward_terms"]), state["emitted"]
        self.emitted_return = state["emitted_return"]
        self.first_kept, self.memory = state["first_kept"], state["memory"]
