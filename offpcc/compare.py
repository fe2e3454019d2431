"""Compare: a suite's runs, each begun, continued or left as it is."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from offpcc import bindings, jobs
from offpcc.config import Config
from offpcc.experiment import MAY_CHANGE
from offpcc.faults import ConfigError
from offpcc.record import WandB, account
from offpcc.rows import rows_of
from offpcc.suite import Planned, Suite


def train(planned: Sequence[Planned], limit: int, rows: Path, flags: Sequence[str] = ()) -> int:
    """Trains what is not finished, `limit` at a time; 0, or the first failure's exit code.

    A run whose rows were kept counts as finished. Raises ConfigError, before anything is trained,
    for a config that cannot be meant, and for a run that is there, or rows, with other settings
    than are asked for; RunLockedError for a run that is at work.
    """
    todo = []
    runs = {run.name: run for run in planned}
    for run in runs.values():
        folder, kept = run.request.folder, rows_of(run, rows)
        config = _composed(tuple(run.request.files), tuple(run.request.bind))
        folder.check(resume=folder.exists)
        if folder.exists:
            refuse_other(run, config, folder.read(), folder / "config.gin")
            if "final" not in folder.read():
                todo.append(jobs.Job(run.request, ("--resume", *flags)))
        elif kept.exists():
            told = json.loads((kept / "run.json").read_text(encoding="utf-8"))
            refuse_other(run, config, told, kept.parent / "config.gin")
        else:
            todo.append(jobs.Job(run.request, tuple(flags)))
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished before", flush=True)
    return jobs.run(todo, limit, again="the same command")


def refuse_other(run: Planned, config: Config, told: Mapping[str, Any], file: Path) -> None:
    """Raises ConfigError unless these, its run.json and config.gin, are what the suite asks for."""
    old = bindings.compose([file])
    was = {"seed": told["seed"], "steps": old.values["Training.steps"]}
    now = {"seed": run.seed, "steps": run.steps} | config.fixed(MAY_CHANGE)
    was |= old.fixed(MAY_CHANGE)
    keys = [key for key in was if was[key] != now.get(key, was[key])]
    if keys:
        differ = ", ".join(f"{key}: {was[key]}, not {now[key]}" for key in keys)
        raise ConfigError(
            f"{file.parent} is there with other settings than the suite's ({differ}); move it "
            "away, or give the entry a label"
        )


def show(suite: Suite, run: Planned, folder: Path) -> None:
    """Logs the report to wandb, as its runs are, in a group by the suite's name."""
    facts = {"suite": suite.name, "question": suite.question, "at": suite.at}
    mirror = WandB(
        folder,
        mode=str(run.request.wandb),
        group=suite.name,
        name="report",
        config=facts,
        **account(),
    )
    mirror.show(folder / "report.md", sorted(folder.glob("*.png")))
    mirror.close()


@cache
def _composed(files: tuple[Path, ...], bind: tuple[str, ...]) -> Config:
    return bindings.compose(files, bind)
