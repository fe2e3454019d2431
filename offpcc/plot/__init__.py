"""From results/ to learning curves, tables and performance profiles; reads CSV, needs no torch."""

from collections.abc import Iterable
from pathlib import Path

from offpcc.plot.curves import learning_curves
from offpcc.plot.profiles import everywhere, performance_profiles
from offpcc.plot.runs import Run, find_runs
from offpcc.plot.table import table

__all__ = ["Run", "find_runs", "learning_curves", "performance_profiles", "plot", "table"]


def plot(paths: Iterable[Path | str], folder: Path | str, statistic: str = "mean") -> list[Path]:
    """Draw everything that the runs under these paths allow; returns the files in `folder`.

    Return against steps and against wall time, the table, and performance profiles where an
    algorithm has runs in two environments or more, and in all of them. Raises ValueError if there
    are no runs.
    """
    runs = find_runs(paths)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        learning_curves(runs, folder / "return_steps.png", statistic=statistic),
        learning_curves(runs, folder / "return_time.png", x="seconds", statistic=statistic),
        folder / "table.md",
    ]
    written[-1].write_text(table(runs), encoding="utf-8")
    if len({run.env for run in runs}) > 1 and everywhere(runs):
        written.append(performance_profiles(runs, folder / "profiles.png"))
    return written
