"""Tasks of the control suite, held against dm_control itself."""

import importlib
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env

from offpcc import domains
from offpcc.domains.extras import missing

pytest.importorskip("dm_control", reason=missing("dm_control", "dmc"))
suite = importlib.import_module("offpcc.domains.control_suite").suite

# name: the suite's own, how many positions and velocities
TASKS = {
    "cartpole-balance": ("cartpole", "balance", 3, 2),
    "cartpole-swingup": ("cartpole", "swingup", 3, 2),
    "cart2pole": ("cartpole", "two_poles", 5, 3),
    "cart3pole": ("cartpole", "three_poles", 7, 4),
    "pendulum-swingup": ("pendulum", "swingup", 2, 1),
    "acrobot": ("acrobot", "swingup", 4, 2),
}
PICTURES = {"cartpole-balance": 1, "walker-walk": 6}  # name: size of an action
VIEWS = ("", "-p", "-va", "-p-concat5", "-va-concat10")
VECTORS = [f"dmc-{name}{view}-v0" for name in TASKS for view in VIEWS]
every_task = pytest.mark.parametrize("name", TASKS)
every_id = pytest.mark.parametrize("id", VECTORS)
every_picture = pytest.mark.parametrize("name", PICTURES)


def some_actions(size, steps=20):
    return np.random.default_rng(1).uniform(-1, 1, (steps, size)).astype(np.float32)


def play(env, seed, steps=20):
    seen = [env.reset(seed=seed)[0]]
    size = env.action_space.shape[0]
    return np.array(seen + [env.step(action)[0] for action in some_actions(size, steps)])


def pictured(name):
    try:
        return gymnasium.make(f"dmc-{name}-img-concat3-v0")
    except DependencyNotInstalled as error:
        pytest.skip(str(error))


@every_task
def test_sizes_and_limits_are_as_agreed(name):
    *_, positions, velocities = TASKS[name]
    sizes = positions + velocities, positions, velocities + 1
    sizes += 5 * positions, 10 * (velocities + 1)
    for view, size in zip(VIEWS, sizes, strict=True):
        env = gymnasium.make(f"dmc-{name}{view}-v0")
        assert env.observation_space.shape == (size,)
        assert env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        assert env.spec.max_episode_steps == 200
        assert env.get_wrapper_attr("hidden") == domains.HIDDEN[f"dmc-{name}{view}-v0"]


@every_id
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_finds_no_fault(id):
    check_env(gymnasium.make(id), skip_render_check=True)


@every_id
def test_a_seed_repeats_an_episode_whatever_was_played_before(id):
    fresh, used = play(gymnasium.make(id), seed=7), gymnasium.make(id)
    other = play(used, seed=3)
    used.reset()
    assert np.array_equal(play(used, seed=7), fresh)
    assert not np.array_equal(other, fresh)


@every_task
def test_it_is_the_suites_own_task_with_each_action_held_for_five_steps(name):
    domain, task, *_ = TASKS[name]
    env = gymnasium.make(f"dmc-{name}-v0")
    seen, own = env.reset(seed=4)[0], suite.load(domain, task)
    own.reset()
    with own.physics.reset_context():
        own.physics.set_state(env.unwrapped.state)
    for action in some_actions(1, steps=200):
        result = own.task.get_observation(own.physics)
        assert np.allclose(seen, np.concatenate(list(result.values())), atol=1e-4)
        reward = sum(own.step(action).reward for _ in range(5))
        seen, ours, terminated, truncated, _ = env.step(action)
        assert ours == pytest.approx(reward, abs=1e-4)
        assert not terminated
        assert seen in env.observation_space
    assert truncated


@every_task
def test_a_view_shows_these_entries_of_the_full_observation(name):
    *_, positions, velocities = TASKS[name]
    full = play(gymnasium.make(f"dmc-{name}-v0"), seed=5)
    taken = np.concatenate([np.zeros((1, 1), np.float32), some_actions(1)])
    expected = {"-p": full[:, :positions], "-va": np.hstack([full[:, -velocities:], taken])}
    for view in VIEWS[1:]:
        frame = expected[view.split("-concat")[0]]
        seen = play(gymnasium.make(f"dmc-{name}{view}-v0"), seed=5)
        assert np.array_equal(seen[:, -frame.shape[1] :], frame)


def test_two_copies_played_in_turns_equal_each_played_alone():
    id = "dmc-acrobot-v0"
    alone = [play(gymnasium.make(id), seed) for seed in (1, 2)]
    copies = [gymnasium.make(id) for _ in range(2)]
    seen = [[copy.reset(seed=seed)[0]] for copy, seed in zip(copies, (1, 2), strict=True)]
    for action in some_actions(1):
        for copy, observations in zip(copies, seen, strict=True):
            observations.append(copy.step(action)[0])
    assert np.array_equal(alone, seen)


def test_a_state_that_was_read_can_be_set_again():
    env = gymnasium.make("dmc-cart2pole-v0")
    env.reset(seed=0)
    env.step(np.ones(1))
    state = env.unwrapped.state
    assert state.dtype == np.float64 and state.shape == (6,)
    after = env.step(np.ones(1))[:2]
    env.unwrapped.state = state
    assert env.unwrapped.state.tolist() == state.tolist()
    again = env.step(np.ones(1))[:2]
    assert np.allclose(after[0], again[0], atol=1e-5) and after[1] == pytest.approx(again[1])


def test_an_action_beyond_its_bounds_is_clipped():
    one, two = (gymnasium.make("dmc-cartpole-balance-v0").unwrapped for _ in range(2))
    one.reset(seed=0), two.reset(seed=0)
    assert one.step(np.full(1, 7.0))[0].tolist() == two.step(np.ones(1))[0].tolist()


@every_picture
def test_pixels_are_the_last_three_grey_pictures(name):
    env = pictured(name)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (3, 84, 84), np.uint8)
    assert env.action_space.shape == (PICTURES[name],)
    assert env.spec.max_episode_steps == 500
    seen = play(env, seed=3, steps=4)
    assert seen.dtype == np.uint8
    assert np.array_equal(seen[0][[0, 0]], seen[0][1:])  # the first one fills the window
    assert np.array_equal(seen[1:, :2], seen[:-1, 1:])
    assert (seen[1:, 2] != seen[:-1, 2]).any(axis=(1, 2)).all()
    photo = env.unwrapped.photo(84, 84)
    assert np.abs(photo @ [0.299, 0.587, 0.114] - seen[-1, 2]).max() <= 0.5
    assert np.array_equal(play(pictured(name), seed=3, steps=4), seen)
    env.close()


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_pixels_pass_gymnasiums_checker():
    env = pictured("cartpole-balance")
    check_env(env, skip_render_check=True)


def test_a_rendering_is_a_picture_of_the_task():
    pictured("cartpole-balance").close()
    env = gymnasium.make("dmc-cartpole-balance-p-v0", render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8 and picture.std() > 10
    env.close(), env.close()


def test_without_dm_control_there_is_one_line_that_says_what_to_install():
    code = "import sys; sys.modules['dm_control'] = None; import launch; sys.exit(launch.main())"
    command = [sys.executable, "-c", code, "--env", "dmc-acrobot-v0", "--algo", "sac"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith(
        "launch.py: dmc-acrobot-v0: it needs dm_control; pip install 'offpcc[dmc]'"
    )
