"""`--status`: the table of runs, on a terminal and in a pipe."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import LAUNCH, launch, tiny
from test_launch import ODD

from offpcc.cli.main import main
from offpcc.cli.status import shorten, summary, table
from offpcc.training.tracking.run_status import RunStatus

SLOW = f"""
import time
{ODD}
class Slow(Odd):
    def step(self, action):
        time.sleep(0.02)
        return super().step(action)

gymnasium.register("Slow-v0", entry_point=Slow)
"""
RUNNING = RunStatus(
    path=Path("results/pendulum-p-v0/rsac/1"),
    state="running",
    env_steps=3000,
    steps=9000,
    steps_per_second=100.4,
    test_return=-123.456,
    seconds_left=60.0,
    written_at=1000.0,
)
FAILED = RunStatus(
    path=Path("results/box/sac/2"), state="failed: EnvironmentFault", reason="the motor is hot",
    steps=9000, written_at=400.0,
)  # fmt: skip


def test_a_run_is_a_line_and_a_column_without_any_value_is_left_out():
    titles, running, failed = table([RUNNING, FAILED], now=1012.0)
    assert titles == (
        "run                           state                           steps  steps/s   return"
        "  left       written"
    )
    assert running == (
        "results/pendulum-p-v0/rsac/1  running                   3000 / 9000      100  -123.46"
        "  60 s      12 s ago"
    )
    assert failed == (
        "results/box/sac/2             failed: EnvironmentFault     - / 9000                  "
        "        10.2 min ago"
    )


def test_success_has_a_column_where_it_is_known():
    run = RunStatus(path=Path("a"), state="stopped", env_steps=10, test_success=0.25)
    assert table([run], now=0.0) == ["run  state    steps  success", "a    stopped     10     0.25"]


@pytest.mark.parametrize("width", [104, 95, 80])
def test_a_path_and_then_a_state_lose_their_middle_where_the_terminal_is_narrow(width):
    lines = table([RUNNING, FAILED], now=1012.0, width=width)
    assert max(map(len, lines)) == width
    assert lines[1].split("  ")[0].startswith("results")
    assert lines[1].split("  ")[0].endswith("/1")
    assert ("failed: EnvironmentFault" in lines[2]) == (width > 92)


def test_the_middle_of_a_long_text_is_an_ellipsis():
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefgh", 6) == "ab…fgh"
    assert shorten("abcdefgh", 5) == "ab…gh"


def test_the_summary_counts_the_states():
    assert summary([RUNNING, FAILED, FAILED]) == "3 runs: 2 failed: EnvironmentFault, 1 running"
    assert summary([RUNNING]) == "1 run: 1 running"


# The command


def test_a_folder_without_runs_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "mine").mkdir()
    assert main(["--status"]) == 0
    assert main(["--status", "mine", "results"]) == 0
    assert main(["--status", "--results", "mine"]) == 0
    assert capsys.readouterr().out == (
        "no runs below results\nno runs below mine, results\nno runs below mine\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--status"], "results is not a folder; runs are below results/, or --results DIR"),
        (["--status", "file"], "file is not a folder"),
        (["--status", "--env", "a"], "--env does not go with --status; name folders instead"),
        (["--status", "--jobs", "2"], "--jobs does not go with --status"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"launch.py: {complaint}") and said.count("\n") == 1


def write_run(folder: Path) -> None:
    """A run that stopped."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"env": "e", "algo": "a", "seed": 1, "spec": {}}))
    (folder / "run.lock").touch()
    (folder / "ended.json").write_text('{"error": "ZeroDivisionError", "message": "by zero"}')


def test_no_torch_is_imported(tmp_path):
    write_run(tmp_path / "results/a/b/1")
    command = [sys.executable, "-X", "importtime", LAUNCH[1], "--status"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "offpcc.training.tracking.run_status" in imported
    assert not imported & {"torch", "numpy", "gymnasium", "gin", "filelock"}
    lines = ended.stdout.splitlines()
    assert lines[1].startswith("results/a/b/1  failed: ZeroDivisionError ")
    assert lines[2:] == ["1 run: 1 failed: ZeroDivisionError", "results/a/b/1: by zero"]


def test_a_long_path_is_whole_in_a_pipe_and_cut_on_a_terminal(tmp_path):
    name = "an-environment-" * 10
    write_run(tmp_path / "results" / name / "b/1")
    piped = subprocess.run([*LAUNCH, "--status"], cwd=tmp_path, capture_output=True, text=True)
    assert piped.stdout.splitlines()[1].startswith(f"results/{name}/b/1  failed")
    leader, follower = pty.openpty()
    size = {"COLUMNS": "70", "LINES": "24"}
    subprocess.run([*LAUNCH, "--status"], cwd=tmp_path, stdout=follower, env=os.environ | size)
    os.close(follower)
    shown = os.read(leader, 10_000).decode().splitlines()
    os.close(leader)
    assert len(shown[1]) == 70 and "…" in shown[1] and "/b/1  failed" in shown[1]


def test_the_runs_of_jobs_are_seen_at_work_and_then_finished(tmp_path, monkeypatch, capsys):
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["--env", "slow:Slow-v0", "--algo", "sac", "--run_id", "a", "b", "--jobs", 2]
    arguments += ["--config", tiny(tmp_path, "steps = 120")]
    child = launch(tmp_path, *arguments, PYTHONPATH=str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def seen() -> str:
        (tmp_path / "results").mkdir(exist_ok=True)
        assert main(["--status"]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    until = time.monotonic() + 120
    while seen() != "2 runs: 2 running" and time.monotonic() < until:
        time.sleep(0.02)
    assert seen() == "2 runs: 2 running"
    assert child.wait() == 0, child.said()
    assert seen() == "2 runs: 2 finished"
