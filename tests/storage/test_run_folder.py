"""A run's folder: one process at a time, and nothing lost by accident."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
from disks import Disk

from offpcc.errors import RunExistsError, RunLockedError, RunMissingError
from offpcc.storage.atomic_io import make_folder
from offpcc.storage.run_folder import HOLDER, RunFolder, holder

HOLD = """
import sys, time
from offpcc.storage.run_folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(600)
"""

RUN = {"env": "e", "algo": "a", "seed": 1, "spec": {}}


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process holds the run's lock; gives its id."""
    command = [sys.executable, "-c", HOLD, str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and the time that it was written."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "env" / "algo" / "1")
    with folder.locked():
        folder.write(RUN)
    return folder


def test_a_second_process_is_refused_by_the_name_of_who_holds_the_lock(begun):
    with held(begun.path) as other:
        said = f"process {holder(other)} is at work on {begun.path}"
        with pytest.raises(RunLockedError, match=said), begun.locked():
            raise AssertionError
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(RunLockedError, match=said):
                begun.check(**how)


def test_a_killed_process_leaves_the_lock_free(begun):
    with held(begun.path) as other:
        os.kill(other, signal.SIGKILL)
        os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
        with begun.locked():
            assert (begun / "run.pid").read_text() == f"{socket.gethostname()}:{os.getpid()}"


def test_a_run_is_at_work_while_its_lock_is_held(begun):
    assert not begun.at_work
    with begun.locked():
        assert begun.at_work
    with held(begun.path) as other:
        assert begun.at_work
        os.kill(other, signal.SIGKILL)
        os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
        assert not begun.at_work
    assert begun.path.exists() and not RunFolder(begun / "nothing").at_work
    assert not (begun / "nothing").exists()


def test_a_look_at_the_lock_is_neither_taken_for_a_run_at_work_nor_in_its_way(begun):
    with (begun / "run.lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert not begun.at_work
        Timer(0.03, fcntl.flock, (look, fcntl.LOCK_UN)).start()
        with begun.locked():
            assert begun.at_work


def test_an_error_in_the_block_is_recorded_and_the_next_block_forgets_it(begun):
    with pytest.raises(ZeroDivisionError), begun.locked():
        raise ZeroDivisionError("one\ntwo")
    recorded = json.loads((begun / "ended.json").read_text())
    assert recorded == {"error": "ZeroDivisionError", "message": "one"}
    begun.check(resume=True)
    assert (begun / "ended.json").exists()
    with begun.locked():
        assert not (begun / "ended.json").exists()
    assert not (begun / "ended.json").exists()


def test_a_fault_is_recorded_of_the_last_process_that_worked_on_the_run_alone(begun, tmp_path):
    begun.record_fault(os.getpid() + 1, "gone")
    (begun / HOLDER).write_text(f"elsewhere:{os.getpid()}")
    begun.record_fault(os.getpid(), "gone")
    assert not (begun / "ended.json").exists()
    (begun / HOLDER).write_text(holder(os.getpid()))
    begun.record_fault(os.getpid(), "gone")
    recorded = json.loads((begun / "ended.json").read_text())
    assert recorded == {"error": "EnvironmentFault", "message": "gone"}
    RunFolder(tmp_path / "nothing").record_fault(os.getpid(), "gone")
    assert not (tmp_path / "nothing").exists()


def test_an_error_that_cannot_be_recorded_is_still_the_one_that_is_raised(begun, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ZeroDivisionError), begun.locked():
        monkeypatch.setattr(os, "fsync", fail)
        raise ZeroDivisionError
    assert not (begun / "ended.json").exists()


def test_a_lock_ends_with_its_block_whatever_happens_in_it(begun):
    with pytest.raises(ZeroDivisionError), begun.locked():
        raise ZeroDivisionError
    with begun.locked():
        pass


def test_a_run_that_exists_can_be_resumed_or_replaced_but_not_begun(begun):
    begun.check(resume=True)
    begun.check(overwrite=True)
    with pytest.raises(RunExistsError, match=r"--resume.*--overwrite.*--run_id"):
        begun.check()


def test_a_run_that_is_not_there_can_be_begun_but_not_resumed(tmp_path):
    folder = RunFolder(tmp_path / "nothing")
    folder.check()
    folder.check(overwrite=True)
    with pytest.raises(RunMissingError, match=f"there is no run in {folder.path}"):
        folder.check(resume=True)
    assert not folder.path.exists()


def test_a_check_changes_nothing(begun):
    before = contents(begun.path)
    begun.check(resume=True)
    with pytest.raises(RunExistsError):
        begun.check()
    assert contents(begun.path) == before


def test_a_description_is_replaced_in_one_piece(begun, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        begun.write(RUN | {"seed": 2})
    assert begun.read() == RUN


def test_a_description_outlasts_a_power_failure_and_the_one_before_until_then(
    tmp_path, monkeypatch
):
    disk = Disk(tmp_path, monkeypatch)
    folder = RunFolder(tmp_path / "env" / "algo" / "1")
    make_folder(folder.path)
    facts = {"env": "a-v0", "algo": "sac", "spec": {}}
    for seed in (1, 2):
        folder.write(facts | {"seed": seed})
        assert not [*disk.lost()]
    assert disk.renames == 2 and folder.read() == facts | {"seed": 2}


def test_the_folder_of_a_run_at_work_outlasts_a_power_failure(tmp_path, monkeypatch):
    disk = Disk(tmp_path, monkeypatch)
    folder = RunFolder(tmp_path / "env" / "algo" / "1")
    with folder.locked():
        assert {path.name for path in disk.lost()} == {"run.lock", "run.pid"}  # of a live process


def test_clearing_keeps_only_the_lock_and_its_holder(begun, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (begun / "checkpoints").mkdir()
    (begun / "checkpoints" / "policy.pt").touch()
    (begun / "link").symlink_to(tmp_path / "elsewhere")
    begun.clear()
    assert {path.name for path in begun.path.iterdir()} == {"run.lock", "run.pid"}
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_a_description_is_strict_json(begun):
    begun.write({"a": [1, None, "γ", float("nan")], "b": {"c": (float("inf"), 0.5)}})
    text = (begun / "run.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": [1, None, "γ", None],
        "b": {"c": [None, 0.5]},
    }
