"""Begins a run from its specification, or continues it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offpcc.config import bindings
from offpcc.errors import ConfigError
from offpcc.processes.interrupt import Interrupt
from offpcc.runs.experiment import Experiment
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.warm_start import WarmStart
from offpcc.storage.run_folder import RunFolder
from offpcc.training.callbacks import Callback

MAY_CHANGE = (  # at a resume
    "Training.steps",
    "Training.eval_interval",
    "Training.max_skipped_updates",
    "Evaluator.episodes",
    "TrainingConfig.num_checkpoints",
    "TrainingConfig.async_envs",
    "TrainingConfig.device",
    "TrainingConfig.num_threads",
    "TrainingConfig.worker_timeout",
    "precision",
)


def start_run(
    request: RunSpec, overwrite: bool = False, callbacks: Sequence[Callback] = ()
) -> RunFolder:
    """Starts a run from its first step."""
    folder = request.folder
    folder.check(overwrite=overwrite)
    config = request.compose()
    drawn = int(np.random.SeedSequence().generate_state(1)[0])
    seed = drawn if request.seed is None else request.seed
    warm_start = WarmStart(request.init_from) if request.init_from else None
    experiment = Experiment(request, config, seed, warm_start=warm_start, callbacks=callbacks)
    with folder.locked(), Interrupt() as interrupt:
        if not overwrite:
            folder.refuse_begun()
        folder.clear()
        experiment.start(interrupt)
    return folder


def resume_run(request: RunSpec, callbacks: Sequence[Callback] = ()) -> RunFolder:
    """Continues a stopped run exactly where its newest valid checkpoint was."""
    folder = request.folder
    folder.check(resume=True)
    before = folder.read()
    if request.seed not in (None, before["seed"]):
        raise ConfigError(f"the run's seed is {before['seed']}; it goes on with that one only")
    _refuse_another_start(request, before)
    old = bindings.compose([folder / "config.gin"])
    config = request.compose(resume=True)
    refuse_changes(old.fixed(MAY_CHANGE), config.fixed(MAY_CHANGE), "its config")
    experiment = Experiment(request, config, before["seed"], before=old, callbacks=callbacks)
    refuse_changes(before["spec"], experiment.spec, "its environment")
    with folder.locked(), Interrupt() as interrupt:
        experiment.resume(interrupt, before)
    return folder


def _refuse_another_start(request: RunSpec, before: dict[str, Any]) -> None:
    """Raises ConfigError if a resumed run is asked for as if it had begun in another way."""
    begun = before.get("init_from", {}).get("path")
    if request.init_from and (begun is None or not _same_place(begun, request.init_from)):
        how = "without --init-from" if begun is None else f"from {begun}"
        raise ConfigError(f"the run was begun {how}; a resume goes on from its own checkpoint")


def _same_place(one: str | Path, other: str | Path) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def refuse_changes(before: dict[str, Any], now: dict[str, Any], what: str) -> None:
    """Raises ConfigError, with the differences, if a resumed run would not be the same."""
    keys = [key for key in sorted(before | now) if before.get(key) != now.get(key)]
    if keys:
        changes = ", ".join(f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys)
        raise ConfigError(f"a resumed run keeps {what}, but this differs: {changes}")
