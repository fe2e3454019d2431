"""What is written of a run: exact rows, exact resumes, and mirrors that cannot hurt."""

import gc
import logging
import os
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v3 as imageio
import numpy as np
import psutil
import pytest
import torch
from disks import Disk
from offline_wandb import wandb_records, wandb_rows
from torch import Tensor

from offpcc.training.tracking import Recorder, Row, TensorBoard, WandB

COLUMNS = ("env_steps", "test_return", "critic_loss", "actor_loss")


def read(folder: Path) -> str:
    return (folder / "progress.csv").read_bytes().decode()


def metrics(**values: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


# Rows


def test_rows_are_in_the_order_of_the_columns_and_missing_values_are_empty(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.write({"test_return": -1.5, "env_steps": 1000})
    recorder.write({"env_steps": 2000})
    assert read(tmp_path) == (
        "env_steps,test_return,critic_loss,actor_loss\n1000,-1.5,,\n2000,,,\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**31 + 1, "2147483649"),
        (np.int64(7), "7"),
        (0.1 + 0.2, "0.30000000000000004"),
        (np.float32(0.5), "0.5"),
        (1e-300, "1e-300"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_read_back_as_they_were(tmp_path, value, text):
    Recorder(tmp_path, ["env_steps"]).write({"env_steps": value})
    assert read(tmp_path) == f"env_steps\n{text}\n"


def test_a_metric_is_averaged_over_the_updates_that_had_it(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.add(metrics(critic_loss=1.0))
    recorder.add(metrics(critic_loss=2.0, actor_loss=10.0))
    recorder.add(metrics(critic_loss=6.0, actor_loss=float("nan")))
    recorder.write({"env_steps": 1})  # (1 + 2 + 6) / 3 = 3; the one actor loss is 10
    recorder.write({"env_steps": 2})  # and no update since
    assert read(tmp_path).splitlines()[1:] == ["1,,3.0,10.0", "2,,,"]


def test_means_are_taken_in_double_precision(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    for value in (2.0**24, 1.0, 1.0):  # in float32 the sum would stay 2^24
        recorder.add(metrics(critic_loss=value))
    recorder.write({"env_steps": 1})
    assert read(tmp_path).splitlines()[1] == f"1,,{(2**24 + 2) / 3!r},"


def test_a_metric_that_was_always_nan_is_nan(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.add(metrics(critic_loss=float("nan")))
    recorder.write({"env_steps": 1})
    assert read(tmp_path).splitlines()[1] == "1,,nan,"


def test_adding_reads_nothing_from_the_device(tmp_path):
    # A meta tensor has no value: to read it would raise.
    Recorder(tmp_path, COLUMNS).add({"critic_loss": torch.empty((), device="meta")})


def test_unknown_columns_are_refused_by_name(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    with pytest.raises(ValueError, match=r"no column \['loss'\]"):
        recorder.write({"env_steps": 1, "loss": 0.0})
    with pytest.raises(ValueError, match=r"no column \['loss'\]"):
        recorder.add(metrics(loss=0.0))


def test_a_value_given_twice_is_refused(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.add(metrics(critic_loss=1.0))
    with pytest.raises(ValueError, match="critic_loss"):
        recorder.write({"env_steps": 1, "critic_loss": 2.0})


@pytest.mark.parametrize("columns", [[], ["a", "a"], ["a,b"], [""], ["a\n"]])
def test_columns_that_would_break_the_file_are_refused(tmp_path, columns):
    with pytest.raises(ValueError, match="columns must be"):
        Recorder(tmp_path, columns)


def test_columns_may_be_added_until_the_file_has_begun(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS[:2])
    recorder.add_columns(["test_return", "train_reward_speed"])
    recorder.write({"env_steps": 1, "train_reward_speed": 2.5})
    recorder.add_columns(["train_reward_speed"])
    assert read(tmp_path) == "env_steps,test_return,train_reward_speed\n1,,2.5\n"
    with pytest.raises(ValueError, match=r"has begun and cannot have new columns \['other'\]"):
        recorder.add_columns(["other"])
    with pytest.raises(ValueError, match="must be different, plain names"):
        Recorder(tmp_path / "else", COLUMNS).add_columns(["a,b"])


def test_rows_of_another_run_are_never_overwritten(tmp_path):
    Recorder(tmp_path, COLUMNS).write({"env_steps": 1})
    before = read(tmp_path)
    with pytest.raises(ValueError, match="has rows"):
        Recorder(tmp_path, COLUMNS).write({"env_steps": 1})
    assert read(tmp_path) == before


def test_a_row_that_was_written_outlasts_a_power_failure(tmp_path, monkeypatch):
    disk = Disk(tmp_path, monkeypatch)
    recorder = Recorder(tmp_path / "env" / "1", COLUMNS)
    for step in (1000, 2000):
        recorder.write({"env_steps": step})
        assert not [*disk.lost()]
    assert len(read(tmp_path / "env" / "1").splitlines()) == 3


def test_rows_that_a_full_disk_refused_follow_when_there_is_room(tmp_path, monkeypatch, caplog):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    recorder = Recorder(tmp_path, COLUMNS)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        recorder.write({"env_steps": 1})
    assert "No space left" in caplog.text
    state = recorder.state_dict()
    recorder.write({"env_steps": 2})
    whole = read(tmp_path)
    assert whole.splitlines()[1:] == ["1,,,", "2,,,"]
    resumed = Recorder(tmp_path, COLUMNS)
    resumed.load_state_dict(state)
    resumed.write({"env_steps": 2})
    assert read(tmp_path) == whole


# Resume


def train(recorder: Recorder, updates: range) -> None:
    """Three updates make a row; the actor learns in every second one."""
    for k in updates:
        recorder.add(metrics(critic_loss=0.1 * k) | (metrics(actor_loss=0.7 / k) if k % 2 else {}))
        if k % 3 == 0:
            recorder.write({"env_steps": k, "test_return": k / 7})


@pytest.mark.parametrize("saved", [1, 3, 4, 7, 9])
def test_a_resumed_run_writes_the_bytes_of_an_unbroken_one(tmp_path, saved):
    train(Recorder(tmp_path / "unbroken", COLUMNS), range(1, 13))

    killed = Recorder(tmp_path / "killed", COLUMNS)
    train(killed, range(1, saved + 1))
    torch.save(killed.state_dict(), tmp_path / "state.pt")
    train(killed, range(saved + 1, 11))
    with (tmp_path / "killed" / "progress.csv").open("a") as file:
        file.write("12,0.3")  # killed while writing

    resumed = Recorder(tmp_path / "killed", COLUMNS)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert read(tmp_path / "killed").count("\n") == (saved // 3 + 1 if saved >= 3 else 0)
    train(resumed, range(saved + 1, 13))
    assert read(tmp_path / "killed") == read(tmp_path / "unbroken")


def test_a_saved_state_does_not_follow_the_run(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.add(metrics(critic_loss=1.0))
    state = recorder.state_dict()
    recorder.add(metrics(critic_loss=2.0))
    recorder.write({"env_steps": 1})
    assert state["offset"] == 0
    assert state["pending"]["critic_loss"].tolist() == [1.0]


def test_a_file_shorter_than_its_checkpoint_is_refused(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.write({"env_steps": 1})
    state = recorder.state_dict()
    (tmp_path / "progress.csv").write_text("env_steps\n")
    # The header takes 45 bytes and "1,,,\n" 5.
    with pytest.raises(ValueError, match=r"has 10 bytes.* byte 50"):
        Recorder(tmp_path, COLUMNS).load_state_dict(state)


def test_a_file_with_other_columns_is_refused_and_left_alone(tmp_path):
    recorder = Recorder(tmp_path, COLUMNS)
    recorder.write({"env_steps": 1})
    before = read(tmp_path)
    with pytest.raises(ValueError, match="has columns env_steps,test_return"):
        Recorder(tmp_path, ["env_steps"]).load_state_dict(recorder.state_dict())
    assert read(tmp_path) == before


# Mirrors


class FakeRun:
    def __init__(self, fails: bool = False):
        self.dir = "run/wandb/offline-run-1/files"
        self.rows: list[Row] = []
        self.calls: list[tuple[Any, ...]] = []
        self.fails = fails

    def define_metric(self, name: str, step_metric: str) -> None:
        self.calls.append((name, step_metric))

    def log(self, row: Row) -> None:
        random.random(), np.random.rand(), torch.rand(())
        self.rows.append(row)
        if self.fails:
            raise ConnectionResetError("Connection lost")

    def finish(self) -> None:
        self.calls.append(("finish",))


def fake_wandb(monkeypatch: pytest.MonkeyPatch, run: FakeRun, reachable: bool) -> list[Any]:
    """Put a wandb in place that answers with this run; returns the arguments of each init."""
    asked = []

    def init(**arguments: Any) -> FakeRun:
        random.random(), np.random.rand(), torch.rand(())
        asked.append(arguments)
        if arguments["mode"] == "online" and not reachable:
            raise RuntimeError("no such host\nsecond line")
        return run

    wandb = SimpleNamespace(init=init, Settings=SimpleNamespace, teardown=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    return asked


def make_wandb(folder: Path, mode: str = "online") -> WandB:
    config = {"discount": 0.99}
    return WandB(folder, group="pendulum rsac lstm", name="run_id=3", config=config, mode=mode)


def test_wandb_is_told_group_name_config_and_axis(tmp_path, monkeypatch):
    run = FakeRun()
    asked = fake_wandb(monkeypatch, run, reachable=True)
    mirror = make_wandb(tmp_path)
    mirror.write({"env_steps": 10, "test_return": 1.0})
    mirror.close()
    assert asked[0]["mode"] == "online"
    assert asked[0]["group"] == "pendulum rsac lstm"
    assert asked[0]["name"] == "run_id=3"
    assert asked[0]["config"] == {"discount": 0.99}
    assert asked[0]["dir"] == str(tmp_path)
    assert run.calls == [("*", "env_steps"), ("finish",)]
    assert run.rows == [{"env_steps": 10, "test_return": 1.0}]


def test_a_resumed_run_is_the_same_one_at_wandb(tmp_path, monkeypatch):
    asked = fake_wandb(monkeypatch, FakeRun(), reachable=True)
    for folder in ("1", "1", "2"):
        make_wandb(tmp_path / folder)
    first, again, other = (arguments["id"] for arguments in asked)
    assert first == again != other
    assert asked[1]["resume"] == "allow"


def test_an_unreachable_server_means_offline_and_one_line_that_says_how_to_sync(
    tmp_path, monkeypatch, caplog
):
    asked = fake_wandb(monkeypatch, FakeRun(), reachable=False)
    make_wandb(tmp_path)
    assert [arguments["mode"] for arguments in asked] == ["online", "offline"]
    (record,) = caplog.records
    assert "wandb sync run/wandb/offline-run-1" in record.getMessage()
    assert "second line" not in record.getMessage()


def test_a_failing_log_is_said_once_and_nothing_more_is_sent(tmp_path, monkeypatch, caplog):
    run = FakeRun(fails=True)
    fake_wandb(monkeypatch, run, reachable=True)
    recorder = Recorder(tmp_path, COLUMNS, [make_wandb(tmp_path)])
    for step in range(3):
        recorder.write({"env_steps": step})
    recorder.close()
    assert len(run.rows) == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert read(tmp_path).splitlines()[1:] == ["0,,,", "1,,,", "2,,,"]


def test_wandb_leaves_the_global_generators_as_they_were(tmp_path, monkeypatch):
    def draws() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(()).item()

    def seed() -> None:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)

    seed()
    without = draws()
    seed()
    fake_wandb(monkeypatch, FakeRun(), reachable=True)
    mirror = make_wandb(tmp_path)
    mirror.write({"env_steps": 1})
    mirror.close()
    assert draws() == without


def test_a_mirror_whose_package_is_missing_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="pip install wandb"):
        make_wandb(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_an_unknown_mode_of_wandb_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no mode 'live'"):
        make_wandb(tmp_path, mode="live")


# wandb never waits for a service that died, and its Popen complains of that.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_wandb_service_killed_in_mid_run_costs_one_warning(tmp_path, caplog):
    pytest.importorskip("wandb")

    def warned():  # wandb logs, too
        return [result for result in caplog.records if result.name.startswith("offpcc")]

    recorder = Recorder(tmp_path, COLUMNS, [make_wandb(tmp_path, mode="offline")])
    recorder.write({"env_steps": 0, "test_return": 1.0})
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert not warned()
    services = [child for child in psutil.Process().children() if "wandb" in child.name()]
    for service in services:
        service.kill()
    psutil.wait_procs(services, timeout=5)
    for step in range(1, 20):
        recorder.write({"env_steps": step})
    recorder.close()
    assert len(warned()) == 1
    assert len(read(tmp_path).splitlines()) == 21
    # And the process's next run is mirrored again.
    following = make_wandb(tmp_path / "next", mode="offline")
    following.write({"env_steps": 0})
    assert not following.stopped
    following.close()
    assert len(warned()) == 1
    gc.collect()  # while the mark above is in force


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_wandb_run_has_its_group_and_name_and_its_rows_over_env_steps(tmp_path):
    pytest.importorskip("wandb")
    mirror = make_wandb(tmp_path, mode="offline")
    rows = [{"env_steps": 10, "test_return": 1.0}, {"env_steps": 20, "test_return": 2.5}]
    for row in rows:
        mirror.write(row)
    (tmp_path / "report.md").write_text("a < b")
    imageio.imwrite(tmp_path / "curves.png", np.zeros((2, 2, 3), np.uint8))
    mirror.show(tmp_path / "report.md", [tmp_path / "curves.png"])
    assert not mirror.stopped
    mirror.close()

    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    until, records = time.monotonic() + 20, wandb_records(file)
    while not any(record.HasField("exit") for record in records) and time.monotonic() < until:
        time.sleep(0.1)  # its service may still be writing
        records = wandb_records(file)
    run = next(record.run for record in records if record.HasField("run"))
    assert (run.run_group, run.display_name) == ("pendulum rsac lstm", "run_id=3")
    assert (run.project, run.run_id) == ("offpcc", (tmp_path / "wandb/id").read_text())
    assert {item.key: item.value_json for item in run.config.update}["discount"] == "0.99"
    axes = [record.metric for record in records if record.HasField("metric")]
    assert ("*", "env_steps") in [(axis.glob_name, axis.step_metric) for axis in axes]
    shown = wandb_rows(records)
    assert shown[:2] == rows
    assert shown[2].keys() == {"env_steps", "report", "curves"}
    (page,) = tmp_path.glob("wandb/offline-run-*/files/media/html/*.html")
    assert "a &lt; b" in page.read_text()
    gc.collect()  # while the mark above is in force


def test_tensorboard_shows_the_rows_over_env_steps_and_a_resume_replaces_them(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = TensorBoard(tmp_path)
    for step, value in ((10, 1.0), (20, 2.0), (30, 3.0)):
        first.write({"env_steps": step, "test_return": value})
    first.close()
    resumed = TensorBoard(tmp_path)  # from a checkpoint at 10
    resumed.write({"env_steps": 20, "test_return": 5.0})
    resumed.close()

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("test_return")]
    assert scalars == [(10, 1.0), (20, 5.0)]
