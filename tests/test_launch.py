"""The command line: what it does, what it says, and what it leaves with."""

import argparse
import csv
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import LAUNCH, STEPS, Child, launch, pictures, tiny
from offline_wandb import without_wandb

from offpcc import errors as faults
from offpcc.cli import main as command
from offpcc.storage.run_folder import holder
from offpcc.training.loop import CLOCK

RSAC = ("--env", "cartpole-continuous-p-v0", "--algo", "rsac")
SAC = ("--env", "pendulum-v0", "--algo", "sac")

ODD = """
import gymnasium
import numpy as np
from gymnasium import spaces

class Odd(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 0.0, False, self.steps == 10, {}

class Unbounded(Odd):
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

class Words(Odd):
    observation_space = spaces.Text(5)

class Huge(Odd):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, 1e38, *rest

class Falling(Odd):
    def step(self, action):
        if self.steps == 7:
            raise RuntimeError("the motor is hot")
        return super().step(action)

class Deaf(Odd):
    def reset(self, *, seed=None, options=None):
        return np.random.default_rng().random(2).astype(np.float32), {} | {"": super().reset()}

for kind in (Odd, Unbounded, Words, Huge, Falling, Deaf):
    gymnasium.register(f"{kind.__name__}-v0", entry_point=kind)
"""


RUDE = f"""
import os
from offpcc.processes import heartbeat
{ODD}
class Rude(Odd):
    def step(self, action):
        heartbeat.begin("step", 0, 1, 2, 3)
        os._exit(0)

gymnasium.register("Rude-v0", entry_point=Rude)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "odd.py").write_text(ODD)
    return tmp_path


def done(child: Child) -> str:
    """What a process said that must end well."""
    assert child.wait() == 0, child.said()
    return child.said()


def written(folder: Path) -> list[str]:
    """What is there beside the test's own files."""
    return sorted({path.name for path in folder.iterdir()} - {"odd.py", "tiny.gin", "log"})


# Cheap things are cheap


def imported(folder: Path, *arguments: str) -> tuple[int, str, set[str]]:
    """Exit code, what was said, and the packages that a real process imported."""
    child = subprocess.run(
        [sys.executable, "-X", "importtime", *LAUNCH[1:], *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = child.stderr.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    said = child.stdout + "\n".join(x for x in lines if not x.startswith("import time:"))
    return child.returncode, said, names


def test_help_answers_at_once(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, said, packages = imported(tmp_path, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert code == 0 and not packages & {"torch", "gymnasium", "numpy"}
    for flag in ("--resume", "--overwrite", "--evaluate", "exit codes: 0 done"):
        assert flag in said


def test_the_list_names_every_id_algorithm_and_config(tmp_path):
    code, said, packages = imported(tmp_path, "--list")
    assert code == 0 and "torch" not in packages
    for name in ("pendulum-va-concat10-v0", "rsac_s", "configs/test/template_recurrent.gin"):
        assert name in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--env pendulm-p-v0 --algo rsac", "unknown environment 'pendulm-p-v0'; did you mean pend"),
        ("--env nowhere:a-v0 --algo rsac", "--env nowhere:a-v0: there is no module 'nowhere'"),
        ("--env pendulum-v0 --algo rsa", "unknown algorithm 'rsa'; did you mean rsac"),
        ("--env pendulum-v0 --algo sac --config x.gin", "there is no config x.gin"),
        ("--env pendulum-v0 --algo sac --run_id ../x", "run_id is '../x'; it names a folder"),
        ("--env pendulum-v0 --algo sac --resume", "there is no run in results/pendulum-v0/sac/1"),
        ("--env pendulum-v0", "--env and --algo are needed"),
        (
            "--env pendulum-v0 --algo recurrent_sac",
            "unknown algorithm 'recurrent_sac'; the nearest",
        ),
        ("--env Arm-v0 --algo rsac", "unknown environment 'Arm-v0'; one of your own is module:Arm"),
        (
            "--env pendulum-v0 --algo rsac --bind learning_rate=-1.0",
            "--bind 'learning_rate=-1.0':1: SAC.learning_rate is -1",
        ),
        (
            "--env pendulum-v0 --algo rsac --bind learning_rate='x'",
            "--bind \"learning_rate='x'\":1: SAC.learning_rate is 'x',",
        ),
        (
            "--env pendulum-v0 --algo rsac --bind rat=1.0",
            "--bind 'rat=1.0':1: unknown setting 'rat'",
        ),
        ("--env pendulum-v0 --algo rsac --bind SAC.x=1", "--bind 'SAC.x=1':1: SAC has no param"),
        (
            "--env pendulum-v0 --algo sac --bind memory_hidden_size=9",
            "--bind 'memory_hidden_size=9':1: nothing in this run",
        ),
        ("--env pendulum-v0 --algo rsac --bind rate", "--bind 'rate':1: Couldn't parse"),
        (
            "--env pendulum-v0 --algo rsac --bind learning_rate = 1",
            "--bind learning_rate = 1: a line needs quotes",
        ),
        (
            "--env pendulum-v0 --algo rsac --bind buffer_size=9",
            "an episode of pendulum-v0 may take",
        ),
        (
            "--env pendulum-v0 --algo rsac --envs 100000",
            "--bind 'num_envs = 100000':1: TrainingConfig.num_envs",
        ),
        (
            "--env pendulum-v0 --algo rsac --evalute 3",
            "unrecognized arguments: --evalute 3; did you",
        ),
        ("--env pendulum-v0 --algo rsac --steps 1e3", "argument --steps: invalid int value: '1e3'"),
        ("--compare memry", "unknown suite 'memry'; did you mean memory"),
        ("--compare memory --jobs 0", "--jobs 0: it must be at least 1"),
        ("--env pendulum-v0 --algo rsac --workers 0", "--workers 0: it must be at least 1"),
        ("--env pendulum-v0 --algo rsac --workers x", "argument --workers: invalid int value: 'x'"),
        (
            "--env pendulum-v0 --algo rsac --workers 2 --run_id 1 2",
            "--workers is for one run; several runs go side by side with --jobs",
        ),
        (
            "--env pendulum-v0 --algo rsac --workers 2 --evaluate 3",
            "--workers is for training; trained runs are played in one process",
        ),
        (
            "--env pendulum-v0 --algo sb3_sac --workers 2",
            "num_workers (--workers) is 2: baselines play in their own process",
        ),
        ("--compare memory --workers 2", "--workers does not go with --compare; the suite's file"),
        ("--check pendulm-v0", "unknown environment 'pendulm-v0'; did you mean pendulum-v0"),
    ],
)
def test_names_are_checked_before_torch_is_imported(tmp_path, arguments, complaint):
    code, said, packages = imported(tmp_path, *arguments.split())
    assert code == 2 and "torch" not in packages
    assert said.startswith(f"launch.py: {complaint}") and said.count("\n") == 0
    assert not [*tmp_path.iterdir()]


def test_other_bad_input_costs_little_more_than_importing_torch(tmp_path):
    def cost(*command: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    torch = cost(sys.executable, "-c", "import torch")
    for wrong in ("--bind discont=0.9", "--env CartPole-v1"):
        seconds = cost(*LAUNCH, "--env", "pendulum-v0", "--algo", "sac", *wrong.split())
        assert seconds < 1.4 * torch + 0.2, wrong
    assert not [*tmp_path.iterdir()]


# Bad input: one clear line, exit code 2, nothing written


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bind", "SAC.discont = 0.9"], "SAC has no parameter 'discont'; did you mean discount"),
        (["--bind", "SACC.discount = 0.9"], "unknown class 'SACC'; did you mean SAC?"),
        (["--bind", "actor/LSTM.hidden_size = 3"], "is never used: the run makes no @actor/LSTM"),
        (["--bind", "TD3.policy_delay = 3"], "TD3.policy_delay is never used"),
        (
            ["--bind", "buffer_size = 1e6"],
            "is 1000000.0, which is not a whole number; write 1_000_000",
        ),
        (
            ["--bind", "hidden_sizes = 'wide'"],
            "SAC.hidden_sizes is 'wide', which is not a list of whole number",
        ),
        (
            ["--bind", "weight_sync = 'sometimes'"],
            "sync is 'sometimes'; it must be 'episode' or 'step'",
        ),
        (
            ["--bind", "hidden_sizes = (0,)"],
            r"SAC.hidden_sizes is \(0,\); each must lie in \[1, 1_000_000\]",
        ),
        (["--bind", "learning_rate = 1e400"], r"SAC.learning_rate is inf; it must lie in \[0, 1\]"),
        (["--bind", "learning_rate = -1.0"], r"SAC.learning_rate is -1.0; it must lie in \[0, 1\]"),
        (["--bind", "tau = 5.0"], r"SAC.tau is 5.0; it must lie in \[0, 1\]"),
        (
            ["--bind", "num_threads = 100000"],
            r"TrainingConfig.num_threads is 100000; it must lie in \[1, 1_024\]",
        ),
        (
            ["--bind", "memory_hidden_size = 1000000"],
            "the networks .* take .* GB and .* are free; lower hidden",
        ),
        (
            ["--bind", "learning_rate = 0.1", "eval_interval = 0"],
            "Training.eval_interval is 0; it must be at least 1",
        ),
        (["--run-id", "a", "b/c"], "run_id is 'b/c'"),
        (["--bind", "buffer_size = 0"], "EpisodeReplay.buffer_size is 0; it must be at least 1"),
        (["--bind", "buffer_size = 10**13"], "Expected newline"),
        (
            ["--bind", "buffer_size = 1_000_000_000_000_000"],
            "the largest EpisodeReplay.buffer_size that",
        ),
        (
            ["--env", "CartPole-v1"],
            r"SAC serves continuous actions \(a Box\) only, .* among 2",
        ),
        (
            ["--env", "odd:Unbounded-v0"],
            "odd:Unbounded-v0: the action space .* has no finite bounds",
        ),
        (["--env", "odd:Words-v0"], "odd:Words-v0: observation 'observation' is a Text space"),
        (["--envs", "0"], r"TrainingConfig.num_envs is 0; it must lie in \[1, 10_000\]"),
        (["--steps", "0"], "Training.steps is 0; it must be at least 1"),
        (["--device", "cuda:7"], "device 'cuda:7' is not available"),
        (["--seed", "-1"], "seed is -1; it lies in 0 … 2"),
        (["--run_id", "a", "b/c"], "run_id is 'b/c'"),
        (["--run_id", ""], "run_id is ''"),
        (["--memory", "ablated"], "--memory ablated goes with --evaluate N"),
        (["--evaluate", "0"], "--evaluate 0: it must be at least 1"),
        (["--demonstrate", "0"], "--demonstrate 0: it must be at least 1"),
        (["--record-data", "0"], "--record-data 0: it must be at least 1"),
        (["--algo", "../domains/pendulum"], "unknown algorithm '../domains/pendulum'"),
        (["--jobs", "2", "--bind", "discont = 0.9"], "discont"),
        (["--jobs", "0"], "--jobs 0: it must be at least 1"),
        (["--part", "1/2", "--evaluate", "3"], "--part is for training"),
        (["--jobs", "2", "--evaluate", "3"], "--jobs is for training; trained runs are played"),
        (["--run_id", "1", "1"], "--run_id 1 1: no two may be alike"),
        (["--compare", "memory"], "--env does not go with --compare"),
        (["--report"], "--report goes with --compare SUITE"),
        (["--render"], "there is no run in results"),
        (["--record"], "there is no run in results"),
        (["--evaluate", "3"], "there is no run in results"),
        (["--plot", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, arguments, complaint):
    child = launch(folder, *RSAC, *arguments)
    code, said = child.wait(), child.said()
    assert code == 2
    assert said.count("\n") == 1 and said.startswith("launch.py: ")
    assert re.search(complaint, said), said
    assert written(folder) == []


def test_a_config_is_complained_about_with_file_and_line(folder):
    (folder / "mine.gin").write_text("# mine\ndiscount = 0.9\nlearning_rate = fast\n")
    child = launch(folder, *RSAC, "--config", "mine.gin")
    assert child.wait() == 2
    assert (
        child.said() == "launch.py: mine.gin:3: Failed to parse token 'fast'; a text needs quotes\n"
    )


def test_flags_that_argparse_knows_to_be_wrong_exit_with_2_too(folder):
    for arguments in (["--steps", "1e3"], ["--precision", "fp8"], ["--resume", "--overwrite"]):
        child = launch(folder, *SAC, *arguments)
        assert child.wait() == 2


# A run's life


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short runs, a and b, of a cart-pole that has no window open."""
    folder = tmp_path_factory.mktemp("trained")
    config = tiny(folder, "previous_action = True")
    done(launch(folder, *RSAC, "--config", config, "--run_id", "a", "b", "--seed", 7))
    return folder


def run_json(folder: Path, run_id: str) -> dict[str, object]:
    (path,) = folder.glob(f"results/*/*/{run_id}/run.json")
    read: dict[str, object] = json.loads(path.read_text())
    return read


def test_several_runs_have_seeds_of_their_own_that_are_printed_and_stored(trained):
    said = (trained / "log").read_text()
    for run_id, seed in (("a", 7), ("b", 8)):
        assert f"results/cartpole-continuous-p-v0/rsac/{run_id}: seed {seed}, on cpu" in said
        assert run_json(trained, run_id)["seed"] == seed
    ends = [line for line in said.splitlines() if re.search(r": 250 steps in .* return", line)]
    assert len(ends) == 2


def test_a_run_that_exists_is_not_touched(trained):
    def contents() -> dict[str, bytes]:
        runs = (trained / "results").rglob("*")
        return {str(path): path.read_bytes() for path in runs if path.is_file()}

    before = contents()
    child = launch(trained, *RSAC, "--run_id", "c", "a")
    assert child.wait() == 2
    assert "rsac/a exists; continue it with --resume, replace it with" in child.said()
    assert contents() == before


def test_a_finished_run_can_be_continued_with_more_steps(trained):
    said = done(launch(trained, *RSAC, "--run_id", "b", "--resume", "--steps", 300))
    assert "rsac/b: goes on at step 250" in said
    assert "rsac/b: 300 steps in" in said


def test_greedy_episodes_give_a_mean_and_an_interval(trained):
    said = done(launch(trained, *RSAC, "--run_id", "a", "--evaluate", 4)).splitlines()[-1]
    assert re.search(
        r"rsac/a: 4 episodes, return [\d.]+, standard error [\d.]+, "
        r"95 % interval -?[\d.]+ to [\d.]+, length \d+$",
        said,
    )
    (path,) = trained.glob("results/*/*/a/evaluation.json")
    result = json.loads(path.read_text())
    assert result["episodes"] == 4
    assert result["test_return_low"] <= result["test_return"] <= result["test_return_high"]


def test_a_recorded_episode_is_a_video_that_plays(trained):
    said = done(launch(trained, *RSAC, "--run_id", "a", "--record", DISPLAY=":0"))
    result = re.findall(r"episode (\d): return [\d.]+, (\d+) steps: (\S+\.mp4)", said)
    assert [int(number) for number, _, _ in result] == [0, 1, 2]
    for _, steps, name in result:
        frames = pictures(trained / name, height=256, width=608)
        assert len(frames) == int(steps) + 1
        assert frames[0].std() > 5, "something is drawn"
        assert (frames[0] != frames[-1]).any(), "and it moves"


def test_without_a_display_there_is_a_video_in_place_of_a_window(trained):
    child = launch(trained, *RSAC, "--run_id", "b", "--render", DISPLAY="", WAYLAND_DISPLAY="")
    said = done(child)
    assert "there is no display to open a window on; recording videos instead" in said
    assert len([*trained.glob("results/*/*/b/videos/*.mp4")]) == 3


def test_with_a_display_episodes_are_played_in_a_window(trained):
    with_window = {"DISPLAY": ":0", "SDL_VIDEODRIVER": "dummy"}
    child = launch(trained, *RSAC, "--run_id", "a", "--render", **with_window)
    said = done(child).split("standard error")[-1]
    assert len(re.findall(r"episode \d: return [\d.]+, \d+ steps\n", said)) == 10


def test_runs_are_plotted(trained):
    said = done(launch(trained, "--plot", "results"))
    for name in ("return_steps.png", "return_time.png", "table.md"):
        assert f"results/plots/{name}" in said
        assert (trained / "results/plots" / name).stat().st_size > 100


def test_a_run_can_be_replaced(folder):
    config = tiny(folder, "steps = 60")
    done(launch(folder, *SAC, "--config", config, "--seed", 1))
    done(launch(folder, *SAC, "--config", config, "--seed", 2, "--overwrite"))
    assert run_json(folder, "1")["seed"] == 2


def test_the_common_settings_need_no_gin(folder):
    config = tiny(folder)
    settings = ["--steps", 40, "--envs", 2, "--device", "cpu", "--precision", "bf16"]
    settings += ["--bind", "learning_starts = 10", "max_episode_steps = 10"]
    # Of a memoryless agent, whose layers have bf16 on every processor.
    done(launch(folder, *SAC, "--config", config, *settings))
    text = next(folder.glob("results/*/*/1/config.gin")).read_text().splitlines()
    for line in (
        "steps = 40",
        "num_envs = 2",
        "device = 'cpu'",
        "precision = 'bf16'",
        "learning_starts = 10",
    ):
        assert line in text


def test_results_may_lie_elsewhere(folder):
    short = tiny(folder, "steps = 20\nlearning_starts = 10")
    done(launch(folder, *SAC, "--config", short, "--results", "far/away"))
    assert (folder / "far/away/pendulum-v0/sac/1/run.json").exists()
    assert written(folder) == ["far"]


def test_a_config_of_the_project_is_found_from_anywhere(folder):
    small = [
        "--steps",
        20,
        "--bind",
        "memory_hidden_size = 8",
        "learning_starts = 0",
        "long_episode = 10",
    ]
    small += ["eval_episodes = 0", "recurrent_batch_size = 1"]
    done(launch(folder, *RSAC, "--config", "configs/test/template_recurrent.gin", *small))


def test_with_wandb_offline_the_rows_are_the_same(folder):
    def rows(run_id: str) -> list[list[str]]:
        (path,) = folder.glob(f"results/*/*/{run_id}/progress.csv")
        with path.open() as file:
            return [row[: -len(CLOCK)] for row in csv.reader(file)]

    settings = [*RSAC, "--config", str(tiny(folder, "steps = 130")), "--seed", "1"]
    done(launch(folder, *settings, "--run_id", "without"))
    # In a process of its own, because wandb starts another one that outlives the run.
    command = [*LAUNCH, *settings, "--run_id", "with", "--wandb", "offline"]
    environment = without_wandb() | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    assert rows("with") == rows("without")
    assert len([*folder.glob("results/*/*/with/wandb/offline-run-*/*.wandb")]) == 1


# What can happen to a run


def test_a_second_process_exits_with_5_and_the_first_ones_id(folder):
    first = launch(folder, *RSAC, "--config", tiny(folder), slow=(STEPS, 0.02))
    lock = folder / "results/cartpole-continuous-p-v0/rsac/1/run.json"
    until = time.monotonic() + 60
    while not lock.exists() and time.monotonic() < until:
        time.sleep(0.01)
    for how in ([], ["--resume"], ["--overwrite"]):
        second = subprocess.run(
            [*LAUNCH, *RSAC, *how], cwd=folder, capture_output=True, text=True, check=False
        )
        assert second.returncode == 5
        said = f"launch.py: process {holder(first.pid)} is at work on results/"
        assert second.stderr.startswith(said)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    done(launch(folder, *RSAC, "--resume"))


def test_a_run_whose_checkpoints_are_all_broken_exits_with_4(folder):
    done(launch(folder, *SAC, "--config", tiny(folder, "steps = 100")))
    for path in folder.glob("results/*/*/1/checkpoints/step-*/*"):
        path.write_bytes(b"")
    for how in ("--resume", "--record"):
        child = launch(folder, *SAC, how)
        assert child.wait() == 4
        assert "launch.py: no valid checkpoint in results/" in child.said()


def test_a_run_that_diverges_exits_with_3_and_leaves_a_diagnosis(folder):
    arguments = [
        "--env",
        "odd:Huge-v0",
        "--algo",
        "sac",
        "--config",
        tiny(folder, "replay_ratio = 1.0"),
    ]
    child = launch(folder, *arguments)
    assert child.wait() == 3, child.said()
    assert "updates in a row had a loss or gradient that is not finite" in child.said()
    (path,) = folder.glob("results/Huge-v0/sac/1/diverged.json")
    result = json.loads(path.read_text())
    assert result["env_steps"] > 50 and 0 < result["largest_weight"]["policy"] < 100


def test_a_environment_that_raises_exits_with_6_and_is_quoted(folder):
    child = launch(folder, "--env", "odd:Falling-v0", "--algo", "sac", "--config", tiny(folder))
    assert child.wait() == 6
    said = child.said().splitlines()[-1]
    assert (
        "the environment raised RuntimeError('the motor is hot') in step; copy 0, episode " in said
    )
    assert "), step 8, last actions [" in said


def test_a_disk_that_cannot_be_written_exits_with_7(folder):
    (folder / "results").write_text("a file where the folder should be")
    child = launch(folder, *SAC, "--config", tiny(folder))
    assert child.wait() == 7
    assert "Not a directory" in child.said() and child.said().count("\n") == 1


def test_a_environment_can_be_checked(folder):
    for known in ("pendulum-p-v0", "pendulum-noise0.1-v0", "pendulum-va-noise0.2-delay3-v0"):
        assert "yes" in done(launch(folder, "--check", known))
    child = launch(folder, "--check", "odd:Deaf-v0")
    assert child.wait() == 6
    assert ": NO: a resumed run will not be exact" in child.said()


def test_a_traceback_is_shown_only_if_asked_for(folder):
    wrong = [*SAC, "--bind", "discont = 0.9"]
    child = launch(folder, *wrong)
    assert child.wait() == 2 and "Traceback" not in child.said()
    child = launch(folder, *wrong, "--debug")
    assert child.wait() == 2 and "Traceback" in child.said()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (faults.ConfigError("x"), 2),
        (faults.RunExistsError("x"), 2),
        (faults.RunMissingError("x"), 2),
        (ImportError("x"), 2),
        (faults.DivergedError("x"), 3),
        (faults.NoCheckpointError("x"), 4),
        (faults.RunLockedError("x"), 5),
        (faults.EnvironmentFault("x"), 6),
        (faults.CallTimeout("x"), 6),
        (SystemExit(0), 6),
        (faults.StorageError("x"), 7),
        (OSError(28, "No space left"), 7),
        (KeyboardInterrupt(), 130),
        (faults.Stopped(signal.SIGINT), 130),
        (faults.Stopped(signal.SIGTERM), 143),
        (faults.Stopped(signal.SIGHUP), 129),
    ],
)
def test_every_fault_has_a_line_and_a_code(monkeypatch, capsys, error, code):
    def fail(asked: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(command, "dispatch", fail)
    assert command.main([]) == code
    said = capsys.readouterr().err
    assert said.startswith("launch.py: ") and said.count("\n") == 1


def test_a_mistake_of_ours_is_named_so(monkeypatch, capsys):
    def fail(asked: argparse.Namespace) -> int:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(command, "dispatch", fail)
    assert command.main([]) == 1
    line = "launch.py: RuntimeError: two; a bug in offpcc; --debug shows where\n"
    assert capsys.readouterr().err == line
    assert command.main(["--debug"]) == 1
    assert "in fail\n" in capsys.readouterr().err


def test_a_real_training_whose_words_nobody_can_take_goes_on_to_its_end(folder):
    small = ["--config", str(tiny(folder, "steps = 60")), "--seed", "1"]
    with open("/dev/full", "w") as full:
        code = subprocess.run([*LAUNCH, *SAC, *small], cwd=folder, stdout=full, stderr=full)
    assert code.returncode == 0
    assert "final" in run_json(folder, "1")
    assert [*folder.glob("results/*/*/1/checkpoints/step-000000060")]
    (rows,) = folder.glob("results/*/*/1/progress.csv")
    assert len(rows.read_text().splitlines()) == 2


def test_a_real_training_whose_environment_ends_the_process_exits_with_6(folder):
    (folder / "rude.py").write_text(RUDE)
    command = [*LAUNCH, "--env", "rude:Rude-v0", "--algo", "sac", "--config", str(tiny(folder))]
    env = os.environ | {"PYTHONPATH": str(folder)}
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert ended.returncode == 6
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("launch.py: the environment ended its process (exit code 0) in step; c")
    assert line.endswith("the last checkpoint stands, continue with --resume")
    said = done(launch(folder, "--status", "results"))
    assert "results/Rude-v0/sac/1  failed: EnvironmentFault" in said
    assert f"results/Rude-v0/sac/1: {line.removeprefix('launch.py: ')}" in said
