"""From results/ to learning curves, tables and performance profiles; reads CSV, needs no torch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from offpcc.compare.plot.aggregate import aggregate, aggregate_table
from offpcc.compare.plot.curves import learning_curves
from offpcc.compare.plot.profiles import everywhere, performance_profiles
from offpcc.compare.plot.runs import Run, at_equal_time, find_runs
from offpcc.compare.plot.table import Pairs, cost_table, table

__all__ = [
    "Run",
    "aggregate",
    "aggregate_table",
    "at_equal_time",
    "cost_table",
    "draw",
    "find_runs",
    "learning_curves",
    "performance_profiles",
    "plot",
    "table",
]


def plot(paths: Iterable[Path | str], folder: Path | str, statistic: str = "mean") -> list[Path]:
    """Draw everything that the runs under these paths allow; returns the files in `folder`.

    The pictures of `draw`, and the table. Raises ValueError if there are no runs.
    """
    runs = find_runs(paths)
    folder = Path(folder)
    written = draw(runs, folder, statistic)
    (folder / "table.md").write_text(table(runs), encoding="utf-8")
    return [*written, folder / "table.md"]


def draw(
    runs: Sequence[Run], folder: Path, statistic: str = "mean", pairs: Pairs = ()
) -> list[Path]:
    """Draw return against steps and against wall time.

    And, where an algorithm has runs in two environments or more, and in all of them, the aggregate
    over these, with `pairs` compared, and performance profiles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        learning_curves(runs, folder / "return_steps.png", statistic=statistic),
        learning_curves(runs, folder / "return_time.png", x="seconds", statistic=statistic),
    ]
    runs = [run for run in runs if not run.search]  # trials of one number have nothing in common
    if len({run.env for run in runs}) > 1 and everywhere(runs):
        written.append(aggregate(runs, folder / "aggregate.png", pairs))
        written.append(performance_profiles(runs, folder / "profiles.png"))
    return written
