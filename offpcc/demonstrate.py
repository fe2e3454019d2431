"""Demonstrate: a trained policy's transitions as files, for those who learn from them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from offpcc.copies import Copies, Outcome
from offpcc.data import OWN_PAST, Observation, Spec
from offpcc.evaluate import Evaluator, mean_and_error
from offpcc.play import SEED, SIDE_BY_SIDE
from offpcc.trained import copies_of, load


def demonstrate(path: Path | str, episodes: int) -> str:
    """Plays greedy episodes into demonstrations/*.npy of a run's folder, and says what they are.

    obs and next_obs (N, X) hold what the world shows, its keys one behind the other; action (N, A),
    reward, terminated and truncated (N,) lie beside them, a row a step, episodes end to end.
    """
    witness = Witness(copies_of(path, min(episodes, SIDE_BY_SIDE)))
    try:
        scores = Evaluator(witness, episodes, SEED)(load(path))
    finally:
        witness.close()
    folder = Path(path) / "demonstrations"
    folder.mkdir(exist_ok=True)
    rows = [row for episode in witness.episodes[:episodes] for row in episode]
    for name, values in zip(Witness.COLUMNS, zip(*rows, strict=True), strict=True):
        np.save(folder / f"{name}.npy", np.stack(values))
    mean, error = mean_and_error([score.total for score in scores])
    return f"{folder}: {len(rows)} steps of {episodes} episodes, return {mean:.1f} ± {error:.1f}"


class Witness(Copies):
    """Copies whose steps are written down, episode by episode, in the order that they began."""

    COLUMNS = ("obs", "next_obs", "action", "reward", "terminated", "truncated")

    def __init__(self, copies: Copies) -> None:
        self.copies = copies
        self.episodes: list[list[tuple[np.ndarray, ...]]] = []
        self.open: dict[int, list[tuple[np.ndarray, ...]]] = {}  # by copy
        self.latest: dict[int, np.ndarray] = {}

    @property
    def spec_of_agent(self) -> Spec:
        """See `Copies`."""
        return self.copies.spec_of_agent

    def __len__(self) -> int:
        """How many."""
        return len(self.copies)

    def reset(self, seeds: Mapping[int, int]) -> Iterator[Observation]:
        """See `Copies`."""
        for copy, seen in zip(seeds, self.copies.reset(seeds), strict=True):
            self.open[copy] = []
            self.episodes.append(self.open[copy])
            self.latest[copy] = shown(seen)
            yield seen

    def step(self, actions: np.ndarray) -> Iterator[Outcome]:
        """See `Copies`."""
        for copy, outcome in enumerate(self.copies.step(actions)):
            if copy in self.open:
                before, after = self.latest[copy], shown(outcome.seen)
                ends = outcome.terminated, outcome.truncated
                told = (outcome.reward, *ends)
                row = (before, after, actions[copy], *map(np.asarray, told))
                self.open[copy].append(row)
                self.latest[copy] = after
                if any(ends):
                    del self.open[copy]
            yield outcome

    def rest(self) -> None:
        """See `Copies`."""
        self.copies.rest()

    def close(self) -> None:
        """See `Copies`."""
        self.copies.close()


def shown(seen: Observation) -> np.ndarray:
    """What the world shows (X,), without what the agent is told of its own past."""
    parts = [value.ravel() for key, value in seen.items() if key not in OWN_PAST]
    return np.concatenate(parts).astype(np.float32)
