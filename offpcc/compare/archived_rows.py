"""Archive: the rows of finished runs, rows/<task>/<label>/, small enough to commit.

A line's config.gin, and of each seed progress.csv and run.json, as far as a report reads them.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offpcc.compare.suite import PlannedRun
from offpcc.storage.atomic_io import make_folder
from offpcc.storage.run_folder import RunFolder

COLUMNS = ("env_steps", "updates", "episodes", "train_return", "test_return", "test_return_se",
           "test_length", "test_success", "seconds", "updates_per_second")  # fmt: skip
FACTS = ("env", "algo", "run_id", "config", "bind", "seed", "eval_episodes",
         "device", "precision", "num_threads", "cpu", "processor", "versions", "git_commit",
         "resumes")  # fmt: skip


def rows_of(run: PlannedRun, rows: Path) -> Path:
    """The folder of one run's rows."""
    return rows.joinpath(*run.place)


def have_rows(run: PlannedRun, rows: Path) -> bool:
    """Whether they were kept; run.json is the last to come."""
    return (rows_of(run, rows) / "run.json").exists()


def keep_rows(planned: Sequence[PlannedRun], rows: Path) -> int:
    """Copies the rows of finished runs, over older ones; gives how many runs have rows.

    Rows of runs that are not here, but were kept from elsewhere or before, stay. A kill leaves a
    run with all of its rows or with none that count.
    """
    for run in planned:
        source, target = run.request.folder, RunFolder(rows_of(run, rows))
        if source.exists and "final" in (description := source.read()):
            make_folder(target.path)
            line, config = RunFolder(target.path.parent), source / "config.gin"
            line.replace("config.gin", config.read_text(encoding="utf-8"))
            target.replace("progress.csv", _columns_of(source / "progress.csv"))
            target.write(_facts_of(description))
    return sum(have_rows(run, rows) for run in planned)


def _facts_of(description: dict[str, Any]) -> dict[str, Any]:
    """Of run.json, and of each resume in it: where it went on, and what had changed by then."""
    facts = {key: description[key] for key in FACTS if key in description}
    if resumes := facts.get("resumes"):
        known = ("step", "exact", *FACTS)
        facts["resumes"] = [{k: each[k] for k in known if k in each} for each in resumes]
    return facts


def _columns_of(file: Path) -> str:
    with file.open(newline="", encoding="utf-8") as read:
        rows = csv.DictReader(read)
        names = [name for name in COLUMNS if name in (rows.fieldnames or ())]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
