"""A run from Python: what it writes, what it refuses, and what must not change its numbers."""

import csv
import hashlib
import importlib.util
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from children import tiny
from gymnasium import spaces

import offpcc
from offpcc.algorithms.core import precision
from offpcc.envs.adapter import EnvAdapter
from offpcc.errors import (
    ConfigError,
    NoCheckpointError,
    RunExistsError,
    RunLockedError,
    RunMissingError,
    StorageError,
)
from offpcc.processes import ram_limit as room
from offpcc.runs import experiment
from offpcc.storage.run_folder import RunFolder
from offpcc.training.loop import CLOCK

SHORT = "steps = 120\neval_interval = 60\nlearning_starts = 30\n"


def begin(folder: Path, more: str = "", **settings: Any) -> RunFolder:
    """A run of 120 steps."""
    given = {"config": tiny(folder, SHORT + more), "seed": 1, "results": folder / "results"}
    return offpcc.run("cartpole-continuous-v0", "sac", **given | settings)


def resume(folder: Path, **settings: Any) -> RunFolder:
    given = {"results": folder / "results", "resume": True}
    return offpcc.run("cartpole-continuous-v0", "sac", **given | settings)


def rows(run: RunFolder, without: tuple[str, ...] = CLOCK) -> list[dict[str, str]]:
    """The rows of progress.csv but for the clock."""
    with (run / "progress.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in without} for row in csv.DictReader(file)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is written


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return begin(tmp_path_factory.mktemp("run"), "previous_action = True")


def test_a_run_has_its_place_and_its_files(run):
    assert run.path.parts[-4:] == ("results", "cartpole-continuous-v0", "sac", "1")
    found = {path.name for path in run.path.iterdir()}
    assert found >= {"config.gin", "run.json", "progress.csv", "checkpoints", "run.lock"}


def test_its_description_is_complete(run):
    result = run.read()
    assert (result["env"], result["algo"], result["run_id"]) == (
        "cartpole-continuous-v0",
        "sac",
        "1",
    )
    assert (result["seed"], result["device"], result["num_threads"]) == (1, "cpu", 1)
    packages = {"python", "offpcc", "torch", "numpy", "gymnasium", "gin-config"}
    assert result["versions"].keys() == packages
    assert result["versions"]["torch"] == torch.__version__
    assert result["git_commit"] is None or len(result["git_commit"]) >= 40
    assert result["spec"] == {
        "observation": {
            "observation": {"shape": [4], "dtype": "float32"},
            "previous_action": {"shape": [1], "dtype": "float32"},
        },
        "action": 1,
    }
    assert result["command"] and result["config"].endswith("tiny.gin")
    assert result["eval_episodes"] == 1 and result["resume_exact"] is True


def test_its_final_scores_are_those_of_the_last_row(run):
    result, last = run.read()["final"], rows(run, without=())[-1]
    assert result == {key: float(last[key]) for key in result}
    assert result.keys() == {"env_steps", "seconds", "test_return", "test_return_se", "test_length"}


def test_its_rows_have_every_column(run):
    columns = [*rows(run, without=())[0]]
    assert columns[:3] == ["env_steps", "updates", "episodes"]
    assert columns[-3:] == ["seconds", "steps_per_second", "updates_per_second"]
    for side in ("train", "test"):
        wanted = [f"{side}_{what}" for what in ("return", "return_se", "length", "success")]
        assert [name for name in columns if name.startswith(side)] == wanted
    assert {"critic_loss", "actor_loss", "temperature", "skipped"} <= {*columns}
    assert [row["env_steps"] for row in rows(run)] == ["60", "120"]


def test_its_config_makes_the_same_run_again(run, tmp_path):
    other = begin(tmp_path, config=run / "config.gin")
    assert rows(other) == rows(run)
    assert (other / "config.gin").read_text() == (run / "config.gin").read_text()


def test_a_checkpoint_says_what_it_is_of(run):
    (newest,) = run.path.glob("checkpoints/step-000000120/manifest.json")
    manifest = json.loads(newest.read_text())
    assert manifest["step"] == 120 and manifest["spec"] == run.read()["spec"]
    assert manifest["versions"] == run.read()["versions"]
    assert manifest["config"] == hashlib.sha256((run / "config.gin").read_bytes()).hexdigest()
    *before, _ = (run / "progress.csv").read_bytes().splitlines(keepends=True)
    assert manifest["csv_offset"] == sum(map(len, before)), "the row comes after the checkpoint"


def test_the_seed_decides(run, tmp_path):
    other = begin(tmp_path, "previous_action = True", seed=2)
    assert rows(other) != rows(run)


def test_a_seed_that_is_not_given_is_drawn_printed_and_stored(tmp_path, capsys):
    seeds = set()
    for run_id in (1, 2):
        run = begin(tmp_path, "steps = 10\nlearning_starts = 5", seed=None, run_id=run_id)
        seeds.add(run.read()["seed"])
        assert f"{run.path}: seed {run.read()['seed']}, on cpu\n" in capsys.readouterr().out
    assert len(seeds) == 2


def test_one_process_may_train_many_different_agents(run, tmp_path):
    first = begin(tmp_path, "hidden_sizes = (5,)\nnormalize_observations = True", run_id="x")
    again = begin(tmp_path, "previous_action = True", run_id="y")
    assert rows(again) == rows(run) != rows(first)


# Precision


@pytest.fixture
def slowdown(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | None], None]:
    """Says how many times as long as in fp32 an update takes in bf16; None: there is no bf16."""

    def is_now(times: float | None) -> None:
        def answer(*agent_and_batch: Any) -> float:
            if times is None:
                raise RuntimeError("could not create a primitive. Run with ONEDNN_VERBOSE")
            return times

        monkeypatch.setattr(precision, "bf16_slowdown", answer)

    return is_now


@pytest.mark.parametrize(("times", "wanted"), [(0.5, "bf16"), (1.5, "fp32"), (None, "fp32")])
def test_auto_is_definite_wherever_it_is_written(tmp_path, slowdown, capsys, times, wanted):
    slowdown(times)
    run = begin(tmp_path, "steps = 40\nprecision = 'auto'\n")
    assert f"seed 1, on cpu, in {wanted} (" in capsys.readouterr().out
    assert run.read()["precision"] == wanted
    text = (run / "config.gin").read_text()
    assert f"precision = '{wanted}'\n" in text and "auto" not in text
    (manifest,) = run.path.glob("checkpoints/step-000000040/manifest.json")
    written = hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(manifest.read_text())["config"] == written


def test_auto_that_comes_to_fp32_is_the_run_in_fp32(run, tmp_path, slowdown):
    slowdown(1.5)
    other = begin(tmp_path, "previous_action = True\nprecision = 'auto'\n")
    assert rows(other) == rows(run)
    assert (other / "config.gin").read_text() == (run / "config.gin").read_text()
    assert run.read()["precision"] == "fp32"


def test_bf16_that_is_not_there_is_refused_before_anything_is_written(tmp_path, slowdown):
    slowdown(None)
    with pytest.raises(ValueError, match=r"'bf16', but bf16 is not available on cpu .*primitive;"):
        begin(tmp_path, "precision = 'bf16'\n")
    assert not (tmp_path / "results").exists()


def test_bf16_is_not_resumed_without_a_word_where_it_is_not_there(tmp_path, slowdown, capsys):
    slowdown(0.5)
    run = begin(tmp_path, "steps = 40\nprecision = 'bf16'\n")
    before = contents(tmp_path)
    slowdown(None)
    with pytest.raises(ValueError, match="use fp32 or auto"):
        resume(tmp_path, steps=80)
    assert contents(tmp_path) == before
    resume(tmp_path, steps=80, bind=["precision = 'auto'"])
    assert "numbers may differ in their last digits: precision: bf16 -> fp32" in (
        capsys.readouterr().out
    )
    result = run.read()
    assert result["precision"] == "bf16" and result["resumes"][0]["precision"] == "fp32"
    assert "precision = 'fp32'" in (run / "config.gin").read_text()


def test_auto_goes_on_with_what_the_run_has(tmp_path, slowdown):
    for run_id, times, later, wanted in (("a", 0.5, 1.5, "bf16"), ("b", 1.5, 0.5, "fp32")):
        slowdown(times)
        run = begin(tmp_path, "steps = 40\nprecision = 'auto'\n", run_id=run_id)
        slowdown(later)
        resume(tmp_path, steps=50, bind=["precision = 'auto'"], run_id=run_id)
        assert f"precision = '{wanted}'" in (run / "config.gin").read_text()
        assert "precision" not in run.read()["resumes"][0]


# What must not change the numbers


def test_without_evaluation_the_training_is_the_same(run, tmp_path):
    other = begin(tmp_path, "previous_action = True\neval_episodes = 0")
    test = tuple(name for name in rows(run)[0] if name.startswith("test_"))
    assert rows(other, CLOCK + test) == rows(run, CLOCK + test)
    assert not any(row["test_return"] for row in rows(other))
    assert other.read()["final"].keys() == {"env_steps", "seconds"}


def test_without_tensorboard_the_run_goes_on(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    other = begin(tmp_path, "previous_action = True")
    assert rows(other) == rows(run)
    assert not (other / "tensorboard").exists()
    assert "TensorBoard is not installed: pip install tensorboard\n" in capsys.readouterr().out


def test_in_another_thread_the_run_is_the_same(run, tmp_path):
    others: list[RunFolder] = []
    work = lambda: others.append(begin(tmp_path, "previous_action = True"))  # noqa: E731
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert rows(others[0]) == rows(run)


# wandb


@pytest.fixture
def wandb(monkeypatch) -> list[dict[str, Any]]:
    """Takes what wandb would be started with; nothing leaves the machine."""
    started: list[dict[str, Any]] = []

    class Fake:
        def __init__(self, folder: Path, **arguments: Any) -> None:
            started.append(arguments)

        def write(self, row: Any) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(experiment, "WandB", Fake)
    for name in ("OFFPCC_WANDB_PROJECT", "OFFPCC_WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    return started


def test_wandb_is_off_unless_asked_for(tmp_path, wandb):
    begin(tmp_path, "steps = 10\nlearning_starts = 5")
    assert wandb == []


def test_variables_switch_wandb_on(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv("OFFPCC_WANDB_PROJECT", "memory")
    monkeypatch.setenv("OFFPCC_WANDB_ENTITY", "lab")
    begin(tmp_path, "steps = 10\nlearning_starts = 5", run_id=3)
    (arguments,) = wandb
    result = arguments.pop("config")
    assert arguments == {
        "mode": "online",
        "project": "memory",
        "entity": "lab",
        "group": "cartpole-continuous-v0 sac tiny",
        "name": "run_id=3",
    }
    assert (result["seed"], result["SAC.discount"], result["Training.steps"]) == (1, 0.99, 10)
    begin(tmp_path, "steps = 10\nlearning_starts = 5", run_id=4, wandb="off")
    assert len(wandb) == 1


def test_wandb_that_is_missing_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install wandb"):
        begin(tmp_path, wandb="offline")
    assert not (tmp_path / "results").exists()


# What is refused


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"steps": 0}, "Training.steps is 0; it must be at least 1"),
        ({"bind": ["eval_interval = 0"]}, "Training.eval_interval is 0; it must be at least 1"),
        (
            {"bind": ["learning_starts = -1"]},
            "Training.learning_starts is -1; it must be at least 0",
        ),
        ({"bind": ["eval_episodes = -1"]}, "Evaluator.episodes is -1"),
        (
            {"bind": ["TrainingConfig.num_checkpoints = 0"]},
            "TrainingConfig.num_checkpoints is 0; it must be at least 1",
        ),
        ({"bind": ["num_threads = 0"]}, "TrainingConfig.num_threads is 0"),
        ({"bind": ["device = 'tpu9'"]}, "device 'tpu9' is not available"),
        ({"steps": 1e4}, "which is not a whole number; write 10_000"),
        ({"wandb": "on"}, "wandb is 'on'; it is online, offline, off"),
        ({"seed": 2**63}, "seed is 9223372036854775808; it lies in 0 "),
        ({"run_id": ".."}, "run_id is '..'"),
        ({"run_id": "a b"}, "run_id is 'a b'"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        begin(tmp_path, **settings)
    assert not (tmp_path / "results").exists()


def test_a_replay_larger_than_memory_is_refused_before_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 10_000_000)
    # 4 numbers of the observation, an eighth more of these, the action and the reward: 26 bytes.
    with pytest.raises(ConfigError, match=r"26.0 MB .* 10.0 MB .* that fits is 384_615"):
        begin(tmp_path, "buffer_size = 1_000_000")
    assert not (tmp_path / "results").exists()
    begin(tmp_path, "steps = 10\nlearning_starts = 5\nbuffer_size = 384_000")


def test_stored_states_count_among_what_a_replay_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 10_000_000)
    lines = [
        "buffer_size = 300_000",
        "store_states = 1",
        "summarizer = @LSTM",
        "LSTM.hidden_size = 8",
    ]
    with pytest.raises(ConfigError, match=r"46\.\d MB"):  # 26 and 2 · 16 numbers of 4 bytes, a step
        begin(tmp_path, bind=lines)


def test_a_run_that_exists_is_left_alone_unless_it_may_be_replaced(tmp_path):
    run = begin(tmp_path, "steps = 10\nlearning_starts = 5")
    before = contents(run.path)
    with pytest.raises(RunExistsError):
        begin(tmp_path, "steps = 10\nlearning_starts = 5")
    assert contents(run.path) == before
    (run / "videos").mkdir()
    replaced = begin(tmp_path, "steps = 10\nlearning_starts = 5", overwrite=True, seed=5)
    assert replaced.read()["seed"] == 5 and not (run / "videos").exists()


def test_a_run_that_another_is_at_work_on_is_left_alone(tmp_path):
    run = begin(tmp_path, "steps = 10\nlearning_starts = 5")
    with run.locked():
        for how in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(RunLockedError, match=f"process .+:{os.getpid()} is at work on"):
                begin(tmp_path, "steps = 10\nlearning_starts = 5", **how)


# Resuming


def test_a_run_that_is_not_there_cannot_be_resumed(tmp_path):
    with pytest.raises(RunMissingError):
        resume(tmp_path)
    assert not (tmp_path / "results").exists()


def test_steps_and_intervals_may_change_and_the_rows_go_on(tmp_path):
    run = begin(tmp_path)
    before = run.read()
    lines = ["eval_interval = 30", "eval_episodes = 2", "TrainingConfig.num_checkpoints = 3"]
    resume(tmp_path, steps=180, bind=lines)
    assert [row["env_steps"] for row in rows(run)] == ["60", "120", "150", "180"]
    now = run.read()
    assert now["command"] == before["command"] and now["bind"] == []
    (result,) = now["resumes"]
    assert (result["step"], result["exact"]) == (120, True)
    assert result["bind"] == ["steps = 180", *lines]
    assert now["final"]["env_steps"] == 180 and now["eval_episodes"] == 2
    assert "steps = 180\n" in (run / "config.gin").read_text()
    assert len([*run.path.glob("checkpoints/step-*")]) == 3


def test_longer_runs_are_continued_as_if_they_had_been_meant(tmp_path):
    begin(tmp_path, run_id="halved")
    halved = resume(tmp_path, steps=240, run_id="halved")
    whole = begin(tmp_path, "steps = 240", run_id="whole")
    assert rows(halved) == rows(whole)


@pytest.mark.parametrize(
    ("lines", "difference"),
    [
        (["hidden_sizes = (17,)"], r"SAC.hidden_sizes: \(16,\) -> \(17,\)"),
        (["discount = 0.5"], "SAC.discount: 0.99 -> 0.5"),
        (["learning_starts = 40"], "Training.learning_starts: 5 -> 40"),
        (["num_envs = 2"], "TrainingConfig.num_envs: 1 -> 2"),
        (
            ["summarizer = @LSTM"],
            "LSTM.num_layers: None -> 1, .*SAC.summarizer: @Identity -> @LSTM",
        ),
        (["previous_action = True"], "make_env.previous_action: False -> True"),
    ],
)
def test_what_makes_it_another_run_is_refused_with_the_difference(small, lines, difference):
    before = contents(small)
    with pytest.raises(ConfigError, match=f"keeps its config, but this differs: .*{difference}"):
        resume(small, bind=lines)
    assert contents(small) == before


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    begin(folder, "steps = 10\nlearning_starts = 5")
    return folder


def test_another_config_file_is_compared_too(small, tmp_path):
    with pytest.raises(ConfigError, match=r"SAC.tau: 0.005 -> 0.5"):
        resume(small, config=tiny(tmp_path, SHORT + "tau = 0.5"))


def test_another_seed_is_refused(small):
    with pytest.raises(ConfigError, match="the run's seed is 1; it goes on with that one only"):
        resume(small, seed=2)


def test_a_environment_that_has_changed_is_refused(small, monkeypatch):
    result = json.loads(next(small.rglob("run.json")).read_text())
    result["spec"]["action"] = 3
    monkeypatch.setattr(RunFolder, "read", lambda self: result)
    with pytest.raises(
        ConfigError, match="keeps its environment, but this differs: action: 3 -> 1"
    ):
        resume(small)


def test_other_versions_are_noted(small, monkeypatch, capsys):
    result = json.loads(next(small.rglob("run.json")).read_text())
    result["versions"]["torch"], result["num_threads"] = "1.0", 64
    monkeypatch.setattr(RunFolder, "read", lambda self: result)
    resume(small)
    said = capsys.readouterr().out
    assert "numbers may differ in their last digits: versions: " in said
    assert "threads: 64 -> 1" in said


def test_where_no_checkpoint_is_valid_the_run_is_left_as_it_is(tmp_path):
    run = begin(tmp_path, "steps = 10\nlearning_starts = 5")
    for path in run.path.glob("checkpoints/step-*/manifest.json"):
        path.write_text("{}")
    before = contents(run.path)
    with pytest.raises(NoCheckpointError, match=r"no valid checkpoint in .*: step-000000010: "):
        resume(tmp_path)
    after = contents(run.path)
    for result in (before, after):
        result.pop(str(run / "run.pid"))
    ended = json.loads(after.pop(str(run / "ended.json")))
    assert ended["error"] == "NoCheckpointError"
    assert after == before


class Deaf(gymnasium.Env[Any, Any]):
    """Episodes of 25 steps that no seed repeats."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return np.random.default_rng().random(1).astype(np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.zeros(1, np.float32), 0.0, False, self.steps == 25, {}


@pytest.fixture
def deaf() -> Iterator[str]:
    gymnasium.register("deaf-v0", entry_point=Deaf)
    yield "deaf-v0"
    del gymnasium.registry["deaf-v0"]


def test_an_episode_that_cannot_be_repeated_is_dropped_and_that_is_written(tmp_path, deaf):
    given: dict[str, Any] = {"results": tmp_path / "results"}
    offpcc.run(deaf, "sac", config=tiny(tmp_path, SHORT + "steps = 60"), seed=1, **given)
    run = offpcc.run(deaf, "sac", steps=120, resume=True, **given)
    result = run.read()
    assert result["resume_exact"] is False and result["resumes"][0]["exact"] is False
    assert rows(run)[-1]["env_steps"] == "120"


class Shortening(Deaf):
    """Ends sooner each time, and may not be stepped past its end."""

    length = 100

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        Shortening.length = max(Shortening.length - 5, 3)
        self.left = Shortening.length
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        assert self.left > 0, "stepped past its end"
        self.left -= 1
        return np.zeros(1, np.float32), 0.0, False, self.left == 0, {}


def test_an_episode_that_ends_sooner_than_before_is_dropped(tmp_path):
    gymnasium.register("shortening-v0", entry_point=Shortening)
    given: dict[str, Any] = {"results": tmp_path / "results"}
    config = tiny(tmp_path, SHORT + "steps = 83\neval_episodes = 0")
    offpcc.run("shortening-v0", "sac", config=config, seed=1, **given)
    Shortening.length = 10
    run = offpcc.run("shortening-v0", "sac", steps=100, resume=True, **given)
    del gymnasium.registry["shortening-v0"]
    assert run.read()["resume_exact"] is False


# Disks that are full


def full_while(monkeypatch: pytest.MonkeyPatch, full: Any) -> None:
    """Nothing can be made to last while this says so."""
    original = os.fsync

    def fsync(handle: int) -> None:
        if full():
            raise OSError(28, "No space left on device")
        original(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_disk_that_is_full_from_the_start_leaves_no_run(tmp_path, monkeypatch):
    full_while(monkeypatch, lambda: True)
    with pytest.raises(OSError, match="No space left"):
        begin(tmp_path)
    assert not [*tmp_path.rglob("run.json")]


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_a_message(
    run, tmp_path, monkeypatch, capsys
):
    saved = tmp_path / "results/cartpole-continuous-v0/sac/1/checkpoints"
    begun = saved.parent / "run.json"
    # Full from the first row to the first one's refused checkpoint.
    tries = iter([False] * 40 + [True] * 4)
    full_while(monkeypatch, lambda: begun.exists() and next(tries, False))
    other = begin(tmp_path, "previous_action = True")
    assert rows(other) == rows(run)
    assert other.read()["final"]["env_steps"] == 120


def test_a_disk_that_stays_full_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, capsys):
    saved = tmp_path / "results/cartpole-continuous-v0/sac/1/checkpoints"
    full_while(monkeypatch, lambda: (saved / "step-000000060").exists())
    with pytest.raises(StorageError, match="could not be written"):
        begin(tmp_path)
    assert "NOT SAVED: [Errno 28] No space left" in capsys.readouterr().err
    monkeypatch.undo()
    run = resume(tmp_path)
    assert [row["env_steps"] for row in rows(run)] == ["60", "120"]
    assert run.read()["resumes"][0]["step"] == 60


def test_a_run_that_is_stopped_while_the_disk_is_full_says_so(tmp_path, monkeypatch, capsys):
    saved = tmp_path / "results/cartpole-continuous-v0/sac/1/checkpoints/step-000000060"
    full_while(monkeypatch, saved.exists)
    step = EnvAdapter.step

    def stopping(env: EnvAdapter, action: Any) -> Any:
        if saved.exists():
            monkeypatch.setattr(EnvAdapter, "step", step)
            os.kill(os.getpid(), signal.SIGTERM)
        return step(env, action)

    monkeypatch.setattr(EnvAdapter, "step", stopping)
    with pytest.raises(StorageError, match=r"the last checkpoint of .* could not be written"):
        begin(tmp_path)
    assert "NOT SAVED" in capsys.readouterr().err
