"""The runner: what a robot copies beside an exported policy."""

import ast
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from children import tiny
from gymnasium import spaces
from masked import Masked

import offpcc
from offpcc.deploy import runner as module
from offpcc.deploy.runner import Runner, replay


class Sensors(gymnasium.Env[Any, Any]):
    """Keys of three kinds, one of them nested."""

    observation_space = spaces.Dict(
        {
            "arm": spaces.Dict({"angle": spaces.Box(-np.inf, np.inf, (2,), np.float64)}),
            "gear": spaces.Discrete(3, start=1),
            "camera": spaces.Box(0, 255, (12,), np.uint8),
        }
    )
    action_space = spaces.Box(np.float32([-1, 0]), np.float32([1, 8]))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.left = 30
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        return self.observation_space.sample(), 0.0, False, not self.left, {}


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported policy with memory that reads its previous reward."""
    folder = tmp_path_factory.mktemp("sensors")
    config = tiny(folder, "steps = 90\neval_interval = 90\nprevious_reward = True")
    run = offpcc.run(Sensors, "rsac", config=config, seed=1, results=folder)
    return offpcc.export(run)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported policy that chooses what a mask in the info allows."""
    folder = tmp_path_factory.mktemp("masked")
    config = tiny(folder, "steps = 64\neval_interval = 64\nrollout_steps = 32")
    settings: dict[str, Any] = {"env_kwargs": {"kind": "several"}, "seed": 1, "results": folder}
    return offpcc.export(offpcc.run(Masked, "ppo", config=config, **settings))


SEEN: Any = {
    "arm": {"angle": np.array([0.5, -1.0])},
    "gear": 2,
    "camera": np.zeros(12, np.uint8),
}


def test_a_runner_remembers_until_it_is_reset(sensors) -> None:
    runner = Runner(sensors)
    first = runner.act(SEEN, previous_reward=0.0)
    assert first.shape == (2,) and first.dtype == np.float32
    assert Sensors.action_space.contains(first)
    assert runner.state.any() and (runner.act(SEEN, previous_reward=0.0) != first).any()
    runner.reset()
    assert not runner.state.any()
    assert (runner.act(SEEN, previous_reward=0.0) == first).all()


def test_keys_may_come_nested_or_by_their_names(sensors) -> None:
    runner = Runner(sensors)
    flat = {"arm/angle": [0.5, -1.0], "gear": [2], "camera": [0.0] * 12, "previous_reward": [0.0]}
    first = runner.act(flat)
    runner.reset()
    assert (runner.act(SEEN, previous_reward=0.0) == first).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gear": None}, "gear is missing"),
        ({"arm": {}}, "arm/angle is missing"),
        ({"arm": 3.0}, "arm/angle is missing"),
        ({"arm": {"angle": [1.0, np.nan]}}, "arm/angle is not finite"),
        ({"arm": {"angle": [1.0, np.inf]}}, "arm/angle is not finite"),
        ({"arm": {"angle": [1.0, 2.0, 3.0]}}, r"arm/angle has shape \(3,\)"),
        ({"arm": {"angle": ["one", "two"]}}, "arm/angle is not of numbers"),
        ({"gear": 4}, "gear has 4; the policy reads whole numbers from 1 to 3"),
        ({"gear": 1.5}, "gear has 1.5; the policy reads whole numbers"),
        ({"camera": np.full(12, 256)}, "camera has 256"),
        ({"camera": np.full(12, 0.5)}, "camera has 0.5"),
        ({"camera": None, "arm": None, "gear": None}, "is missing"),
        ({"arm": {"angle": [1e300, 1e300]}}, "action or state is not finite"),
    ],
)
def test_a_wrong_input_is_named_and_leaves_the_state(sensors, change, said) -> None:
    runner = Runner(sensors)
    runner.act(SEEN, previous_reward=1.0)
    before = runner.state.copy()
    wrong = {key: value for key, value in (SEEN | change).items() if value is not None}
    with pytest.raises(ValueError, match=said):
        runner.act(wrong, previous_reward=1.0)
    assert (runner.state == before).all()


def test_what_no_observation_holds_is_asked_for_by_name(sensors) -> None:
    runner = Runner(sensors)
    with pytest.raises(ValueError, match="previous_reward is missing"):
        runner.act(SEEN)
    with pytest.raises(ValueError, match="action_mask is no input"):
        runner.act(SEEN, previous_reward=0.0, action_mask=[1, 1])


def test_a_mask_decides_what_is_chosen(masked) -> None:
    runner, seen = Runner(masked), np.zeros(3, np.float32)
    free = runner.act(seen, action_mask=np.ones(9, bool))
    assert free.dtype == np.int64 and free.shape == (3,)
    chosen = free - [1, 0, -2]
    mask = np.ones(9, bool)
    mask[[chosen[0], 3 + chosen[1], 5 + chosen[2]]] = False
    assert (runner.act(seen, action_mask=mask) != free).all()
    with pytest.raises(ValueError, match="action_mask allows no choice"):
        runner.act(seen, action_mask=[1, 1, 1, 0, 0, 1, 1, 1, 1])


def test_the_recorded_steps_are_replayed_by_the_file_alone(sensors, tmp_path) -> None:
    shutil.copytree(sensors.parent, tmp_path / "robot")
    assert "200 steps: actions differ by at most " in replay(tmp_path / "robot/policy.onnx")
    found = float(replay(sensors).split("at most ")[1].split(";")[0])
    assert found < 1e-4


def test_a_damaged_file_and_a_foreign_one_are_refused(sensors, tmp_path) -> None:
    shutil.copytree(sensors.parent, tmp_path, dirs_exist_ok=True)
    file, content = tmp_path / "policy.onnx", sensors.read_bytes()
    place = len(content) // 2
    (tmp_path / "policy.json").write_text("[1, 2]")  # another program's
    assert Runner(file).contract["format"] == 1
    shutil.copy(sensors.with_suffix(".json"), tmp_path)
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ValueError, match="is damaged, or not the policy of"):
        Runner(file)
    (tmp_path / "policy.json").unlink()
    file.write_bytes(content[:place])
    with pytest.raises(ValueError, match="is no ONNX file, or damaged"):
        Runner(file)
    import onnx

    model = onnx.load(sensors)
    contract = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {"offpcc": json.dumps(contract | {"format": 9})})
    onnx.save(model, file)
    with pytest.raises(ValueError, match="has format 9, not 1"):
        Runner(file)
    onnx.helper.set_model_props(model, {})
    onnx.save(model, file)
    with pytest.raises(ValueError, match="has no offpcc contract"):
        Runner(file)


def test_the_runner_needs_numpy_and_onnxruntime_alone() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    roots = {name.split(".")[0] for name in found} - sys.stdlib_module_names
    assert roots == {"numpy", "onnxruntime"}
