"""Compare: a suite's runs, each begun, continued or left as it is."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from offpcc import bindings, jobs
from offpcc.config import Config
from offpcc.experiment import MAY_CHANGE
from offpcc.faults import ConfigError
from offpcc.record import WandB, account
from offpcc.suite import Planned, Suite


def train(planned: Sequence[Planned], limit: int, flags: Sequence[str] = ()) -> int:
    """Trains what is not finished, `limit` at a time; 0, or the first failure's exit code.

    Raises ConfigError, before anything is trained, for a config that cannot be meant, and for a
    run that is there but was asked for otherwise; RunLockedError for one that is at work.
    """
    todo = []
    runs = {run.name: run for run in planned}
    for run in runs.values():
        folder = run.request.folder
        config = _composed(tuple(run.request.files), tuple(run.request.bind))
        folder.check(resume=folder.exists)
        if not folder.exists:
            todo.append(jobs.Job(run.request, tuple(flags)))
            continue
        refuse_other(run, config)
        if "final" not in folder.read():
            todo.append(jobs.Job(run.request, ("--resume", *flags)))
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished before", flush=True)
    return jobs.run(todo, limit, again="the same command")


def refuse_other(run: Planned, config: Config) -> None:
    """Raises ConfigError if the run that is there is not the one that the suite asks for."""
    folder = run.request.folder
    old = bindings.compose([folder / "config.gin"])
    was = {"seed": folder.read()["seed"], "steps": old.values["Training.steps"]}
    now = {"seed": run.seed, "steps": run.steps} | config.fixed(MAY_CHANGE)
    was |= old.fixed(MAY_CHANGE)
    keys = [key for key in was if was[key] != now.get(key, was[key])]
    if keys:
        told = ", ".join(f"{key}: {was[key]}, not {now[key]}" for key in keys)
        raise ConfigError(
            f"{folder.path} is there with other settings than the suite's ({told}); move it away, "
            "or give the entry a label"
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
