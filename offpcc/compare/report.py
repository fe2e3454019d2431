"""Report: what the finished runs of a suite show, made from their rows alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offpcc.compare.plot import (
    Run,
    aggregate_table,
    at_equal_time,
    cost_table,
    draw,
    find_runs,
    table,
)
from offpcc.compare.plot.table import markdown
from offpcc.compare.suite import PlannedRun, Suite
from offpcc.storage.run_folder import read_json

PICTURES = {
    "return_steps.png": "Return against environment steps",
    "return_time.png": "Return against wall time",
    "aggregate.png": "Over all tasks",
    "profiles.png": "Performance profiles",
}
PLANNED = ("task", "line", "environment", "algorithm", "steps", "settings", "seeds", "missing")
AT = {
    "steps": "Runs are scored where they end.",
    "time": "Runs are scored at equal wall time: in each task, that of its run that ended first.",
}
MADE_BY = {
    "commit": "git_commit",
    "device": "device",
    "precision": "precision",
    "num_threads": "threads",
    "processor": "processor",
    "instructions": "cpu",
}


def report(suite: Suite, planned: Sequence[PlannedRun], folder: Path) -> list[Path]:
    """Writes report.md and its pictures from folder/rows; returns the files.

    Raises ValueError if there is no row of the suite's runs.
    """
    places = {run.place for run in planned}
    runs = [run for run in find_runs([folder / "rows"]) if place_of(run) in places]
    if not runs:
        raise ValueError(f"{folder / 'rows'} has no run of suite {suite.name}")
    runs = at_equal_time(runs) if suite.at == "time" else runs
    pictures, facts = draw(runs, folder, pairs=suite.pairs), _facts(folder, runs)
    parts = [
        f"# {suite.name}",
        suite.question,
        scoring_note(suite.at, facts),
        "In tables and pictures, an environment is a task, an algorithm a line.",
        *(f"![{PICTURES[path.name]}]({path.name})" for path in pictures),
        "## Scores",
        table(runs, suite.pairs).strip(),
    ]
    if len({run.env for run in runs}) > 1:
        parts += ["## Over all tasks", aggregate_table(runs, suite.pairs).strip()]
    if suite.aims:
        parts += ["## What it took", cost_table(runs, suite.aims).strip()]
    parts += ["## What was run", _what_was_run(planned, {place_of(run) for run in runs}).strip()]
    parts += [_made_with(facts)]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [folder / "report.md", *pictures]


def place_of(run: Run) -> tuple[str, str, str]:
    """Task, label and seed."""
    return run.env, run.algo, run.run_id


def _what_was_run(planned: Sequence[PlannedRun], done: set[tuple[str, str, str]]) -> str:
    lines: dict[tuple[str, ...], list[PlannedRun]] = {}
    for run in planned:
        asked = run.request
        binds = [line for line in asked.bind if not line.startswith(("steps = ", "device = "))]
        settings = [str(asked.config)] if asked.config else []
        key = (run.task, run.label, asked.env, asked.algo, f"{run.steps:,}")
        lines.setdefault((*key, "; ".join([*settings, *binds])), []).append(run)
    return markdown(PLANNED, [[*key, *_seeds(members, done)] for key, members in lines.items()])


def _seeds(members: Sequence[PlannedRun], done: set[tuple[str, str, str]]) -> list[str]:
    """Which seeds there are, and which are missing."""
    split: tuple[list[str], list[str]] = [], []
    for run in members:
        split[run.place not in done].append(str(run.seed))
    return [", ".join(seeds) for seeds in split]


def _facts(folder: Path, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What each run's run.json says."""
    files = (folder / "rows" / Path(*place_of(run)) / "run.json" for run in runs)
    return [read_json(file) for file in files]


def scoring_note(at: str, facts: Sequence[dict[str, Any]]) -> str:
    """Where runs are scored, and what to hold against it."""
    processors = {str(each.get("processor")) for each in facts}
    if at == "time" and len(processors) > 1:
        return f"{AT[at]} They ran on {len(processors)} kinds of processors: compare with care."
    return AT[at]


def _made_with(facts: Sequence[dict[str, Any]]) -> str:
    """The versions, commits and processors that the runs name."""
    packages = {
        f"{name} {number}" for each in facts for name, number in each.get("versions", {}).items()
    }
    parts = [", ".join(sorted(packages))]
    for what, key in MADE_BY.items():
        if names := sorted({str(each[key]) for each in facts if key in each}):
            parts.append(f"{what}: {', '.join(names)}")
    return f"Made with {'; '.join(parts)}."
