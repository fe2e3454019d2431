"""The examples of deployment: the text for C++, the ROS 2 node, what an exported policy earns."""

import importlib.util
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from children import tiny

import offpcc
from offpcc.deploy.export.recording import Recording
from offpcc.deploy.trained_run import TrainedRun

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples/deploy"
WHY = "the extra onnx is not installed"


def example(name: str) -> ModuleType:
    """One of the examples as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A short training of a policy that reads its previous action."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(folder, "eval_interval = 250")
    given: dict[str, Any] = {"config": config, "results": folder, "wandb": "off"}
    return offpcc.run("pendulum-p-v0", "rsac", bind="previous_action = True", **given)


# The text for C++


def an_export(folder: Path, action: np.ndarray, **field: Any) -> Recording:
    """A folder as an export leaves it, of two steps; gives what is in its check.npz."""
    inputs = {"eye": np.array([[[1.0, 0.1]], [[2.0, 1 / 3]]]), "my button": np.array([4, 5])}
    state = np.array([[0.25, 1 / 3], [0.5, 2.0]], np.float32)
    steps = Recording(inputs, np.array([True, False]), state, action, state + 1)
    np.savez(folder / "check.npz", **steps.arrays())  # type: ignore[arg-type]
    known = [("eye", [1, 2], "float64"), ("my button", [], "int64")]
    described = [dict(zip(("name", "shape", "dtype"), each, strict=True)) for each in known]
    contract = {"inputs": described, "action": {"shape": list(action.shape[1:]), **field}}
    (folder / "policy.json").write_text(json.dumps(contract))
    return steps


def test_the_text_has_every_number_of_the_check(tmp_path: Path) -> None:
    action = np.array([[3.0, 0.1], [-1.0, 7.0]], np.float32)
    steps = an_export(tmp_path, action, low=[-1.0, 0.0], high=[3.0, 10.0])
    head, eye, button, tolerance, *rows = (
        example("check_to_text").check_to_text(tmp_path).read_text().splitlines()
    )
    assert (head, eye, button) == ("2 2 2 2", '"eye" float64 2 1 2', '"my button" int64 0')
    parts = [steps.starts[:, None], steps.inputs["eye"][:, 0], steps.inputs["my button"][:, None]]
    wanted = np.hstack([*parts, action, steps.next_state])
    assert np.array_equal(np.loadtxt(io.StringIO("\n".join(rows))), wanted)
    eps = float(np.finfo(np.float32).eps)
    wide = [1e-5 * 2 + 3 * eps, 1e-5 * 5 + 10 * eps]  # half widths of 2 and 5
    assert np.allclose(np.loadtxt(io.StringIO(tolerance)), wide, rtol=1e-12, atol=0)


def test_choices_must_agree_exactly(tmp_path: Path) -> None:
    an_export(tmp_path, np.array([1, 0]), low=0, high=1)
    lines = example("check_to_text").check_to_text(tmp_path).read_text().splitlines()
    assert lines[3] == "0"


# The ROS 2 node, on a stand-in for rclpy


class Clock:
    """A clock that a test sets."""

    nanoseconds = 0

    def now(self) -> "Clock":
        return SimpleNamespace(nanoseconds=self.nanoseconds)  # type: ignore[return-value]


class Node:
    """What the example uses of rclpy.node.Node; timers tick when a test says so."""

    parameters: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.name, self.clock = name, Clock()
        self.topics: dict[str, Any] = {}
        self.services: dict[str, Any] = {}
        self.timers: list[tuple[float, Any]] = []
        self.published: list[list[float]] = []
        self.said: list[tuple[str, str]] = []

    def declare_parameter(self, name: str, default: Any) -> Any:
        return SimpleNamespace(value=self.parameters.get(name, default))

    def get_clock(self) -> Clock:
        return self.clock

    def get_logger(self) -> Any:
        def level(name: str) -> Any:
            return lambda text, throttle_duration_sec=0.0: self.said.append((name, text))

        return SimpleNamespace(**{name: level(name) for name in ("info", "warning", "error")})

    def create_subscription(self, kind: type, topic: str, callback: Any, depth: int) -> None:
        self.topics[topic] = callback

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        assert topic == "action"
        return SimpleNamespace(publish=lambda message: self.published.append(message.data))

    def create_service(self, kind: type, name: str, callback: Any) -> None:
        self.services[name] = callback

    def create_timer(self, period: float, callback: Any) -> None:
        self.timers.append((period, callback))

    def tick(self, seconds: float, **observed: Any) -> int:
        """Messages, then a tick at this time; gives how many actions there are by then."""
        self.clock.nanoseconds = round(seconds * 1e9)
        for topic, values in observed.items():
            self.topics[topic](SimpleNamespace(data=np.ravel(values).tolist()))
        self.timers[0][1]()
        return len(self.published)


class Counter:
    """A runner whose state counts its steps; its action is the sum of the observation."""

    seconds: float | None = 0.1

    def __init__(self, file: str) -> None:
        self.state = np.zeros(1, np.float32)
        period = {"seconds": self.seconds, "source": "the environment's dt"}
        inputs = [{"key": "arm/0", "shape": [2, 1]}, {"key": "target", "shape": []}]
        self.contract = {"control_period": period, "inputs": inputs}

    def reset(self) -> None:
        self.state = np.zeros(1, np.float32)

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        assert {key: values.shape for key, values in observation.items()} == {
            "arm/0": (2, 1),
            "target": (),
        }
        if np.isnan(observation["target"]):
            raise ValueError("target is not finite: nan")
        self.state = self.state + 1
        return np.array([[observation["arm/0"].sum() + observation["target"]]], np.float32)


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What makes the node with parameters, rclpy and the runner being stand-ins."""

    def module(name: str, **content: Any) -> None:
        made = ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    def of(runner: Any = Counter, **parameters: Any) -> Any:
        module("rclpy")
        module("rclpy.node", Node=Node)
        module("rclpy.executors", ExternalShutdownException=Exception)
        module("std_msgs")
        module("std_msgs.msg", Float32MultiArray=lambda data: SimpleNamespace(data=data))
        module("std_srvs")
        module("std_srvs.srv", Trigger=SimpleNamespace(Request=None, Response=None))
        module("runner", Runner=runner)
        monkeypatch.setattr(Node, "parameters", parameters)
        return example("ros2_node").PolicyNode()

    return of


BOTH = {"arm_0": [1, 2], "target": 4.0}


def test_the_node_acts_at_every_tick_on_the_newest_messages(ros: Any) -> None:
    node = ros()
    assert node.timers[0][0] == 0.1
    assert node.tick(0.1, **BOTH) == 1
    assert node.tick(0.2, target=5.0) == 2
    assert node.published == [[7.0], [8.0]]
    assert node.runner.state == 2


def test_the_node_publishes_nothing_before_every_key_has_come(ros: Any) -> None:
    node = ros()
    assert node.tick(0.1) == 0
    assert node.tick(0.2, arm_0=[1, 2]) == 0
    assert node.said[-1] == ("warning", "no new target")
    assert node.tick(0.3, target=4.0) == 1


def test_the_node_publishes_nothing_once_an_observation_is_older_than_two_periods(ros: Any) -> None:
    node = ros()
    node.tick(0.1, **BOTH)
    assert node.tick(0.3, target=4.0) == 2  # the arm is two periods old
    assert node.tick(0.301, target=4.0) == 2
    assert node.said[-1] == ("warning", "no new arm/0")
    assert node.runner.state == 2
    assert node.tick(0.4, **BOTH) == 3


def test_the_nodes_reset_zeroes_the_state_and_forgets_observations(ros: Any) -> None:
    node = ros()
    node.tick(0.1, **BOTH)
    assert node.runner.state == 1
    response = node.services["reset"](None, SimpleNamespace(success=False, message=""))
    assert response.success and node.runner.state == 0
    assert node.tick(0.15) == 1
    assert node.tick(0.2, **BOTH) == 2


def test_the_node_reports_what_the_runner_refuses_and_publishes_nothing(ros: Any) -> None:
    node = ros()
    assert node.tick(0.1, arm_0=[1, 2], target=np.nan) == 0
    assert node.said[-1] == ("error", "target is not finite: nan")


def test_the_node_needs_a_control_period(ros: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "seconds", None)
    with pytest.raises(ValueError, match="has no control period; set the parameter period"):
        ros()
    assert ros(period=0.02).timers[0][0] == 0.02


# With onnxruntime


@pytest.fixture(scope="module")
def exported(trained: TrainedRun) -> TrainedRun:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=WHY)
    offpcc.export(trained)
    return trained


def test_the_node_acts_as_the_exported_policy(ros: Any, exported: TrainedRun) -> None:
    from offpcc.deploy.runner import Runner

    node = ros(Runner, policy=str(exported / "export/policy.onnx"))
    with np.load(exported / "export/check.npz") as check:
        seen, wanted = check["input:observation"][:20], check["action"][:20]
    for step, values in enumerate(seen):
        node.tick(node.period * step, observation=values)
    assert np.allclose(node.published, wanted, rtol=0, atol=1e-5)


def test_a_node_says_what_is_wrong_with_a_message(ros: Any, exported: TrainedRun) -> None:
    from offpcc.deploy.runner import Runner

    node = ros(Runner, policy=str(exported / "export/policy.onnx"))
    assert node.tick(0.0, observation=[1, 2, 3]) == 0
    assert node.said[-1][0] == "error" and "has shape (3,)" in node.said[-1][1]


def test_an_exported_policy_earns_what_evaluation_says(exported: TrainedRun, capsys: Any) -> None:
    wanted = exported.evaluate(3)
    capsys.readouterr()
    example("evaluate_export").main(exported.path, 3)
    said = capsys.readouterr().out
    found = float(said.split("return ")[1].split(",")[0])
    assert "3 episodes" in said and found == pytest.approx(wanted["test_return"], abs=0.1)


@pytest.mark.slow
def test_the_program_for_libtorch_agrees_with_the_policy(
    trained: TrainedRun, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    file = offpcc.export(trained, tmp_path / "export", format="torchscript")
    check = example("check_to_text").check_to_text(file.parent)
    home, program = Path(torch.__path__[0]), tmp_path / "main"
    libraries = [f"-L{home}/lib", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{home}/lib"]
    source = ["-isystem", f"{home}/include", str(EXAMPLES / "main_torchscript.cpp")]
    subprocess.run(["g++", "-std=c++17", *source, *libraries, "-o", str(program)], check=True)
    assert subprocess.run([program, file, check]).returncode == 0
    check.write_text(check.read_text().replace("\n1 ", "\n0 "))  # never reset
    assert subprocess.run([program, file, check]).returncode == 1
