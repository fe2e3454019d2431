"""Study: the trials of a search, in a database that several processes may work on at once."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from offpcc.compare.search.space import Choices, Setting, Space
from offpcc.config.config import Config
from offpcc.errors import ConfigError, RunLockedError
from offpcc.storage.atomic_io import make_folder
from offpcc.storage.file_lock import lock

PATIENCE = 60.0  # seconds to wait for another process's turn
REASON = "reason"  # the attribute of a failed trial that says why

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Study:
    """The trials of a space; folder: of the search, which gets study.db.

    A trial that no process has claimed is begun, and not over, was stopped: it can be claimed and
    taken up again. Raises ConfigError where the folder has the trials of other settings.
    """

    def __init__(self, space: Space, config: Config, folder: Path) -> None:
        self.space, self.folder = space, folder
        self._claims: dict[int, ExitStack] = {}
        make_folder(folder)
        with self._alone():
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{(folder / 'study.db').as_posix()}",
                engine_kwargs={"connect_args": {"timeout": PATIENCE}},
            )
            self.optuna = optuna.create_study(
                study_name=space.name,
                storage=self._storage,
                direction="maximize",
                pruner=_pruner(space),
                load_if_exists=True,
            )
            self._refuse_others(space.facts(config))

    @property
    def trials(self) -> list[FrozenTrial]:
        """All that have begun, in their order."""
        found = self.optuna.get_trials(deepcopy=False)
        return [trial for trial in found if trial.state != TrialState.WAITING]

    def trial(self, number: int) -> FrozenTrial:
        """What is known of a trial by now. Raises ValueError if there is none."""
        found = [trial for trial in self.trials if trial.number == number]
        if not found:
            raise ValueError(f"{self.folder} has no trial {number}")
        return found[0]

    def handle(self, number: int) -> Trial:
        """A trial to report to."""
        return Trial(self.optuna, self._id(number))

    def claim_stopped(self) -> list[int]:
        """Claims the trials that were stopped before they were over; gives their numbers."""
        with self._alone():
            claimed = [trial.number for trial in self.trials if self._claim_running(trial)]
        return claimed

    def claim_next(self) -> int | None:
        """Begins a trial and claims it, its settings proposed; None once there are enough."""
        with self._alone():
            if len(self.trials) >= self.space.trials:
                return None
            trial = self.optuna.ask()
            # A sampler a trial: a search that goes on draws what it would have drawn.
            self.optuna.sampler = optuna.samplers.TPESampler(
                seed=_mixed(self.space.seed, trial.number),
                n_startup_trials=self.space.random_trials,
            )
            for name, setting in self.space.settings.items():
                _suggest(trial, name, setting)
            self._claim(trial.number)
            return trial.number

    def release(self, number: int) -> None:
        """Gives a trial's claim up."""
        self._claims.pop(number).close()
        if self.trial(number).state.is_finished():
            self._lock_of(number).unlink(missing_ok=True)

    def complete(self, number: int, score: float) -> None:
        """Records a trial's score."""
        self.optuna.tell(number, score)

    def prune(self, number: int) -> None:
        """Records that a trial was not worth going on."""
        self.optuna.tell(number, state=TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> None:
        """Records that a trial cannot be scored, and why."""
        self._storage.set_trial_user_attr(self._id(number), REASON, reason)
        self.optuna.tell(number, state=TrialState.FAIL)

    def _id(self, number: int) -> int:
        study = self._storage.get_study_id_from_name(self.space.name)
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)

    def _claim_running(self, trial: FrozenTrial) -> bool:
        if trial.state != TrialState.RUNNING or not self._claim(trial.number):
            return False
        if self.trial(trial.number).state == TrialState.RUNNING:
            return True
        self.release(trial.number)  # its process has ended it since
        return False

    def _claim(self, number: int) -> bool:
        claim = ExitStack()
        try:
            claim.enter_context(lock(self._lock_of(number)))
        except RunLockedError:
            return False
        self._claims[number] = claim
        return True

    def _lock_of(self, number: int) -> Path:
        return self.folder / "locks" / f"trial-{number}.lock"

    def _alone(self) -> Any:
        return lock(self.folder / "locks" / "study.lock", PATIENCE)

    def _refuse_others(self, facts: dict[str, Any]) -> None:
        was = self.optuna.user_attrs.get("space")
        if was is None:
            self.optuna.set_user_attr("space", facts)
        elif changes := list(_differences(was, facts)):
            raise ConfigError(
                f"{self.folder} has the trials of other settings ({', '.join(changes)}); move it "
                "away, or give the space's file another name"
            )


def _pruner(space: Space) -> optuna.pruners.BasePruner:
    if space.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(space.prune_after_trials, space.warmup_steps)


def _mixed(seed: int, number: int) -> int:
    """A seed of its own for each trial."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _suggest(trial: Trial, name: str, setting: Setting) -> None:
    if isinstance(setting, Choices):
        trial.suggest_categorical(name, setting.ends)
    elif setting.whole:
        low, high = map(int, setting.ends)
        trial.suggest_int(name, low, high, step=int(setting.step or 1), log=setting.log)
    else:
        trial.suggest_float(name, *setting.ends, step=setting.step, log=setting.log)


def _differences(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Any:
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{key} " if key == "space" else "")
        elif old != new:
            yield f"{prefix}{key}: {old}, not {new}"
