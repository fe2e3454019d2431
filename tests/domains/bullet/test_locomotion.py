"""The four robots, held against the package that they come from."""

import gc
import importlib
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from offpcc import domains
from offpcc.domains.extras import missing

pytest.importorskip("pybullet_envs_gymnasium", reason=missing("pybullet_envs_gymnasium", "bullet"))
locomotion = importlib.import_module("offpcc.domains.bullet.locomotion")
scene = importlib.import_module("offpcc.domains.bullet.scene")

# robot: the package's id, entries in all, size of an action, entries that -p and -v keep
ROBOTS = {
    "hopper": (
        "HopperBulletEnv-v0",
        15,
        3,
        [0, 1, 2, 6, 7, 8, 10, 12, 14],
        [3, 4, 5, 9, 11, 13],
    ),
    "walker": (
        "Walker2DBulletEnv-v0",
        22,
        6,
        [0, 1, 2, 6, 7, 8, 10, 12, 14, 16, 18, 20, 21],
        [3, 4, 5, 9, 11, 13, 15, 17, 19],
    ),
    "halfcheetah": (
        "HalfCheetahBulletEnv-v0",
        26,
        6,
        [0, 1, 2, 6, 7, 8, 10, 12, 14, 16, 18, 20, 21, 22, 23, 24, 25],
        [3, 4, 5, 9, 11, 13, 15, 17, 19],
    ),
    "ant": (
        "AntBulletEnv-v0",
        28,
        8,
        [0, 1, 2, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 25, 26, 27],
        [3, 4, 5, 9, 11, 13, 15, 17, 19, 21, 23],
    ),
}
IDS = [f"{robot}{view}-v0" for robot in ROBOTS for view in ("", "-p", "-v")]
every_robot = pytest.mark.parametrize("robot", ROBOTS)
every_id = pytest.mark.parametrize("id", IDS)


def some_actions(env, steps, seed=1):
    draw = np.random.default_rng(seed)
    return draw.uniform(-1, 1, (steps, *env.action_space.shape)).astype(np.float32)


def play(env, seed, steps=60):
    """Observations and rewards of an episode under one fixed sequence of actions."""
    seen, rewards = [env.reset(seed=seed)[0]], []
    for action in some_actions(env, steps):
        observation, reward, terminated, truncated, _ = env.step(action)
        seen.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            break
    return np.array(seen), np.array(rewards)


@every_robot
def test_sizes_and_limits_are_as_agreed(robot):
    _, entries, size, positions, velocities = ROBOTS[robot]
    for view, shown in (("", entries), ("-p", len(positions)), ("-v", len(velocities))):
        env = gymnasium.make(f"{robot}{view}-v0")
        assert env.observation_space.shape == (shown,)
        assert env.observation_space.dtype == np.float32
        assert env.action_space == Box(-1, 1, (size,), np.float32)
        assert env.spec.max_episode_steps == 1000
        assert str(env).count("TimeLimit") == 1
        assert env.get_wrapper_attr("hidden") == domains.HIDDEN[f"{robot}{view}-v0"]
        assert env.unwrapped.hidden == domains.HIDDEN[f"{robot}{view}-v0"]


@every_robot
def test_views_are_the_published_entries_of_what_the_package_shows(robot):
    theirs, _, _, positions, velocities = ROBOTS[robot]
    base = gymnasium.make(theirs, disable_env_checker=True)
    base.reset()  # its first episode is like no other
    for seed in (0, 5):
        full, rewards = play(base, seed)
        for view, kept in (("", slice(None)), ("-p", positions), ("-v", velocities)):
            seen, same = play(gymnasium.make(f"{robot}{view}-v0"), seed)
            assert np.array_equal(seen, full[:, kept])
            assert np.array_equal(same, rewards)
    base.close()


@every_id
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_gymnasiums_checker_finds_no_fault(id):
    check_env(gymnasium.make(id), skip_render_check=True)
    check_env(gymnasium.make(id).unwrapped, skip_render_check=True)


@every_robot
def test_a_seed_repeats_an_episode_whatever_was_played_before(robot):
    id = f"{robot}-v0"
    fresh = play(gymnasium.make(id), seed=7)
    used = gymnasium.make(id)
    others = [play(used, seed, steps=200) for seed in (3, 4)]
    used.reset()
    used.step(some_actions(used, 1)[0])
    for _ in range(2):
        again = play(used, seed=7)
        assert np.array_equal(again[0], fresh[0]) and np.array_equal(again[1], fresh[1])
    assert not np.array_equal(others[0][0][0], fresh[0][0])


def test_unseeded_episodes_differ_from_copy_to_copy():
    first, second = (gymnasium.make("hopper-v0").reset()[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_copies_played_in_turns_equal_each_played_alone():
    ids = ["hopper-v0", "ant-v0", "hopper-v0"]
    alone = [play(gymnasium.make(id), seed, 20)[0] for seed, id in enumerate(ids)]
    copies = [gymnasium.make(id) for id in ids]
    seen = [[copy.reset(seed=seed)[0]] for seed, copy in enumerate(copies)]
    for step in range(20):
        for copy, observations, expected in zip(copies, seen, alone, strict=True):
            if step + 1 < len(expected):
                observations.append(copy.step(some_actions(copy, 20)[step])[0])
    assert all(np.array_equal(one, two) for one, two in zip(alone, seen, strict=True))


@every_robot
def test_observations_stay_inside_their_box_in_hard_play(robot):
    env = gymnasium.make(f"{robot}-v0").unwrapped
    box = env.observation_space
    assert np.isfinite(box.low).all() and np.isfinite(box.high).all()
    # sine, cosine, roll, pitch and the feet's contacts have bounds of their own
    feet = ROBOTS[robot][1] - 8 - 2 * ROBOTS[robot][2]
    assert box.high[1:3].tolist() == [1, 1] and box.high[6:8] == pytest.approx([np.pi, np.pi / 2])
    assert box.low[-feet:].tolist() == [0] * feet and box.high[-feet:].tolist() == [1] * feet
    assert (box.high[[0, *range(3, 6), *range(8, len(box.high) - feet)]] == 5).all()
    assert env.reset(seed=0)[0] in box
    touched = np.zeros(feet, bool)
    for action in np.repeat(np.sign(some_actions(env, 60)), 5, axis=0):
        seen = env.step(action)[0]  # goes on where it has fallen
        assert seen in box
        touched |= seen[-feet:] == 1
    assert touched.any()


def test_a_thousand_steps_truncate_and_do_not_terminate():
    env = gymnasium.make("halfcheetah-v-v0")
    env.reset(seed=0)
    ends = [env.step(action)[2:4] for action in some_actions(env, 1000)]
    assert ends[-1] == (False, True)
    assert set(ends[:-1]) == {(False, False)}


def test_a_hopper_that_falls_terminates():
    env = gymnasium.make("hopper-p-v0")
    env.reset(seed=0)
    ends = []
    while not any(ends) and len(ends) < 200:
        ends.append(env.step(np.zeros(3, np.float32))[2])
    assert 5 < len(ends) < 200
    assert not env.step(np.zeros(3, np.float32))[3]  # and this is no time limit


def test_actions_beyond_their_bounds_are_clipped_and_nonsense_is_refused():
    one, two = (gymnasium.make("hopper-v0").unwrapped for _ in range(2))
    one.reset(seed=0), two.reset(seed=0)
    ours, theirs = one.step(np.full(3, 7.0)), two.step(np.ones(3))
    assert ours[0].tolist() == theirs[0].tolist() and ours[1] == theirs[1]
    for action in ([0.0, 0.0], [0.0, np.nan, 0.0], 0.0):
        with pytest.raises(ValueError, match="an action is 3 numbers"):
            one.step(action)
    with pytest.raises(ValueError, match="render_mode is one of"):
        locomotion.Locomotion("HopperBulletEnv", render_mode="ansi")


def test_the_camera_walks_along():
    env = gymnasium.make("ant-p-v0", render_mode="rgb_array")
    env.reset(seed=0)
    for place in ([0.0, 0.0, 0.75], [30.3, -7.0, 0.75]):
        env.unwrapped._base.robot.robot_body.reset_position(place)
        env.step(np.zeros(8))
        picture = env.render()
        assert picture.shape == (320, 480, 3) and picture.dtype == np.uint8
        robot = np.ptp(picture.astype(int), axis=2) > 80  # the floor and the sky are pale
        rows, columns = np.nonzero(robot[40:280])  # between the lines of text
        assert len(rows) > 1000
        assert abs(columns.mean() - 240) < 25
    env.close()


def test_the_picture_says_what_is_hidden():
    env = gymnasium.make("hopper-p-v0", render_mode="rgb_array")
    env.reset(seed=0)
    plain = env.render()
    env.unwrapped.hidden = "nothing"
    changed = np.argwhere((env.render() != plain).any(axis=2))
    assert changed.size and changed[:, 0].min() > 280  # the last line
    env.close()
    with pytest.raises(ValueError, match="render_mode"):
        gymnasium.make("hopper-p-v0").unwrapped.render()


def test_a_window_without_a_display_is_refused(monkeypatch):
    monkeypatch.setattr(scene, "has_display", lambda: False)
    with pytest.raises(ValueError, match="there is no display"):
        gymnasium.make("hopper-v0", render_mode="human")


def test_a_window_is_opened_where_there_is_a_display_and_follows(monkeypatch):
    opened, followed = [], []

    def connect(mode):
        opened.append(mode)
        return start(scene.pybullet.DIRECT)

    start = scene.pybullet.connect
    monkeypatch.setattr(scene.pybullet, "connect", connect)
    monkeypatch.setattr(scene, "has_display", lambda: True)
    monkeypatch.setattr(scene.Scene, "look", lambda self, camera: followed.append(camera.target))
    env = gymnasium.make("hopper-v0", render_mode="human")
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(3, np.float32))
    assert opened == [scene.pybullet.GUI] and env.render() is None
    assert len(followed) == 5
    assert followed[-1][0] == env.unwrapped._base.robot.body_real_xyz[0]
    env.close()


def test_environments_that_are_closed_leave_nothing_behind():
    def cycle(times):
        for _ in range(times):
            env = gymnasium.make("hopper-p-v0")
            env.reset(seed=0)
            env.close(), env.close()
        gc.collect()
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    before = cycle(3)
    assert cycle(40) == before
    env = gymnasium.make("hopper-p-v0")
    env.close()
    with pytest.raises(ClosedEnvironmentError, match="was closed"):
        env.reset()


def test_making_a_environment_prints_nothing():
    code = "import gymnasium, offpcc; gymnasium.make('ant-p-v0').reset()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""


@pytest.mark.parametrize("package", ["pybullet", "pybullet_envs_gymnasium"])
def test_without_the_package_there_is_one_line_that_says_what_to_install(package):
    code = f"import sys; sys.modules[{package!r}] = None; import launch; sys.exit(launch.main())"
    command = [sys.executable, "-c", code, "--env", "ant-p-v0", "--algo", "sac"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    line = run.stderr.strip().splitlines()[-1]
    assert line.startswith("launch.py: ant-p-v0: it needs pybullet")
    assert "pip install 'offpcc[bullet]'" in line
