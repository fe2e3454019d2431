"""Environments in processes of their own: the numbers of those in turn, and every fault by name."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import psutil
import pytest
from robots import UNLUCKY, Robot

from offpcc.algorithms import SAC
from offpcc.envs.async_envs import AsyncEnvs
from offpcc.envs.make_env import make_env
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.errors import CallTimeout, EnvironmentFault
from offpcc.training.collector import Collector

ROOT = Path(__file__).parents[2]
PAST = {"previous_action": True, "previous_reward": True}
Make = Callable[..., AsyncEnvs]


def workers() -> list[psutil.Process]:
    """The processes of environments that this process has; Python's own tracker is none."""
    ours = psutil.Process().children()
    return [each for each in ours if "spawn_main" in " ".join(each.cmdline())]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes copies in processes of their own, which are gone once they are closed."""
    made: list[AsyncEnvs] = []

    def start(env: str = "robots:robot-v0", count: int = 2, **settings: Any) -> AsyncEnvs:
        first = make_env(env, **settings)
        made.append(AsyncEnvs(env, count, first, **settings))
        return made[-1]

    yield start
    for envs in made:
        envs.close()
    assert not workers()


def in_turn(env: str = "robots:robot-v0", count: int = 2, **settings: Any) -> SequentialEnvs:
    return SequentialEnvs(make_env(env, copy=n, **settings) for n in range(count))


def assert_same(one: Any, other: Any) -> None:
    """Of outcomes: the same bits, types and order of keys."""
    assert list(one.seen) == list(other.seen)
    for key, values in one.seen.items():
        assert values.dtype == other.seen[key].dtype and values.shape == other.seen[key].shape
        assert values.tobytes() == other.seen[key].tobytes(), key
    assert repr(one[1:]) == repr(other[1:])


def actions(random: np.random.Generator, envs: VectorEnvAdapter) -> np.ndarray:
    return random.uniform(-1, 1, (len(envs), envs.spec_of_agent.action)).astype(np.float32)


def episode(envs: VectorEnvAdapter, steps: int = 3) -> None:
    """The second of two copies plays the episode in which a fault happens."""
    envs.reset({0: 1, 1: UNLUCKY}, {0: 4, 1: 7})
    for _ in range(steps):
        envs.step(np.full((2, 2), 0.25, np.float32))


# Numbers


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("robots:robot-v0", {}),
        ("robots:robot-v0", {**PAST, "success": "any", "max_episode_steps": 5}),
        ("robots:robotdiscrete-v0", PAST),
        (
            "robots:Robot",
            {
                "env_kwargs": {"discrete": True},
                "wrappers": ["gymnasium.wrappers:FlattenObservation"],
                "max_episode_steps": 6,
            },
        ),
        ("cartpole-continuous-p-v0", PAST),
    ],
)
def test_in_turn_or_at_the_same_time_the_numbers_are_the_same(make: Make, env, settings) -> None:
    one, other = make(env, 3, **settings), in_turn(env, 3, **settings)
    assert one.limit == other.limit and one.spec_of_agent == other.spec_of_agent
    random, ends = np.random.default_rng(0), 0
    seeds = {2: 5, 0: 8, 1: 9}
    for step in range(60):
        for a, b in zip(one.reset(seeds), other.reset(seeds), strict=True):
            assert {k: v.tobytes() for k, v in a.items()} == {k: v.tobytes() for k, v in b.items()}
        chosen = actions(random, one)
        outcomes = one.step(chosen)
        for a, b in zip(outcomes, other.step(chosen), strict=True):
            assert_same(a, b)
        ended = [copy for copy, outcome in enumerate(outcomes) if outcome.ended]
        ends += len(ended)
        seeds = {copy: 100 * step + copy for copy in ended if step % 2}  # some wait for a while
    assert ends > 5


def test_a_copy_that_has_ended_or_rests_is_not_stepped(make: Make) -> None:
    envs = make()
    envs.reset({0: 1, 1: 2})
    push = np.zeros((2, 2), np.float32)
    outcomes = [envs.step(push) for _ in range(12)]
    assert all(outcome.ended for outcome in outcomes[-1])
    lives = [outcome.seen["life"][0] for outcome in outcomes[-1]]
    assert max(lives) < 10 and outcomes[-1][0] is outcomes[-2][0]
    (seen,) = envs.reset({1: 3})
    assert seen["life"] == lives[1]
    envs.rest()
    assert [outcome.ended for outcome in envs.step(push)] == [True, True]
    assert [seen["life"][0] for seen in envs.reset({0: 4, 1: 4})] == lives


def test_open_episodes_are_played_again(make: Make) -> None:
    def collector() -> Collector:
        envs = make("cartpole-continuous-p-v0", 3)
        return Collector(SAC(envs.spec_of_agent, hidden_sizes=(8,)), envs, seed=3)

    first, restored = collector(), collector()
    for _ in range(33):
        first.step(uniform=True)
    assert len({len(trajectory.action) for trajectory in first.trajectories}) > 1
    restored.load_state_dict(first.state_dict())
    assert restored.exact
    for _ in range(30):
        ours, theirs = first.step(uniform=True), restored.step(uniform=True)
        assert [e.action.tobytes() for e in ours] == [e.action.tobytes() for e in theirs]
        assert [e.reward.tobytes() for e in ours] == [e.reward.tobytes() for e in theirs]


def test_the_processes_hold_no_torch(make: Make) -> None:
    seen = make("robots:robotprobe-v0").reset({0: 1, 1: 2})
    assert "torch" in sys.modules and [each["life"][0] for each in seen] == [0, 0]


# Faults


@pytest.mark.parametrize("fault", ["raises", "exits", "shape", "nan", "reset"])
def test_what_an_environment_does_wrong_is_said_as_if_it_was_here(make: Make, fault) -> None:
    said = []
    for envs in (make(f"robots:robot{fault}-v0"), in_turn(f"robots:robot{fault}-v0")):
        with pytest.raises(EnvironmentFault) as caught:
            episode(envs)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert f"copy 1, episode 7 (seed {UNLUCKY}), step" in said[0]


@pytest.mark.parametrize(
    ("fault", "how"), [("ends", "exit code 3"), ("forks", "exit code 3"), ("killed", "SIGKILL")]
)
def test_a_process_that_ends_is_named(make: Make, fault, how) -> None:
    envs, start = make(f"robots:robot{fault}-v0"), time.monotonic()
    with pytest.raises(EnvironmentFault) as caught:
        episode(envs)
    assert time.monotonic() - start < 4
    assert str(caught.value) == (
        f"the environment's process ended ({how}) in step; copy 1, episode 7 (seed {UNLUCKY}), "
        "step 3, last actions [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]"
    )


def test_a_process_that_ended_between_two_calls_is_named(make: Make) -> None:
    envs = make()
    episode(envs, 1)
    envs.env.processes[0].kill()
    envs.env.processes[0].join()
    with pytest.raises(EnvironmentFault, match=r"ended \(SIGKILL\) in step; copy 0, episode 4 "):
        envs.step(np.zeros((2, 2)))


@pytest.fixture
def impatient() -> Iterator[None]:
    """What the supervisor does to a call that takes too long, half a second later."""

    def raise_overdue(*_: object) -> None:
        raise CallTimeout("the environment has not answered for 0.5 s")

    before = signal.signal(signal.SIGALRM, raise_overdue)
    yield
    signal.signal(signal.SIGALRM, before)


def test_a_process_that_does_not_answer_is_named_and_killed(make: Make, impatient) -> None:
    envs = make("robots:robothangs-v0")
    episode(envs, 2)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(EnvironmentFault, match=r"for 0.5 s; copy 1, episode 7 .* step 3, last"):
        envs.step(np.zeros((2, 2), np.float32))
    envs.env.processes[1].join(5)
    assert [process.is_alive() for process in envs.env.processes] == [True, False]
    start = time.monotonic()
    envs.close()
    assert time.monotonic() - start < 4  # the sound one closes by itself
    assert envs.env.processes[0].exitcode == 0


def test_what_would_be_said_by_each_copy_is_said_once(make: Make, capfd) -> None:
    envs = make("robots:robotbounds-v0", 3)
    envs.reset({copy: copy for copy in range(3)})
    for _ in range(3):
        envs.step(np.zeros((3, 2), np.float32))
    assert capfd.readouterr().err.count("vector leaves its space") == 1


def test_a_close_that_raises_costs_one_line(make: Make, capfd) -> None:
    make("robots:robotclose-v0").close()
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "the motor runs on" in line] == lines[:1]
    assert lines[0].endswith("nothing is lost") and len(lines) == 1


def test_a_close_that_hangs_is_named_and_ended(make: Make, impatient, capfd) -> None:
    envs = make("robots:robotdeaf-v0")
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    envs.close()
    assert "has not answered for 0.5 s; copy 0; nothing is lost" in capfd.readouterr().err


# At the door


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("spaces", ValueError, "^its spaces in a process of its own are not those that it has"),
        ("package", ValueError, "the simulator is not installed"),
        ("licence", EnvironmentFault, r"RuntimeError\('there is one licence'\) in constructor; co"),
        ("vanishes", EnvironmentFault, r"process ended \(exit code 4\) in constructor; copy \d$"),
    ],
)
def test_what_cannot_be_made_in_another_process_is_refused(make: Make, fault, kind, says) -> None:
    with pytest.raises(kind, match=says):
        make(f"robots:robot{fault}-v0")
    assert not workers()


@pytest.fixture
def register() -> Iterator[Callable[..., str]]:
    """Registers an id that this process alone knows."""

    def known(**settings: Any) -> str:
        gymnasium.register("nowhere-else-v0", **settings)
        return "nowhere-else-v0"

    yield known
    del gymnasium.registry["nowhere-else-v0"]


def test_an_id_that_no_module_registers_goes_along(make: Make, register) -> None:
    env = register(entry_point=lambda: Robot(), max_episode_steps=3)
    envs = make(env)
    assert envs.limit == 3
    episode(envs)


def test_one_that_cannot_go_along_is_refused_with_the_way_out(make: Make, register) -> None:
    lock = threading.Lock()
    env = register(entry_point=lambda: Robot() if lock else None)
    with pytest.raises(
        ValueError, match=r"cannot be sent to another process .*module:nowhere-else"
    ):
        make(env)
    assert not workers()


def test_more_processes_than_the_system_allows_are_refused(make: Make, monkeypatch) -> None:
    def start(process: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    with pytest.raises(ValueError, match=r"^2 processes could not be started .*lower num_envs"):
        make()


# Ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stop_signals_do_nothing_to_the_processes(make: Make, number) -> None:
    envs = make()
    episode(envs, 1)
    for process in envs.env.processes:
        os.kill(process.pid, number)
    envs.step(np.zeros((2, 2)))


SCRIPT = """
import os, signal, sys, threading
import numpy as np
from offpcc.envs.make_env import make_env
from offpcc.envs.async_envs import AsyncEnvs

if __name__ == "__main__":
    env = make_env("robots:robothangs-v0")
    envs = AsyncEnvs("robots:robothangs-v0", 2, env)
    envs.reset({0: 1, 1: 13})
    print(*(process.pid for process in envs.env.processes), flush=True)
    if sys.argv[1] == "hang":
        for _ in range(3):
            envs.step(np.zeros((2, 2), np.float32))
"""


def test_a_script_that_would_start_itself_again_is_told_what_it_lacks(tmp_path: Path) -> None:
    lines = SCRIPT.replace('if __name__ == "__main__":', "if True:")
    (tmp_path / "script.py").write_text(lines)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, str(tmp_path / "script.py"), "leave"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ValueError: a process ended before it came")
    assert "`if __name__ == '__main__':`" in last


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Starts a program that leaves its environments open; gives it, and their processes."""
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    begun = []

    def start(way: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
        command = [sys.executable, str(tmp_path / "script.py"), way]
        begun.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        numbers = [int(number) for number in begun[-1].stdout.readline().split()]
        assert numbers
        living = []
        for number in numbers:
            with suppress(psutil.NoSuchProcess):  # it may have ended by now
                living.append(psutil.Process(number))
        return begun[-1], living

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_program_that_closes_nothing_ends_with_its_processes(script) -> None:
    process, copies = script("leave")
    assert process.wait(20) == 0
    assert not psutil.wait_procs(copies, 10)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a hanging process")
def test_the_processes_of_a_killed_program_end_even_where_they_hang(script) -> None:
    process, copies = script("hang")
    time.sleep(1)
    process.kill()
    assert not psutil.wait_procs(copies, 10)[1]
