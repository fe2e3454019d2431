"""Trainings side by side: the command of each, the lines shown, and what happens when one fails."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from children import launch, tiny
from test_launch import ODD

from offpcc.processes import child
from offpcc.runs import jobs, starter
from offpcc.runs.crew import Relay
from offpcc.runs.job import POOLS, Job
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.starter import LocalStarter
from offpcc.training.tracking.live_status import LiveStatus

SLOW = f"""
import time
{ODD}
class Slow(Odd):
    def step(self, action):
        time.sleep(0.02)
        return super().step(action)

gymnasium.register("Slow-v0", entry_point=Slow)
"""


def result(folder: Path, run_id: str) -> dict[str, object]:
    path = folder / "results/Slow-v0/sac" / run_id / "run.json"
    read: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    return read


def test_stopped_runs_go_on_and_one_that_fails_stops_no_other(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    config = tiny(tmp_path, "steps = 120")
    arguments = ["--env", "slow:Slow-v0", "--algo", "sac", "--config", config]
    arguments += ["--jobs", "2", "--bind", "num_threads = 1", "--run_id", "a", "b"]
    first = launch(tmp_path, *arguments, "c", "--seed", 5, PYTHONPATH=str(tmp_path))
    until = time.monotonic() + 120
    while not (result(tmp_path, "a") and result(tmp_path, "b")) and time.monotonic() < until:
        time.sleep(0.05)
    pids = [result(tmp_path, run_id)["pid"] for run_id in "ab"]
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait() == 143, first.said()
    said = first.said()
    assert said.endswith("launch.py: stopped by SIGTERM; continue with --resume\n")
    assert "not begun: Slow-v0/sac/c\n" in said and "failed: " not in said
    assert "Slow-v0/sac/b: results/Slow-v0/sac/b: seed 6, on cpu\n" in said
    assert not any(psutil.pid_exists(pid) for pid in pids), "nothing is left running"
    assert not result(tmp_path, "c") and "final" not in result(tmp_path, "a")

    for path in tmp_path.glob("results/*/*/a/checkpoints/step-*/*"):
        path.write_bytes(b"")
    second = launch(tmp_path, *arguments, "c", "--seed", 5, "--resume", PYTHONPATH=str(tmp_path))
    assert second.wait() == 4
    line = second.said().splitlines()[-1]
    assert line.startswith("failed: Slow-v0/sac/a: no valid checkpoint in results/Slow-v0/sac/a")
    assert result(tmp_path, "b")["final"]["env_steps"] == 120, "went on"
    assert result(tmp_path, "c")["final"]["env_steps"] == 120, "had not begun"
    assert result(tmp_path, "c")["seed"] == 7


def test_all_runs_are_checked_before_the_first_begins(tmp_path):
    arguments = ["--env", "pendulum-v0", "--algo", "sac", "--config", tiny(tmp_path)]
    (tmp_path / "results/pendulum-v0/sac/b").mkdir(parents=True)
    (tmp_path / "results/pendulum-v0/sac/b/run.json").write_text("{}")
    for run_ids, complaint in ((["a", "b"], "sac/b exists"), (["a", "a"], "--run_id a a: no two")):
        child = launch(tmp_path, *arguments, "--jobs", "2", "--run_id", *run_ids)
        assert child.wait() == 2
        assert complaint in child.said().splitlines()[-1]
    assert not (tmp_path / "results/pendulum-v0/sac/a").exists()


@pytest.mark.parametrize("own", [[], ["num_threads = 3"], ["TrainingConfig.num_threads=3"]])
def test_a_job_has_the_requests_command_line_and_its_share_of_the_threads(monkeypatch, own):
    asked = {}
    monkeypatch.setattr(subprocess, "Popen", lambda command, **more: asked.update(more, c=command))
    monkeypatch.setattr(starter, "cores", lambda: 5)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    request = RunSpec("Pendulum-v1", "sac", run_id="x", seed=4, bind=["steps = 9", *own])
    with LocalStarter(2) as local:
        local.start(Job(request, ("--resume",)))
    words = " ".join(asked["c"][2:])
    begin = "--env Pendulum-v1 --algo sac --run_id x --results results --wandb off --seed 4"
    binds = [f"--bind {line}" for line in ["steps = 9", *(own or ["num_threads = 2"])]]
    assert words == " ".join([begin, *binds, "--resume"])
    pools = {asked["env"].get(name) for name in POOLS}
    assert "2" not in pools if own else pools == {"2"}


def test_every_signal_goes_to_every_job():
    code = "import signal; [signal.signal(n, lambda n, f: exit(n)) for n in (2, 15)]; "
    command = [sys.executable, "-c", f"{code}print('ready', flush=True); signal.pause()"]
    with Relay() as relay:
        for name in "ab":
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout and process.stdout.readline() == "ready\n"
            relay.working[name] = process
        os.kill(os.getpid(), signal.SIGTERM)
        assert [process.wait(10) for process in relay.working.values()] == [15, 15]
        os.kill(os.getpid(), signal.SIGINT)
    assert relay.number == signal.SIGTERM, "the first one counts"
    for process in relay.working.values():
        process.stdout.close()


def test_ctrl_z_suspends_every_job_until_the_relay_goes_on(monkeypatch):
    with Relay() as relay:
        relay.working["a"] = process = Recording()  # type: ignore[index, assignment]
        monkeypatch.setattr(os, "kill", lambda pid, number: process.result.append((pid, number)))
        signal.raise_signal(signal.SIGTSTP)
        stop, go_on = (os.getpid(), signal.SIGSTOP), signal.SIGCONT
        assert process.result == [signal.SIGTSTP, stop, go_on] and not relay.number


class Recording:
    """A process that notes which signals it gets."""

    def __init__(self) -> None:
        self.result: list[object] = []

    def send_signal(self, number: int) -> None:
        self.result.append(number)


def test_a_job_has_failed_unless_its_run_has_final_scores(tmp_path, monkeypatch, capfd):
    facts = {"env": "Pendulum-v1", "algo": "sac", "seed": 1, "spec": {}}
    result = {"a": json.dumps(facts | {"final": {}}), "b": json.dumps(facts), "c": None, "d": None}
    requests = {
        name: RunSpec("Pendulum-v1", "sac", run_id=name, results=tmp_path) for name in result
    }
    for name, text in result.items():
        if text is not None:
            requests[name].folder.path.mkdir(parents=True)
            (requests[name].folder / "run.json").write_text(text)
    codes = dict.fromkeys(result, "exit(0)") | {"d": "import os; os.kill(os.getpid(), 9)"}

    monkeypatch.setattr(child, "child_command", lambda: [sys.executable])
    monkeypatch.setattr(Job, "words", lambda job, threads: ["-c", codes[job.request.run_id]])
    assert jobs.run([Job(requests[name]) for name in "ab"], LocalStarter(2)) == 6
    unfinished = "it exits with 0, but its run.json has no final scores"
    assert capfd.readouterr().err == f"failed: Pendulum-v1/sac/b: {unfinished}\n"
    assert jobs.run([Job(requests["c"])], LocalStarter(1)) == 6
    assert capfd.readouterr().err == f"failed: Pendulum-v1/sac/c: {unfinished}\n"
    assert jobs.run([Job(requests["d"])], LocalStarter(1)) == 137
    assert capfd.readouterr().err == "failed: Pendulum-v1/sac/d: killed by SIGKILL\n"


def test_what_a_job_leaves_running_does_not_keep_the_others_waiting(tmp_path, monkeypatch):
    left = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"

    monkeypatch.setattr(child, "child_command", lambda: [sys.executable])
    monkeypatch.setattr(Job, "words", lambda job, threads: ["-c", left])
    lines: list[str] = []
    monkeypatch.setattr(LiveStatus, "tell", lambda board, name, line: lines.append(line))
    before = time.monotonic()
    jobs.run([Job(RunSpec("Pendulum-v1", "sac", results=tmp_path))], LocalStarter(1))
    os.kill(int(lines[0]), signal.SIGKILL)
    assert time.monotonic() - before < 30


def test_when_the_parent_is_killed_each_job_leaves_a_checkpoint(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["--env", "slow:Slow-v0", "--algo", "sac", "--config", tiny(tmp_path)]
    arguments += ["--jobs", "2", "--run_id", "a", "b", "--bind", "num_threads = 1"]
    parent = launch(tmp_path, *arguments, PYTHONPATH=str(tmp_path))
    until = time.monotonic() + 120
    while not (result(tmp_path, "a") and result(tmp_path, "b")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    below = psutil.Process(parent.pid).children(recursive=True)
    assert len(below) >= 4
    os.kill(parent.pid, signal.SIGKILL)
    assert parent.wait() == -signal.SIGKILL
    assert not psutil.wait_procs(below, timeout=10)[1], "all are gone"
    for run_id in "ab":
        saved = tmp_path.glob(f"results/*/*/{run_id}/checkpoints/step-*")
        assert len([*saved]) == 2, "the first one, and one from when it was stopped"


# What is shown


def screen(written: str) -> list[str]:
    """The lines that a terminal shows, which knows two of its commands."""
    lines = [""]
    for part in re.split(r"(\x1b\[\d+F|\x1b\[J|\n)", written):
        if part == "\n":
            lines.append("")
        elif part.endswith("F"):
            lines = [*lines[: -1 - int(part[2:-1])], ""]
        elif part != "\x1b[J":
            lines[-1] += part
    return lines[:-1]


def test_on_a_terminal_each_run_at_work_has_a_line_below_what_stays(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    board = LiveStatus()
    for name in ("a", "b"):
        board.begin(name)
    board.tell("a", "10 / 30 steps, 5 steps/s")
    board.tell("b", "no curves in TensorBoard")
    board.tell("a", "20 / 30 steps, 5 steps/s")
    assert screen(terminal.getvalue()) == [
        "b: no curves in TensorBoard",
        "a: 20 / 30 steps, 5 steps/s",
        "b: starts",
    ]
    board.tell("a", "done")
    board.end("a")
    assert screen(terminal.getvalue())[1:] == ["a: done", "b: starts"]


def test_elsewhere_every_line_is_printed_behind_the_runs_name(capsys):
    board = LiveStatus()
    board.begin("a")
    board.tell("a", "10 / 30 steps, 5 steps/s")
    board.end("a")
    assert capsys.readouterr() == ("a: 10 / 30 steps, 5 steps/s\n", "")
