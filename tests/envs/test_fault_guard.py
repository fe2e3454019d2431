"""Whatever an environment does, the caller gets a fault that says where and when."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import offpcc
from offpcc.deploy import play
from offpcc.deploy.demonstrate import demonstrate, record_data
from offpcc.deploy.loaded_policy import env_of, load
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.checker import check_environment
from offpcc.envs.fault_guard import Guard
from offpcc.envs.make_env import make_env
from offpcc.envs.native_vector_env import NativeVectorEnv
from offpcc.envs.vector import SequentialEnvs
from offpcc.errors import ConfigError, EnvironmentFault
from offpcc.storage.run_folder import RunFolder
from offpcc.training.evaluator import Evaluator

ROOT = Path(__file__).parents[2]
TINY = ["learning_starts = 20", "eval_interval = 40", "hidden_sizes = (8,)", "batch_size = 4",
        "eval_episodes = 1",
        "num_threads = 1", "device = 'cpu'"]  # fmt: skip
WHERE = r"copy 0, episode \d+ \(seed \d+\), step \d+, last actions"


class Robot(gymnasium.Env[Any, Any]):
    """Episodes of 6 steps; `fault`, where there is one, happens in a call of this name."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-2, 2, (1,), np.float32)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    call, fault = "", staticmethod(lambda: None)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.happen("constructor")

    def happen(self, call: str) -> Any:
        return Robot.fault() if Robot.call == call else None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self.happen("reset") or (self.seen(), {})

    def step(self, action: Any) -> Any:
        self.time += 1
        happened = self.happen("step") if self.time == 3 else None
        return happened or (self.seen(), -1.0, False, self.time == 6, {"success": self.time == 3})

    def seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def render(self) -> Any:
        self.happen("render")
        return np.zeros((16, 16, 3), np.uint8)

    def close(self) -> None:
        self.happen("close")


def broken(kind: type[BaseException] = RuntimeError) -> Callable[[], Any]:
    def happen() -> Any:
        raise kind("the joint broke\nof arm 3")

    return happen


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    monkeypatch.setattr(Robot, "call", "")


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    gymnasium.register("guarded-v0", entry_point=Robot)
    yield
    del gymnasium.registry["guarded-v0"]


def go_wrong(monkeypatch: pytest.MonkeyPatch, call: str, fault: Callable[[], Any]) -> None:
    monkeypatch.setattr(Robot, "call", call)
    monkeypatch.setattr(Robot, "fault", staticmethod(fault))


def trained(folder: Path, algo: str = "sac", steps: int = 50) -> Path:
    bind = [*TINY, "random_action_repeat = 1"] if algo == "sac" else TINY
    return offpcc.run("guarded-v0", algo, steps=steps, bind=bind, seed=1, results=folder).path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    return trained(tmp_path_factory.mktemp("run"))


# Every caller


CALLERS: dict[str, Callable[[Path, Path], object]] = {  # given a trained run and a new folder
    "evaluate": lambda run, _: play.evaluate(run, 2),
    "record": lambda run, _: play.record(run, 1),
    "demonstrate": lambda run, _: demonstrate(run, 2),
    "record-data": lambda run, _: record_data(run, 2),
    "chance": lambda run, _: play.chance(env_of(run), 2),
    "train": lambda _, folder: trained(folder),
    "baseline": lambda _, folder: trained(folder, "sb3_sac"),
    "evaluator": lambda run, _: Evaluator(SequentialEnvs([make_env("guarded-v0")]), 1)(load(run)),
}


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, OSError, KeyError, SystemExit])
@pytest.mark.parametrize("call", ["constructor", "reset", "step"])
def test_whatever_is_raised_says_what_where_and_when(call, kind, monkeypatch) -> None:
    go_wrong(monkeypatch, call, broken(kind))
    with pytest.raises(
        EnvironmentFault, match=rf"^the environment raised {kind.__name__}\(.*joint broke.*"
    ) as caught:
        env = make_env("guarded-v0")
        env.reset(seed=7)
        for _ in range(3):
            env.step(np.float32([0.5]))
    said = str(caught.value)
    assert said.count("\n") == 0 and f"in {call}; copy 0" in said
    if call == "step":
        assert said.endswith("episode 0 (seed 7), step 3, last actions [1.0], [1.0], [1.0]")


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("call", ["reset", "step"])
def test_every_caller_is_guarded(caller, call, run, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    go_wrong(monkeypatch, call, broken())
    with pytest.raises(EnvironmentFault, match=rf"joint broke.* in {call}; {WHERE}"):
        CALLERS[caller](run, tmp_path)


@pytest.mark.parametrize("caller", CALLERS)
def test_every_caller_refuses_what_was_not_declared(caller, run, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    go_wrong(monkeypatch, "step", lambda: (np.zeros(3), 0.0, False, False, {}))
    with pytest.raises(
        EnvironmentFault, match=r"observation has shape \(3,\); its space says \(2,\); " + WHERE
    ):
        CALLERS[caller](run, tmp_path)


def test_so_are_a_resumed_run_and_a_check(tmp_path, monkeypatch) -> None:
    run = trained(tmp_path)
    assert "final" in RunFolder(run).read()
    go_wrong(monkeypatch, "step", broken())
    how = {"resume": True, "bind": ["steps = 90"], "results": tmp_path}
    with pytest.raises(EnvironmentFault, match="joint broke"):
        offpcc.run("guarded-v0", "sac", **how)
    verdicts = check_environment("guarded-v0").values()
    assert sum("joint broke" in verdict for verdict in verdicts) == 2  # the seed's, the end's


# What is kept


def test_what_was_trained_before_a_fault_is_kept_and_goes_on_exactly(tmp_path, monkeypatch) -> None:
    unbroken = trained(tmp_path / "one", steps=75)
    count = 0

    def happen() -> Any:
        nonlocal count
        count += 1
        if count == 9:  # of the third steps: training's and evaluations'
            raise RuntimeError("the cable is out")

    go_wrong(monkeypatch, "step", happen)
    with pytest.raises(EnvironmentFault, match="the cable is out"):
        trained(tmp_path / "two", steps=75)
    folder = tmp_path / "two" / "guarded-v0" / "sac" / "1"
    assert "final" not in RunFolder(folder).read()
    saved = sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    assert saved[-1] not in ("step-000000000", "step-000000040")
    offpcc.run("guarded-v0", "sac", resume=True, results=tmp_path / "two")
    newest = [max(path.glob("checkpoints/step-*")) / "policy.pt" for path in (unbroken, folder)]
    assert newest[0].read_bytes() == newest[1].read_bytes()
    assert RunFolder(folder).read()["resume_exact"]


def test_a_fault_in_an_evaluation_loses_no_step(tmp_path, monkeypatch) -> None:
    def fall(*arguments: Any) -> Any:
        raise SystemError("whatever it is")

    monkeypatch.setattr("offpcc.training.evaluator.play", fall)
    with pytest.raises(SystemError):
        trained(tmp_path)
    folder = tmp_path / "guarded-v0" / "sac" / "1"
    assert (folder / "checkpoints" / "step-000000040").exists()


def test_a_close_that_raises_costs_a_line(tmp_path, monkeypatch, capsys) -> None:
    go_wrong(monkeypatch, "close", broken())
    assert "final" in RunFolder(trained(tmp_path)).read()
    said = [line for line in capsys.readouterr().err.splitlines() if "in close" in line]
    assert len(said) == 1 and "joint broke" in said[0] and said[0].endswith("nothing is lost")


# Pictures


def test_a_fault_in_render_says_so_and_a_environment_without_pictures_is_no_fault(
    run, monkeypatch
) -> None:
    go_wrong(monkeypatch, "render", broken())
    with pytest.raises(EnvironmentFault, match=r"joint broke.* in render; copy 0, episode 0"):
        play.record(run, 1)
    monkeypatch.setattr(Robot, "call", "")
    monkeypatch.setattr(Robot, "__init__", lambda self: None)
    with pytest.raises(
        ConfigError, match="draws no pictures: its constructor takes no render_mode"
    ):
        play.record(run, 1)


# Success


@pytest.mark.parametrize(("rule", "expected"), [("last", False), ("any", True)])
def test_success_is_the_last_steps_or_any_steps(rule, expected) -> None:
    env = make_env("guarded-v0", success=rule)
    for _ in range(2):
        env.reset(seed=1)
        result = [env.play(np.zeros(1)).success for _ in range(6)]
        assert result[1:3] == [False, True] and result[-1] is expected
    vector = gymnasium.make_vec("guarded-v0", 2, vectorization_mode="sync")
    copies = NativeVectorEnv(vector, success=rule)
    copies.reset({0: 1, 1: 2})
    result = [[outcome.success for outcome in copies.step(np.zeros((2, 1)))] for _ in range(6)]
    assert result[1:3] == [[False] * 2, [True] * 2] and result[-1] == [expected] * 2


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="success is 'first'; it must be 'last' or 'any'"):
        make_env("guarded-v0", success="first")


# Several copies


def test_of_several_copies_the_one_that_fails_is_said(monkeypatch) -> None:
    singles = SequentialEnvs([EnvAdapter(Robot()), EnvAdapter(Robot())])
    singles.reset({0: 5, 1: 6}, {0: 3, 1: 4})
    singles.step(np.zeros((2, 1)))
    go_wrong(monkeypatch, "step", broken())
    singles[0].unwrapped.time = -9
    with pytest.raises(EnvironmentFault, match=r"copy 1, episode 4 \(seed 6\), step 3"):
        [singles.step(np.zeros((2, 1))) for _ in range(2)]


def test_a_vector_environment_that_raises_is_said_as_a_whole_and_a_bad_row_alone() -> None:
    guard = Guard(3)
    expected = r"ZeroDivisionError.* in step; copies 0 to 2 together"
    with pytest.raises(EnvironmentFault, match=expected), guard.step:
        1 / 0  # noqa: B018
    guard.begin(1, 8, 2)
    guard.take(np.zeros((3, 1)))
    assert str(guard.fault("reward is nan", 1)).endswith(
        "copy 1, episode 2 (seed 8), step 1, last actions [0.0]"
    )


def test_a_stop_from_outside_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt), Guard().step:
        raise KeyboardInterrupt


# The one place


MAKERS = [f"offpcc/envs/{name}.py" for name in ("adapter", "make_env", "native_vector_env")]


def test_nobody_else_makes_or_steps_an_environment() -> None:
    calls = {"reset", "step", "render", "close"}
    for path in ROOT.glob("offpcc/**/*.py"):
        place = path.relative_to(ROOT).as_posix()
        if place in MAKERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, name = ast.unparse(node.func.value), node.func.attr
                made = owner == "gymnasium" and name in ("make", "make_vec")
                assert not made, f"{place}: {ast.unparse(node)}"
                raw = owner.endswith((".env.env", "unwrapped")) and name in calls
                assert not raw, f"{place}: {ast.unparse(node)}"
