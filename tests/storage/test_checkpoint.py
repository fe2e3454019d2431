"""Checkpoints: one valid copy at every instant, found again, and nothing but that."""

import hashlib
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from disks import Disk

from offpcc.data import AgentSpec, Episode, Field
from offpcc.errors import NoCheckpointError
from offpcc.replay import EpisodeReplay
from offpcc.storage.checkpoint import Checkpoints
from offpcc.storage.verified_files import read_manifest, write_manifest

SPEC = AgentSpec({"observation": Field((2,))}, 1)


def replay_of(episodes: int, buffer_size: int = 1000) -> EpisodeReplay:
    """A replay of episodes of 3 steps, each with its own number in it."""
    replay = EpisodeReplay(SPEC, buffer_size=buffer_size)
    for _ in range(episodes):
        play(replay)
    return replay


def play(replay: EpisodeReplay) -> None:
    number = replay.episodes.stop
    observation = {"observation": np.full((4, 2), number, np.float32)}
    states = np.zeros((3, 0), np.float32)
    replay.add(
        Episode(observation, np.zeros((3, 1), np.float32), np.ones(3, np.float32), False, states)
    )


def parts_at(step: int) -> dict[str, Any]:
    return {"run": {"step": step}, "policy": {"weight": torch.full((3,), float(step))}}


def save(checkpoints: Checkpoints, step: int, replay: EpisodeReplay) -> None:
    parts = parts_at(step) | {"agent": {"replay": replay.state_dict()}}
    checkpoints.save(step, parts, replay, {"env": "toy"})


def load(folder: Path, buffer_size: int = 1000) -> tuple[int, list[int]]:
    """The step of the newest valid checkpoint, and the numbers that its episodes have in them."""
    replay = replay_of(0, buffer_size)
    parts, manifest = Checkpoints(folder).load(replay)
    replay.load_state_dict(parts["agent"]["replay"])
    assert parts["policy"]["weight"].tolist() == [float(parts["run"]["step"])] * 3
    assert manifest["step"] == parts["run"]["step"]
    chunk = replay.chunk(0)
    assert len(chunk["length"]) == len(replay.episodes)
    return parts["run"]["step"], chunk["observation/observation"][::4, 0].int().tolist()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Checkpoints of steps 100 (2 episodes) and 200 (5 episodes)."""
    checkpoints, replay = Checkpoints(tmp_path), replay_of(2)
    save(checkpoints, 100, replay)
    for _ in range(3):
        play(replay)
    save(checkpoints, 200, replay)
    return tmp_path


# What is written


def test_the_newest_checkpoint_comes_back_with_its_episodes(saved):
    assert load(saved) == (200, [0, 1, 2, 3, 4])


def test_a_save_writes_only_the_episodes_that_are_new(saved):
    chunks = {path.name: path.stat().st_size for path in saved.glob("chunks/*")}
    assert [*chunks] and sorted(chunks) == ["000000000-000000002.pt", "000000002-000000005.pt"]
    checkpoints, replay = Checkpoints(saved), replay_of(0)
    checkpoints.load(replay)
    save(checkpoints, 300, replay)
    assert sorted(path.name for path in saved.glob("chunks/*")) == sorted(chunks)


def test_a_save_costs_what_is_new_whatever_is_stored(tmp_path):
    checkpoints, replay = Checkpoints(tmp_path), replay_of(1000, buffer_size=10_000)
    save(checkpoints, 100, replay)
    play(replay)
    save(checkpoints, 200, replay)
    old, new = sorted(tmp_path.glob("chunks/*"))
    assert (old.stem, new.stem) == ("000000000-000001000", "000001000-000001001")
    assert new.stat().st_size < old.stat().st_size / 20


def test_the_actions_of_a_long_episode_are_written_once_and_removed_after_it(tmp_path):
    checkpoints, replay = Checkpoints(tmp_path, keep=1), replay_of(1)
    old, new = torch.full((2000, 1), 0.5), torch.full((2000, 1), 0.25)
    checkpoints.save(100, parts_at(100) | {"actions/0-3-0": old}, replay, {})
    (written,) = tmp_path.glob("actions/*")
    before = written.stat().st_ino
    again = Checkpoints(tmp_path, keep=1)
    parts, _ = again.load(replay_of(0))
    assert torch.equal(parts["actions/0-3-0"], old)
    both = {"actions/0-3-0": old, "actions/0-3-1": new}
    again.save(200, parts_at(200) | both, replay, {})
    assert written.stat().st_ino == before
    parts, _ = Checkpoints(tmp_path).load(replay_of(0))
    assert all(torch.equal(parts[name], actions) for name, actions in both.items())
    again.save(300, parts_at(300), replay, {})
    assert not [*tmp_path.glob("actions/*")]
    assert Checkpoints(tmp_path).load(replay_of(0))[0]["run"]["step"] == 300


def test_chunks_whose_episodes_are_all_forgotten_are_removed(tmp_path):
    checkpoints, replay = Checkpoints(tmp_path, keep=1), replay_of(0, buffer_size=9)
    for step in range(100, 700, 100):
        play(replay)
        save(checkpoints, step, replay)
    assert [*replay.episodes] == [3, 4, 5]
    assert sorted(path.stem for path in tmp_path.glob("chunks/*")) == [
        "000000003-000000004",
        "000000004-000000005",
        "000000005-000000006",
    ]
    assert load(tmp_path, buffer_size=9) == (600, [3, 4, 5])


def test_a_loaded_run_goes_on_numbering_its_episodes(tmp_path):
    replay = replay_of(5, buffer_size=9)
    save(Checkpoints(tmp_path), 100, replay)
    checkpoints, replay = Checkpoints(tmp_path), replay_of(0, buffer_size=9)
    parts, _ = checkpoints.load(replay)
    replay.load_state_dict(parts["agent"]["replay"])
    assert [*replay.episodes] == [2, 3, 4]
    play(replay)
    save(checkpoints, 200, replay)
    assert load(tmp_path, buffer_size=9) == (200, [3, 4, 5])


def test_the_newest_few_are_kept(tmp_path):
    checkpoints, replay = Checkpoints(tmp_path, keep=3), replay_of(1)
    for step in (1, 20, 300, 4000, 10**9, 10**10):
        save(checkpoints, step, replay)
    kept = sorted(path.name for path in tmp_path.glob("step-*"))
    assert kept == ["step-000004000", "step-1000000000", "step-10000000000"]
    assert load(tmp_path)[0] == 10**10


def test_the_best_policy_is_kept_beside_them(saved):
    checkpoints = Checkpoints(saved)
    checkpoints.save_best({"weight": torch.ones(2)})
    checkpoints.save_best({"weight": torch.zeros(2)})
    save(checkpoints, 300, replay_of(6))
    assert checkpoints.load_policy(best=True)[0]["weight"].tolist() == [0, 0]
    assert checkpoints.load_policy()[0]["weight"].tolist() == [300, 300, 300]


def test_a_checkpoint_of_a_step_that_has_one_takes_its_place(saved):
    replay = replay_of(0)
    checkpoints = Checkpoints(saved)
    checkpoints.load(replay)
    play(replay)
    save(checkpoints, 200, replay)
    assert load(saved) == (200, [0, 1, 2, 3, 4, 5])
    assert not [*saved.glob(".*")]


def test_what_lies_beyond_a_checkpoint_can_be_forgotten(saved):
    (saved / ".tmp-step-000000300").mkdir()
    Checkpoints(saved).forget_after(100)
    assert load(saved) == (100, [0, 1])
    assert sorted(path.name for path in saved.iterdir()) == ["chunks", "step-000000100"]


# What is not whole


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damage(path: Path, how: str, place: int = 0) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "emptied":
        content = bytearray()
    elif how == "flipped":
        content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    if how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped", "missing"])
@pytest.mark.parametrize("name", ["agent.pt", "run.pt", "policy.pt", "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(saved, capsys, how, name):
    damage(saved / "step-000000200" / name, how, place=1000)
    assert load(saved) == (100, [0, 1])
    said = capsys.readouterr().err
    assert said.startswith("passed over a checkpoint: step-000000200: ") and said.count("\n") == 1
    assert name in said or how != "flipped"


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped", "missing"])
def test_a_damaged_chunk_spoils_the_checkpoints_that_name_it(saved, how):
    damage(saved / "chunks/000000002-000000005.pt", how)
    assert load(saved) == (100, [0, 1])
    damage(saved / "chunks/000000000-000000002.pt", how)
    with pytest.raises(NoCheckpointError, match=r"step-000000200: .*; step-000000100: "):
        load(saved)


def test_no_flipped_bit_goes_unnoticed(saved):
    draw = random.Random(0)
    for path in [*files_of(saved / "step-000000200")] * 12:
        whole = path.read_bytes()
        damage(path, "flipped", draw.randrange(8 * len(whole)))
        assert load(saved)[0] == 100, path
        path.write_bytes(whole)
    assert load(saved)[0] == 200


def test_where_none_is_valid_nothing_is_made_up(tmp_path, saved):
    with pytest.raises(NoCheckpointError, match="there is none"):
        load(tmp_path / "nowhere")
    for path in saved.glob("step-*/manifest.json"):
        path.unlink()
    with pytest.raises(NoCheckpointError, match=r"No such file.*manifest\.json"):
        load(saved)


def test_a_policy_can_be_had_where_the_replay_is_damaged(saved):
    damage(saved / "chunks/000000002-000000005.pt", "cut")
    assert Checkpoints(saved).load_policy()[0]["weight"].tolist() == [200, 200, 200]
    damage(saved / "step-000000200/policy.pt", "flipped", place=2000)
    assert Checkpoints(saved).load_policy()[0]["weight"].tolist() == [100, 100, 100]


# What is not ours


class Code:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("name", ["policy.pt", "run.pt"])
def test_code_in_a_checkpoint_is_not_run(saved, monkeypatch, capsys, name):
    monkeypatch.chdir(saved)
    folder = saved / "step-000000200"
    torch.save({"weight": Code()}, folder / name)
    reseal(folder)
    assert load(saved) == (100, [0, 1])
    assert "not made of tensors and plain containers" in capsys.readouterr().err
    (folder / name).write_bytes(pickle.dumps(Code(), protocol=2))
    reseal(folder)
    assert load(saved) == (100, [0, 1])
    assert not (saved / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["../outside.pt", "/etc/passwd", "chunks/../../x.pt", "a/b.pt", "x.sh", "policy.pt/../a"],
)
def test_a_manifest_that_names_a_file_elsewhere_is_refused(saved, capsys, name):
    (saved.parent / "outside.pt").write_bytes(b"")
    folder = saved / "step-000000200"
    manifest = read_manifest(folder)
    manifest["files"][name] = {"size": 0, "sha256": "0"}
    write_manifest(folder, manifest)
    assert load(saved) == (100, [0, 1])
    assert f"names {name!r}, which is no file of a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["[]", "null", "{}", '"seal"', '{"files": 3}', "[" * 500, "\x00", '{"seal": NaN}']
)
def test_a_manifest_that_is_none_is_passed_over(saved, text):
    (saved / "step-000000200/manifest.json").write_text(text)
    assert load(saved) == (100, [0, 1])


def test_a_checkpoint_of_another_format_is_passed_over(saved, capsys):
    folder = saved / "step-000000200"
    write_manifest(folder, read_manifest(folder) | {"format": 99})
    assert load(saved) == (100, [0, 1])
    assert "its format is 99, this is format 2" in capsys.readouterr().err


def reseal(folder: Path) -> None:
    """A manifest that fits the files as they are now."""
    manifest = read_manifest(folder)
    for name in manifest["files"]:
        if "/" not in name:
            content = (folder / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            manifest["files"][name] = {"size": len(content), "sha256": digest}
    write_manifest(folder, manifest)


# Crashes and full disks


def test_each_file_and_name_is_synced_before_it_is_published_and_after(tmp_path, monkeypatch):
    folder = tmp_path / "run" / "checkpoints"
    disk = Disk(tmp_path, monkeypatch)
    checkpoints, replay = Checkpoints(folder, keep=1), replay_of(0)
    for step in (0, 100, 200, 200, 300):  # the fourth takes the third's place
        save(checkpoints, step, replay)
        checkpoints.save_best({"weight": torch.full((2,), float(step + disk.renames))})
        assert not [*disk.lost()]
        play(replay)
    assert disk.renames == 14  # a checkpoint, a best policy and, but for the first, a chunk each
    assert load(folder)[0] == 300


REMOVING = ("rmdir", "unlink")  # which a full disk lets one do


class Crash(BaseException):
    """The process is dead: nothing more reaches the disk."""


def fail_at(monkeypatch: pytest.MonkeyPatch, fatal: int, fault: BaseException) -> Callable[[], int]:
    """Lets the fatal call to the file system and all after it fail; gives the count so far."""
    count = 0

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count >= fatal > 0:
                raise fault
            return original(*arguments, **options)

        return call

    names = ("fsync", "rename", "mkdir", *(() if isinstance(fault, OSError) else REMOVING))
    for name in names:
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    return lambda: count


def go_on(folder: Path, step: int = 300) -> None:
    """Loads what is there, plays one more episode and saves."""
    checkpoints, replay = Checkpoints(folder), replay_of(0)
    parts, _ = checkpoints.load(replay)
    replay.load_state_dict(parts["agent"]["replay"])
    play(replay)
    save(checkpoints, step, replay)


def each_moment(saved: Path, fault: BaseException, step: int = 300) -> Iterator[Path]:
    """Copies of the folder in which a save was cut short, each one call later."""
    with pytest.MonkeyPatch.context() as patch:
        count = fail_at(patch, 0, fault)
        go_on(copied(saved), step)
        calls = count()
    assert calls > 10
    for fatal in range(1, calls + 1):
        folder = copied(saved)
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, fatal, fault)
            with suppress(type(fault)):
                go_on(folder, step)
        yield folder


def copied(folder: Path) -> Path:
    path = folder.parent / f"copy-{len([*folder.parent.iterdir()])}"
    shutil.copytree(folder, path)
    return path


def test_a_save_that_is_killed_anywhere_leaves_the_old_or_the_new_checkpoint(saved):
    found = set()
    for folder in each_moment(saved, Crash()):
        found.add(load(folder)[0])
        assert load(folder) in [(200, [0, 1, 2, 3, 4]), (300, [0, 1, 2, 3, 4, 5])]
        go_on(folder)
        assert load(folder)[0] == 300
        assert not [*folder.glob(".*")]
    assert found == {200, 300}


def test_a_checkpoint_that_is_replaced_is_there_in_one_form_or_the_other(saved):
    found = {
        (step, len(episodes)) for step, episodes in map(load, each_moment(saved, Crash(), 200))
    }
    assert found == {(200, 5), (200, 6)}


def test_a_full_disk_leaves_the_checkpoints_before_and_no_litter(saved):
    for folder in each_moment(saved, OSError(28, "No space left on device")):
        assert load(folder)[0] in (200, 300)
        assert not [path for path in folder.rglob(".tmp-*") if path.is_file()]


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path):
    checkpoints, replay = Checkpoints(tmp_path), replay_of(2)
    save(checkpoints, 100, replay)
    for fatal in (1, 4, 7):
        play(replay)
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, fatal, OSError(28, "No space left on device"))
            with pytest.raises(OSError, match="No space left"):
                save(checkpoints, 200, replay)
        assert load(tmp_path) == (100, [0, 1])
    play(replay)
    save(checkpoints, 300, replay)
    assert load(tmp_path) == (300, [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    "odd", [np.float64(1.5), np.zeros(2), Path("x"), {1, 2}, torch.nn.Parameter(torch.ones(1))]
)
def test_what_could_not_be_read_back_is_refused_when_it_is_saved(tmp_path, odd):
    with pytest.raises(TypeError, match=r"run\.pt/a/1 is a .*, which a checkpoint can not hold"):
        Checkpoints(tmp_path).save(1, {"run": {"a": [0, odd]}}, replay_of(0), {})
