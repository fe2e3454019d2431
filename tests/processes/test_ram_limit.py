"""How much memory there is: the machine's, or less where a control group says so."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from offpcc.errors import ConfigError
from offpcc.processes import ram_limit as room

MACHINE = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch) -> None:
    free = SimpleNamespace(available=MACHINE)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def group(folder: str, limit: object, used: int, idle: int = 0) -> dict[str, object]:
    """The files of a control group, version 2."""
    base = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {
        f"{base}/memory.max": limit,
        f"{base}/memory.current": used,
        f"{base}/memory.stat": f"anon 5\ninactive_file {idle}\nslab 7",
    }


def test_without_control_groups_it_is_the_machines(tmp_path):
    assert room.free_bytes(tmp_path) == MACHINE


def test_a_group_without_a_limit_changes_nothing(tmp_path):
    root = write(tmp_path, {"proc/self/cgroup": "0::/job"} | group("job", "max", 10))
    assert room.free_bytes(root) == MACHINE


def test_a_groups_limit_counts_what_is_used_but_for_idle_file_pages(tmp_path):
    root = write(tmp_path, {"proc/self/cgroup": "0::/job"} | group("job", 1000, 700, idle=50))
    assert room.free_bytes(root) == 1000 - 700 + 50


def test_the_tightest_of_nested_groups_counts(tmp_path):
    files = group("a/b", 5000, 0) | group("a", 600, 100) | group("", 9000, 0)
    root = write(tmp_path, {"proc/self/cgroup": "0::/a/b"} | files)
    assert room.free_bytes(root) == 500


def test_a_container_that_sees_its_own_group_as_the_root_is_found(tmp_path):
    root = write(tmp_path, {"proc/self/cgroup": "0::/docker/abc"} | group("", 800, 100))
    assert room.free_bytes(root) == 700


def test_groups_of_version_1_are_read_too(tmp_path):
    base = "sys/fs/cgroup/memory/job"
    files = {
        "proc/self/cgroup": "7:cpu,cpuacct:/job\n4:memory:/job\n0::/",
        f"{base}/memory.limit_in_bytes": 400,
        f"{base}/memory.usage_in_bytes": 150,
        f"{base}/memory.stat": "inactive_file 3\ntotal_inactive_file 20",
    }
    assert room.free_bytes(write(tmp_path, files)) == 400 - 150 + 20


def test_a_group_over_its_limit_leaves_nothing(tmp_path):
    root = write(tmp_path, {"proc/self/cgroup": "0::/job"} | group("job", 100, 700))
    assert room.free_bytes(root) == 0


def test_a_replay_that_does_not_fit_is_refused_with_the_largest_that_does(monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 2_500_000)
    room.refuse_too_large(1000, 2500)
    complaint = (
        "a replay of 1_001 steps takes 2.5 MB and 2.5 MB are free; "
        "the largest EpisodeReplay.buffer_size that fits is 1_000"
    )
    with pytest.raises(ConfigError, match=complaint):
        room.refuse_too_large(1001, 2500)


def test_this_machine_has_some_room_left(monkeypatch):
    monkeypatch.undo()
    assert 0 < room.free_bytes() <= psutil.virtual_memory().total


def test_networks_and_copies_that_do_not_fit_are_refused(monkeypatch):
    room.refuse_large_agent(2 * 10**9, 2 * 10**9)
    with pytest.raises(ConfigError, match=r"take 2.0 GB and 1.9 GB are free; lower hidden_sizes,"):
        room.refuse_large_agent(2 * 10**9, 19 * 10**8)
    monkeypatch.setattr(room, "free_bytes", lambda: 10**9)
    room.refuse_many_copies(100, 10**7)
    with pytest.raises(
        ConfigError, match=r"^101 copies .* take 1.0 GB .* \(--envs\) to 100 or less"
    ):
        room.refuse_many_copies(101, 10**7)
