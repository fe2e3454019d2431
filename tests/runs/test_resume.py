"""A run that was killed goes on as if nothing had been, bit for bit."""

import copy
import csv
import math
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from children import FILES, STEPS, Child, launch, tiny
from torch import Tensor

from offpcc.config.bindings import compose, configured
from offpcc.config.catalog import algorithm_file
from offpcc.errors import Stopped
from offpcc.runs.build import build
from offpcc.training.loop import CLOCK, Training, columns
from offpcc.training.tracking import Recorder

CARTPOLE, PENDULUM = "cartpole-continuous-p-v0", "pendulum-p-v0"

# Environment, algorithm and what its config has more: together, every kind of state there is.
CASES = {
    "three normalised copies": (
        PENDULUM,
        "sac",
        "num_envs = 3\nnormalize_observations = True\nmax_episode_steps = 50\nsteps = 500",
    ),
    "copies in processes of their own": (
        CARTPOLE,
        "rsac",
        "num_envs = 3\nasync_envs = True\nprevious_action = True\nnormalize_observations = True",
    ),
    "whole episodes": (
        CARTPOLE,
        "rsac",
        "previous_action = True\nprevious_reward = True\npolicy_ema_tau = 0.1",
    ),
    "stored states": (
        CARTPOLE,
        "rtd3",
        "recurrent_sequence_length = 5\nburn_in = 3\nstore_states = 4\n"
        "weight_sync = 'step'\nnum_envs = 2\n"
        "TD3.noise_type = 'ou'\nTD3.ou_theta = 0.2\nTD3.random_action_prob = 0.1\n"
        "TD3.anneal_exploration = True\n",
    ),
    "an episode under way": (
        CARTPOLE,
        "rsac",
        "recurrent_sequence_length = 5\nburn_in = 3\nstore_states = 4\n"
        "weight_sync = 'step'\npriority_alpha = 0.6\n"
        "buffer_size = 300\n",
    ),
    "steps without a memory": (PENDULUM, "sac", "n_step = 3\nbuffer_size = 900\nsteps = 500"),
    "forgotten episodes": (
        CARTPOLE,
        "rsac_s",
        "buffer_size = 70\nmax_episode_steps = 60\nanneal_learning_rate = True\n"
        "max_grad_norm = 1.0\npriority_alpha = 0.6",
    ),
    "rollouts": (
        PENDULUM,
        "lstm_ppo",
        "num_envs = 2\nrollout_steps = 23\nnum_epochs = 2\nrecurrent_sequence_length = 5\n"
        "normalize_observations = True\n"
        "normalize_rewards = True\nprevious_action = True\n",
    ),
    "actor and critic apart": (
        PENDULUM,
        "lstm_d2ac",
        "num_envs = 2\nrollout_steps = 23\nnum_epochs = 2\ntarget_kl = 0.01\n"
        "OnPolicy.critic_epochs = 3\nrecurrent_sequence_length = 5\nrecurrent_batch_size = 3\n",
    ),
    "workers": (
        CARTPOLE,
        "rsac",
        "TrainingConfig.num_workers = 3\nnum_envs = 2\nTrainingConfig.collect_steps = 11\n"
        "recurrent_sequence_length = 5\nstore_states = 4\nnormalize_observations = True\n"
        "long_episode = 15\nTrainingConfig.staleness = 0",
    ),
    "workers that play while the learner learns": (
        PENDULUM,
        "rtd3",
        "TrainingConfig.num_workers = 2\nnum_envs = 2\nTrainingConfig.collect_steps = 7\n"
        "max_episode_steps = 20\nTrainingConfig.staleness = 1\nTD3.noise_type = 'ou'\n"
        "TD3.random_action_prob = 0.1\nTD3.anneal_exploration = True\n",
    ),
    "rollouts of workers": (
        PENDULUM,
        "lstm_ppo",
        "TrainingConfig.num_workers = 2\nrollout_steps = 23\nnum_epochs = 2\n"
        "recurrent_sequence_length = 5\nnormalize_observations = True\n"
        "normalize_rewards = True\n",
    ),
    "choices": (
        "cartpole-novel-v0",
        "copg",
        "num_envs = 2\nrollout_steps = 30\nanneal_learning_rate = True",
    ),
}
KILLS = 7  # a case
TIMES = (*CLOCK, "waited")


def begin(folder: Path, case: str, **fate: Any) -> Child:
    """Starts the case's run, or continues the one that is there."""
    env, algo, more = CASES[case]
    begun = [*folder.glob("results/*/*/1/run.json")]
    how = ["--resume"] if begun else ["--seed", 3, "--config", tiny(folder, more)]
    return launch(folder, "--env", env, "--algo", algo, *how, **fate)


def finish(folder: Path, case: str) -> dict[str, Any]:
    """Trains to the end without trouble; gives what must be the same."""
    child = begin(folder, case)
    assert child.wait() == 0, child.said()
    return outcome(folder)


def outcome(folder: Path) -> dict[str, Any]:
    """All state at the end of the run, and its rows, but for the clock."""
    (run,) = folder.glob("results/*/*/1")
    newest = max(run.glob("checkpoints/step-*"))
    state = {name: torch.load(newest / f"{name}.pt") for name in ("agent", "run", "policy")}
    for place in ("row_at", "last_row"):
        for column in TIMES:
            state["run"]["training"][place].pop(column, None)
    del state["run"]["training"]["seconds"]
    del state["run"]["recorder"]["offset"]  # clocks are of different lengths
    with (run / "progress.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
    return flat(state) | {
        f"row {i} {key}": v for i, row in enumerate(rows) for key, v in row.items()
    }


def flat(state: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested containers; tensors as bytes, so that NaN equals NaN."""
    if isinstance(state, Tensor):
        return {path: (str(state.dtype), tuple(state.shape), state.numpy().tobytes())}
    if not isinstance(state, dict | list | tuple):
        return {path: repr(state)}
    items = state.items() if isinstance(state, dict) else enumerate(state)
    return {k: v for key, part in items for k, v in flat(part, f"{path}/{key}").items()}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each case comes to if nothing happens."""
    known: dict[str, dict[str, Any]] = {}

    def of(case: str) -> dict[str, Any]:
        if case not in known:
            known[case] = finish(tmp_path_factory.mktemp("unbroken"), case)
        return known[case]

    return of


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_again_and_again_ends_as_the_unbroken_one(tmp_path, unbroken, case):
    draw = random.Random(case)
    deaths = 0
    for kill in range(KILLS):
        # While files are written there are about 90 such moments in a run, 25 in a save.
        die = (FILES, draw.randrange(1, 60)) if kill % 2 else (STEPS, draw.randrange(1, 150))
        child = begin(tmp_path, case, die=die)
        code = child.wait()
        assert code in (-signal.SIGKILL, 0), child.said()
        deaths += code != 0
    assert deaths >= KILLS // 2
    assert_same(finish(tmp_path, case), unbroken(case))


def test_a_run_killed_from_outside_inside_slow_saves_ends_as_the_unbroken_one(tmp_path, unbroken):
    case, draw = "whole episodes", random.Random(1)
    for _ in range(3):
        child = begin(tmp_path, case, slow=(FILES, 0.01))
        time.sleep(draw.uniform(0.3, 1.2))
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert_same(finish(tmp_path, case), unbroken(case))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_run_saves_where_it_is_and_ends_as_the_unbroken_one(tmp_path, unbroken, number):
    case = "stored states"
    child = begin(tmp_path, case, die=(STEPS, 21), by=number)
    assert child.wait() == 128 + number
    last = child.said().splitlines()[-1]
    assert last == f"launch.py: stopped by {number.name}; continue with --resume"
    assert saved(tmp_path) == [0, 42], "the 21st step of two copies"
    assert_same(finish(tmp_path, case), unbroken(case))


def test_a_run_stopped_in_an_evaluation_makes_it_anew(tmp_path, unbroken):
    case = "three normalised copies"
    child = begin(tmp_path, case, die=(STEPS, 20 + 30), by=signal.SIGTERM)
    assert child.wait() == 143
    assert saved(tmp_path) == [0, 60]
    assert_same(finish(tmp_path, case), unbroken(case))


def saved(folder: Path) -> list[int]:
    """The steps of the checkpoints that there are."""
    found = folder.glob("results/*/*/1/checkpoints/step-*")
    return sorted(int(path.name.removeprefix("step-")) for path in found)


def test_a_run_may_go_on_on_another_device_whose_generators_are_of_another_kind(tmp_path):
    folder = new(tmp_path)
    parts, chunk = left_at(folder, IN_EPOCH)
    other_kind = torch.arange(16, dtype=torch.uint8)  # as those of a GPU are
    parts["agent"]["generator"] = parts["run"]["collector"]["generator"] = other_kind
    one, same = (gone_on(again(folder), parts, chunk) for _ in range(2))
    assert one == same, "the state still decides"
    other = copy.deepcopy(parts)
    other["agent"]["generator"] = other_kind + 1
    assert gone_on(again(folder), other, chunk) != one


# What a checkpoint holds: each piece is needed


MUTANT = """
steps = 130
num_envs = 2
normalize_observations = True
buffer_size = 60
recurrent_sequence_length = 5
burn_in = 3
store_states = 4
anneal_learning_rate = True
SAC.random_action_prob = 0.2
priority_alpha = 0.6
SAC.anneal_exploration = True
policy_ema_tau = 0.3
"""
IN_WARM_UP, IN_EPOCH = 30, 98  # steps; episodes are under way and metrics wait for a row
# The clock; what decides only with other settings, at the end, or where a disk was full; a note.
NO_MATTER = {
    *("training/seconds", "training/eval_interval", "training/last_row", "training/row_at"),
    *("recorder/unwritten", "collector/exact", "training/evaluation_due"),
    # Of noise that goes on and of log π: other CASES.
    *("collector/noise", "collector/trajectories/0/log_prob"),
    # Of segments, and of the reward's terms: test_collector.py, test_loop.py.
    "collector/reward_terms",
    "collector/trajectories/0/reward_terms",
    *("collector/trajectories/0/emitted", "collector/trajectories/0/emitted_return"),
    *("collector/trajectories/0/first_kept", "collector/trajectories/0/memory"),
}


class BestAlone:
    """Checkpoints that only keep the best policy."""

    def __init__(self, folder: Path) -> None:
        self.best = folder / "best"

    def save(self, *arguments: Any) -> None: ...

    def save_best(self, policy: dict[str, Tensor]) -> None:
        self.best.write_text(repr(flat(policy)))


def make(folder: Path, stop_at: float = math.inf) -> Training:
    """A training with every kind of state, its rows in a folder of its own."""

    def stop() -> None:
        if parts.collector.steps >= stop_at:
            raise Stopped(signal.SIGTERM)

    parts = build(compose([algorithm_file("rsac"), tiny(folder, MUTANT)]), CARTPOLE, 5)
    recorder, checkpoints = Recorder(folder, columns(parts.agent)), BestAlone(folder)
    return configured(Training)(*parts, recorder, checkpoints=checkpoints, interrupt=stop)


def left_at(folder: Path, steps: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Parts and replay of a run that is stopped after these steps."""
    training = make(folder, steps)
    with pytest.raises(Stopped):
        training.run()
    return copy.deepcopy(training.parts()), training.replay.chunk(0)


def gone_on(folder: Path, parts: dict[str, Any], chunk: dict[str, Tensor]) -> dict[str, Any]:
    """What it comes to from there."""
    training = make(folder)
    training.replay.extend(chunk)
    training.restore(copy.deepcopy(parts))
    training.run()
    rows = [line.split(",") for line in (folder / "progress.csv").read_text().splitlines()]
    result = {"rows": [row[: -len(CLOCK)] for row in rows], "best": (folder / "best").read_text()}
    deployed = training.agent.deployed.state_dict()
    weights = {name: torch.clone(part) for name, part in deployed.items()}
    return flat(result | weights | {"episodes": str(training.replay.episodes)})


def pieces(parts: dict[str, Any]) -> list[tuple[str, ...]]:
    """The ways to every piece of state: of the agent, the collector, each of its trajectories, …"""
    run = parts["run"]
    found = [("agent", name) for name in parts["agent"]]
    found += [("run", part, name) for part in run for name in run[part] if name != "trajectories"]
    return found + [
        ("run", "collector", "trajectories", 0, name)
        for name in run["collector"]["trajectories"][0]
    ]


def without(parts: dict[str, Any], way: tuple[Any, ...], fresh: dict[str, Any]) -> dict[str, Any]:
    """The parts with one piece as it is in a new run."""
    mutant = copy.deepcopy(parts)
    goal, source = mutant, fresh
    for key in way[:-1]:
        goal, source = goal[key], source[key]
    goal[way[-1]] = source[way[-1]]
    return mutant


def test_no_piece_of_state_can_be_left_out_of_a_checkpoint(tmp_path):
    fresh, needless = make(new(tmp_path)).parts(), set()
    moments = []
    for steps in (IN_WARM_UP, IN_EPOCH):
        folder = new(tmp_path)
        moments.append((folder, *left_at(folder, steps)))
    outcomes = [gone_on(again(folder), parts, chunk) for folder, parts, chunk in moments]
    assert outcomes[0] == outcomes[1]
    for way in pieces(fresh):
        for folder, parts, chunk in reversed(moments):
            try:
                outcome = gone_on(again(folder), without(parts, way, fresh), chunk)
            except (ValueError, IndexError, RuntimeError):
                break  # it does not even go on
            if outcome != outcomes[0]:
                break
        else:
            needless.add("/".join(map(str, way[1:])))
    assert needless == NO_MATTER


def new(folder: Path) -> Path:
    path = folder / str(len([*folder.iterdir()]))
    path.mkdir()
    return path


def again(folder: Path) -> Path:
    """A copy of a folder, to go on in."""
    path = folder.parent / str(len([*folder.parent.iterdir()]))
    shutil.copytree(folder, path)
    return path
