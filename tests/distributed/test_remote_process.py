"""What stands for a process on another node: places, locks, signals and losses, without a node."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from offpcc.distributed import remote_process
from offpcc.distributed.node_check import NodeCheck
from offpcc.distributed.remote_process import RemoteProcess
from offpcc.processes.child import LOST, NOT_BEGUN
from offpcc.runs.job import Job
from offpcc.runs.ray_starter import RayStarter
from offpcc.runs.run_spec import RunSpec

CHECK = NodeCheck("/folder", "/folder/token", "1.0", None)


class Ray:
    """In place of the module: actors are plain objects, and a call of theirs is made by `get`."""

    def __init__(self, actor: type) -> None:
        self.made, self.killed = actor, list[object]()

    def remote(self, kind: type) -> "Ray":
        return self

    def options(self, **resources: object) -> Any:
        made, self.resources = self.made, resources

        class Made:
            @staticmethod
            def remote() -> "Handle":
                return Handle(made())

        return Made

    def get(self, call: Any, timeout: float = 0.0) -> Any:
        return call() if callable(call) else call

    def kill(self, actor: "Handle") -> None:
        self.killed.append(actor)
        actor.dead = True


class Handle:
    def __init__(self, actor: Any) -> None:
        self.actor, self.dead = actor, False

    def __getattr__(self, name: str) -> Any:
        handle, method = self, getattr(self.actor, name)

        class Method:
            @staticmethod
            def options(num_returns: str) -> type["Method"]:
                return Method

            @staticmethod
            def remote(*arguments: object) -> Any:
                if name == "run":
                    return method(*arguments)

                def call() -> Any:
                    if handle.dead:
                        raise ActorDiedError()
                    return method(*arguments)

                return call

        return Method


class Actor:
    signals: list[int]

    def __init__(self) -> None:
        self.signals = []

    def begin(self, check: NodeCheck) -> str:
        return "seven"

    def run(self, words: list[str], env: dict[str, str]) -> Iterator[str | int]:
        yield from words
        yield 3

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


class Refusing(Actor):
    def begin(self, check: NodeCheck) -> str:
        raise RayTaskError("begin", "a traceback", ValueError("node seven has no folder\nat all"))


class Dying(Actor):
    def run(self, words: list[str], env: dict[str, str]) -> Iterator[str | int]:
        yield words[0]
        raise ActorDiedError()


class Failing(Actor):
    def run(self, words: list[str], env: dict[str, str]) -> Iterator[str | int]:
        raise RayTaskError("run", "a traceback", OSError(12, "no memory"))


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RemoteProcess]:
    monkeypatch.setattr(remote_process.time, "sleep", lambda seconds: None)

    def make(actor: type = Actor, free: Callable[[], bool] = lambda: True) -> RemoteProcess:
        monkeypatch.setattr(remote_process, "ray", Ray(actor))
        return RemoteProcess(["a", "b"], {}, CHECK, {"num_cpus": 2}, free)

    return make


def test_a_process_has_lines_and_an_exit_code(process):
    one = process()
    assert one.begin() == "on node seven" and [*one.lines()] == ["a", "b"] and one.wait() == 3
    ray: Any = remote_process.ray
    assert ray.resources == {"max_restarts": 0, "max_concurrency": 2, "num_cpus": 2}
    assert len(ray.killed) == 1, "its place is free again"


@pytest.mark.parametrize(
    ("actor", "said", "code"),
    [
        (Refusing, ["node seven has no folder"], 2),
        (Failing, ["[Errno 12] no memory"], 7),
        (Dying, ["a"], LOST),
    ],
)
def test_a_process_that_cannot_go_on_says_why(process, actor, said, code):
    one = process(actor)
    assert one.begin() is not None and [*one.lines()] == said and one.wait() == code


def test_a_locked_run_is_waited_for_but_not_for_ever(process, monkeypatch):
    answers = [True, False, False]
    one = process(free=answers.pop)
    assert one.begin() and not answers
    monkeypatch.setattr(remote_process, "UNLOCKED", -1.0)
    assert process(free=lambda: False).begin()


def test_a_signal_before_there_is_a_place_stops_the_wait(process):
    waiting = process(free=lambda: bool(waiting.send_signal(signal.SIGINT)))
    assert waiting.begin() is None and waiting.wait() == NOT_BEGUN
    paused = process(free=lambda: paused.send_signal(signal.SIGTSTP) or True)
    assert paused.begin() == "on node seven"


def test_a_signal_goes_to_the_actor(process):
    one = process()
    one.begin()
    one.send_signal(signal.SIGTERM)
    assert one._actor.actor.signals == [signal.SIGTERM]
    one._actor.dead = True
    one.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("bind", "limit", "gpus", "cpu", "gpu"),
    [
        ("device = 'cpu'", None, 2, 1, 0.0),
        ("device = 'auto'", None, 0, 1, 0.0),
        ("device = 'auto'", None, 2, 1, 1.0),
        ("device = 'cuda'", 3, 2, 1, 0.5),
        ("device = 'cuda'", None, 0, 1, 1.0),
        ("num_threads = 3", None, 0, 3, 0.0),
    ],
)
def test_a_job_asks_for_its_threads_and_for_a_gpu_where_there_is_one(bind, limit, gpus, cpu, gpu):
    starter = RayStarter("auto", limit, "results")
    starter._threads, starter._gpus = 1, gpus
    job = Job(RunSpec("Pendulum-v1", "sac", bind=[bind]))
    assert starter._resources(job) == {"num_cpus": cpu, "num_gpus": gpu}
