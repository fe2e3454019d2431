"""Trajectory: the episode in progress of one copy of an environment."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.data import Episode, Observation


@dataclass
class Trajectory:
    """One copy's episode under way; each list has an entry a step, observations one more.

    Of a long episode, the lists hold what came after step `begin`. Of the steps before, only the
    actions are kept, which lead there again, and the memory that the agent had there.
    """

    copy: int
    episode: int  # how many this copy had finished before
    observation: list[Observation] = field(default_factory=list)  # empty before the reset
    action: list[np.ndarray] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)
    notes: dict[str, list[np.ndarray]] = field(default_factory=dict)
    terms: dict[str, float] = field(default_factory=dict)  # of the episode's reward so far
    handed: int = 0  # steps that went out in earlier stretches
    earned: float = 0.0  # the reward of these
    begin: int = 0
    past: list[np.ndarray] = field(default_factory=list)  # actions (k, A) before `begin`
    memory: Tensor | None = None  # the acting state (S,) at `begin`; None: zeros

    def __len__(self) -> int:
        """Steps of the episode so far."""
        return self.begin + len(self.action)

    def note(self, notes: dict[str, np.ndarray]) -> None:
        """Keeps this copy's row of what the agent noted beside its actions, {name: (n, …)}."""
        for name, values in notes.items():
            self.notes.setdefault(name, []).append(values[self.copy])

    def stacked(self, since: int = 0) -> dict[str, np.ndarray]:
        """The observations from a place in the list on, {key: (steps + 1, …)}."""
        seen = self.observation[since:]
        return {key: np.stack([each[key] for each in seen]) for key in seen[0]} if seen else {}

    def actions(self) -> np.ndarray:
        """All actions of the episode, (L, A)."""
        latest = [np.stack(self.action)] if self.action else []
        return np.concatenate([*self.past, *latest]) if self.past or latest else np.zeros((0, 0))

    def finish(self, terminated: bool, success: bool | None) -> Episode:
        """The finished episode, or what is left of it."""
        return self._since_handed(terminated, success=success)

    def cut(self) -> Episode:
        """The stretch since the last cut, of an episode under way."""
        stretch = self._since_handed(False, ended=False)
        self.earned += sum(self.reward[self.handed - self.begin :])
        self.handed = len(self)
        return stretch

    def forget(self, memory: Tensor) -> None:
        """Lets go of steps that have all been handed over; memory: the acting state (S,) now."""
        self.past.append(np.stack(self.action))
        self.begin, self.memory = len(self), memory
        self.observation = self.observation[-1:]
        self.action, self.reward, self.state, self.notes = [], [], [], {}

    def _since_handed(self, terminated: bool, **facts: Any) -> Episode:
        since = self.handed - self.begin
        return Episode(
            self.stacked(since),
            np.stack(self.action[since:]),
            np.array(self.reward[since:], np.float32),
            terminated,
            np.stack(self.state[since:]),
            {name: np.stack(values[since:]) for name, values in self.notes.items()},
            terms=self.terms,
            copy=self.copy,
            steps_before=self.handed,
            reward_before=self.earned,
            **facts,
        )

    def state_dict(self) -> dict[str, Any]:
        """All of it but `past`, as tensors and plain containers."""
        return {
            "episode": self.episode,
            "observation": {k: torch.from_numpy(v) for k, v in self.stacked().items()},
            "action": [torch.from_numpy(a) for a in self.action],
            "reward": list(self.reward),
            "state": [torch.from_numpy(s) for s in self.state],
            "notes": {k: torch.from_numpy(np.array(v)) for k, v in self.notes.items()},
            "terms": dict(self.terms),
            "handed": self.handed,
            "earned": self.earned,
            "begin": self.begin,
            "memory": self.memory,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`, but for the observations: the environment gives them again."""
        self.action = [a.numpy() for a in state["action"]]
        self.reward = list(state["reward"])
        self.state = [s.numpy() for s in state["state"]]
        self.notes = {name: list(values.numpy()) for name, values in state["notes"].items()}
        self.terms, self.handed = dict(state["terms"]), state["handed"]
        self.earned = state["earned"]
        self.begin, self.memory = state.get("begin", 0), state.get("memory")
