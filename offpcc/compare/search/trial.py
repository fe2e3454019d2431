"""A trial: the runs with the settings that were proposed, from their first step to a score."""

import math
from collections.abc import Sequence

import numpy as np

from offpcc.compare.plot import find_runs
from offpcc.compare.search.study import Study
from offpcc.errors import RunExistsError, RunLockedError, Stopped
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.start_or_resume import resume_run, start_run
from offpcc.storage.run_folder import RunFolder
from offpcc.training.callbacks import Prune

AGAIN = "the same command"


class SeedOfTrial:
    """What one of a trial's runs reports to: the steps of its runs are counted on.

    before: the steps of the runs before it. interval: steps are rounded down to its multiples,
    which some numbers of environments pass by.
    """

    def __init__(self, study: Study, number: int, before: int, interval: int) -> None:
        self._study, self._number = study, number
        self._before, self._interval = before, interval
        self._trial = study.handle(number)
        self._ended = False

    def report(self, value: float, step: int) -> None:
        """Takes a return at so many steps of this run; one that it has is from before a stop."""
        self._ended = step >= self._study.space.steps
        rounded = step // self._interval * self._interval
        at = self._before + (self._study.space.steps if self._ended else rounded)
        if at not in self._study.trial(self._number).intermediate_values:
            self._trial.report(value, at)

    def should_prune(self) -> bool:
        """Whether the run is not worth going on; one that has made its steps is."""
        return not self._ended and self._trial.should_prune()


def run_trial(study: Study, number: int, requests: Sequence[RunSpec]) -> None:
    """Trains what a trial lacks of its runs, and records how it ends; prints that, too.

    Raises what a training does, and then records nothing.
    """
    scores = []
    for k, request in enumerate(requests):
        trial = SeedOfTrial(study, number, k * study.space.steps, _interval(request))
        if _pruned(request, trial):
            study.prune(number)
            print("pruned", flush=True)
            return
        scores.append(score(request.folder, study.space.last_evaluations))
    study.complete(number, float(np.mean(scores)))
    print(f"score {np.mean(scores):.2f}", flush=True)


def score(folder: RunFolder, last: int) -> float:
    """The mean test_return of a run's last evaluations, or of all if there are fewer.

    Raises ValueError where it is not finite.
    """
    (run,) = find_runs([folder.path])
    returns = run.columns["test_return"]
    found = float(returns[np.isfinite(returns)][-last:].mean())
    if not math.isfinite(found):
        raise ValueError(f"the score of {folder.path} is {found}")
    return found


def _pruned(request: RunSpec, trial: SeedOfTrial) -> bool:
    """Trains a run, or what is left of it; gives whether it was pruned."""
    folder, prune = request.folder, Prune(trial)
    try:
        if not folder.exists:
            start_run(request, callbacks=(prune,))
        elif "final" not in folder.read():
            resume_run(request, callbacks=(prune,))
    except Stopped as error:
        raise Stopped(error.number, AGAIN) from error
    except RunExistsError as error:  # by the process of a search that was killed a moment ago
        raise RunLockedError(str(error)) from error
    return "stopped" in folder.read()


def _interval(request: RunSpec) -> int:
    return int(request.compose().values["Training.eval_interval"])
