import math

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from offpcc.domains.vector_env import BatchedEnv
from offpcc.domains.water_maze import DenseWaterMaze, Maze, SimpleWaterMaze, WaterMaze

MAZES = ["water-maze-mdp-v0", "water-maze-dense-mdp-v0", "water-maze-simple-mdp-v0"]
every_maze = pytest.mark.parametrize("id", MAZES)


def maze(kind: type[Maze], platform: tuple[float, float], state: list[float]) -> Maze:
    """A maze with its platform where a test wants it."""
    env = kind()
    env.reset(seed=0)
    env.state = state
    env.values[-4:-2, 0] = platform
    return env


def together(id: str, copies: int = 256) -> BatchedEnv:
    envs = gymnasium.make_vec(id, copies)
    assert isinstance(envs, BatchedEnv)
    return envs


def returns(envs, policy, seed=0):
    """The return of each copy's episode (n,); the policy takes observations (n, X)."""
    seen, _ = envs.reset(seed=seed)
    total = np.zeros(envs.num_envs)
    for _ in range(envs.limit):
        seen, reward, *_ = envs.step(policy(seen))
        total += reward
    return total


def towards_the_platform(seen):
    away = seen[:, 3:5] - seen[:, :2]
    # in full along the longer axis until 0.2 m from the centre, then less
    return away / np.maximum(np.abs(away).max(1, keepdims=True), 0.2)


@pytest.mark.parametrize("kind", [WaterMaze, DenseWaterMaze])
def test_a_stroke_is_a_twenty_fifth_of_the_action(kind):
    env = maze(kind, (0.5, 0.5), [-0.2, 0.1])
    observation = env.step([0.5, -1.0])[0]
    # x' = -0.2 + 0.04 · 0.5 = -0.18, y' = 0.1 - 0.04 = 0.06
    np.testing.assert_allclose(env.state, [-0.18, 0.06], rtol=1e-12)
    np.testing.assert_allclose(observation, [-0.18, 0.06, 0, 0.5, 0.5], rtol=1e-6)


def test_in_the_simple_maze_actions_accelerate_and_the_position_moves_at_the_new_speed():
    env = maze(SimpleWaterMaze, (0.7, 0.0), [0.1, -0.2, 0.09, -0.02])
    observation = env.step([1.0, -0.5])[0]
    # vx' = 0.09 + 0.03 = 0.12 -> 0.1, vy' = -0.02 - 0.015 = -0.035; x' = 0.2, y' = -0.235
    np.testing.assert_allclose(env.state, [0.2, -0.235, 0.1, -0.035], rtol=1e-12)
    np.testing.assert_allclose(observation, [0.2, -0.235, 0, 0.7, 0], rtol=1e-6)  # no speed


def test_a_stroke_out_of_the_water_is_undone_on_both_axes():
    env = maze(WaterMaze, (0.0, 0.0), [0.6, 0.78])
    env.step([0.1, 1.0])  # 0.604² + 0.82² = 1.037
    assert env.state.tolist() == [0.6, 0.78]
    env.step([-1.0, 1.0])  # 0.56² + 0.82² = 0.986
    np.testing.assert_allclose(env.state, [0.56, 0.82], rtol=1e-12)


def test_at_the_edge_the_simple_maze_takes_all_speed():
    env = maze(SimpleWaterMaze, (0.7, 0.0), [-0.95, 0.0, -0.04, 0.05])
    env.step([0.0, 0.0])  # 0.99² + 0.05² = 0.9826: still in the water
    np.testing.assert_allclose(env.state, [-0.99, 0.05, -0.04, 0.05], rtol=1e-12)
    env.step([0.0, 0.0])  # 1.03² > 1
    np.testing.assert_allclose(env.state, [-0.99, 0.05, 0.0, 0.0], rtol=1e-12)


@pytest.mark.parametrize(("kind", "radius"), [(WaterMaze, 0.3), (SimpleWaterMaze, 0.3)])
def test_the_reward_is_1_on_the_platform_and_0_off_it(kind, radius):
    rest = [0.0] * (len(kind.state_limit) - 2)
    for distance, on in [(radius - 0.01, 1.0), (radius + 0.01, 0.0)]:
        env = maze(kind, (0.5, -0.3), [0.5 - distance, -0.3, *rest])
        observation, reward, terminated, _, info = env.step([0.0, 0.0])
        assert (observation[2], reward, terminated, info) == (on, on, False, {})


def test_the_dense_reward_is_minus_the_distance_and_its_platform_is_smaller():
    for distance, on in [(0.19, 1.0), (0.21, 0.0)]:
        env = maze(DenseWaterMaze, (0.5, -0.3), [0.5 - 0.6 * distance, -0.3 + 0.8 * distance])
        observation, reward, *_ = env.step([0.0, 0.0])
        assert (observation[2], reward) == (on, pytest.approx(-distance, abs=1e-12))


def test_the_dense_reward_is_that_of_the_place_reached():
    env = maze(DenseWaterMaze, (0.5, 0.0), [-0.24, 0.0])
    # x' = -0.24 + 0.04 = -0.2, 0.7 from the centre
    assert env.step([1.0, 0.0])[1] == pytest.approx(-0.7, abs=1e-12)


def test_the_fifth_step_on_the_platform_carries_away_and_is_still_seen_and_paid():
    env = maze(WaterMaze, (0.0, 0.0), [0.28, 0.0])
    out, back, stay = [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]
    flags, places = [], []
    for action in (stay, stay, out, stay, back, stay, stay):  # the count outlasts a step outside
        observation, reward, *_ = env.step(action)
        assert observation[2] == reward
        flags.append(reward)
        places.append(math.hypot(*env.state))
    assert flags == [1, 1, 0, 0, 1, 1, 1]
    assert max(places[:2] + places[4:6]) < 0.3 < places[-1]
    assert env.step(stay)[1] == 0.0
    env.state = [0.0, 0.0]
    flags = [env.step(stay)[1] for _ in range(6)]
    assert flags == [1, 1, 1, 1, 1, 0]  # the count began again


def test_the_simple_maze_carries_back_to_rest_in_the_middle():
    env = maze(SimpleWaterMaze, (0.7, 0.0), [0.6, 0.0, 0.02, 0.0])
    seen = [env.step([0.0, 0.0]) for _ in range(5)]
    assert [step[1] for step in seen] == [1.0] * 5
    assert seen[-1][0][:3].tolist() == [0.0, 0.0, 1.0]
    assert env.state.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert seen[-2][0][0] == pytest.approx(0.68)


def test_the_dense_step_that_carries_away_is_paid_for_where_it_was():
    env = maze(DenseWaterMaze, (0.0, 0.0), [0.1, 0.0])
    rewards = [env.step([0.0, 0.0])[1] for _ in range(6)]
    assert rewards[:5] == pytest.approx([-0.1] * 5)
    assert rewards[5] == pytest.approx(-math.hypot(*env.state)) and rewards[5] < -0.2


@pytest.mark.parametrize(("id", "radius"), [(MAZES[0], 0.3), (MAZES[1], 0.2)])
def test_platforms_fit_the_water_and_starts_are_off_them(id, radius):
    seen, _ = together(id, 4000).reset(seed=0)
    place, platform = seen[:, :2], seen[:, 3:5]
    distances = np.linalg.norm(platform, axis=1)
    assert distances.max() == pytest.approx(1 - radius, abs=0.01)
    assert (distances <= 1 - radius + 1e-6).all()
    # uniform from 0 to 1 - radius: mean (1 - radius) / 2, off by less than 4 deviations / √4000
    assert distances.mean() == pytest.approx((1 - radius) / 2, abs=0.015)
    assert np.abs(platform.mean(0)).max() < 0.03  # every way alike
    assert np.linalg.norm(place - platform, axis=1).min() > radius
    reached = np.linalg.norm(place, axis=1)
    assert 0.98 < reached.max() <= 1.0 and np.abs(place.mean(0)).max() < 0.04
    # A start far from every platform's reach is uniform in its distance from the middle.
    ahead = (place * platform).sum(1) < 0
    assert reached[ahead & (distances > radius)].mean() == pytest.approx(0.5, abs=0.03)


def test_the_simple_maze_begins_in_the_middle_with_its_platform_at_any_angle():
    seen, _ = together("water-maze-simple-mdp-v0", 4000).reset(seed=0)
    assert not seen[:, :3].any()
    np.testing.assert_allclose(np.linalg.norm(seen[:, 3:5], axis=1), 0.7, rtol=1e-6)
    angles = np.arctan2(seen[:, 4], seen[:, 3])
    assert np.histogram(angles, 8, (-math.pi, math.pi))[0] == pytest.approx([500] * 8, abs=90)


def test_the_platform_can_be_set_until_the_next_reset():
    env = gymnasium.make("water-maze-simple-mdp-v0")
    with pytest.raises(ResetNeeded):
        env.unwrapped.set_platform(0.0)
    env.reset(seed=0)
    env.unwrapped.set_platform(math.pi / 2)
    observation, *_ = env.step(np.zeros(2))
    np.testing.assert_allclose(observation[3:], [0.0, 0.7], atol=1e-7)
    rewards = [env.step(np.array([0.0, 1.0]))[1] for _ in range(6)]
    # y = 0.03, 0.09, 0.18, 0.28, 0.38, 0.48; the platform begins at 0.4
    assert rewards == [0, 0, 0, 0, 0, 1]
    assert env.reset()[0][3] != 0.0


@pytest.mark.parametrize("kind", ["", "-dense", "-simple"])
def test_the_pomdp_hides_the_platform_alone(kind):
    shown = [gymnasium.make(f"water-maze{kind}-{view}-v0") for view in ("mdp", "pomdp")]
    full, part = (env.reset(seed=3)[0] for env in shown)
    assert np.array_equal(part, full[:3])
    for _ in range(30):
        full, part = (env.step(np.array([0.3, 0.9]))[0] for env in shown)
        assert np.array_equal(part, full[:3])


def test_concat10_holds_the_last_ten_frames_of_the_pomdp():
    part, window = (gymnasium.make(f"water-maze-simple-{v}-v0") for v in ("pomdp", "mdp-concat10"))
    frames = [part.reset(seed=3)[0]] * 10
    assert np.array_equal(window.reset(seed=3)[0], np.concatenate(frames))
    for _ in range(15):
        frames = [*frames[1:], part.step(np.array([0.3, 0.9]))[0]]
        assert np.array_equal(window.step(np.array([0.3, 0.9]))[0], np.concatenate(frames))


@every_maze
def test_the_maze_is_the_same_from_every_side(id):
    plain, turned = together(id, 32), together(id, 32)
    for envs in (plain, turned):
        envs.reset(seed=0)
    pairs = len(plain.env.state_limit) // 2
    for row in (*range(0, 2 * pairs, 2), 2 * pairs + 2):  # a quarter turn: (x, y) -> (-y, x)
        x, y = plain.env.values[row : row + 2]
        turned.env.values[row : row + 2] = -y, x
    draw = np.random.default_rng(0)
    alike = np.ones(32, bool)  # not yet carried to a place that has no counterpart
    for _ in range(100):
        actions = draw.uniform(-1, 1, (32, 2))
        seen, reward, *_ = plain.step(actions)
        other, same, *_ = turned.step(np.stack((-actions[:, 1], actions[:, 0]), 1))
        alike &= (seen[:, 2] == 0) | (plain.env.values[-5] > 0)
        np.testing.assert_allclose(same[alike], reward[alike], atol=1e-12)
        back = np.stack((other[:, 1], -other[:, 0]), 1)
        np.testing.assert_allclose(back[alike], seen[alike, :2], atol=1e-6)
    assert alike.sum() > 10


@every_maze
def test_hard_play_stays_in_the_water_and_in_the_box(id):
    envs = together(id, 64)
    envs.reset(seed=0)
    draw = np.random.default_rng(0)
    push = np.zeros((64, 2))
    for step in range(envs.limit):
        if step % 20 == 0:
            push = draw.choice([-1.0, 1.0], (64, 2))
        seen, _, terminated, truncated, _ = envs.step(push)
        assert all(one in envs.single_observation_space for one in seen)
        assert (np.linalg.norm(seen[:, :2], axis=1) <= 1 + 1e-6).all()
        assert not terminated.any() and truncated.all() == (step == envs.limit - 1)


def test_a_copy_that_rests_draws_nothing_though_others_swim_on():
    envs = together(MAZES[0], 2)
    envs.reset(seed=0)
    rest = np.zeros((2, 2))
    envs.steps[1] = envs.limit - 1
    assert envs.step(rest)[3].tolist() == [False, True]
    for copy in (0, 1):  # both one step short of being carried away
        envs.env.values[:2, copy] = envs.env.values[-4:-2, copy]
        envs.env.values[-5, copy] = 4
    before = [random.bit_generator.state for random in envs.env.randoms]
    envs.step(rest)
    after = [random.bit_generator.state for random in envs.env.randoms]
    assert [one == two for one, two in zip(before, after, strict=True)] == [False, True]


def test_random_play_of_the_simple_maze_earns_what_was_published():
    envs, draw = together(MAZES[2], 1024), np.random.default_rng(0)
    total = returns(envs, lambda seen: draw.uniform(-1, 1, (1024, 2)))
    # published: 6.3; a return has a deviation of 5, so the mean of 1024 an error of 0.16
    assert total.mean() == pytest.approx(6.3, abs=4 * 0.16)


def test_who_knows_the_platform_earns_more_than_100_in_the_simple_maze():
    total = returns(together(MAZES[2], 256), towards_the_platform)
    assert total.mean() > 100 and total.min() > 85


def test_who_knows_the_platform_earns_most_in_the_others_too():
    draw = np.random.default_rng(0)
    for id in MAZES[:2]:
        envs = together(id, 256)
        known = returns(envs, towards_the_platform)
        blind = returns(envs, lambda seen: draw.uniform(-1, 1, (len(seen), 2)))
        assert known.mean() - blind.mean() > 20
