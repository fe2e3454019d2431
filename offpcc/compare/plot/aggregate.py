"""Over all environments at once: the interquartile mean, and who beats whom how often."""

from collections.abc import Callable, Sequence
from itertools import combinations, cycle
from pathlib import Path
from typing import TYPE_CHECKING

from offpcc.compare.plot.picture import COLOURS, INK, caution, finish, panels, runs_in_words
from offpcc.compare.plot.profiles import everywhere, normalised
from offpcc.compare.plot.runs import Array, Run, algorithms, by_env
from offpcc.compare.plot.statistics import (
    Tasks,
    mean_improvement,
    pooled_interquartile_mean,
    stratified,
)
from offpcc.compare.plot.table import Pairs, markdown, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Tree = dict[str, dict[str, Array]]  # scores by environment and algorithm

SCORES = ("algorithm", "IQM")
PAIRS = ("X", "Y", "environments", "P(X > Y)")
INCH = 0.24  # of height, for a row


def aggregate(runs: Sequence[Run], path: Path, chosen: Pairs = ()) -> Path:
    """Draw what `aggregate_table` says, with its intervals; returns the path."""
    tree, order, pairs = _compared(runs, chosen)
    height = INCH * max(len(order), len(pairs)) + 1
    titles = ["IQM of normalised final returns", "P(X > Y)"][: 2 if pairs else 1]
    figure, axes = panels(titles, height)
    colours = dict(zip(algorithms(runs), cycle(COLOURS), strict=False))
    for row, algo in enumerate(order):
        _draw(axes[0], row, pooled_interquartile_mean, [_scores(tree, algo)], colours[algo])
    for row, pair in enumerate(pairs):
        _draw(axes[-1], row, mean_improvement, _both(tree, *pair), INK)
    for panel, names in zip(axes, (order, [f"{x} > {y}" for x, y in pairs]), strict=False):
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.set_xlim(-0.02, 1.02)
        panel.grid(visible=False, axis="y")
    if pairs:
        axes[-1].axvline(0.5, color=INK, linewidth=0.8, linestyle="--")
    return finish(figure, {}, _caption(runs, order), path)


def aggregate_table(runs: Sequence[Run], chosen: Pairs = ()) -> str:
    """Give the IQM over all environments, best first, and below it P(X > Y), their mean.

    Only algorithms with runs in every environment have an IQM; a pair is compared where both have
    runs. chosen: these pairs; empty: all of those algorithms.
    """
    tree, order, pairs = _compared(runs, chosen)
    scores = [
        [algo, _with_interval(pooled_interquartile_mean, [_scores(tree, algo)])] for algo in order
    ]
    compared = []
    for x, y in pairs:
        both = _both(tree, x, y)
        compared.append([x, y, str(len(both[0])), _with_interval(mean_improvement, both)])
    notes = (
        "IQM: interquartile mean over the runs of all environments, normalised: 0 is an "
        "environment's worst run, 1 its best. P(X > Y): mean over environments of the chance that "
        "a run of X ends above a run of Y. Brackets: 95 % bootstrap intervals, runs resampled "
        f"within each environment.{caution(by_env(runs))}{_left_out(runs, order)}\n"
    )
    return "\n".join([markdown(SCORES, scores), markdown(PAIRS, compared), notes])


def _compared(runs: Sequence[Run], chosen: Pairs) -> tuple[Tree, list[str], list[tuple[str, str]]]:
    """Give the scores, the algorithms that ran everywhere, best first, and the pairs."""
    tree = normalised(runs)
    means = {algo: pooled_interquartile_mean(_scores(tree, algo)) for algo in everywhere(runs)}
    order = sorted(means, key=lambda algo: -means[algo])
    pairs = [(x, y) for x, y in chosen or combinations(order, 2) if _both(tree, x, y)[0]]
    return tree, order, pairs


def _scores(tree: Tree, algo: str) -> list[Array]:
    return [group[algo] for group in tree.values()]


def _both(tree: Tree, x: str, y: str) -> tuple[list[Array], list[Array]]:
    """Give the scores of two algorithms in the environments that both ran in."""
    shared = [group for group in tree.values() if x in group and y in group]
    return [group[x] for group in shared], [group[y] for group in shared]


def _with_interval(statistic: Callable[..., Array], tasks: Sequence[Tasks]) -> str:
    return with_interval(statistic(*tasks), stratified(statistic, *tasks), 2)


def _draw(
    panel: "Axes", row: int, statistic: Callable[..., Array], tasks: Sequence[Tasks], colour: str
) -> None:
    low, high = stratified(statistic, *tasks)
    panel.hlines(row, low, high, color=colour, alpha=0.35, linewidth=6)
    panel.plot(statistic(*tasks), row, "o", color=colour, markersize=5)


def _caption(runs: Sequence[Run], order: Sequence[str]) -> str:
    words = runs_in_words(by_env(run for run in runs if run.algo in order))
    return (
        f"{len(by_env(runs))} environments, {words} in each, weighted alike, with 95 % bootstrap "
        "intervals, runs resampled within each environment. 0 is an environment's worst run, 1 its "
        f"best. P(X > Y): mean over environments.{caution(by_env(runs))}{_left_out(runs, order)}"
    )


def _left_out(runs: Sequence[Run], order: Sequence[str]) -> str:
    left = [algo for algo in algorithms(runs) if algo not in order]
    return f" Without an IQM, as not run everywhere: {', '.join(left)}." if left else ""
