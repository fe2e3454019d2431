"""Trains the runs of a suite: each is begun, continued, or left as it is."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from offpcc.compare.archived_rows import have_rows, rows_of
from offpcc.compare.suite import PlannedRun, Suite
from offpcc.config import bindings
from offpcc.config.config import Config
from offpcc.errors import ConfigError
from offpcc.runs import jobs
from offpcc.runs.job import Job
from offpcc.runs.start_or_resume import MAY_CHANGE
from offpcc.runs.starter import Starter
from offpcc.storage.run_folder import read_json
from offpcc.training.tracking import WandB, account

# May change at a resume, and make other scores.
JUDGED = ("Training.eval_interval", "Evaluator.episodes", "precision")
FREE = tuple(key for key in MAY_CHANGE if key not in JUDGED)


def train(
    planned: Sequence[PlannedRun], starter: Starter, rows: Path, flags: Sequence[str] = ()
) -> int:
    """Trains what is not finished; 0, or the first failure's exit code.

    A run whose rows were kept counts as finished. Raises RunLockedError, before anything is
    trained, for a run that is at work.
    """
    todo = []
    runs = {run.name: run for run in planned}
    for run in runs.values():
        folder = run.request.folder
        folder.check(resume=folder.exists)
        if folder.exists and "final" not in folder.read():
            todo.append(Job(run.request, ("--resume", *flags)))
        elif not folder.exists and not have_rows(run, rows):
            todo.append(Job(run.request, tuple(flags)))
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished before", flush=True)
    return jobs.run(todo, starter, again="the same command")


def refuse_others(planned: Sequence[PlannedRun], rows: Path) -> None:
    """Raises ConfigError for a config that cannot be meant, and for what the suite did not ask for.

    That is a run, or rows of one, with another environment, algorithm, seed or setting.
    """
    for run in planned:
        config = _composed(tuple(run.request.files), tuple(run.request.bind))
        folder, kept = run.request.folder, rows_of(run, rows)
        if folder.exists:
            _refuse(run, config, folder / "run.json", folder / "config.gin")
        if have_rows(run, rows):
            _refuse(run, config, kept / "run.json", kept.parent / "config.gin")


def _refuse(run: PlannedRun, config: Config, facts: Path, file: Path) -> None:
    description, old = read_json(facts, ("env", "algo", "seed")), bindings.compose([file])
    either = [k for k, v in config.values.items() if k.endswith(".precision") and v == "auto"]
    free = (*FREE, *either)
    was = {key: description[key] for key in ("env", "algo", "seed")}
    now = {"env": run.request.env, "algo": run.request.algo, "seed": run.seed}
    was = {**was, "steps": old.values["Training.steps"], **old.fixed(free)}
    now = {**now, "steps": run.steps, **config.fixed(free)}
    keys = [key for key in was if was[key] != now.get(key, was[key])]
    if keys:
        differ = ", ".join(f"{key}: {was[key]}, not {now[key]}" for key in keys)
        raise ConfigError(
            f"{facts.parent} is there with other settings than the suite's ({differ}); move it "
            "away, or give the entry a label"
        )


def show(suite: Suite, run: PlannedRun, folder: Path) -> None:
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
