"""Collector: plays copies of a world with an acting copy of the agent and hands over episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from offpcc.algorithms import Agent
from offpcc.algorithms.agent import restore_generator
from offpcc.data import Episode, Observation
from offpcc.faults import WorldFault
from offpcc.world import World


@dataclass
class Tape:
    """One copy's episode under way; each list has an entry a step, observations one more."""

    episode: int  # how many this copy had finished before
    observation: list[Observation] = field(default_factory=list)
    action: list[np.ndarray] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)

    def stacked(self) -> dict[str, np.ndarray]:
        """The observations so far, {key: (steps + 1, …)}."""
        return {key: np.stack([o[key] for o in self.observation]) for key in self.observation[0]}

    def finish(self, terminated: bool, success: bool | None) -> Episode:
        """The finished episode."""
        return Episode(
            self.stacked(),
            np.stack(self.action),
            np.array(self.reward, np.float32),
            terminated,
            np.stack(self.state),
            success=success,
        )


class Collector:
    """Steps n worlds side by side; an episode is a function of (seed, copy, its number).

    The acting copy takes over the learner's weights when an episode ends (`sync="episode"`) or at
    every step (`sync="step"`); memories of episodes under way are then unrolled anew.

    Raises ValueError for an unknown sync, WorldFault when a world fails.
    """

    def __init__(
        self, agent: Agent, worlds: Sequence[World], *, seed: int = 0, sync: str = "episode"
    ) -> None:
        if sync not in ("episode", "step"):
            raise ValueError(f"sync is {sync!r}; it is 'episode' or 'step'")
        self.learner, self.worlds, self.seed, self.sync_each = agent, worlds, seed, sync
        self.agent = agent.acting_copy(seed)
        self.random = np.random.default_rng([seed, len(worlds)])
        self.steps = 0  # environment steps, over all copies
        self.exact = True  # whether every restored episode came out as it was
        self.tapes = [Tape(0) for _ in worlds]
        self.state = torch.zeros(len(worlds), agent.state_size, device=agent.policy.device)
        for copy in range(len(worlds)):
            self._begin(copy)

    def step(self, uniform: bool = False) -> list[Episode]:
        """Steps every copy once, with uniform actions if asked; gives the episodes that ended."""
        if self.sync_each == "step":
            self.sync()
        for tape, state in zip(self.tapes, self.state.cpu().numpy(), strict=True):
            tape.state.append(state)
        latest = [tape.observation[-1] for tape in self.tapes]
        batch = {k: np.stack([seen[k] for seen in latest]) for k in latest[0]}
        inputs = {k: torch.from_numpy(v).to(self.state.device) for k, v in batch.items()}
        action, self.state, _ = self.agent.act(inputs, self.state)
        actions = action.cpu().numpy()
        if uniform:
            actions = self.random.uniform(-1, 1, actions.shape).astype(np.float32)
        ended = [self._step(copy, action) for copy, action in enumerate(actions)]
        episodes = [episode for episode in ended if episode is not None]
        self.steps += len(self.worlds)
        if episodes and self.sync_each == "episode":
            self.sync()
        return episodes

    def sync(self) -> None:
        """The acting copy takes over the learner's weights; open episodes are remembered anew."""
        self.agent.sync(self.learner)
        if not self.agent.state_size:
            return
        for copy, tape in enumerate(self.tapes):
            if tape.action:
                past = {k: torch.from_numpy(v[None, :-1]) for k, v in tape.stacked().items()}
                past = {k: v.to(self.state.device) for k, v in past.items()}
                self.state[copy] = self.agent.refresh(past)[0]

    def _step(self, copy: int, action: np.ndarray) -> Episode | None:
        """Steps one copy; gives its episode if that has ended, and begins the next."""
        tape = self.tapes[copy]
        tape.action.append(action)
        try:
            seen, reward, terminated, truncated, info = self.worlds[copy].step(action)
        except Exception as error:  # a world is other people's code and may raise anything
            raise WorldFault(f"the world raised {error!r}; {self._where(copy)}") from error
        self._refuse_non_finite(copy, seen | {"reward": np.asarray(reward)})
        tape.observation.append(seen)
        tape.reward.append(reward)
        if not (terminated or truncated):
            return None
        success = info.get("success")
        episode = tape.finish(terminated, None if success is None else bool(success))
        self.tapes[copy] = Tape(tape.episode + 1)
        self._begin(copy)
        return episode

    def _begin(self, copy: int) -> None:
        """Resets one copy, its memory too."""
        entropy = [self.seed, copy, self.tapes[copy].episode]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        try:
            seen, _ = self.worlds[copy].reset(seed=seed)
        except Exception as error:  # as in _step
            raise WorldFault(f"the world raised {error!r} at reset; {self._where(copy)}") from error
        self._refuse_non_finite(copy, seen)
        self.tapes[copy].observation.append(seen)
        self.state[copy] = 0

    def _refuse_non_finite(self, copy: int, values: Observation) -> None:
        for key, value in values.items():
            if not np.isfinite(value).all():
                raise WorldFault(f"{key} is {value}; {self._where(copy)}")

    def _where(self, copy: int) -> str:
        tape = self.tapes[copy]
        last = ", ".join(str(action.tolist()) for action in tape.action[-3:]) or "none"
        return (
            f"copy {copy}, seed {self.seed}, episode {tape.episode}, "
            f"step {len(tape.action)}, last actions {last}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Acting weights, generators, counters, and every open episode."""
        tapes = [
            {
                "episode": tape.episode,
                "observation": {k: torch.from_numpy(v) for k, v in tape.stacked().items()},
                "action": [torch.from_numpy(a) for a in tape.action],
                "reward": list(tape.reward),
                "state": [torch.from_numpy(s) for s in tape.state],
            }
            for tape in self.tapes
        ]
        acting = {name: part.state_dict() for name, part in self.agent.acting_parts().items()}
        return {
            "acting": acting,
            "generator": self.agent.generator.get_state(),
            "random": self.random.bit_generator.state,
            "steps": self.steps,
            "exact": self.exact,
            "state": self.state,
            "tapes": tapes,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`: open episodes are played again, action by action.

        One that does not come out as it was is dropped, and `exact` becomes false.
        """
        for name, part in self.agent.acting_parts().items():
            part.load_state_dict(state["acting"][name])
        restore_generator(self.agent.generator, state["generator"])
        self.random.bit_generator.state = state["random"]
        self.steps, self.exact = state["steps"], state["exact"]
        for copy, tape in enumerate(state["tapes"]):
            self._replay(copy, tape, state["state"][copy])

    def _replay(self, copy: int, kept: dict[str, Any], state: torch.Tensor) -> None:
        """Brings one copy to where its tape had stopped, or to the next episode's start."""
        self.tapes[copy] = tape = Tape(kept["episode"])
        self._begin(copy)
        ended = False
        for action in kept["action"]:
            if ended:  # sooner than before, and a world may not be stepped past its end
                break
            seen, _, terminated, truncated, _ = self.worlds[copy].step(action.numpy())
            tape.observation.append(seen)
            ended = terminated or truncated
        again, before = tape.stacked(), kept["observation"]
        if ended or any(not np.array_equal(again[k], v.numpy()) for k, v in before.items()):
            self.exact = False
            self.tapes[copy] = Tape(kept["episode"] + 1)
            self._begin(copy)
            return
        tape.action = [a.numpy() for a in kept["action"]]
        tape.reward = list(kept["reward"])
        tape.state = [s.numpy() for s in kept["state"]]
        self.state[copy] = state
