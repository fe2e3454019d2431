"""Runs whose environment says which choices are legal, from the command line and from Python."""

import shutil
from pathlib import Path
from typing import Any

import masked
import numpy as np
import pytest
from children import launch

import offpcc
from offpcc.data import ACTION_MASK
from offpcc.deploy.demonstrate import demonstrate, record_data
from offpcc.deploy.play import chance, evaluate
from offpcc.training.dataset import read_episodes

SMALL = ["eval_interval = 60", "eval_episodes = 2", "device = 'cpu'", "num_threads = 1"]
SMALL += ["hidden_sizes = (8,)", "memory_hidden_size = 8"]
OFF_POLICY = ["learning_starts = 40", "recurrent_batch_size = 2", "replay_ratio = 0.3"]
RUNS = [
    ("Masked-discrete-v0", "drsac", [*OFF_POLICY, "DSAC.random_action_prob = 0.2"]),
    ("Masked-several-v0", "lstm_ppo", ["rollout_steps = 30", "recurrent_sequence_length = 5"]),
    ("MaskedTogether-v0", "drsac", [*OFF_POLICY, "num_envs = 3"]),
    (
        "MaskedKey-v0",
        "lstm_ppg",
        ["rollout_steps = 30", "phase_rollouts = 2", "make_env.action_mask_key = 'legal'"],
    ),
]


def trained(folder: Path, env: str, algo: str, lines: list[str], **settings: Any) -> Path:
    given = {"seed": 1, "steps": 240, "bind": [*SMALL, *lines], "results": folder}
    return offpcc.run(env, algo, **given | settings).path


@pytest.mark.parametrize(("env", "algo", "lines"), RUNS)
def test_training_resume_evaluation_and_records_keep_to_what_is_legal(
    env, algo, lines, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    path = trained(tmp_path, env, algo, lines, steps=120)
    offpcc.run(env, algo, steps=240, resume=True, results=tmp_path)
    assert evaluate(path, 30)["test_length"] == 9
    made = offpcc.env_of(path)
    assert chance(made, 20)[0] > 0
    name = record_data(path, 5).partition(":")[0]
    for episode in read_episodes(name, made.space_adapter).episodes:
        legal = episode.observation[ACTION_MASK]
        assert len(episode) == 9 and not (episode.action > 0)[~legal[:-1]].any()
        assert not legal[:-1].all() and legal[-1].all()
    policy = offpcc.load(path)
    assert ACTION_MASK in policy.spec.observation
    state, seen = policy.initial_state(), made.reset(seed=3)[0]
    for greedy in (True, False) * 4:
        action, state = policy.act(seen, state, greedy)
        seen = made.play(action).seen


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("run"), *RUNS[0])


def test_a_loaded_policy_wants_a_mask_that_allows_something(run) -> None:
    policy = offpcc.load(run)
    seen, state = np.zeros(3, np.float32), policy.initial_state()
    legal = np.int8([0, 0, 1, 0])
    assert policy.act({"observation": seen, ACTION_MASK: legal}, state)[0].tolist() == [0, 0, 1, 0]
    with pytest.raises(ValueError, match=r"\['action_mask'\] is not there"):
        policy.act(seen, state)
    with pytest.raises(ValueError, match="action_mask allows no choice"):
        policy.act({"observation": seen, ACTION_MASK: np.zeros(4)}, state)


def test_a_folder_of_demonstrations_has_its_masks_and_is_learned_from(run, tmp_path) -> None:
    demonstrate(run, 4)
    folder = tmp_path / "data"
    shutil.copytree(run / "demonstrations", folder)
    files = {name: np.load(folder / f"{name}.npy") for name in ("action", "action_mask", "obs")}
    assert files["obs"].shape[1] == 3 and files["action_mask"].dtype == bool
    assert not (files["action"] > 0)[~files["action_mask"]].any()
    offline = [*OFF_POLICY, f"TrainingConfig.dataset = {str(folder)!r}"]
    learned = trained(tmp_path, *RUNS[0][:2], offline)
    assert evaluate(learned, 5)["test_length"] == 9

    adapter = offpcc.env_of(run).space_adapter
    after = np.load(folder / "next_action_mask.npy")
    after[np.load(folder / "terminated.npy")] = False  # as an environment may have it
    np.save(folder / "next_action_mask.npy", after)
    assert len(read_episodes(str(folder), adapter).episodes) == 4
    wrong = files["action"].copy()
    step = int(np.flatnonzero(~files["action_mask"][:9].all(1))[0])
    wrong[step] = np.eye(4)[files["action_mask"][step].argmin()]
    np.save(folder / "action.npy", wrong)
    with pytest.raises(ValueError, match=f"the action of step {step} of an episode is one that"):
        read_episodes(str(folder), adapter)
    np.save(folder / "action_mask.npy", files["action_mask"][:5])
    with pytest.raises(ValueError, match="the arrays have different lengths"):
        read_episodes(str(folder), adapter)
    (folder / "action_mask.npy").unlink()
    with pytest.raises(ValueError, match="has no action masks, and this environment has"):
        read_episodes(str(folder), adapter)


ODD = """
import gymnasium, masked

class Odd(masked.Masked):
    def __init__(self, later, first=None):
        super().__init__()
        self.later, self.first, self.made = later, first, 0

    def draw(self):
        super().draw()
        self.made += 1

    def info(self):
        masks = {"first": self.first, "nothing": [0] * 4, "short": [1], "gone": None, "text": "ab"}
        if self.first:
            return {"action_mask": self.first}
        if self.made < 40 or self.later == "fine":
            return super().info()
        return {} if self.later == "gone" else {"action_mask": masks[self.later]}

for later in ("nothing", "short", "gone", "text"):
    gymnasium.register(f"Odd-{later}-v0", Odd, kwargs={"later": later})
gymnasium.register("Odd-first-v0", Odd, kwargs={"later": "fine", "first": [1, 1]})
"""


def child(folder: Path, *arguments: object) -> tuple[int, str]:
    shutil.copy(masked.__file__, folder)
    (folder / "odd.py").write_text(ODD)
    process = launch(folder, *arguments)
    return process.wait(), process.said()


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ("nothing", "info['action_mask'] allows no choice"),
        ("short", "info['action_mask'] has the shape (1,), not (4,)"),
        ("gone", "info['action_mask'] is missing; it was there at the first reset"),
        ("text", "info['action_mask'] is not of numbers: 'ab'"),
    ],
)
def test_a_mask_that_is_wrong_later_ends_a_run_as_a_fault_in_one_line(
    later, said, tmp_path
) -> None:
    binds = [part for line in [*SMALL, *OFF_POLICY] for part in ("--bind", line)]
    run = ["--env", f"odd:Odd-{later}-v0", "--algo", "drsac", "--run_id", 1, "--seed", 1]
    code, log = child(tmp_path, *run, *binds)
    assert code == 6, log
    last = log.splitlines()[-1]
    assert said in last and "copy 0, episode 3 (seed" in last and "Traceback" not in log


@pytest.mark.parametrize(
    ("env", "bind", "said"),
    [
        ("odd:Odd-first-v0", "", "info['action_mask'] has the shape (2,), not (4,)"),
        ("masked:MaskedKey-v0", "make_env.action_mask_key = 'lawful'", "is 'lawful'; the obs"),
        ("pendulum-p-v0", "make_env.action_mask_key = 'lawful'", "the actions are no choices"),
        ("masked:MaskedKey-v0", "make_env.action_mask_key = 3", "action_mask_key is 3, which is"),
    ],
)
def test_a_mask_that_cannot_be_is_refused_before_anything_is_written(
    env, bind, said, tmp_path
) -> None:
    algo = "rsac" if "pendulum" in env else "drsac"
    more = ["--bind", bind] if bind else []
    code, log = child(tmp_path, "--env", env, "--algo", algo, "--run_id", 1, *more)
    assert code == 2 and said in log.splitlines()[-1], log
    assert not (tmp_path / "results").exists()
