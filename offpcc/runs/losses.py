"""Losses: what becomes of jobs whose machine is gone."""

from dataclasses import replace

from offpcc.runs.job import Job

MOST = 3  # losses without a new checkpoint between them


class Losses:
    """Counts how often jobs were lost, by their names."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, str]] = {}  # losses, and the newest checkpoint then
        self._before: dict[str, float] = {}  # when run.json was written, as jobs were started

    def begin(self, job: Job) -> None:
        """Called before a job is started."""
        self._before[job.name] = _written(job)

    def ended(self, job: Job) -> bool:
        """Whether a lost job had finished its run."""
        return self._began(job) and job.finished

    def again(self, job: Job) -> Job | None:
        """The job that continues a lost one, or begins it anew; None once it is given up."""
        count, before = self._counts.get(job.name, (0, ""))
        newest = _newest_checkpoint(job)
        count = count + 1 if newest == before else 1
        self._counts[job.name] = count, newest
        if count == MOST:
            return None
        others = (flag for flag in job.flags if flag not in ("--resume", "--overwrite"))
        flags = (*others, "--resume") if self._began(job) else job.flags
        return replace(job, flags=flags, waits=True)

    def _began(self, job: Job) -> bool:
        return job.request.folder.exists and _written(job) != self._before[job.name]


def _written(job: Job) -> float:
    folder = job.request.folder
    return (folder / "run.json").stat().st_mtime if folder.exists else 0.0


def _newest_checkpoint(job: Job) -> str:
    folders = (job.request.folder / "checkpoints").glob("step-*")
    return max((path.name for path in folders), default="")
