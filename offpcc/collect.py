"""Collector: plays copies of a world with an acting copy of the agent and hands over episodes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from offpcc.actions import one_hot
from offpcc.algorithms import Agent
from offpcc.algorithms.agent import restore_generator
from offpcc.copies import Copies, side_by_side
from offpcc.data import Episode
from offpcc.evaluate import added
from offpcc.faults import WorldFault
from offpcc.ranges import PositiveInt, checked
from offpcc.source import Source, refuse_non_finite, seed_of
from offpcc.tape import Tape
from offpcc.world import World


class Collector(Source):
    """Steps n worlds side by side; an episode is a function of (seed, copy, its number).

    The acting copy takes over the learner's weights when an episode ends (`sync="episode"`) or at
    every step (`sync="step"`); memories of episodes under way are then unrolled anew. A uniform
    action is kept for `hold` steps, which carries random episodes further.

    With a `stretch`, episodes under way are handed over in stretches, all of them after each so
    many steps of every copy, and only then are the weights taken over. `sync="step"` hands over
    every step of a single copy at once; episodes of several copies go out whole.

    keep_states: whether episodes bring the acting states along, or states of width 0.

    Raises ValueError for settings that cannot work, WorldFault when a world fails.
    """

    @checked
    def __init__(
        self,
        agent: Agent,
        worlds: Copies | Sequence[World],
        *,
        seed: int = 0,
        sync: Literal["episode", "step"] = "episode",
        hold: PositiveInt = 1,
        stretch: PositiveInt | None = None,
        keep_states: bool = True,
    ) -> None:
        if stretch and sync == "step":
            raise ValueError("a stretch has the weights taken over at its end; sync is 'episode'")
        self.sync_each: str = "stretch" if stretch else sync
        if sync == "step" and len(worlds) == 1:
            stretch = 1
        self.learner, self.seed, self.hold, self.stretch = agent, seed, hold, stretch
        self.kept = slice(None if keep_states else 0)  # of a state
        self.worlds = side_by_side(worlds)
        self.agent = agent.acting_copy(seed)
        self.random = np.random.default_rng([seed, len(worlds)])
        self.tapes = [Tape(copy, 0) for copy in range(len(worlds))]
        self.state = torch.zeros(len(worlds), agent.state_size, device=agent.policy.device)
        self._begin(range(len(worlds)))

    def step(self, uniform: bool = False) -> list[Episode]:
        """Steps every copy once, with uniform actions if asked; gives what is handed over."""
        if self.sync_each == "step" or (self.stretch and self._at_a_cut()):
            self.sync()
        for tape, state in zip(self.tapes, self.state.cpu().numpy(), strict=True):
            tape.state.append(state[self.kept])
        latest = [tape.observation[-1] for tape in self.tapes]
        batch = {k: np.stack([seen[k] for seen in latest]) for k in latest[0]}
        inputs = {k: torch.from_numpy(v).to(self.state.device) for k, v in batch.items()}
        action, self.state, notes = self.agent.act(inputs, self.state)
        actions, noted = action.cpu().numpy(), {k: v.cpu().numpy() for k, v in notes.items()}
        for tape in self.tapes:
            tape.note(noted)
        if uniform:
            actions = self._uniform(actions.shape)
        ended = self._step(actions)
        if not self.steps:
            self.terms = tuple(self._first_terms(ended))
        episodes = list(ended.values())
        self.steps += len(self.worlds)
        if self.stretch and self._at_a_cut():
            episodes += [tape.cut() for tape in self.tapes if tape.action]
        self._begin(ended)
        if ended and self.sync_each == "episode":
            self.sync()
        return episodes

    def _first_terms(self, ended: dict[int, Episode]) -> Iterable[str]:
        """The names that the first copy's first step had."""
        return ended[0].terms if 0 in ended else self.tapes[0].terms

    def _at_a_cut(self) -> bool:
        """Whether a stretch has just come to its end."""
        made = self.steps // len(self.worlds)
        return made > 0 and made % (self.stretch or 1) == 0

    def sync(self) -> None:
        """The acting copy takes over the learner's weights; open episodes are remembered anew."""
        self.agent.sync(self.learner)
        if not self.agent.policy.memory.state_size:
            return
        for copy, tape in enumerate(self.tapes):
            if tape.action:
                past = {k: torch.from_numpy(v[None, :-1]) for k, v in tape.stacked().items()}
                past = {k: v.to(self.state.device) for k, v in past.items()}
                fresh = self.agent.refresh(past)[0]
                self.state[copy, : len(fresh)] = fresh

    def _uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform actions (n, A), drawn anew at every `hold`-th step of an episode."""
        actions = self.random.uniform(-1, 1, shape).astype(np.float32)
        if choices := self.learner.spec.choices:
            actions = one_hot(actions, choices)
        for copy, tape in enumerate(self.tapes):
            if len(tape.action) % self.hold:
                actions[copy] = tape.action[-1]
        return actions

    def _step(self, actions: np.ndarray) -> dict[int, Episode]:
        """Steps the copies with actions (n, A); gives the episodes that ended, by copy."""
        ended = {}
        outcomes = self.worlds.step(actions)
        for copy, action in enumerate(actions):
            tape = self.tapes[copy]
            tape.action.append(action)
            with self._told(copy):
                outcome = next(outcomes)
                tape.terms = added(tape.terms, outcome.terms)
            seen, reward, terminated, truncated, info = outcome
            told = seen | {"reward": np.asarray(reward)}
            refuse_non_finite(told, partial(self._where, copy))
            tape.observation.append(seen)
            tape.reward.append(reward)
            if terminated or truncated:
                success = info.get("success")
                ended[copy] = tape.finish(terminated, None if success is None else bool(success))
                self.tapes[copy] = Tape(copy, tape.episode + 1)
        return ended

    def _begin(self, copies: Iterable[int]) -> None:
        """Resets some copies, their memories too."""
        seeds = {copy: seed_of(self.seed, copy, self.tapes[copy].episode) for copy in copies}
        first = self.worlds.reset(seeds)
        for copy in seeds:
            with self._told(copy, " at reset"):
                seen = next(first)
            refuse_non_finite(seen, partial(self._where, copy))
            self.tapes[copy].observation.append(seen)
            self.state[copy] = 0

    @contextmanager
    def _told(self, copy: int, when: str = "") -> Iterator[None]:
        """Inside, whatever is raised becomes a WorldFault that says where and when."""
        try:
            yield
        except Exception as error:  # a world is other people's code and may raise anything
            raise WorldFault(f"the world raised {error!r}{when}; {self._where(copy)}") from error

    def _where(self, copy: int) -> str:
        tape = self.tapes[copy]
        last = ", ".join(str(action.tolist()) for action in tape.action[-3:]) or "none"
        return (
            f"copy {copy}, seed {self.seed}, episode {tape.episode}, "
            f"step {len(tape.action)}, last actions {last}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Acting weights, generators, counters, and every open episode."""
        acting = {name: part.state_dict() for name, part in self.agent.acting_parts().items()}
        return {
            "acting": acting,
            "generator": self.agent.generator.get_state(),
            "progress": self.agent.progress,
            "random": self.random.bit_generator.state,
            "steps": self.steps,
            "exact": self.exact,
            "terms": self.terms,
            "state": self.state,
            "tapes": [tape.state_dict() for tape in self.tapes],
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
        self.steps, self.exact, self.terms = state["steps"], state["exact"], state["terms"]
        self._replay(state["tapes"], state["state"])

    def _replay(self, kept: list[dict[str, Any]], state: torch.Tensor) -> None:
        """Brings every copy to where its tape had stopped, or to the next episode's start."""
        self.tapes = [Tape(copy, tape["episode"]) for copy, tape in enumerate(kept)]
        ended = self._play_again([np.array(tape["action"]) for tape in kept])
        dropped = []
        for copy, (tape, old) in enumerate(zip(self.tapes, kept, strict=True)):
            again, before = tape.stacked(), old["observation"]
            if copy in ended or any(not np.array_equal(again[k], v) for k, v in before.items()):
                dropped.append(copy)
                self.tapes[copy] = Tape(copy, old["episode"] + 1)
                continue
            tape.load_state_dict(old)
            self.state[copy] = state[copy]
        self.exact = self.exact and not dropped
        self._begin(dropped)

    def _play_again(self, actions: list[np.ndarray]) -> set[int]:
        """Plays episodes anew with their actions (L, A); gives the copies whose episode ended.

        The longest begins first, so that all of them, side by side, come to their ends together.
        """
        longest, ended = max(map(len, actions)), set[int]()
        late = [longest - len(own) for own in actions]
        self.worlds.rest()
        for step in range(longest):
            self._begin(copy for copy, start in enumerate(late) if start == step)
            under_way = [copy for copy, start in enumerate(late) if start <= step]
            rows = np.zeros((len(actions), self.learner.spec.action), np.float32)
            rows[under_way] = [actions[copy][step - late[copy]] for copy in under_way]
            for copy, outcome in enumerate(self.worlds.step(rows)):
                if copy in under_way:
                    self.tapes[copy].observation.append(outcome.seen)
                    if outcome.terminated or outcome.truncated:
                        ended.add(copy)
        self._begin(copy for copy, start in enumerate(late) if start == longest)
        return ended
