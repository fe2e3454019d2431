"""Exported policies: they act as the run's own, from raw observations to the robot's units."""

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from children import tiny
from gymnasium import spaces
from masked import Masked
from torch import nn

import offpcc
from offpcc.algorithms import PPO, SAC
from offpcc.cli.main import main
from offpcc.data import AgentSpec
from offpcc.deploy.export.contract import control_period, score_of
from offpcc.deploy.export.deployed_policy import DeployedPolicy
from offpcc.deploy.export.formats import FORMATS
from offpcc.deploy.export.recording import record_steps
from offpcc.deploy.export.verify import verify
from offpcc.deploy.loaded_policy import LoadedPolicy
from offpcc.deploy.runner import Runner
from offpcc.envs.adapter import EnvAdapter
from offpcc.errors import ExportMismatch
from offpcc.networks import GRU, LSTM, RNN, Identity, MinGRU, Transformer
from offpcc.storage.run_folder import RunFolder

MEMORIES: dict[str, Any] = {
    "none": Identity,
    "lstm": partial(LSTM, hidden_size=8),
    "lstm of two layers": partial(LSTM, hidden_size=8, num_layers=2),
    "gru": partial(GRU, hidden_size=8, forget_gate_bias=1.0),
    "gru of two layers": partial(GRU, hidden_size=8, num_layers=2, skip_connection=False),
    "elman": partial(RNN, hidden_size=8),
    "min_gru": partial(MinGRU, hidden_size=8, num_layers=2),
    "transformer": partial(Transformer, hidden_size=16, num_layers=2, context_length=7),
}
LOW, HIGH = np.array([[-1.0, 5.0]]), np.array([[3.0, 5.5]])
ACTIONS: dict[str, Any] = {
    "asymmetric": spaces.Box(LOW.astype(np.float32), HIGH.astype(np.float32)),
    "double": spaces.Box(LOW, HIGH, dtype=np.float64),
    "far from zero": spaces.Box(1000.0, 1000.5, (2,), np.float32),
    "of no width": spaces.Box(np.array([-1, 2], np.float32), np.array([1, 2], np.float32)),
    "discrete": spaces.Discrete(4, start=-1),
    "several": spaces.MultiDiscrete([3, 2, 4], start=[1, 0, -2]),
    "grid": spaces.MultiDiscrete([[3, 2], [2, 4]]),
    "binary": spaces.MultiBinary(3),
}
NUMBERS = spaces.Box(-np.inf, np.inf, (3,))
OBSERVATIONS: dict[str, Any] = {
    "double": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    "scalar": spaces.Box(-5.0, 5.0, ()),
    "integers": spaces.Box(-3, 7, (2,), np.int16),
    "discrete": spaces.Discrete(5, start=3),
    "several": spaces.MultiDiscrete([[3, 2], [2, 4]], start=[[0, 1], [2, -3]]),
    "binary": spaces.MultiBinary((2, 2)),
    "picture": spaces.Box(0, 255, (20, 18, 3), np.uint8),
    "stacked pictures": spaces.Box(0, 255, (2, 20, 18, 3), np.uint8),
    "stacked pictures, channels first": spaces.Box(0, 255, (2, 3, 20, 18), np.uint8),
    "bytes": spaces.Box(0, 255, (4,), np.uint8),
    "names of the outputs": spaces.Dict({"action": NUMBERS, "state": NUMBERS}),
    "nested": spaces.Dict(
        {"arm": spaces.Tuple((NUMBERS, spaces.Discrete(3))), "privileged": NUMBERS}
    ),
}


class Noise(gymnasium.Env[Any, Any]):
    """Draws its observations; an episode has 60 steps."""

    metadata = {"render_modes": [], "render_fps": 30}  # noqa: RUF012

    def __init__(self, seen: gymnasium.Space = NUMBERS, acts: Any = None) -> None:
        self.observation_space = seen
        self.action_space = ACTIONS["asymmetric"] if acts is None else acts

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.left = 60
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.left -= 1
        return self.observation_space.sample(), float(self.left % 3), False, not self.left, {}


def trained(env: EnvAdapter, memory: str = "lstm", **settings: Any) -> LoadedPolicy:
    """A policy for an environment, with weights and moments unlike those of a fresh one."""
    spec: AgentSpec = env.spec_of_agent
    kind: Any = PPO if spec.choices else SAC
    torch.manual_seed(0)
    agent = kind(
        spec,
        summarizer=MEMORIES[memory],
        hidden_sizes=(16,),
        normalize_observations=True,
        **settings,
    )
    random = np.random.default_rng(0)
    shown = {
        key: (3 + 2 * random.normal(size=(50, *field.shape))).astype(np.float32)
        for key, field in spec.observation.items()
        if field.dtype == "float32"
    }
    agent.observe(shown)
    for weight in agent.policy.parameters():
        weight.data += 0.2 * torch.randn_like(weight)
    return LoadedPolicy(agent.policy, spec).requires_grad_(False).eval()


def eager(deployed: nn.Module) -> Any:
    """Plays a deployed policy without a file."""

    def play(feed: Any) -> Any:
        found = deployed(*(torch.from_numpy(np.asarray(value)) for value in feed.values()))
        return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]

    return play


def agreement(env: EnvAdapter, measured: bool = False, **settings: Any) -> Any:
    """How far a deployed policy is off, in batches too."""
    deployed = DeployedPolicy(trained(env, **settings), env.space_adapter, measured).eval()
    return verify(deployed, eager(deployed), record_steps(deployed, env), batch=True)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("acts", ACTIONS)
def test_a_deployed_policy_acts_as_the_policy_in_the_environments_units(memory, acts) -> None:
    for past in (False, True):
        env = EnvAdapter(Noise(acts=ACTIONS[acts]), previous_action=past)
        found = agreement(env, memory=memory)
        assert found.action < 1e-3 and found.state < 1e-5


@pytest.mark.parametrize("seen", OBSERVATIONS)
@pytest.mark.parametrize("acts", ["asymmetric", "discrete"])
def test_it_reads_observations_as_the_environment_gives_them(seen, acts) -> None:
    env = EnvAdapter(Noise(OBSERVATIONS[seen], ACTIONS[acts]), previous_reward=True)
    agreement(env)
    read = DeployedPolicy(trained(env), env.space_adapter).inputs
    assert "privileged" not in {each.key for each in read}
    names = [each.name for each in read]
    assert len({*names, "action", "state", "next_state"}) == len(names) + 3


@pytest.mark.parametrize("kind", ["discrete", "several", "binary"])
@pytest.mark.parametrize("source", ["info", "observation", "legal", "method"])
def test_it_chooses_what_an_action_mask_allows(kind, source) -> None:
    key = "legal" if source == "legal" else "action_mask"
    agreement(EnvAdapter(Masked(kind, source), action_mask_key=key))


@pytest.mark.parametrize("acts", ["asymmetric", "double", "far from zero"])
def test_the_previous_action_can_be_measured_in_the_environments_units(acts) -> None:
    env = EnvAdapter(Noise(acts=ACTIONS[acts]), previous_action=True)
    agreement(env, measured=True)
    deployed = DeployedPolicy(trained(env), env.space_adapter, measured=True)
    assert deployed.inputs[-1].name == "previous_action" and deployed.state_size == 16


def test_there_may_be_no_previous_action_to_measure() -> None:
    env = EnvAdapter(Noise())
    with pytest.raises(ValueError, match="it reads none"):
        DeployedPolicy(trained(env), env.space_adapter, measured=True)
    env = EnvAdapter(Noise(acts=ACTIONS["discrete"]), previous_action=True)
    with pytest.raises(ValueError, match="chooses"):
        DeployedPolicy(trained(env), env.space_adapter, measured=True)


class Late(nn.Module):
    """A deployed policy whose state is emptied a step late."""

    def __init__(self, deployed: DeployedPolicy) -> None:
        super().__init__()
        self.deployed, self.state = deployed, torch.zeros(1, deployed.state_size)

    def forward(self, *values: Any) -> Any:
        fresh = not values[-1].any()
        action, after = self.deployed(*values[:-1], self.state if fresh else values[-1])
        self.state = after
        return action, after


def without_centre(deployed: DeployedPolicy) -> nn.Module:
    deployed.actions.centre = 0 * deployed.actions.centre
    return deployed


def without_normaliser(deployed: DeployedPolicy) -> nn.Module:
    deployed.policy.normalizer.keys, deployed.policy.normalizer.moments = (), nn.ModuleList()
    return deployed


@pytest.mark.parametrize("mutant", [without_centre, without_normaliser, Late])
def test_a_policy_that_acts_otherwise_is_no_export(mutant) -> None:
    env = EnvAdapter(Noise(), previous_action=True)
    deployed = DeployedPolicy(trained(env), env.space_adapter).eval()
    recording = record_steps(deployed, env)
    verify(deployed, eager(deployed), recording, batch=False)
    with pytest.raises(ExportMismatch, match="differs from the run's"):
        verify(deployed, eager(mutant(deployed)), recording, batch=False)


def test_a_state_that_is_off_is_no_export_even_if_no_action_is() -> None:
    env = EnvAdapter(Noise(acts=ACTIONS["discrete"]))
    deployed = DeployedPolicy(trained(env), env.space_adapter).eval()
    recording = record_steps(deployed, env)
    recording.next_state[150] += 1e-3
    with pytest.raises(ExportMismatch, match=r"its state by 1\.0e-03"):
        verify(deployed, eager(deployed), recording, batch=False)


def test_a_wrong_choice_is_no_export_however_close_it_was() -> None:
    env = EnvAdapter(Noise(acts=ACTIONS["discrete"]))
    deployed = DeployedPolicy(trained(env), env.space_adapter).eval()
    recording = record_steps(deployed, env)
    recording.action[150] += 1
    with pytest.raises(ExportMismatch, match="at step 150"):
        verify(deployed, eager(deployed), recording, batch=False)


def test_a_batch_size_that_was_frozen_is_no_export() -> None:
    env = EnvAdapter(Noise())
    deployed = DeployedPolicy(trained(env), env.space_adapter).eval()

    def frozen(feed: Any) -> Any:
        if len(feed["state"]) > 2:
            raise RuntimeError("Got invalid dimensions")
        return eager(deployed)(feed)

    with pytest.raises(ExportMismatch, match="a batch of 7 cannot be run: Got invalid"):
        verify(deployed, frozen, record_steps(deployed, env), batch=True)


def test_episodes_start_inside_the_recording_and_the_state_with_them() -> None:
    env = EnvAdapter(Noise(), previous_action=True)
    deployed = DeployedPolicy(trained(env), env.space_adapter).eval()
    recording = record_steps(deployed, env)
    assert np.flatnonzero(recording.starts).tolist() == [0, 60, 100, 160]
    assert not recording.state[recording.starts].any()
    ongoing = ~recording.starts[1:]
    assert (recording.state[1:][ongoing] == recording.next_state[:-1][ongoing]).all()


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ("Pendulum-v1", 0.05),
        ("pendulum-p-v0", 0.05),
        ("pendulum-repeat4-v0", 0.2),
        ("Quadrotor-v0", 0.01),
        ("reacher-mdp-v0", 0.02),
        ("hopper-p-v0", 0.0165),
        ("top-plate-v0", 10 / 240),
        ("dmc-cartpole-balance-v0", 0.05),
    ],
)
def test_the_control_period_is_the_environments_own(env, seconds) -> None:
    with contextlib.closing(offpcc.make_env(env)) as made:
        found = control_period(made)
    assert found["seconds"] == pytest.approx(seconds) and found["source"] == "the environment's dt"


def test_a_control_period_from_the_pictures_is_said_to_be_a_guess() -> None:
    assert control_period(EnvAdapter(Noise()))["source"] == "a guess: 1 / render_fps"


def test_a_step_time_inside_of_a_wrapper_is_a_guess() -> None:
    made = EnvAdapter(gymnasium.wrappers.FlattenObservation(gymnasium.make("Pendulum-v1")))
    said = control_period(made)["source"]
    assert said == "a guess: the environment's dt, inside of FlattenObservation"


def test_a_score_is_of_the_last_evaluation_up_to_the_policy(tmp_path) -> None:
    rows = "env_steps,test_return,test_return_se\n100,-5.0,1.0\n150,,\n200,-3.0,0.5\n300,-3.0,0.7\n"
    (tmp_path / "progress.csv").write_text(rows)
    folder = RunFolder(tmp_path)
    assert score_of(folder, 180) == {"step": 100, "test_return": -5.0, "test_return_se": 1.0}
    assert score_of(folder, 99) is None
    best = score_of(folder, None)
    assert best and best["step"] == 200, "the first of equals is the one that was kept"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A short run of an agent with memory; the previous action is part of what it reads."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, "steps = 200\neval_interval = 100\nprevious_action = True")
    return offpcc.run("pendulum-p-v0", "rsac", config=config, seed=1, results=folder)


def exported(run: Any, *flags: str) -> int:
    """What the command line comes to."""
    where = ["--results", str(run.path.parents[2]), "--run_id", run.path.name]
    return main(["--env", "pendulum-p-v0", "--algo", "rsac", *where, "--export", *flags])


def test_an_export_can_be_run_without_offpcc_and_is_replaced_in_one_piece(run, capsys) -> None:
    assert exported(run, "onnx", "--best") == 0
    said = capsys.readouterr().out
    assert "export/policy.onnx: " in said and "over 200 steps" in said and "µs an action" in said
    folder = run.path / "export"
    assert {file.name for file in folder.iterdir()} == {
        "policy.onnx", "policy.json", "check.npz", "runner.py",
    }  # fmt: skip
    contract = json.loads((folder / "policy.json").read_text())
    best = max(run.rows, key=lambda row: row["test_return"])
    assert contract["step"] == contract["score"]["step"] == best["env_steps"]
    assert contract["score"]["test_return"] == best["test_return"]
    assert contract["make_env"]["previous_action"] is True
    assert contract["verified"]["action_error"] < 1e-5 and contract["batch"] == 1
    runner = Runner(folder / "policy.onnx")
    own = runner.contract
    assert own == {k: v for k, v in contract.items() if k not in ("sha256", "bytes")}
    policy, env = offpcc.load(run.path, best=True), offpcc.env_of(run.path)
    (seen, _), state = env.reset(seed=3), policy.initial_state()
    for _ in range(20):
        action, state = policy.act(seen, state)
        np.testing.assert_allclose(
            runner.act(seen["observation"]), env.space_adapter.raw(action), atol=1e-5
        )
        np.testing.assert_allclose(runner.state[:-1], state[0], atol=1e-5)
        seen = env.step(action)[0]
    (folder / "mine").mkdir()
    (folder / "mine/check.txt").write_text("kept")
    (folder / "policy.onnx").write_bytes(b"what was there before")
    assert exported(run) == 0
    assert Runner(folder / "policy.onnx").contract["step"] == 200
    assert (folder / "mine/check.txt").read_text() == "kept"
    assert not [path for path in run.path.iterdir() if path.name[0] == "."]


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_with_a_free_batch_axis_takes_any_number_of_rows(run, form, tmp_path) -> None:
    file = offpcc.export(run, tmp_path / "of three", format=form, batch=True)
    play = FORMATS[form]().player(file)
    feed = {"observation": np.ones((5, 2), np.float32), "state": np.zeros((5, 17), np.float32)}
    action, after = play(feed)
    assert action.shape == (5, 1) and after.shape == (5, 17)


def test_an_export_that_differs_ends_in_exit_8_and_leaves_the_old_one(
    run, monkeypatch, capsys
) -> None:
    assert exported(run, "torchscript") == 0
    before = (run.path / "export-torchscript/policy.pt").read_bytes()
    raw = DeployedPolicy.raw
    monkeypatch.setattr(DeployedPolicy, "raw", lambda self, action: raw(self, 0.9 * action))
    assert exported(run, "torchscript") == 8
    assert "differs from the run's" in capsys.readouterr().err
    assert (run.path / "export-torchscript/policy.pt").read_bytes() == before
    assert not [path for path in run.path.iterdir() if path.name[0] == "."]


def test_an_export_that_cannot_be_put_in_place_leaves_the_old_one(run, monkeypatch, tmp_path):
    folder = tmp_path / "robot"
    before = offpcc.export(run, folder, format="torchscript").read_bytes()
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name.startswith(".tmp-"):
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        offpcc.export(run, folder, format="torchscript")
    assert (tmp_path / ".old-robot/policy.pt").read_bytes() == before


def test_a_full_disk_is_not_taken_for_a_network_that_cannot_be_traced(run, monkeypatch, capsys):
    def full(self: Any, *arguments: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(FORMATS["torchscript"], "write", full)
    assert exported(run, "torchscript") == 7
    assert "no space left" in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_left_alone(run, tmp_path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="is no export"):
        offpcc.export(run, tmp_path, format="torchscript")
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_what_cannot_be_traced_is_said_in_a_line(run, monkeypatch) -> None:
    def untraceable(self: Any, *values: Any) -> Any:
        raise RuntimeError("data decides here\nand more")

    monkeypatch.setattr(DeployedPolicy, "forward", untraceable)
    with pytest.raises(ValueError, match=r"rsac has no export to policy.pt: .*data decides here\)"):
        offpcc.export(run, format="torchscript")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--best"], "--best goes with --export"),
        (["--export-batch"], "--export-batch goes with --export"),
        (["--export-previous", "input"], "--export-previous goes with --export"),
        (["--export", "--run_id", "9"], "there is no run"),
    ],
)
def test_flags_that_lack_an_export_end_in_a_line(flags, said, tmp_path, capsys) -> None:
    where = ["--env", "pendulum-p-v0", "--algo", "rsac", "--results", str(tmp_path)]
    assert main([*where, *flags]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_every_memory_can_be_exported_at_any_batch_size(memory, form, tmp_path) -> None:
    env = EnvAdapter(Noise(), previous_action=True)
    deployed = DeployedPolicy(trained(env, memory=memory), env.space_adapter).eval()
    recording, written = record_steps(deployed, env), FORMATS[form]()
    for batch in (False, True):
        file = tmp_path / f"{batch}{written.file}"
        written.write(deployed, file, batch)
        written.describe(file, {"format": 1, "state_size": 0, "action": {"shape": []}})
        verify(deployed, written.player(file), recording, batch)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("algo", ["sb3_sac", "sb3_td3", "sb3_ppo", "sb3_recurrent_ppo"])
def test_baselines_can_be_exported(algo, form, tmp_path) -> None:
    config = tiny(tmp_path, "steps = 128\neval_interval = 128\nrollout_steps = 64")
    run = offpcc.run("pendulum-p-v0", algo, config=config, seed=1, results=tmp_path)
    assert offpcc.export(run, format=form, batch=True).exists()
