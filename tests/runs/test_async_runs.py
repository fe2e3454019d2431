"""Runs whose copies have processes of their own, from the command line: how they end and go on."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from children import LAUNCH, ROOT, tiny

from offpcc.training.loop import CLOCK

MORE = """
num_envs = 3
steps = 900
eval_interval = 300
learning_starts = 500
timeout = 4.0
actor_keys = ["vector"]
critic_keys = ["vector", "choice"]
replay_ratio = 0.1
"""
Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts the command line, with what it says in `log`."""
    config = tiny(tmp_path, MORE)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    begun = []

    def start(*flags: str, env_id: str = "robots:robotonce-v0") -> "subprocess.Popen[str]":
        what = ["--env", env_id, "--algo", "rsac", "--seed", "1"]
        what += [] if "--resume" in flags else ["--config", str(config)]
        with (tmp_path / "log").open("w") as log:
            begun.append(
                subprocess.Popen(
                    [*LAUNCH, *what, *flags], cwd=tmp_path, env=env, stderr=log, text=True
                )
            )
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def rows(folder: Path, run_id: str) -> list[dict[str, str]]:
    """Those of a run, without what clocks have measured."""
    path = next(folder.glob(f"results/*/rsac/{run_id}/progress.csv"))
    with path.open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def processes(of: "subprocess.Popen[str]", count: int = 4) -> list[psutil.Process]:
    """All below one, once so many environments are among them: three, and an evaluation's."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        below = psutil.Process(of.pid).children(recursive=True)
        if sum("spawn_main" in command(each) for each in below) == count:
            return below
        time.sleep(0.05)
    raise AssertionError("the environments' processes were not started")


def command(process: psutil.Process) -> str:
    """Its command line, or nothing once it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait_for_rows(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Until the run has its first row."""
    while not any(path.stat().st_size for path in folder.glob("results/*/rsac/1/progress.csv")):
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("killed", "the environment's process ended (SIGKILL) in step; copy "),
        ("hangs", "the environment's step has not answered for 4 s; copy "),
    ],
)
def test_a_run_that_lost_a_process_goes_on_as_if_it_had_not(tmp_path, begin, fault, says):
    (tmp_path / fault).touch()
    assert begin("--async").wait(60) == 6
    (said,) = (tmp_path / "log").read_text().splitlines()
    assert said.startswith(f"launch.py: {says}") and "last actions [" in said
    assert not (tmp_path / fault).exists()
    assert begin("--async", "--resume").wait(60) == 0
    assert begin("--run_id", "2").wait(60) == 0  # one after another, and nothing happens
    assert rows(tmp_path, "1") == rows(tmp_path, "2")


SLOW = "robots:robotslow-v0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_of_all_processes_at_once_is_an_orderly_one(tmp_path, begin, number):
    process = begin("--async", env_id=SLOW)
    below = processes(process)
    wait_for_rows(tmp_path, process)
    for each in below:
        each.send_signal(number)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert not psutil.wait_procs(below, 10)[1]
    said = (tmp_path / "log").read_text()
    assert said == f"launch.py: stopped by {number.name}; continue with --resume\n"
    again = begin("--resume", env_id=SLOW)
    processes(again)
    assert again.wait(60) == 0
    assert begin("--run_id", "2", env_id=SLOW).wait(60) == 0
    assert rows(tmp_path, "1") == rows(tmp_path, "2")


def test_a_resumed_run_may_do_without_its_processes(tmp_path, begin):
    assert begin("--async", "--steps", "600").wait(60) == 0
    assert begin("--resume", "--bind", "steps = 900", "async_envs = False").wait(60) == 0
    assert begin("--run_id", "2").wait(60) == 0
    assert rows(tmp_path, "1") == rows(tmp_path, "2")


def test_a_killed_command_leaves_no_process_behind(tmp_path, begin):
    process = begin("--async", env_id=SLOW)
    below = processes(process)
    wait_for_rows(tmp_path, process)
    process.kill()
    assert not psutil.wait_procs(below, 15)[1]


def test_a_single_copy_is_refused_in_a_line(tmp_path, begin):
    assert begin("--async", "--envs", "1").wait(60) == 2
    assert "is 1; give --envs 2 or more" in (tmp_path / "log").read_text()
    assert not (tmp_path / "results").exists()
