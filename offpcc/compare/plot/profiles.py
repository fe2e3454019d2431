"""Performance profiles: the share of runs above each score, over environments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offpcc.compare.plot.picture import caution, draw, finish, panels, runs_in_words
from offpcc.compare.plot.runs import Array, Run, algorithms, by_env
from offpcc.compare.plot.statistics import Tasks, stratified

THRESHOLDS = np.linspace(0, 1, 201)  # τ


def performance_profiles(runs: Sequence[Run], path: Path) -> Path:
    """Draw, per algorithm, the share of its runs with a normalised final return above τ.

    Returns are normalised within an environment: 0 is the worst run there, of any algorithm, 1 the
    best. Environments count alike; the bands resample runs within each. An algorithm without runs
    in every environment is left out, as the caption says. Raises ValueError if that leaves none.
    """
    tree, complete = normalised(runs), everywhere(runs)
    if not complete:
        raise ValueError(
            f"no algorithm has runs in all of {', '.join(tree)}; plot fewer environments"
        )
    figure, (panel,) = panels([f"{len(tree)} environments"])
    panel.set_xlabel("normalised final return τ", fontsize=9)
    panel.set_ylabel("share of runs above τ", fontsize=9)
    panel.set_ylim(0, 1.02)
    legend = {}
    for algo in complete:
        scores = [group[algo] for group in tree.values()]
        place = algorithms(runs).index(algo)
        legend[algo] = draw(panel, THRESHOLDS, profile(scores), stratified(profile, scores), place)
    return finish(figure, legend, _caption(runs, complete), path)


def everywhere(runs: Sequence[Run]) -> list[str]:
    """Name the algorithms with runs in every environment that there are runs in."""
    groups = by_env(runs).values()
    return [algo for algo in algorithms(runs) if all(algo in group for group in groups)]


def normalised(runs: Sequence[Run]) -> dict[str, dict[str, Array]]:
    """Give final returns {env: {algo: (R,)}}, within an env from 0, the worst, to 1, the best."""
    tree = {}
    for env, group in by_env(runs).items():
        scores = {a: np.array([r.final_return() for r in members]) for a, members in group.items()}
        every = np.concatenate(list(scores.values()))
        span = np.ptp(every) or 1.0  # where all ended alike, none is worse than the best
        tree[env] = {algo: 1 - (every.max() - values) / span for algo, values in scores.items()}
    return tree


def profile(scores: Tasks) -> Array:
    """Share of scores above each τ, mean over environments: one (…, R) each -> (…, 201)."""
    return np.mean([(s[..., None] > THRESHOLDS).mean(-2) for s in scores], axis=0)


def _caption(runs: Sequence[Run], complete: Sequence[str]) -> str:
    kept = by_env(run for run in runs if run.algo in complete)
    caption = (
        f"Share of runs above τ with its 95 % bootstrap interval, {runs_in_words(kept)} in each "
        "environment, environments weighted alike. τ: 0 is an environment's worst run, 1 its best."
        f"{caution(kept)}"
    )
    left = [algo for algo in algorithms(runs) if algo not in complete]
    return caption + (f" Left out, not run everywhere: {', '.join(left)}." if left else "")
