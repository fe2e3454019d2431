"""Training from Python: one call, and what can be done with the run."""

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import offpcc
from offpcc.deploy.trained_run import TrainedRun
from offpcc.training.tracking.run_status import statuses_of_runs

FEW: dict[str, Any] = {
    "steps": 300,
    "eval_interval": 100,
    "learning_starts": 50,
    "hidden_sizes": (8,),
    "batch_size": 8,
    "eval_episodes": 2,
    "num_threads": 1,
    "seed": 1,
}


class Target(gymnasium.Env[Any, Any]):
    """A point that is to go to a place, within ten steps."""

    observation_space, action_space = Box(-3, 3, (1,)), Box(-1, 1, (1,))

    def __init__(self, goal: float = 0.0) -> None:
        self.goal = goal

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.uniform(-1, 1, 1).astype(np.float32), 0
        return self.at, {}

    def step(self, action: Any) -> Any:
        self.at = np.clip(self.at + 0.3 * action, -3, 3).astype(np.float32)
        self.steps += 1
        reward = -float(abs(self.at[0] - self.goal))
        return self.at, reward, False, self.steps == 10, {}


class Halved(gymnasium.RewardWrapper[Any, Any]):
    """Pays half."""

    def reward(self, reward: Any) -> float:
        return reward / 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> TrainedRun:
    results = tmp_path_factory.mktemp("python") / "results"
    return offpcc.run(Target, "sac", env_kwargs={"goal": 2.5}, results=results, **FEW)


def test_a_class_is_trained_and_the_run_has_its_place(trained) -> None:
    assert trained.path.parts[-3:] == ("Target", "sac", "1")
    assert trained.read()["env"] == "test_trained_run:Target"
    assert "env_kwargs = {'goal': 2.5}\n" in (trained / "config.gin").read_text()


def test_rows_are_numbers_by_column(trained) -> None:
    assert [row["env_steps"] for row in trained.rows] == [100, 200, 300]
    assert trained.rows[0]["updates"] == 50 and "train_success" not in trained.rows[0]


def test_a_policy_an_evaluation_and_curves_come_of_it(trained) -> None:
    action, _ = trained.policy.act(np.zeros(1, np.float32), trained.policy.initial_state())
    assert action.shape == (1,)
    result = trained.evaluate(3)
    assert result == json.loads((trained / "evaluation.json").read_text())
    assert result["episodes"] == 3 and result["test_return"] < -3  # the goal is where it was put
    files = trained.plot()
    assert trained / "plots" / "return_steps.png" in files and all(file.exists() for file in files)


def test_it_can_be_exported(trained, tmp_path) -> None:
    assert trained.export(format="torchscript") == trained.path / "export-torchscript/policy.pt"
    assert trained.export(tmp_path / "robot", format="torchscript").exists()


def test_it_goes_on_with_the_same_call(trained) -> None:
    how = FEW | {"steps": 400}
    again = offpcc.run(
        Target, "sac", env_kwargs={"goal": 2.5}, results=trained.path.parents[2], resume=True, **how
    )
    assert [row["env_steps"] for row in again.rows] == [100, 200, 300, 400]


def test_wrappers_are_in_use_and_in_the_config(tmp_path) -> None:
    how: dict[str, Any] = FEW | {"steps": 100, "seed": 3}
    plain = offpcc.run(Target, "sac", results=tmp_path / "plain", **how)
    half = offpcc.run(Target, "sac", wrappers=[Halved], results=tmp_path / "half", **how)
    assert "wrappers = ('test_trained_run:Halved',)\n" in (half / "config.gin").read_text()
    returns = [run.rows[0]["train_return"] for run in (plain, half)]
    assert returns[1] == pytest.approx(returns[0] / 2, rel=1e-5)


def test_a_callback_stops_a_run_and_run_json_says_why(tmp_path) -> None:
    stop = offpcc.StopAtReturn(-1e9)
    run = offpcc.run(Target, "sac", results=tmp_path, callbacks=[stop], **FEW)
    assert [row["env_steps"] for row in run.rows] == [100]
    assert "has reached -1e+09" in run.read()["stopped"] and run.read()["final"]["env_steps"] == 100
    (status,) = statuses_of_runs([tmp_path])
    assert status.state == "finished" and "has reached -1e+09" in status.reason
    again = offpcc.run(Target, "sac", results=tmp_path, resume=True, **FEW)  # this time to its end
    assert "stopped" not in again.read() and again.read()["final"]["env_steps"] == 300


def unknown_to_configs(episode) -> bool:
    return True


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"env": 3}, "env is 3; it is an id, a gymnasium environment"),
        ({"callbacks": [print]}, "callbacks has <built-in function print>; each is an instance"),
        ({"lr": 0.1}, "unknown setting 'lr'; here it is called learning_rate"),
        ({"wrappers": ["nowhere:W"]}, "there is no module 'nowhere'"),
        ({"wrappers": "nowhere:W"}, "wrappers is 'nowhere:W'; it is a list"),
        ({"env_kwargs": [1]}, r"env_kwargs is \[1\]; it is a mapping"),
        (
            {"episode_filter": unknown_to_configs},
            "unknown class @unknown_to_configs; @configurable",
        ),
        ({"env_kwargs": {"aim": 1}}, "its constructor takes no aim"),
        ({"env_kwargs": {"goal": object()}}, "env_kwargs is .*; it is a number, a text"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(wrong, line, tmp_path) -> None:
    how = {"env": Target, "algo": "sac", "results": tmp_path / "results"} | FEW | wrong
    with pytest.raises((ValueError, TypeError), match=line):
        offpcc.run(**how)
    assert not [*tmp_path.iterdir()]


def test_an_evaluation_has_an_episode_at_least(trained) -> None:
    with pytest.raises(ValueError, match="episodes is 0; it must be at least 1"):
        trained.evaluate(0)
