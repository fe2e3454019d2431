"""Jobs whose machine is lost: continued elsewhere, begun anew, or given up."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from offpcc.errors import Stopped
from offpcc.processes.child import LOST, NOT_BEGUN
from offpcc.runs import crew, jobs
from offpcc.runs.job import Job
from offpcc.runs.run_spec import RunSpec

End = Callable[[Job], int]  # what a job does before its process ends, and how it ends


class Planned:
    """A process that does the next thing that is planned for its job."""

    def __init__(self, job: Job, end: End | None) -> None:
        self.job, self.end, self.signals = job, end, list[int]()

    def begin(self) -> str | None:
        return "on node 7" if self.end else None

    def lines(self) -> Iterator[str]:
        yield "launch.py: said"

    def wait(self) -> int:
        return self.end(self.job) if self.end else NOT_BEGUN

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


class Starter:
    """Starts what is planned for each job by its name, one thing after another."""

    shortage = "no node has 3 CPU free"

    def __init__(self, limit: int | None = None, **plans: list[End | None]) -> None:
        self.limit, self.plans = limit, plans
        self.started: list[Planned] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def start(self, job: Job) -> Planned:
        self.started.append(Planned(job, self.plans[str(job.request.run_id)].pop(0)))
        return self.started[-1]

    @property
    def flags(self) -> list[tuple[str, ...]]:
        return [process.job.flags for process in self.started]


def write(job: Job, **facts: object) -> None:
    folder = job.request.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    needed = {"env": "Pendulum-v1", "algo": "sac", "seed": 1, "spec": {}}
    (folder / "run.json").write_text(json.dumps(needed | facts))
    written = (folder / "run.json").stat().st_mtime_ns + 10**9
    os.utime(folder / "run.json", ns=(written, written))


def finish(job: Job) -> int:
    write(job, final={})
    return 0


def lose(job: Job) -> int:
    return LOST


def begin_and_lose(job: Job) -> int:
    write(job)
    return LOST


def finish_and_lose(job: Job) -> int:
    write(job, final={})
    return LOST


def save_and_lose(step: int) -> End:
    def end(job: Job) -> int:
        write(job)
        (job.request.folder / f"checkpoints/step-{step:09d}").mkdir(parents=True)
        return LOST

    return end


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(run_id: str, *flags: str) -> Job:
        return Job(RunSpec("Pendulum-v1", "sac", run_id=run_id, results=tmp_path), flags)

    return make


def test_a_lost_job_is_queued_again_and_continued_if_it_had_begun(job, capsys):
    starter = Starter(1, a=[lose, begin_and_lose, finish], b=[finish])
    assert jobs.run([job("a", "--debug"), job("b")], starter) == 0
    names = [process.job.request.run_id for process in starter.started]
    assert names == ["a", "b", "a", "a"], "it waits behind the others"
    assert starter.flags == [("--debug",), (), ("--debug",), ("--debug", "--resume")]
    assert [process.job.waits for process in starter.started] == [False, False, True, True]
    said = capsys.readouterr()
    assert said.out.count("sac/a: its machine was lost; it is queued again\n") == 2
    assert "sac/a: on node 7\n" in said.out and not said.err


def test_a_run_that_is_to_be_replaced_is_not_continued_before_it_is(job):
    older = job("a", "--overwrite")
    write(older, final={})
    starter = Starter(a=[lose, begin_and_lose, finish])
    assert jobs.run([older], starter) == 0
    assert starter.flags == [("--overwrite",), ("--overwrite",), ("--resume",)]


def test_a_job_that_is_lost_after_its_last_word_is_done(job):
    starter = Starter(a=[finish_and_lose])
    assert jobs.run([job("a")], starter) == 0
    resumed = job("a", "--resume")  # with more steps than it had
    starter = Starter(a=[lose, finish])
    assert jobs.run([resumed], starter) == 0
    assert starter.flags == [("--resume",), ("--resume",)], "it had finished before, and not now"


def test_three_losses_without_a_new_checkpoint_are_a_failure(job, capsys):
    plan = [lose, save_and_lose(10), begin_and_lose, save_and_lose(20), lose, lose]
    starter = Starter(a=plan, b=[lambda job: 3])
    assert jobs.run([job("a"), job("b")], starter) == 9
    line = "its machine was lost 3 times without a new checkpoint between"
    said = capsys.readouterr().err
    assert said.splitlines() == [
        f"failed: {job('a').name}: {line}",
        f"failed: {job('b').name}: said",
    ]
    assert not plan, "each new checkpoint begins the count anew"


def test_a_job_that_never_found_a_place_has_not_begun(job, capsys):
    def stop(job: Job) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return 130

    starter = Starter(a=[stop], b=[None])
    with pytest.raises(Stopped, match="SIGINT"):
        jobs.run([job("a"), job("b")], starter)
    assert capsys.readouterr().err == f"not begun: {job('b').name}\n"


def test_a_signal_goes_to_all_and_what_is_lost_then_is_not_queued_again(job, capsys):
    def stop(job: Job) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return LOST

    starter = Starter(a=[stop], b=[begin_and_lose])
    with pytest.raises(Stopped, match="SIGTERM"):
        jobs.run([job("a"), job("b")], starter)
    assert len(starter.started) == 2 and not capsys.readouterr().err


def test_jobs_of_which_none_finds_a_place_say_so(job, monkeypatch, capsys):
    monkeypatch.setattr(crew, "REMINDER", 0.01)
    waiting = Planned(job("a"), finish)
    said: list[str] = []

    def begin() -> str:
        while "wait" not in "".join(said):
            said.append(capsys.readouterr().err)
        return ""

    waiting.begin = begin  # type: ignore[method-assign]
    starter = Starter()
    starter.start = lambda job: waiting  # type: ignore[method-assign]
    assert jobs.run([job("a")], starter) == 0
    assert "no node has 3 CPU free; waiting: 1\n" in "".join(said)
