"""The status of runs as a table: at work or not, how far, how good, how long still."""

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from offpcc.cli.parser import given
from offpcc.training.tracking.run_status import RunStatus, statuses_of_runs
from offpcc.training.tracking.time_left import duration

TITLES = ("run", "state", "steps", "steps/s", "return", "success", "left", "written")
SHORTEST = {"run": 16, "state": 8}  # characters, on a narrow terminal; aligned left
GAP = "  "


def status(asked: argparse.Namespace) -> int:
    """Prints a line per run below the folders, and why runs failed. Raises ValueError."""
    free = ("status", "results", "debug")
    if others := [name for name in given(asked) if name not in free]:
        raise ValueError(f"--{others[0]} does not go with --status; name folders instead")
    places = [Path(place) for place in asked.status or [asked.results]]
    runs = statuses_of_runs(places)
    if not runs:
        print(f"no runs below {', '.join(map(str, places))}")
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(runs, time.time(), width):
        print(line)
    print(summary(runs))
    for run in runs:
        if run.reason:
            print(f"{run.path}: {run.reason}")
    return 0


def table(runs: Sequence[RunStatus], now: float, width: int | None = None) -> list[str]:
    """The lines of a table, titles first, without the columns that no run has a value in.

    now: Unix time. width: of the terminal; longer paths and states lose their middle. None: any.
    """
    cells_by_title = zip(TITLES, zip(*(_cells(run, now) for run in runs), strict=True), strict=True)
    columns = {title: [*cells] for title, cells in cells_by_title if any(cells)}
    widths = {title: max(map(len, [title, *cells])) for title, cells in columns.items()}
    if width is not None:
        widths = _narrowed(widths, width)
    for title in SHORTEST:
        columns[title] = [shorten(cell, widths[title]) for cell in columns[title]]
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    return [
        GAP.join(
            f"{cell:<{size}}" if title in SHORTEST else f"{cell:>{size}}"
            for cell, (title, size) in zip(row, widths.items(), strict=True)
        ).rstrip()
        for row in rows
    ]


def _narrowed(widths: Mapping[str, int], width: int) -> dict[str, int]:
    """The columns' widths with those of `SHORTEST` reduced until a line fits, if that is enough."""
    narrowed = dict(widths)
    for title, least in SHORTEST.items():
        excess = sum(narrowed.values()) + len(GAP) * (len(narrowed) - 1) - width
        if excess > 0 and narrowed[title] > least:
            narrowed[title] = max(narrowed[title] - excess, least)
    return narrowed


def summary(runs: Sequence[RunStatus]) -> str:
    """How many runs there are in each state."""
    counts = Counter(run.state for run in runs)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}: {states}"


def shorten(text: str, length: int) -> str:
    """A text of at most so many characters, with an ellipsis in place of its middle."""
    if len(text) <= length:
        return text
    end = length // 2
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def _cells(run: RunStatus, now: float) -> tuple[str, ...]:
    """What the columns say of a run; empty where a value is not known."""
    steps = "" if run.env_steps is None else str(run.env_steps)
    if run.steps is not None:
        steps = f"{steps or '-'} / {run.steps}"
    return (
        str(run.path),
        run.state,
        steps,
        _number(run.steps_per_second, 0),
        _number(run.test_return, 2),
        _number(run.test_success, 2),
        "" if run.seconds_left is None else duration(run.seconds_left),
        f"{duration(max(now - run.written_at, 0.0))} ago" if run.written_at else "",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
