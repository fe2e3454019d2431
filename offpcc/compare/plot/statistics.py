"""Statistics of few runs: bootstrap intervals, the interquartile mean, who is better how often.

After Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep reinforcement learning at the edge
of the statistical precipice", 2021, arXiv 2108.13264.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from offpcc.compare.plot.runs import Array

RESAMPLES = 2_000
LEVEL = 0.95  # of the intervals

Statistic = Callable[[Array], Array]  # (…, R) -> (…)
Tasks = Sequence[Array]  # scores of a task's runs (…, R) each; R may differ


def mean(scores: Array) -> Array:
    """Mean over runs: (…, R) -> (…)."""
    return np.asarray(scores.mean(-1))


def interquartile_mean(scores: Array) -> Array:
    """Mean over the middle half of the runs: (…, R) -> (…); a quarter is cut off at each end."""
    runs = scores.shape[-1]
    cut = runs // 4
    return np.asarray(np.sort(scores, -1)[..., cut : runs - cut].mean(-1))


STATISTICS: dict[str, Statistic] = {"mean": mean, "iqm": interquartile_mean}


def resample(scores: Array, generator: np.random.Generator) -> Array:
    """Draw whole runs with replacement, RESAMPLES times: (…, R) -> (RESAMPLES, …, R)."""
    runs = scores.shape[-1]
    drawn = generator.integers(runs, size=(RESAMPLES, runs))
    return np.moveaxis(scores[..., drawn], -2, 0)


def interval(samples: Array) -> tuple[Array, Array]:
    """Lower and upper end of the percentile interval: (RESAMPLES, …) -> two of (…)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return low, high


def bootstrap(scores: Array, statistic: Statistic) -> tuple[Array, Array]:
    """Interval of a statistic over runs: (…, R) -> two of (…); NaN for a single run."""
    if scores.shape[-1] < 2:
        unknown = np.full(scores.shape[:-1], np.nan)
        return unknown, unknown
    return interval(statistic(resample(scores, np.random.default_rng(0))))


def probability_of_improvement(ours: Array, theirs: Array) -> Array:
    """P(a run of ours beats one of theirs), a tie counting half: (…, R), (…, Q) -> (…)."""
    difference = ours[..., :, None] - theirs[..., None, :]
    return np.asarray(((np.sign(difference) + 1) / 2).mean((-2, -1)))


def mean_improvement(ours: Tasks, theirs: Tasks) -> Array:
    """Mean over tasks of `probability_of_improvement`: (…, R), (…, Q) each -> (…)."""
    chances = [probability_of_improvement(x, y) for x, y in zip(ours, theirs, strict=True)]
    return np.asarray(np.mean(chances, axis=0))


def pooled_interquartile_mean(tasks: Tasks) -> Array:
    """Interquartile mean over the runs of all tasks: (…, R) each -> (…).

    Tasks weigh alike: where one has fewer runs, each of them counts more often.
    """
    each = math.lcm(*(scores.shape[-1] for scores in tasks))
    pool = [np.repeat(scores, each // scores.shape[-1], axis=-1) for scores in tasks]
    return interquartile_mean(np.concatenate(pool, axis=-1))


def stratified(statistic: Callable[..., Array], *tasks: Tasks) -> tuple[Array, Array]:
    """Interval of a statistic of one or several `Tasks`; runs are resampled within each task.

    NaN where a task has a single run.
    """
    if any(len(scores) < 2 for group in tasks for scores in group):
        unknown = np.full_like(statistic(*tasks), np.nan)
        return unknown, unknown
    generator = np.random.default_rng(0)
    return interval(statistic(*([resample(s, generator) for s in group] for group in tasks)))
