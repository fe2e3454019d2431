"""Workers in processes of Ray: they give what workers in one process give, and may be lost."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from toys import Walk
from workers import ToyWorker, agent_with, change, collector_of, facts, request

from offpcc.distributed.pool import LocalPool
from offpcc.distributed.ray_pool import RayPool
from offpcc.distributed.request import WorkerLost
from offpcc.errors import ConfigError, EnvironmentFault, WorkersLostError

# Ray's own processes are children of this one, and its sockets are closed late.
pytestmark = [
    pytest.mark.timeout(600),  # a slow processor may take minutes to start Ray
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def workers() -> list[psutil.Process]:
    """The processes of the workers, the oldest first."""
    ours = psutil.Process().children(recursive=True)
    found = [each for each in ours if "WorkerProcess" in each.name() + " ".join(each.cmdline())]
    return sorted(found, key=lambda process: process.create_time())


def left() -> list[psutil.Process]:
    """What is left of Ray, 10 s after all was closed at the latest."""
    until = time.monotonic() + 10
    while (found := psutil.Process().children(recursive=True)) and time.monotonic() < until:
        time.sleep(0.1)
    return [process for process in found if "ray" in " ".join(process.cmdline())]


@pytest.fixture
def pools() -> Iterator[Any]:
    made: list[RayPool] = []

    def pool(*arguments: Any) -> RayPool:
        made.append(RayPool(*arguments))
        return made[-1]

    yield pool
    for each in made:
        each.close()


def test_workers_of_ray_play_what_workers_here_play_and_one_that_is_killed_is_replaced(pools):
    agents = agent_with(), agent_with()
    here = collector_of(agents[0], LocalPool(ToyWorker(), 2))
    remote = collector_of(agents[1], pools(ToyWorker(), 2))
    for step in range(3):
        assert facts(here.step(step == 0)) == facts(remote.step(step == 0))
        for agent in agents:
            change(agent)
    one, other = here.state_dict(), remote.state_dict()
    assert one["numbers"] == other["numbers"] and one["past"].keys() == other["past"].keys()

    os.kill(workers()[0].pid, signal.SIGKILL)
    here.step(), remote.step()
    assert (remote.lost_workers, remote.exact) == (1, False)
    assert remote.steps == here.steps
    remote.close()
    assert left() == []


@pytest.mark.slow
def test_a_state_is_restored_in_other_processes(pools):
    agent, other = agent_with(), agent_with()
    remote = collector_of(agent, pools(ToyWorker(), 2))
    remote.step()
    saved = remote.state_dict()
    expected = facts(remote.step())
    remote.close()
    resumed = collector_of(other, pools(ToyWorker(), 2))
    resumed.load_state_dict(saved)
    assert resumed.exact and facts(resumed.step()) == expected


class Stuck(Walk):
    """One that hangs at its process's 11th step."""

    steps_of_all = 0

    def step(self, action: Any) -> Any:
        Stuck.steps_of_all += 1
        if Stuck.steps_of_all > 10:
            time.sleep(600)
        return super().step(action)


class Broken(Walk):
    def step(self, action: Any) -> Any:
        raise RuntimeError("a cable came loose")


class Unmakeable(Walk):
    def __init__(self) -> None:
        raise ValueError("there is no such track")


@pytest.mark.slow
def test_one_that_does_not_answer_is_lost_once_its_time_is_over(pools, capsys):
    remote = collector_of(agent_with(), pools(ToyWorker(walk=Stuck), 1), timeout=3.0)
    since = time.monotonic()
    remote.pool.send(request(agent_with()), [0])
    (answer,) = remote.pool.receive(3.0).values()
    assert answer == WorkerLost("no answer for 3 s") and time.monotonic() - since < 5
    with pytest.raises(WorkersLostError, match=r"3 times in one request \(no answer for 3 s\)"):
        remote.step()
    assert capsys.readouterr().err.count("worker 0 was lost (no answer for 3 s)") == 1


@pytest.mark.slow
def test_a_fault_of_an_environment_comes_back_as_one(pools):
    remote = collector_of(agent_with(), pools(ToyWorker(walk=Broken), 2))
    with pytest.raises(EnvironmentFault, match=r"a cable came loose.*copy 0, episode 0"):
        remote.step()


@pytest.mark.slow
def test_what_cannot_be_made_is_refused_before_anything_is_played(pools):
    with pytest.raises(ConfigError, match="there is no such track"):
        pools(ToyWorker(walk=Unmakeable), 2)
    assert left() == []


@pytest.mark.slow
def test_more_workers_than_processors_start_where_ray_starts_here(pools, monkeypatch, capsys):
    monkeypatch.setattr("offpcc.distributed.ray_pool.MINUTE", 0.2)
    size = (os.cpu_count() or 1) + 2
    remote = collector_of(agent_with(), pools(ToyWorker(), size))
    line = f"{size} of {size} workers have not started: the cluster has no free processor"
    assert line in capsys.readouterr().err
    remote.step()
    assert remote.steps == size * 2 * 9
