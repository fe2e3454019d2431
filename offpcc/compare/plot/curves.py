"""Learning curves: return against environment steps or wall time, a panel per environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from offpcc.compare.plot.picture import (
    caution,
    draw,
    episodes_in_words,
    finish,
    panels,
    runs_in_words,
)
from offpcc.compare.plot.runs import Array, Run, by_env
from offpcc.compare.plot.statistics import STATISTICS, bootstrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 200  # on a line, at most
AXES = {  # label, and how many of the column make one of its unit
    "env_steps": ("environment steps", 1.0),
    "updates": ("updates", 1.0),
    "seconds": ("wall time [min]", 60.0),
}
NAMES = {"mean": "mean", "iqm": "interquartile mean"}


def learning_curves(
    runs: Sequence[Run], path: Path, x: str = "env_steps", statistic: str = "mean"
) -> Path:
    """Draw test_return over x, a line per algorithm; returns the path, whose suffix is the format.

    Of a search, each trial is a thin line.

    x is "env_steps", "updates" (for offline learning) or "seconds". A line is the "mean" or "iqm"
    over runs, its band the 95 % bootstrap interval, point by point; it spans what all runs of that
    algorithm and environment cover.
    """
    if x not in AXES:
        raise ValueError(f"no axis {x!r}; choose from {', '.join(AXES)}")
    if statistic not in STATISTICS:
        raise ValueError(f"no statistic {statistic!r}; choose from {', '.join(STATISTICS)}")
    tree = by_env(runs)
    figure, axes = panels(list(tree))
    panel = dict(zip(tree, axes, strict=True))
    name = {run.algo: run.legend for run in runs}
    place = {legend: k for k, legend in enumerate(sorted(set(name.values())))}
    drawn = {
        (algo, env): _draw(panel[env], members, x, statistic, place[name[algo]])
        for env, group in tree.items()
        for algo, members in group.items()
    }
    for each in axes:
        _label(each, x)
    shown = {key: line for key, line in sorted(drawn.items()) if line is not None}
    legend = {name[algo]: line for (algo, _), line in shown.items()}
    without = [f"{algo} on {env}" for (algo, env), line in drawn.items() if line is None]
    return finish(figure, legend, _caption(runs, statistic, without), path)


def aligned(runs: Sequence[Run], x: str) -> tuple[Array, Array]:
    """Give points (G,) on x that every run covers, and the returns (G, R) there.

    Between its own evaluations a run is interpolated linearly. No range in common: G = 0.
    """
    curves = [run.curve(x) for run in runs]
    if not all(len(steps) for steps, _ in curves):
        return np.empty(0), np.empty((0, len(runs)))
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = np.unique(np.concatenate([steps for steps, _ in curves]))
    grid = grid[(first <= grid) & (grid <= last)]
    if len(grid) > POINTS:
        grid = np.linspace(first, last, POINTS)
    return grid, np.stack([np.interp(grid, *curve) for curve in curves], axis=-1)


def _draw(panel: "Axes", runs: Sequence[Run], x: str, statistic: str, place: int) -> Any:
    """Draw one algorithm's line and return it; None if its runs have nothing in common."""
    grid, returns = aligned(runs, x)
    if not len(grid):
        return None
    reduce, width = STATISTICS[statistic], 0.6 if runs[0].search else 1.6
    return draw(panel, grid / AXES[x][1], reduce(returns), bootstrap(returns, reduce), place, width)


def _label(panel: "Axes", x: str) -> None:
    from matplotlib.ticker import EngFormatter

    panel.set_xlabel(AXES[x][0], fontsize=9)
    panel.set_ylabel("return", fontsize=9)
    panel.set_xlim(left=0)
    if x != "seconds":
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M


def _caption(runs: Sequence[Run], statistic: str, without: Sequence[str]) -> str:
    tree = by_env(runs)
    several = any(len(members) > 1 for group in tree.values() for members in group.values())
    band = " with its 95 % bootstrap interval" if several else ""
    caption = (
        f"Return of the greedy policy: {NAMES[statistic]} over {runs_in_words(tree)}{band}; "
        f"a point of a run is the mean of {episodes_in_words(runs)}.{caution(tree)}"
    )
    if any(run.search for run in runs):
        caption += " A thin line is a trial of a search."
    if without:
        caption += f" Not drawn, as its runs have no range in common: {', '.join(without)}."
    return caption
