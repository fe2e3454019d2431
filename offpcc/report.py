"""Report: what a suite's finished runs came to, made from their rows alone; imports no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offpcc.plot import Run, aggregate_table, at_equal_time, draw, find_runs, table
from offpcc.plot.table import markdown
from offpcc.suite import Planned, Suite

PICTURES = {
    "return_steps.png": "Return against environment steps",
    "return_time.png": "Return against wall time",
    "aggregate.png": "Over all tasks",
    "profiles.png": "Performance profiles",
}
PLANNED = ("task", "line", "environment", "algorithm", "steps", "settings", "seeds", "missing")
AT = {
    "steps": "Runs are judged where they end.",
    "time": "Runs are judged at equal wall time: in each task, that of its run that ended first.",
}


def report(suite: Suite, planned: Sequence[Planned], folder: Path) -> list[Path]:
    """Writes report.md and its pictures from folder/rows; returns the files.

    Raises ValueError if there is no row of the suite's runs.
    """
    places = {run.place for run in planned}
    runs = [run for run in find_runs([folder / "rows"]) if place_of(run) in places]
    if not runs:
        raise ValueError(f"{folder / 'rows'} has no run of suite {suite.name}")
    runs = at_equal_time(runs) if suite.at == "time" else runs
    pictures = draw(runs, folder, pairs=suite.pairs)
    parts = [
        f"# {suite.name}",
        suite.question,
        f"{AT[suite.at]} In tables and pictures, an environment is a task, an algorithm a line.",
        *(f"![{PICTURES[path.name]}]({path.name})" for path in pictures),
        "## Scores",
        table(runs, suite.pairs).strip(),
    ]
    if len({run.env for run in runs}) > 1:
        parts += ["## Over all tasks", aggregate_table(runs, suite.pairs).strip()]
    parts += ["## What was run", _what_was_run(planned, {place_of(run) for run in runs}).strip()]
    parts += [_made_with(folder, runs)]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [folder / "report.md", *pictures]


def place_of(run: Run) -> tuple[str, str, str]:
    """Task, label and seed."""
    return run.env, run.algo, run.run_id


def _what_was_run(planned: Sequence[Planned], done: set[tuple[str, str, str]]) -> str:
    lines: dict[tuple[str, ...], list[Planned]] = {}
    for run in planned:
        asked = run.request
        binds = [line for line in asked.bind if not line.startswith("steps = ")]
        settings = [str(asked.config)] if asked.config else []
        key = (run.task, run.label, asked.env, asked.algo, f"{run.steps:,}")
        lines.setdefault((*key, "; ".join([*settings, *binds])), []).append(run)
    return markdown(PLANNED, [[*key, *_seeds(members, done)] for key, members in lines.items()])


def _seeds(members: Sequence[Planned], done: set[tuple[str, str, str]]) -> list[str]:
    """Which seeds there are, and which are missing."""
    split: tuple[list[str], list[str]] = [], []
    for run in members:
        split[run.place not in done].append(str(run.seed))
    return [", ".join(seeds) for seeds in split]


def _made_with(folder: Path, runs: Sequence[Run]) -> str:
    """The versions, commits and processors that the runs name."""
    told: list[dict[str, Any]] = [
        json.loads((folder / "rows").joinpath(*place_of(run), "run.json").read_text("utf-8"))
        for run in runs
    ]
    packages = {
        f"{name} {number}" for each in told for name, number in each.get("versions", {}).items()
    }
    rest = [
        f"{what}: {', '.join(sorted({str(each.get(key)) for each in told}))}"
        for what, key in (("commit", "git_commit"), ("threads", "threads"), ("cpu", "cpu"))
    ]
    return f"Made with {', '.join(sorted(packages))}; {'; '.join(rest)}."
