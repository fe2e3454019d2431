"""Collector: steps copies of an environment with an acting copy of the agent."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from offpcc.algorithms import Agent
from offpcc.algorithms.core.part_state import restore_generator
from offpcc.config.limits import LONG_EPISODE, UNLIMITED_PIECE
from offpcc.config.ranges import NonNegativeInt, PositiveInt, checked
from offpcc.data import Episode
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import VectorEnvAdapter, side_by_side
from offpcc.errors import EnvironmentFault
from offpcc.replay.batch import action_mask_of
from offpcc.training.evaluator import added
from offpcc.training.experience_source import ExperienceSource, seed_of
from offpcc.training.trajectory import Trajectory
from offpcc.training.uniform_actions import uniform_actions


class Collector(ExperienceSource):
    """Steps n environments side by side; an episode is a function of (seed, copy, its number).

    first: the number of the first copy, where other collectors have those before.

    weight_sync: the acting copy takes over the learner's weights when an episode ends, or at every
    step; memories of episodes in progress are then unrolled again. With "step", a single copy hands
    over every step at once; episodes of several copies go out whole.

    rollout_steps: hands over the episodes in progress after so many steps of every copy, and takes
    over the weights only then.

    random_action_repeat: steps for which a uniform action is repeated, which carries random
    episodes further.

    long_episode: an episode in progress that is longer is handed over in pieces of so many steps,
    and each piece brings newer weights. None: 2,000, or 200 for one copy of an environment without
    a time limit.

    keep_states: whether episodes bring the acting states along, or states of width 0.

    Raises ValueError for settings that cannot work, EnvironmentFault when an environment
    fails: then all is as it was before the step.
    """

    @checked
    def __init__(
        self,
        agent: Agent,
        envs: VectorEnvAdapter | Sequence[EnvAdapter],
        *,
        seed: int = 0,
        first: NonNegativeInt = 0,
        weight_sync: Literal["episode", "step"] = "episode",
        random_action_repeat: PositiveInt = 1,
        rollout_steps: PositiveInt | None = None,
        long_episode: PositiveInt | None = None,
        keep_states: bool = True,
    ) -> None:
        if rollout_steps and weight_sync == "step":
            raise ValueError(
                "rollout_steps needs weight_sync 'episode': weights change after a rollout"
            )
        # Or "request", where `sync` is called from outside.
        self.sync_each: str = "rollout" if rollout_steps else weight_sync
        if weight_sync == "step" and len(envs) == 1:
            rollout_steps = 1
        self.learner, self.seed, self.first = agent, seed, first
        self.random_action_repeat, self.rollout_steps = random_action_repeat, rollout_steps
        self.kept = slice(None if keep_states else 0)  # of a state
        self.envs = side_by_side(envs)
        endless = self.envs.limit is None and len(envs) == 1
        self.long_episode = long_episode or (UNLIMITED_PIECE if endless else LONG_EPISODE)
        self.agent = agent.acting_copy(seed)
        self.random = np.random.default_rng([seed, len(envs)])
        self.trajectories = [Trajectory(first + copy, 0) for copy in range(len(envs))]
        device = agent.policy.device
        self.state = torch.zeros(len(envs), agent.state_size, device=device)
        self.noise = torch.zeros(len(envs), agent.noise_size, device=device)
        self._begin()

    def step(self, uniform: bool = False) -> list[Episode]:
        """Steps every copy once, with uniform actions if asked; gives what is handed over."""
        if self.sync_each == "step" or (self.sync_each == "rollout" and self._at_rollout_end()):
            self.sync()
        self._begin()
        generators = self.agent.generator.get_state(), self.random.bit_generator.state
        try:
            latest = self._latest()
            output = self.agent.act(latest, self.state, self.noise)
            actions = output.action.cpu().numpy()
            actions = self._uniform(latest) if uniform else actions
            outcomes = self.envs.step(actions)
        except EnvironmentFault:
            self.agent.generator.set_state(generators[0])
            self.random.bit_generator.state = generators[1]
            raise
        self._append_actions(actions, output.log_prob)
        self.state, self.noise = output.state, output.noise
        episodes = self._append_outcomes(outcomes)
        if not self.steps:
            self.reward_terms = tuple(outcomes[0].reward_terms)
        self.steps += len(self.envs)
        grown = self._grown()
        if (episodes and self.sync_each == "episode") or (grown and not self.rollout_steps):
            self.sync()
        return episodes + grown

    def _latest(self) -> dict[str, torch.Tensor]:
        """The latest observation of every copy, {key: (n, …)}."""
        latest = [trajectory.observation[-1] for trajectory in self.trajectories]
        batch = {k: np.stack([seen[k] for seen in latest]) for k in latest[0]}
        return {k: torch.from_numpy(v).to(self.state.device) for k, v in batch.items()}

    def _append_actions(self, actions: np.ndarray, log_prob: torch.Tensor | None) -> None:
        """Appends each copy's action, log π, and the state that it acted from."""
        states = self.state.cpu().numpy()[:, self.kept]
        for trajectory, action, state in zip(self.trajectories, actions, states, strict=True):
            trajectory.state.append(state)
            trajectory.action.append(action)
        if log_prob is not None:
            for trajectory, value in zip(self.trajectories, log_prob.tolist(), strict=True):
                trajectory.log_prob.append(value)

    def _append_outcomes(self, outcomes: Sequence[Outcome]) -> list[Episode]:
        """Appends what a step came to; gives the episodes that ended."""
        ended = []
        for copy, (trajectory, outcome) in enumerate(zip(self.trajectories, outcomes, strict=True)):
            trajectory.reward_terms = added(trajectory.reward_terms, outcome.reward_terms)
            trajectory.observation.append(outcome.seen)
            trajectory.reward.append(outcome.reward)
            if outcome.ended:
                ended.append(trajectory.finish(outcome.terminated, outcome.success))
                self.trajectories[copy] = trajectory.next()
                self.state[copy] = self.noise[copy] = 0
        return ended

    def _grown(self) -> list[Episode]:
        """Segments of episodes in progress to hand over: all at a rollout's end, else long ones."""
        least = (
            (1 if self._at_rollout_end() else np.inf) if self.rollout_steps else self.long_episode
        )
        return [
            trajectory.emit_segment()
            for trajectory in self.trajectories
            if len(trajectory) - trajectory.emitted >= least
        ]

    def _at_rollout_end(self) -> bool:
        """Whether a rollout has just come to its end."""
        made = self.steps // len(self.envs)
        return made > 0 and made % (self.rollout_steps or 1) == 0

    def sync(self) -> None:
        """The acting copy takes over the learner's weights and unrolls open episodes' memories.

        What has been handed over of a long episode is dropped then.
        """
        self.agent.sync(self.learner)
        remembers = bool(self.agent.policy.memory.state_size)
        for copy, trajectory in enumerate(self.trajectories):
            if trajectory.action and remembers:
                past = {k: torch.from_numpy(v[None, :-1]) for k, v in trajectory.stacked().items()}
                past = {k: v.to(self.state.device) for k, v in past.items()}
                before = (
                    None
                    if trajectory.memory is None
                    else trajectory.memory[None].to(self.state.device)
                )
                self.state[copy] = self.agent.refresh(past, before)[0]
            if len(trajectory.action) >= LONG_EPISODE and trajectory.emitted == len(trajectory):
                trajectory.drop_emitted(self.state[copy].clone())

    def _uniform(self, seen: dict[str, torch.Tensor]) -> np.ndarray:
        """Uniform actions (n, A), of the legal choices at what is seen {key: (n, …)}."""
        mask = action_mask_of(seen)
        legal = None if mask is None else mask.cpu().numpy()
        spec, repeat = self.learner.spec, self.random_action_repeat
        return uniform_actions(self.random, spec, self.trajectories, legal, repeat)

    def begin_at(self, numbers: Sequence[int]) -> None:
        """Leaves the episodes in progress; each copy begins the one with its number."""
        self.trajectories = [Trajectory(self.first + c, number) for c, number in enumerate(numbers)]
        self.state, self.noise = torch.zeros_like(self.state), torch.zeros_like(self.noise)
        self.envs.rest()
        self._begin()

    def _begin(self) -> None:
        """Resets the copies whose episode is yet to begin."""
        self._reset([c for c, each in enumerate(self.trajectories) if not each.observation])

    def _reset(self, copies: Sequence[int]) -> None:
        """Begins the episodes of their trajectories."""
        numbers = {copy: self.trajectories[copy].episode for copy in copies}
        seeds = {c: seed_of(self.seed, self.first + c, number) for c, number in numbers.items()}
        for copy, seen in zip(copies, self.envs.reset(seeds, numbers), strict=True):
            self.trajectories[copy].observation = [seen]

    def state_dict(self) -> dict[str, Any]:
        """Acting weights, generators, counters, and every open episode.

        "past": actions (k, A) of steps that were dropped; what has a name there never changes.
        """
        weights = {name: part.state_dict() for name, part in self.agent.acting_parts().items()}
        return {
            "acting": weights,
            "generator": self.agent.generator.get_state(),
            "progress": self.agent.progress,
            "random": self.random.bit_generator.state,
            "steps": self.steps,
            "exact": self.exact,
            "reward_terms": self.reward_terms,
            "state": self.state,
            "noise": self.noise,
            "trajectories": [trajectory.state_dict() for trajectory in self.trajectories],
            "past": {
                f"{trajectory.env_index}-{trajectory.episode}-{number}": torch.from_numpy(actions)
                for trajectory in self.trajectories
                for number, actions in enumerate(trajectory.dropped_actions)
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`: open episodes are played again, action by action.

        One that does not come out as it was is dropped, and `exact` becomes false.
        """
        for name, part in self.agent.acting_parts().items():
            part.load_state_dict(state["acting"][name])
        restore_generator(self.agent.generator, state["generator"])
        self.agent.progress = state.get("progress", 0.0)
        self.random.bit_generator.state = state["random"]
        self.steps, self.exact, self.reward_terms = (
            state["steps"],
            state["exact"],
            state["reward_terms"],
        )
        self._replay(state)

    def _replay(self, saved: dict[str, Any]) -> None:
        """Brings every copy to where its trajectory had stopped, or to the next episode's start."""
        kept, past = saved["trajectories"], saved["past"]
        old = [Trajectory(self.first + c, each["episode"]) for c, each in enumerate(kept)]
        for trajectory, content in zip(old, kept, strict=True):
            trajectory.load_state_dict(content)
        for name, actions in sorted(past.items(), key=lambda each: int(each[0].split("-")[-1])):
            old[int(name.split("-")[0]) - self.first].dropped_actions.append(actions.numpy())
        self.trajectories = [
            Trajectory(trajectory.env_index, trajectory.episode, first_kept=trajectory.first_kept)
            for trajectory in old
        ]
        ended = self._play_again([trajectory.actions() for trajectory in old])
        self.state, self.noise = torch.zeros_like(self.state), torch.zeros_like(self.noise)
        for copy, content in enumerate(kept):
            again, before = self.trajectories[copy].stacked(), content["observation"]
            if copy in ended or any(not np.array_equal(again[k], v) for k, v in before.items()):
                self.exact = False
                self.trajectories[copy] = old[copy].next()
                continue
            self.trajectories[copy].load_state_dict(content)
            self.trajectories[copy].dropped_actions = old[copy].dropped_actions
            self.state[copy], self.noise[copy] = saved["state"][copy], saved["noise"][copy]
        self._begin()

    def _play_again(self, actions: list[np.ndarray]) -> set[int]:
        """Plays episodes anew with their actions (L, A); gives the copies whose episode ended.

        The longest begins first, so that all of them, side by side, come to their ends together.
        """
        longest, ended = max(map(len, actions)), set[int]()
        late = [longest - len(own) for own in actions]
        self.envs.rest()
        for step in range(longest):
            self._reset([copy for copy, start in enumerate(late) if start == step])
            under_way = [copy for copy, start in enumerate(late) if start <= step]
            rows = np.zeros((len(actions), self.learner.spec.action), np.float32)
            rows[under_way] = [actions[copy][step - late[copy]] for copy in under_way]
            for copy, outcome in enumerate(self.envs.step(rows)):
                if copy in under_way:
                    trajectory = self.trajectories[copy]
                    if step - late[copy] < trajectory.first_kept:
                        trajectory.observation.clear()
                    trajectory.observation.append(outcome.seen)
                    if outcome.ended:
                        ended.add(copy)
        self._reset([copy for copy, start in enumerate(late) if start == longest])
        return ended
