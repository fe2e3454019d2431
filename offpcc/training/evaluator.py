"""Evaluation: greedy episodes on environments of their own, with fixed seeds of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from offpcc.algorithms import Policy
from offpcc.config.limits import MAX_EVALUATED
from offpcc.config.ranges import NonNegativeInt, PositiveInt, check_fields
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import VectorEnvAdapter, side_by_side
from offpcc.processes.notices import say_once

NO_LIMIT = "the environment has no time limit; make_env.max_episode_steps sets one"


class Score(NamedTuple):
    """What one episode came to."""

    total: float  # undiscounted return
    length: int  # steps
    success: bool | None  # of the last step; None where the environment does not say
    reward_terms: Mapping[str, float] = {}  # sums, where the environment says

    def after(self, step: Outcome) -> "Score":
        """The score with one more step."""
        terms = added(self.reward_terms, step.reward_terms)
        return Score(self.total + step.reward, self.length + 1, step.success, terms)


def added(terms: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """Sums by name."""
    return {name: terms.get(name, 0.0) + more.get(name, 0.0) for name in {**terms, **more}}


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error (0 for a single value)."""
    count = len(values)
    spread = float(np.std(values, ddof=1)) if count > 1 else 0.0
    return float(np.mean(values)), spread / count**0.5


def summary(prefix: str, scores: Sequence[Score]) -> dict[str, float]:
    """The columns {prefix}_return, _return_se, _length and, where known, _success and _reward_…."""
    if not scores:
        return {}
    mean, error = mean_and_error([score.total for score in scores])
    length = float(np.mean([score.length for score in scores]))
    row = {f"{prefix}_return": mean, f"{prefix}_return_se": error, f"{prefix}_length": length}
    known = [score.success for score in scores if score.success is not None]
    row |= {f"{prefix}_success": float(np.mean(known))} if known else {}
    names = {name: None for score in scores for name in score.reward_terms}
    means = {
        name: float(np.mean([s.reward_terms.get(name, 0.0) for s in scores])) for name in names
    }
    return row | {f"{prefix}_reward_{name}": mean for name, mean in means.items()}


@dataclass
class Evaluator:
    """Plays `episodes` greedy episodes, the same starts each time, on copies of the environment.

    Raises ValueError for less than none; none is no evaluation.
    """

    envs: VectorEnvAdapter | Sequence[EnvAdapter]
    episodes: NonNegativeInt = 10
    seed: int = 0
    max_episode_steps: PositiveInt | None = None  # None: the environment's time limit, else 10,000

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, policy: Policy, interrupt: Callable[[], None] = lambda: None) -> list[Score]:
        """One score an episode, in the order of their seeds; calls `interrupt` at every step."""
        scores: list[Score] = []
        envs = side_by_side(self.envs)
        while len(scores) < self.episodes:
            first = len(scores)
            seeds = [self._seed(first + copy) for copy in range(len(envs))]
            scores += play(policy, envs, seeds, interrupt, first, self.max_episode_steps)
        return scores[: self.episodes]

    def _seed(self, episode: int) -> int:
        # A branch of its own: no training episode of any copy has this entropy.
        entropy = np.random.SeedSequence([self.seed, episode], spawn_key=(1,))
        return int(entropy.generate_state(1)[0])


def play(
    policy: Policy,
    envs: VectorEnvAdapter,
    seeds: Sequence[int],
    interrupt: Callable[[], None] = lambda: None,
    first: int = 0,
    max_episode_steps: int | None = None,
) -> list[Score]:
    """One greedy episode of each copy, side by side.

    first: the number of the first copy's episode, for faults. max_episode_steps: where an episode
    is cut, which is said; None: where the environment itself cuts it, or after 10,000 steps.
    """
    limit = max_episode_steps or envs.limit or MAX_EVALUATED
    numbers = {copy: first + copy for copy in range(len(envs))}
    seen = envs.reset(dict(enumerate(seeds)), numbers)
    state = policy.initial_state(len(envs))
    scores = [Score(0.0, 0, None)] * len(envs)
    under_way = [True] * len(envs)
    while any(under_way):
        interrupt()
        batch = {k: np.stack([each[k] for each in seen]) for k in seen[0]}
        inputs = {k: torch.from_numpy(v).to(policy.device) for k, v in batch.items()}
        action, state = policy.act(inputs, state)
        for copy, outcome in enumerate(envs.step(action.cpu().numpy())):
            seen[copy] = outcome.seen
            if under_way[copy]:
                scores[copy] = scores[copy].after(outcome)
                under_way[copy] = not outcome.ended
                if under_way[copy] and scores[copy].length >= limit:
                    under_way[copy] = False
                    why = "as Evaluator.max_episode_steps says" if max_episode_steps else NO_LIMIT
                    say_once("cut", f"an episode was cut after {limit:_} steps: {why}")
    return scores
