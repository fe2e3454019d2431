"""Evaluation: greedy episodes on worlds of their own, with fixed seeds of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gymnasium
import numpy as np
import torch

from offpcc.algorithms import Policy


class Score(NamedTuple):
    """What one episode came to."""

    total: float  # undiscounted return
    length: int  # steps
    success: bool | None  # None where the world does not say


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error (0 for a single value)."""
    count = len(values)
    spread = float(np.std(values, ddof=1)) if count > 1 else 0.0
    return float(np.mean(values)), spread / count**0.5


def summary(prefix: str, scores: Sequence[Score]) -> dict[str, float]:
    """The columns {prefix}_return, _return_se, _length and, where known, _success."""
    if not scores:
        return {}
    mean, error = mean_and_error([score.total for score in scores])
    length = float(np.mean([score.length for score in scores]))
    row = {f"{prefix}_return": mean, f"{prefix}_return_se": error, f"{prefix}_length": length}
    known = [score.success for score in scores if score.success is not None]
    return row | ({f"{prefix}_success": float(np.mean(known))} if known else {})


@dataclass
class Evaluator:
    """Plays `episodes` greedy episodes, the same starts each time, on copies of the world.

    Raises ValueError for less than none; none is no evaluation.
    """

    worlds: Sequence[gymnasium.Env]
    episodes: int = 10
    seed: int = 0
    interrupt: Callable[[], None] = lambda: None  # called at every step

    def __post_init__(self) -> None:
        if self.episodes < 0:
            raise ValueError(f"Evaluator.episodes is {self.episodes}; it must be at least 0")

    def __call__(self, policy: Policy) -> list[Score]:
        """One score an episode, in the order of their seeds."""
        scores: list[Score] = []
        for first in range(0, self.episodes, len(self.worlds) or 1):
            count = min(len(self.worlds), self.episodes - first)
            seeds = [self._seed(first + i) for i in range(count)]
            scores += play(policy, self.worlds[:count], seeds, self.interrupt)
        return scores

    def _seed(self, episode: int) -> int:
        # A branch of its own: no training episode of any copy has this entropy.
        entropy = np.random.SeedSequence([self.seed, episode], spawn_key=(1,))
        return int(entropy.generate_state(1)[0])


def play(
    policy: Policy,
    worlds: Sequence[gymnasium.Env],
    seeds: Sequence[int],
    interrupt: Callable[[], None] = lambda: None,
) -> list[Score]:
    """One greedy episode in each world, side by side."""
    latest = [world.reset(seed=seed)[0] for world, seed in zip(worlds, seeds, strict=True)]
    state = policy.initial_state(len(worlds))
    totals, lengths = [0.0] * len(worlds), [0] * len(worlds)
    success: list[bool | None] = [None] * len(worlds)
    open_ = list(range(len(worlds)))
    while open_:
        interrupt()
        inputs = {
            k: torch.from_numpy(np.stack([latest[i][k] for i in open_])).to(policy.device)
            for k in latest[open_[0]]
        }
        action, state[open_] = policy.act(inputs, state[open_])
        still = []
        for i, chosen in zip(open_, action.cpu().numpy(), strict=True):
            latest[i], reward, terminated, truncated, info = worlds[i].step(chosen)
            totals[i] += float(reward)
            lengths[i] += 1
            success[i] = info.get("success", success[i])
            if not (terminated or truncated):
                still.append(i)
        open_ = still
    return [Score(*score) for score in zip(totals, lengths, success, strict=True)]
