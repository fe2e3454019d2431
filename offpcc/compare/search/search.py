"""The search: trials, each in a process of its own, until there are as many as the space asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from offpcc.compare.search.study import Study
from offpcc.compare.search.trial import AGAIN
from offpcc.errors import Stopped, StorageError
from offpcc.runs.crew import Crew
from offpcc.runs.job import Job
from offpcc.runs.starter import LocalStarter

LOCKED, STORAGE = 5, 7  # exit codes
SIGNALLED = (129, 130, 143)  # exit codes of what somebody stopped


@dataclass(frozen=True, eq=False)
class TrialJob(Job):
    """A trial; flags: the command of the search, without its number of jobs."""

    number: int = field(kw_only=True)
    study: Study = field(kw_only=True)

    @property
    def name(self) -> str:
        """As optuna counts it."""
        return f"trial {self.number}"

    @property
    def finished(self) -> bool:
        """Whether how it ended is recorded."""
        return self.study.trial(self.number).state.is_finished()

    def words(self, threads: int) -> list[str]:
        """Its command line; the threads are in the environment, so that no config differs."""
        return [*self.flags, "--trial", str(self.number)]


def search(study: Study, limit: int, flags: Sequence[str]) -> int:
    """Makes the trials that are lacking, `limit` at a time.

    Gives 0, or the exit code of the first that failed. A trial that is stopped is left to be taken
    up again. flags: the command line of a trial. Raises Stopped after a signal, and StorageError
    once a disk takes no more.
    """
    stopped, codes, full = study.claim_stopped(), [], ""
    with Crew(LocalStarter(limit)) as crew:
        while True:
            while crew.hires and not full:
                number = stopped.pop(0) if stopped else study.claim_next()
                if number is None:
                    break
                _start(crew, study, number, flags)
            if not crew.working:
                break
            job, code, words = crew.wait()
            assert isinstance(job, TrialJob)
            codes.append(_record(crew, job, code, words))
            full = words if code == STORAGE else full
    if crew.stopped:
        raise Stopped(crew.stopped, AGAIN)
    if full:
        raise StorageError(full)
    return next(filter(None, codes), 0)


def _start(crew: Crew, study: Study, number: int, flags: Sequence[str]) -> None:
    params = study.trial(number).params
    request = study.space.requests(params, number, results=study.folder)[0]
    job = TrialJob(request, tuple(flags), number=number, study=study)
    crew.tell(job, ", ".join(study.space.chosen(params)))
    crew.start(job)


def _record(crew: Crew, job: TrialJob, code: int, words: str) -> int:
    """Records a failure; gives the exit code where there is one."""
    study, number = job.study, job.number
    over = study.trial(number).state.is_finished()
    if not over and code in (LOCKED, STORAGE, *SIGNALLED):
        crew.tell(job, f"not over; {AGAIN} takes it up again")
    elif not over:
        study.fail(number, words)
        crew.tell(job, f"failed: {words}")
    study.release(number)
    return 0 if over or code in SIGNALLED else code


def scored(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have a score, the best first."""
    found = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(found, key=lambda trial: (-(trial.value or 0.0), trial.number))
