"""Jobs: several trainings side by side, each in a process of its own."""

import sys
from collections.abc import Mapping, Sequence

from offpcc.errors import LOST_TOO_OFTEN, Stopped
from offpcc.processes.child import LOST, NOT_BEGUN
from offpcc.runs.crew import Crew
from offpcc.runs.job import Job
from offpcc.runs.losses import MOST, Losses
from offpcc.runs.starter import Starter


def run(jobs: Sequence[Job], starter: Starter, again: str = "--resume") -> int:
    """Runs them; gives 0, or the exit code of the first that failed.

    A failure stops no other job; at the end each has a line. A job whose machine is lost is
    started again. Raises Stopped once all have stopped for a signal, saying that `again` continues
    them.
    """
    if not jobs:
        return 0
    waiting, ends = list(jobs), dict.fromkeys((job.name for job in jobs), (0, ""))
    losses = Losses()
    with Crew(starter) as crew:
        while crew.working or (waiting and not crew.stopped):
            while waiting and crew.hires:
                losses.begin(waiting[0])
                crew.start(waiting.pop(0))
            job, code, words = crew.wait()
            if code == NOT_BEGUN:
                waiting.append(job)
            elif code != LOST:
                ends[job.name] = code, words
            elif crew.stopped:
                ends[job.name] = 128 + crew.stopped, words
            elif losses.ended(job):
                ends[job.name] = 0, ""
            elif next_job := losses.again(job):
                crew.tell(job, "its machine was lost; it is queued again")
                waiting.append(next_job)
            else:
                words = f"its machine was lost {MOST} times without a new checkpoint between"
                ends[job.name] = LOST_TOO_OFTEN, words
    return _report(ends, [job.name for job in waiting], crew.stopped, again)


def _report(
    ends: Mapping[str, tuple[int, str]], not_begun: Sequence[str], stopped: int, again: str
) -> int:
    """Says which jobs failed or never began; gives the first failure's exit code, or 0."""
    failed = {name: end for name, end in ends.items() if end[0] not in (0, 128 + stopped)}
    for name, (_, words) in failed.items():
        print(f"failed: {name}: {words}", file=sys.stderr)
    if not_begun:
        print(f"not begun: {', '.join(not_begun)}", file=sys.stderr)
    if stopped:
        raise Stopped(stopped, again)
    return next((code for code, _ in failed.values()), 0)
