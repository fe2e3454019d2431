"""Playing what was trained: scores, videos and windows."""

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from children import pictures, tiny
from gymnasium import spaces

import offpcc
from offpcc.deploy import play
from offpcc.domains.canvas import Canvas
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env
from offpcc.errors import RunMissingError
from offpcc.storage.run_folder import RunFolder


class Growing(gymnasium.Env[Any, Any]):
    """Episodes of 5 steps, each rewarded by 1; drawn in pictures of odd sizes, or not at all."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, drawn: bool = True) -> None:
        self.render_mode, self.drawn = render_mode, drawn

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.zeros(1, np.float32), 1.0, False, self.steps == 5, {"success": self.steps > 3}

    def render(self) -> Any:
        return np.full((33, 65, 3), 50 * self.steps, np.uint8) if self.drawn else None


@pytest.fixture(scope="module", autouse=True)
def registered() -> Any:
    gymnasium.register("growing-v0", entry_point=Growing)
    gymnasium.register("hidden-v0", entry_point=Growing, kwargs={"drawn": False})
    yield
    for name in ("growing-v0", "hidden-v0"):
        del gymnasium.registry[name]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trains shortly; gives the run's path."""

    def of(env: str) -> Any:
        folder = tmp_path_factory.mktemp("run")
        config = tiny(folder, "steps = 60\neval_interval = 60\nlearning_starts = 20")
        return offpcc.run(env, "sac", config=config, seed=1, results=folder).path

    return of


@pytest.fixture(scope="module")
def growing(train) -> Any:
    return train("growing-v0")


@pytest.fixture(scope="module")
def cartpole(train) -> Any:
    return train("cartpole-continuous-v0")


def test_a_score_is_the_mean_of_greedy_episodes_and_its_error(growing, cartpole):
    assert play.score(growing, 3) == (5.0, 0.0)
    mean, error = play.score(cartpole, 30)
    assert 1 < mean < 200 and 0 < error < mean
    assert play.score(cartpole, 30) == (mean, error), "the same starts each time"


def test_an_evaluation_is_told_and_kept(growing, capsys):
    result = play.evaluate(growing, 3)
    assert capsys.readouterr().out == (
        f"{growing}: 3 episodes, return 5.0, standard error 0.0, "
        "95 % interval 5.0 to 5.0, length 5, success 1.00\n"
    )
    assert result == json.loads((growing / "evaluation.json").read_text())
    assert (result["episodes"], result["test_return_low"], result["test_success"]) == (3, 5.0, 1.0)


def test_an_evaluation_that_cannot_be_written_has_been_told(growing, monkeypatch, capsys):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        play.evaluate(growing, 3)
    assert "3 episodes, return 5.0" in capsys.readouterr().out


def test_an_interval_is_two_standard_errors_to_either_side(cartpole):
    play.evaluate(cartpole, 10)
    result = json.loads((cartpole / "evaluation.json").read_text())
    middle, error = result["test_return"], result["test_return_se"]
    assert result["test_return_low"] == pytest.approx(middle - 1.96 * error)
    assert result["test_return_high"] == pytest.approx(middle + 1.96 * error)


def test_what_memory_is_worth_is_told_against_an_emptied_one(remembering, capsys):
    play.evaluate(remembering, 6, ablated=True)
    said = capsys.readouterr().out.splitlines()
    play.evaluate(remembering, 6)
    assert said[0] == capsys.readouterr().out.strip()
    result = json.loads((remembering / "evaluation.json").read_text())
    assert "memory_worth" not in result, "the later evaluation replaces the earlier one"
    play.evaluate(remembering, 6, ablated=True)
    result = json.loads((remembering / "evaluation.json").read_text())
    assert result["memory_worth"] == pytest.approx(result["test_return"] - result["ablated_return"])
    assert f"; memory is worth {result['memory_worth']:.1f}, 95 % interval " in said[1]
    assert result["memory_worth"] != 0 < result["memory_worth_se"]


def test_without_a_memory_there_is_none_to_empty(growing):
    with pytest.raises(ValueError, match="there is no memory to ablate"):
        play.evaluate(growing, 3, ablated=True)


def test_a_forgetful_policy_acts_at_every_step_as_at_the_first(remembering):
    policy = offpcc.load(remembering)
    observation = {key: torch.tensor([value]) for key, value in OBSERVATION.items()}
    first, state = policy.act(observation, policy.initial_state())
    later, _ = policy.act(observation, state)
    forgetful, _ = play.MemorylessPolicy(policy).act(observation, state)
    assert torch.equal(forgetful, first) and not torch.equal(forgetful, later)


def test_chance_is_what_random_actions_come_to():
    assert play.chance(make_env("growing-v0"), 4) == (5.0, 0.0)
    mean, error = play.chance(make_env("pendulum-v0"), 30)
    assert -1600 < mean < -900 and 20 < error < 120
    assert play.chance(make_env("pendulum-v0"), 30) == (mean, error)


def test_a_video_has_a_picture_of_every_step_cut_to_even_sizes(growing, capsys):
    files = play.record(growing, 2)
    assert files == [growing / "videos" / f"episode-{i}.mp4" for i in range(2)]
    for file in files:
        shown = pictures(file, height=32, width=64).mean((1, 2, 3))
        assert shown == pytest.approx([0, 50, 100, 150, 200, 250], abs=4)
    assert capsys.readouterr().out == "".join(
        f"episode {i}: return 5.0, 5 steps, success: {file}\n" for i, file in enumerate(files)
    )


def test_a_environment_without_pictures_is_refused(train):
    path = train("hidden-v0")
    with pytest.raises(ValueError, match="draws no pictures"):
        play.record(path, 1)
    assert not (path / "videos").exists()


@pytest.fixture
def shown(monkeypatch) -> list[int]:
    """Windows that open nowhere; a picture of each."""
    pictures: list[int] = []
    monkeypatch.setattr(Canvas, "show", lambda canvas, fps, title: pictures.append(fps))
    return pictures


def test_a_window_shows_every_step(cartpole, shown, capsys):
    play.watch(cartpole, 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["episode 0", "episode 1"]
    steps = [int(line.split()[-2]) for line in lines]
    assert len(shown) == sum(steps) + 2


def test_closing_the_window_ends_the_show_quietly(cartpole, monkeypatch, capsys):
    def closed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt("the window was closed")

    monkeypatch.setattr(Canvas, "show", closed)
    play.watch(cartpole, 5)
    assert capsys.readouterr().out == "the window was closed\n"


def test_an_interrupt_from_the_keyboard_is_not_swallowed(cartpole, monkeypatch):
    def pressed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Canvas, "show", pressed)
    with pytest.raises(KeyboardInterrupt):
        play.watch(cartpole, 5)


def test_what_is_not_there_cannot_be_played(tmp_path):
    for action in (play.watch, play.record, play.score, play.evaluate):
        with pytest.raises(RunMissingError, match="there is no run"):
            action(tmp_path / "1", 1)


@pytest.mark.parametrize(
    ("display", "wayland", "there"), [("", "", False), (":0", "", True), ("", "wayland-0", True)]
)
def test_a_display_is_one_of_two_kinds(monkeypatch, display, wayland, there):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("WAYLAND_DISPLAY", wayland)
    assert play.has_display() == there


# The policy itself


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of an agent with a memory that sees its previous action."""
    folder = tmp_path_factory.mktemp("run")
    more = "steps = 70\neval_interval = 30\nlearning_starts = 20\nprevious_action = True"
    more += "\nnormalize_observations = True"
    more += "\nmax_episode_steps = 20"
    config = tiny(folder, more)
    return offpcc.run("pendulum-p-v0", "rsac", config=config, seed=1, results=folder).path


OBSERVATION = {"observation": [0.6, 0.8], "previous_action": [-0.5]}


def test_a_policy_takes_arrays_of_one_environment_and_gives_an_action_of_one(remembering):
    policy = offpcc.load(remembering)
    arrays = {key: np.array(value) for key, value in OBSERVATION.items()}
    action, state = policy.act(arrays, policy.initial_state())
    assert isinstance(action, np.ndarray) and action.shape == (1,) and -1 <= action[0] <= 1
    assert state.shape == (1, 16) and state.any()


def test_one_environment_many_environments_arrays_and_tensors_are_acted_in_alike(remembering):
    policy = offpcc.load(remembering)
    one, _ = policy.act(OBSERVATION, policy.initial_state())
    many = {key: torch.tensor([value] * 3) for key, value in OBSERVATION.items()}
    tensor, state = policy.act(many, policy.initial_state(3))
    array, _ = policy.act({k: v.numpy() for k, v in many.items()}, policy.initial_state(3))
    assert torch.equal(tensor, torch.from_numpy(array))
    np.testing.assert_allclose(array, np.stack([one] * 3), atol=1e-6)
    assert state.shape == (3, 16)


def test_the_memory_stays_with_the_caller(remembering):
    policy = offpcc.load(remembering)
    first, state = policy.act(OBSERVATION, policy.initial_state())
    second, _ = policy.act(OBSERVATION, state)
    again, _ = policy.act(OBSERVATION, policy.initial_state())
    assert first == again and first != second


def test_a_policy_acts_in_the_environment_that_it_was_trained_in(remembering):
    policy, env = offpcc.load(remembering), offpcc.env_of(remembering)
    assert isinstance(env, EnvAdapter)
    observation, _ = env.reset(seed=1)
    state, total = policy.initial_state(), 0.0
    for _ in range(200):
        action, state = policy.act(observation, state, greedy=True)
        observation, reward, *_ = env.step(action)
        total += reward
    assert observation["previous_action"] == action
    assert total < 0


def test_a_environment_with_one_observation_needs_no_name(growing):
    policy = offpcc.load(growing)
    action, _ = policy.act(np.zeros(1), policy.initial_state())
    batch, _ = policy.act(np.zeros((4, 1)), policy.initial_state(4))
    assert action.shape == (1,) and batch.shape == (4, 1)


@pytest.mark.parametrize(
    ("observation", "complaint"),
    [
        (np.zeros(2), r"\['previous_action'\] is not there; offpcc.env_of"),
        ({"observation": np.zeros(2)}, r"\['previous_action'\] is not there"),
        (OBSERVATION | {"observation": np.zeros(3)}, r"observation has shape \(1, 3\)"),
        ({k: np.zeros((2, len(v))) for k, v in OBSERVATION.items()}, "a state of 1 wants"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused(remembering, observation, complaint):
    policy = offpcc.load(remembering)
    with pytest.raises(ValueError, match=complaint):
        policy.act(observation, policy.initial_state())


def test_the_best_policy_can_be_had_in_place_of_the_newest(remembering):
    newest, best = offpcc.load(remembering), offpcc.load(remembering, best=True)
    weights = torch.load(remembering / "checkpoints/best/policy.pt")
    assert all(torch.equal(best.state_dict()[name], weights[name]) for name in weights)
    assert newest.state_dict().keys() == best.state_dict().keys()


def test_a_loaded_policy_does_not_learn(remembering):
    policy = offpcc.load(remembering)
    assert not policy.training
    assert not any(parameter.requires_grad for parameter in policy.parameters())


def test_a_policy_acts_in_the_environments_units_if_asked(remembering):
    env = offpcc.env_of(remembering)
    plain, robots = (offpcc.load(remembering, units=units) for units in ("agent", "environment"))
    (seen, _), state = env.reset(seed=0), plain.initial_state()
    action, after = plain.act(seen, state)
    raw, same = robots.act(seen, state)
    assert np.array_equal(raw, env.space_adapter.raw(action)) and raw.dtype == np.float32
    assert torch.equal(after, same)
    both = {key: torch.from_numpy(np.stack([value, value])) for key, value in seen.items()}
    found = robots.act(both, robots.initial_state(2))[0]
    assert isinstance(found, torch.Tensor) and np.allclose(found[1], raw, atol=1e-6)
    with pytest.raises(ValueError, match="units is 'si'"):
        offpcc.load(remembering, units="si")
