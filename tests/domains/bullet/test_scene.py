"""What holds of every environment in a scene."""

import subprocess
import sys
from unittest.mock import Mock

import gymnasium
import numpy as np
import psutil
import pytest
from gymnasium.utils.env_checker import check_env

from offpcc import domains
from offpcc.domains.extras import missing

pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))

from offpcc.domains.bullet.scene import Camera, Scene

AGREED = {  # id: size of an observation
    "pbc-bumps-normal-pomdp-v0": 2,
    "pbc-bumps-normal-pomdp-punish-v0": 2,
    "pbc-bumps-normal-pomdp-real-v0": 2,
    "pbc-bumps-normal-test-v0": 2,
    "pbc-bumps-minmax-pomdp-v0": 2,
    "pbc-bump-target-pomdp-v0": 3,
    "pbc-bumps-diff-v0": 4,
    "top-plate-v0": 3,
    "top-plate-pomdp-v0": 2,
}
every_id = pytest.mark.parametrize("id", AGREED)
ORANGE = (0.835, 0.369, 0.0)  # of the finger


def some_actions(env, steps):
    """Most to the right and hard, so that bumps are moved; up along plates, without a grasp."""
    actions = np.random.default_rng(1).uniform((-0.5, -0.5), 1.0, size=(steps, 2))
    return np.abs(actions) * (1, -1) if "plate" in env.spec.id else actions


def within(env):
    """Where everything is: the finger's tip and angle, and each body's base."""
    base = env.unwrapped
    bodies = range(base.scene.call.getNumBodies())
    return (*base.arm.tip, base.arm.angle, *(x for n in bodies for x in base.scene.place(n)))


def play(env, seed, steps=15):
    """Observations, rewards and where everything was in an episode."""
    seen = [(*env.reset(seed=seed)[0], 0.0, *within(env))]
    for action in some_actions(env, steps):
        observation, reward, terminated, _, _ = env.step(action)
        seen.append((*observation, reward, *within(env)))
        if terminated:
            break
    return np.array(seen)


@pytest.fixture
def made():
    """Makes environments that are closed in the end."""
    envs = []

    def make(id, **settings):
        envs.append(gymnasium.make(id, **settings))
        return envs[-1]

    yield make
    for env in envs:
        env.close()


@every_id
def test_sizes_and_limits_are_as_agreed(made, id):
    env = made(id)
    assert env.observation_space.shape == (AGREED[id],)
    assert env.observation_space.dtype == np.float32
    assert env.action_space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    assert env.spec.max_episode_steps == 50 and str(env).count("TimeLimit") == 1
    assert env.get_wrapper_attr("hidden") == domains.HIDDEN[id] == env.unwrapped.hidden


@every_id
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_finds_no_fault(made, id):
    env = made(id, render_mode="rgb_array")
    check_env(env, skip_render_check=True)
    check_env(env.unwrapped, skip_render_check=True)


@every_id
def test_observations_stay_inside_their_box(made, id):
    env = made(id)
    limit = env.unwrapped.observation_space.high
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(60):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert (np.abs(env.unwrapped.observe()) < limit).all()  # it is not clipped
        assert "success" in info
        if terminated or truncated:
            assert env.reset()[0] in env.observation_space


@every_id
def test_a_seed_repeats_an_episode_bit_for_bit_whatever_was_played_before(made, id):
    fresh, used = play(made(id), seed=7), made(id)
    other = play(used, seed=3)
    used.reset()
    used.step(np.ones(2))
    assert np.array_equal(play(used, seed=7), fresh)
    assert not np.array_equal(other[:1], fresh[:1])


@pytest.mark.parametrize("id", ["pbc-bumps-normal-test-v0", "pbc-bumps-diff-v0", "top-plate-v0"])
def test_two_environments_played_in_turns_equal_each_played_alone_bit_for_bit(made, id):
    alone = [play(made(id), seed) for seed in (1, 2)]
    copies = [made(id) for _ in range(2)]
    seen = [
        [(*copy.reset(seed=seed)[0], 0.0, *within(copy))]
        for copy, seed in zip(copies, (1, 2), strict=True)
    ]
    over = [False, False]
    for action in some_actions(copies[0], 15):
        for number, copy in enumerate(copies):
            if not over[number]:
                observation, reward, over[number], _, _ = copy.step(action)
                seen[number].append((*observation, reward, *within(copy)))
    assert all(np.array_equal(np.array(one), two) for one, two in zip(seen, alone, strict=True))
    assert min(map(len, alone)) > 3


def test_drawing_a_environment_changes_nothing_in_it(made):
    id = "pbc-bump-target-pomdp-v0"
    drawn = made(id, render_mode="rgb_array")
    plain = play(made(id), seed=5)[:, :4]  # what is seen, and the reward
    assert np.array_equal(play(drawn, seed=5)[:, :4], plain)
    drawn.reset(seed=5)
    for action, expected in zip(some_actions(drawn, 4), plain[1:], strict=False):
        drawn.render()
        assert np.array_equal(drawn.step(action)[0], expected[:3].astype(np.float32))


def test_the_picture_shows_bumps_and_how_the_finger_is_bent(made):
    env = made("pbc-bumps-normal-pomdp-v0", render_mode="rgb_array")
    env.reset(seed=0)
    base = env.unwrapped

    def drawn(finger, *bumps):
        base.furnish(type(base).place(base, env.np_random)._replace(finger=finger, bumps=bumps))
        return env.render()

    def columns(picture, colour):
        hue = np.array(colour) * 255
        share = picture @ hue / (np.linalg.norm(picture, axis=-1) * np.linalg.norm(hue) + 1e-9)
        found = (share > 0.985) & (picture.max(-1) > 60)
        return np.flatnonzero(found[150:330].any(0))  # below the text, above the hidden things

    straight = drawn(0.0, -0.2, 0.04)
    assert straight.shape == (400, 640, 3) and straight.dtype == np.uint8
    assert np.ptp(columns(straight, ORANGE)) < 16
    for _ in range(2):
        env.step((1.0, -1.0))
    bent = env.render()
    # The tip lags by 0.15 sin 0.53 = 0.076 m, and 1 m is 200 / (0.95 tan 20°) = 578 pixels
    assert base.angle == pytest.approx(-0.53, abs=0.02)
    assert 40 < np.ptp(columns(bent, ORANGE)) < 60
    purple = (0.667, 0.2, 0.467)
    seen = columns(bent, purple)
    apart = columns(drawn(0.3, -0.2, 0.1), purple)
    assert len(seen) > 20 and not np.array_equal(seen, apart)


def test_a_window_without_a_display_is_refused(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="no display to open a window on"):
            gymnasium.make("pbc-bumps-normal-pomdp-v0", render_mode="human")
    monkeypatch.setenv("DISPLAY", ":987")  # there is no such display
    with pytest.raises(ValueError, match="no display to open a window on"):
        Scene(window=True)


@pytest.mark.parametrize("angle", [30.0, 90.0])
def test_the_window_looks_from_where_it_shows_as_much_as_the_picture(monkeypatch, angle):
    """What is seen is 2 d tan(angle / 2) high at distance d; the window's angle is 90°."""
    scene, result = Scene(window=False), []
    monkeypatch.setattr(scene, "call", Mock())
    scene.call.resetDebugVisualizerCamera = lambda distance, *_: result.append(distance)
    scene.look(Camera((0, 0, 0), 2.0, 0.0, 0.0, angle))
    assert result == [pytest.approx(2.0 * np.tan(np.radians(angle / 2)))]


def test_what_cannot_be_rendered_is_refused(made):
    with pytest.raises(ValueError, match="render_mode is one of"):
        made("pbc-bumps-normal-pomdp-v0", render_mode="ansi").reset()
    env = made("pbc-bumps-normal-pomdp-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="to render, make it with render_mode"):
        env.unwrapped.render()


def test_environments_that_were_made_and_closed_leave_nothing_behind():
    process = psutil.Process()

    def cycle(times):
        for _ in range(times):
            env = gymnasium.make("pbc-bumps-normal-test-v0")
            env.reset(seed=0)
            env.close()
            env.close()

    cycle(10)
    memory, files = process.memory_info().rss, process.num_fds()
    cycle(60)
    assert process.num_fds() == files
    assert process.memory_info().rss - memory < 2 * 2**20  # one environment is 6 MiB


def test_a_environment_that_was_forgotten_is_given_back_too():
    numbers = {Scene().call.client for _ in range(3)}
    assert len(numbers) == 1


def test_making_a_environment_writes_nothing_to_stdout():
    code = "import gymnasium, offpcc; gymnasium.make('pbc-bumps-diff-v0').reset()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""


def test_without_pybullet_there_is_one_line_that_says_what_to_install():
    code = "import sys; sys.modules['pybullet'] = None; import gymnasium, offpcc; "
    code += "gymnasium.make('pbc-bumps-diff-v0')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    line = run.stderr.strip().splitlines()[-1]
    assert "DependencyNotInstalled: it needs pybullet; pip install 'offpcc[bullet]'" in line
