"""The status of runs: of real ones in every state, and of folders that are odd in some way."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import STEPS, Child, launch, tiny
from test_launch import ODD

from offpcc.errors import DivergedError, EnvironmentFault, RunExistsError, Stopped
from offpcc.storage.run_folder import RunFolder
from offpcc.training.tracking.run_status import RunStatus, statuses_of_runs

RUN = {"env": "e", "algo": "a", "seed": 1, "spec": {}}
HEADER = "env_steps,updates,test_return,test_success,steps_per_second\n"
CONFIG = "steps = 9000\n\n# Training\nTraining.steps = %steps\nTraining.learning_starts = 1000\n"
CARTPOLE = ("--env", "cartpole-continuous-p-v0", "--algo", "rsac")


# Real runs


@contextmanager
def working(folder: Path, run_id: str) -> Iterator[Child]:
    """A run at work, its first row written."""
    child = launch(folder, *CARTPOLE, "--run_id", run_id, "--config", tiny(folder, "steps = 5000"),
                   slow=(STEPS, 0.02))  # fmt: skip
    rows = folder / "results/cartpole-continuous-p-v0/rsac" / run_id / "progress.csv"
    until = time.monotonic() + 60
    while not (rows.exists() and rows.read_text().count("\n") > 1) and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield child
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunStatus]:
    """A real run in each state, by its environment and id."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "odd.py").write_text(ODD)
    config = tiny(folder)
    launch(folder, *CARTPOLE, "--run_id", "finished", "--config", config).wait()
    for run_id, by in (("killed", signal.SIGKILL), ("stopped", signal.SIGTERM)):
        which = [*CARTPOLE, "--run_id", run_id, "--config", config]
        launch(folder, *which, die=(STEPS, 150), by=by).wait()
    config = tiny(folder, "replay_ratio = 1.0")
    for env in ("odd:Falling-v0", "odd:Huge-v0"):
        launch(folder, "--env", env, "--algo", "sac", "--config", config).wait()
    with working(folder, "running"):
        runs = statuses_of_runs([folder / "results"])
    return {run.path.name if "rsac" in str(run.path) else run.path.parts[-3]: run for run in runs}


def test_a_finished_run_has_its_final_scores(real):
    run = real["finished"]
    final = json.loads((run.path / "run.json").read_text())["final"]
    assert (run.state, run.env_steps, run.steps) == ("finished", 250, 250)
    assert run.test_return == final["test_return"] and run.seconds_left is None


def test_a_killed_run_and_one_stopped_by_a_signal_are_both_stopped(real):
    for name in ("killed", "stopped"):
        run = real[name]
        assert run.state == "stopped" and run.reason == ""
        assert run.env_steps in (60, 120) and run.steps == 250 and run.seconds_left is None


def test_a_run_at_work_has_a_rate_and_the_time_left(real):
    run = real["running"]
    assert run.state == "running" and run.env_steps >= 60
    assert 0 < run.steps_per_second < 50, "each takes 0.02 s and more"
    assert 0 < run.seconds_left < 1.2 * (5000 - 50) * run.env_steps / run.steps_per_second


def test_a_failed_run_has_its_error_and_its_reason(real):
    assert real["Falling-v0"].state == "failed: EnvironmentFault"
    assert "RuntimeError('the motor is hot') in step" in real["Falling-v0"].reason
    assert real["Huge-v0"].state == "diverged"
    assert "updates in a row had a loss or gradient that is not" in real["Huge-v0"].reason


def test_a_run_that_is_resumed_is_at_work_and_its_failure_forgotten(tmp_path):
    (tmp_path / "odd.py").write_text(ODD)
    which = ["--env", "odd:Falling-v0", "--algo", "sac", "--config", tiny(tmp_path)]
    assert launch(tmp_path, *which).wait() == 6
    (run,) = statuses_of_runs([tmp_path / "results"])
    assert run.state.startswith("failed")
    child = launch(tmp_path, *which, "--resume", die=(STEPS, 1))
    assert child.wait() == -signal.SIGKILL
    (run,) = statuses_of_runs([tmp_path / "results"])
    assert run.state == "stopped"


# Crafted folders


def write_run(path: Path, rows: str | None = None, **facts: Any) -> RunFolder:
    """A run whose process is gone."""
    folder = RunFolder(path)
    with folder.locked():
        folder.write(RUN | facts)
        folder.replace("config.gin", CONFIG)
        if rows is not None:
            (folder / "progress.csv").write_text(HEADER + rows)
    return folder


def only(place: Path) -> RunStatus:
    (run,) = statuses_of_runs([place])
    return run


def test_the_last_whole_row_counts(tmp_path):
    write_run(tmp_path / "1", "1000,0,-9.5,,50.0\n2000,1000,4.0,0.5,100.0\n3000,20")
    run = only(tmp_path)
    assert (run.env_steps, run.steps, run.steps_per_second) == (2000, 9000, 100.0)
    assert (run.test_return, run.test_success) == (4.0, 0.5)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "env_steps,upd",
        HEADER,
        HEADER + "10",
        HEADER + "1,2\n",
        HEADER + "a,b,c,d,e\n",
        HEADER + "nan,nan,nan,nan,nan\n",
        "time\tvalue\n1\t2\n",
        "\x00\xff\n" * 10_000,
        "x" * 100_000,
    ],
)
def test_a_progress_csv_without_a_row_of_ours_is_a_run_without_one(tmp_path, content):
    folder = write_run(tmp_path / "1")
    if content is not None:
        (folder / "progress.csv").write_text(content)
    run = only(tmp_path)
    assert run.state == "stopped"
    assert (run.env_steps, run.test_return, run.steps) == (None, None, 9000)


def test_empty_cells_and_columns_that_are_missing_are_unknown(tmp_path):
    folder = write_run(tmp_path / "1", "1000,,,,\n")
    run = only(tmp_path)
    assert (run.env_steps, run.test_return, run.steps_per_second) == (1000, None, None)
    (folder / "progress.csv").write_text("env_steps\n7\n")
    assert only(tmp_path).env_steps == 7


def test_of_a_long_file_the_tail_is_enough(tmp_path):
    folder = write_run(tmp_path / "1")
    columns = [f"a_column_with_a_long_name_{i}" for i in range(40)]
    row = ",".join(["-1.2345678901234567e-100"] * 40)
    rows = "".join(f"{row},{step},{step / 2}\n" for step in range(2000))
    header = ",".join([*columns, "env_steps", "steps_per_second"])
    (folder / "progress.csv").write_text(f"{header}\n{rows}{row[:100]}")
    with folder.locked():
        assert (only(tmp_path).env_steps, only(tmp_path).steps_per_second) == (1999, 999.5)


def test_the_time_left_counts_from_now_and_by_the_steps_with_updates(tmp_path):
    # 2,000 steps in 20 s, of which 1,000 came with updates: 7,000 more take 140 s.
    folder = write_run(tmp_path / "1", "2000,500,1.0,,100.0\n")
    with folder.locked():
        assert only(tmp_path).seconds_left == pytest.approx(140, abs=5)
        os.utime(folder / "progress.csv", (time.time() - 40, time.time() - 40))
        assert only(tmp_path).seconds_left == pytest.approx(100, abs=5)
        os.utime(folder / "progress.csv", (0, 0))
        assert only(tmp_path).seconds_left == 0
    assert only(tmp_path).seconds_left is None


def test_the_time_left_is_at_the_rate_between_the_last_two_rows(tmp_path):
    folder = write_run(tmp_path / "1", "2000,500,1.0,,900.0\n3000,1500,1.0,,100.0\n")
    with folder.locked():
        assert only(tmp_path).seconds_left == pytest.approx(60, abs=5)


def test_a_run_at_work_without_a_row_or_an_update_has_no_time_left(tmp_path):
    folder = write_run(tmp_path / "1")
    with folder.locked():
        assert only(tmp_path).state == "running" and only(tmp_path).seconds_left is None
        (folder / "progress.csv").write_text(HEADER + "1000,0,1.0,,100.0\n")
        assert only(tmp_path).env_steps == 1000 and only(tmp_path).seconds_left is None


def test_a_process_id_alone_makes_no_run_alive(tmp_path):
    folder = write_run(tmp_path / "1")
    assert (folder / "run.pid").read_text().endswith(f":{os.getpid()}"), "alive, but not at work"
    assert only(tmp_path).state == "stopped"


def test_a_run_that_has_not_begun_is_at_work_or_not_begun(tmp_path):
    with RunFolder(tmp_path / "1").locked():
        assert only(tmp_path).state == "running"
    assert only(tmp_path).state == "not begun"


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (EnvironmentFault("the motor\nis hot"), "failed: EnvironmentFault", "the motor"),
        (DivergedError("too far"), "diverged", "too far"),
        (ZeroDivisionError(), "failed: ZeroDivisionError", ""),
        (SystemExit(0), "failed: SystemExit", "0"),
        (Stopped(signal.SIGTERM), "stopped", ""),
        (KeyboardInterrupt(), "stopped", ""),
    ],
)
def test_an_error_that_ends_a_run_is_its_state_until_it_goes_on(tmp_path, error, state, reason):
    folder = write_run(tmp_path / "1")
    with pytest.raises(type(error)), folder.locked():
        raise error
    assert (only(tmp_path).state, only(tmp_path).reason) == (state, reason)
    with folder.locked():
        assert (only(tmp_path).state, only(tmp_path).reason) == ("running", "")
    assert only(tmp_path).state == "stopped"


def test_a_finished_run_stays_finished(tmp_path):
    folder = write_run(tmp_path / "1", final={"env_steps": 9000})
    with pytest.raises(RunExistsError), folder.locked():
        raise RunExistsError
    assert not (folder / "ended.json").exists()
    assert only(tmp_path).state == "finished"


def test_a_run_that_diverged_under_an_older_version_is_known_by_its_diagnosis(tmp_path):
    folder = write_run(tmp_path / "1")
    (folder / "diverged.json").write_text("{}")
    os.utime(folder / "run.json", (10, 10))
    assert only(tmp_path).state == "diverged"
    os.utime(folder / "diverged.json", (5, 5))
    assert only(tmp_path).state == "stopped", "it was resumed since"


def test_a_damaged_run_json_is_a_damaged_run(tmp_path):
    folder = write_run(tmp_path / "1", "2000,500,1.0,,100.0\n")
    for content in ("", '{"env": ', "[1]", "\x00"):
        (folder / "run.json").write_text(content)
        run = only(tmp_path)
        assert run.state == "damaged" and "run.json" in run.reason and run.env_steps == 2000
    with folder.locked():
        assert only(tmp_path).state == "running"


@pytest.mark.parametrize("config", ["", "steps = 9e9", "Training.steps = %a\na = %b\nb = %a\n"])
def test_without_a_whole_number_of_steps_the_total_is_unknown(tmp_path, config):
    folder = write_run(tmp_path / "1", "2000,500,1.0,,100.0\n")
    (folder / "config.gin").write_text(config)
    with folder.locked():
        assert only(tmp_path).steps is None and only(tmp_path).seconds_left is None


def test_rows_of_suites_and_files_of_others_are_no_runs(tmp_path):
    rows = tmp_path / "suites/memory/rows/pendulum/rsac/1"
    other = tmp_path / "another-tool"
    for folder, facts in ((rows, {"env": "e", "algo": "a", "seed": 1}), (other, {"lr": 1})):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(facts))
        (folder / "progress.csv").write_text(HEADER)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/run.txt").write_text("run")
    assert statuses_of_runs([tmp_path]) == []


def test_runs_are_found_at_any_depth_through_links_and_once(tmp_path):
    write_run(tmp_path / "results/a/b/c/1")
    write_run(tmp_path / "disk/2")
    (tmp_path / "results/link").symlink_to(tmp_path / "disk")
    (tmp_path / "results/loop").symlink_to(tmp_path / "results")
    (tmp_path / "results/nowhere").symlink_to(tmp_path / "nowhere")
    places = [tmp_path / "results", tmp_path / "results/a/b/c/1"]
    assert sorted(run.path.name for run in statuses_of_runs(places)) == ["1", "2"]


def test_the_last_written_run_comes_first(tmp_path):
    for age, name in ((30, "b"), (10, "c"), (20, "a")):
        folder = write_run(tmp_path / name)
        for file in folder.path.iterdir():
            os.utime(file, (time.time() - age, time.time() - age))
    assert [run.path.name for run in statuses_of_runs([tmp_path])] == ["c", "a", "b"]


def test_a_look_changes_nothing(tmp_path):
    folder = write_run(tmp_path / "1", "2000,500,1.0,,100.0\n")

    def contents() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}

    before = contents()
    only(tmp_path)
    assert contents() == before


def test_500_runs_take_less_than_a_second(tmp_path):
    rows = "".join(f"{step},{step},1.0,,100.0\n" for step in range(1000, 101_000, 1000))
    write_run(tmp_path / "0", rows)
    files = {path.name: path.read_bytes() for path in (tmp_path / "0").iterdir()}
    for number in range(1, 500):
        (tmp_path / f"{number}/checkpoints").mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / str(number) / name).write_bytes(content)
    before = time.process_time()
    assert len(statuses_of_runs([tmp_path])) == 500
    assert time.process_time() - before < 1
