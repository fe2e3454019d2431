"""Rows: what a comparison keeps of finished runs, rows/<task>/<label>/, small enough to commit.

A line's config.gin, and of each seed progress.csv and run.json, as far as a report reads them.
"""

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from offpcc.suite import Planned

COLUMNS = ("env_steps", "updates", "episodes", "train_return", "test_return", "test_return_se",
           "test_length", "test_success", "seconds", "updates_per_second")  # fmt: skip
FACTS = ("command", "env", "algo", "run_id", "config", "bind", "seed", "evaluation_episodes",
         "threads", "cpu", "versions", "git_commit")  # fmt: skip


def rows_of(run: Planned, rows: Path) -> Path:
    """The folder of one run's rows."""
    return rows.joinpath(*run.place)


def keep_rows(planned: Iterable[Planned], rows: Path) -> int:
    """Copies the rows of the runs that have finished, over older ones; the count of runs with rows.

    Rows of runs that are not here, but were kept from elsewhere or before, stay.
    """
    kept = 0
    for run in planned:
        source, target = run.request.folder, rows_of(run, rows)
        if source.exists and "final" in (told := source.read()):
            target.mkdir(parents=True, exist_ok=True)
            facts = {key: told[key] for key in FACTS if key in told}
            (target / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            _copy_columns(source / "progress.csv", target / "progress.csv")
            shutil.copy(source / "config.gin", target.parent)
        kept += target.exists()
    return kept


def _copy_columns(source: Path, target: Path) -> None:
    with source.open(newline="", encoding="utf-8") as read, target.open("w", newline="") as write:
        rows = csv.DictReader(read)
        names = [name for name in COLUMNS if name in (rows.fieldnames or ())]
        writer = csv.DictWriter(write, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
