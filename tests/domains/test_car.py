import numpy as np
import pytest

from offpcc.domains.car import Car, EpisodicCar, cue

HEAVEN = 2  # row of `values`


def car(kind: type[Car], state: list[float], heaven: float = 1.0) -> Car:
    """A car with heaven where a test wants it."""
    env = kind()
    env.reset(seed=0)
    env.state = state
    env.values[HEAVEN] = heaven
    return env


def by_memory(seen, result):
    return np.where(result == 0, 1.0, result)[:, None]


def blindly_right(seen, result):
    return np.ones((len(seen), 1))


def test_a_step_accelerates_and_moves_at_the_new_speed():
    env = car(Car, [0.1, 0.02])
    observation, *_ = env.step([-0.5])
    # v' = 0.02 - 0.0015 · 0.5 = 0.01925; x' = 0.1 + 0.01925
    np.testing.assert_allclose(env.state, [0.11925, 0.01925], rtol=1e-12)
    np.testing.assert_allclose(observation, [0.11925, 0.01925, 0], rtol=1e-6)


def test_speed_and_position_are_clipped():
    env = car(Car, [2.3, 0.1995])
    env.step([1.0])
    assert env.state.tolist() == [2.4, 0.2]
    env = car(Car, [-2.3, -0.1995])
    env.step([-1.0])
    assert env.state.tolist() == [-2.4, -0.2]


@pytest.mark.parametrize("heaven", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("x", "heard"), [(0.2999, 0), (0.3, 1), (0.5, 1), (0.7, 1), (0.7001, 0), (-0.5, 0)]
)
def test_the_priest_is_heard_from_0_3_to_0_7(heaven, x, heard):
    assert car(Car, [x, 0.0], heaven).step([0.0])[0][2] == heard * heaven


def test_a_narrower_earshot_includes_its_ends():
    x = np.array([0.4499, 0.45, 0.55, 0.5501])
    assert cue(x, -np.ones(4), 0.05).tolist() == [0, -1, -1, 0]


@pytest.mark.parametrize(
    ("side", "heaven", "reward"), [(1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (-1.0, -1.0, 1.0)]
)
def test_an_episode_ends_at_a_flag_and_heaven_pays_1(side, heaven, reward):
    env = car(Car, [side * 0.97, side * 0.0199], heaven)
    assert env.step([0.0])[1:] == (0.0, False, False, {"success": False})
    won = reward == 1.0
    assert env.step([0.0])[1:] == (reward, True, False, {"success": won})


def test_a_flag_is_reached_at_exactly_1():
    assert car(Car, [0.9375, 0.0625]).step([0.0])[2] is True  # sums of powers of 2: exact


@pytest.mark.parametrize(("heaven", "total"), [(1.0, -4.0), (-1.0, -160.0)])
def test_episodic_steps_cost_1_and_hell_all_that_is_left_of_160(heaven, total):
    env = car(EpisodicCar, [0.2, 0.2], heaven)
    rewards = [env.step([0.0])[1] for _ in range(4)]  # 0.4, 0.6, 0.8, 1
    assert rewards[:3] == [-1.0] * 3
    assert sum(rewards) == total  # in hell: -4 and -(160 - 4)


def test_starts_are_within_0_2_and_heaven_is_on_either_side():
    env, random = Car(), np.random.default_rng(0)
    starts = np.array([env.begin(random) for _ in range(2000)])
    assert np.abs(starts[:, 0]).max() == pytest.approx(0.2, abs=0.001)
    assert abs(starts[:, 0].mean()) < 4 * 0.2 / np.sqrt(3 * 2000)
    assert not starts[:, 1].any()
    assert set(starts[:, HEAVEN]) == {-1.0, 1.0}
    assert abs(starts[:, HEAVEN].mean()) < 4 / np.sqrt(2000)
    assert abs(np.corrcoef(starts[:, 0], starts[:, HEAVEN])[0, 1]) < 0.1


@pytest.mark.parametrize("id", ["car-v0", "car-concat20-v0"])
def test_memory_always_finds_heaven_and_blindly_right_half_the_time(id, pilgrims):
    total, saved = pilgrims(id, by_memory, -1)
    assert total.mean() == saved.mean() == 1.0
    total, saved = pilgrims(id, blindly_right, -1)
    assert total.mean() == saved.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))


def test_in_the_episodic_car_memory_pays_too(pilgrims):
    total, saved = pilgrims("car-episodic-v0", by_memory, -1)
    assert saved.all()
    # At worst from -0.2: 26 steps to the priest's edge, as many to come to rest 0.5 m later, and
    # 49 from there, 0.8, to the left flag.
    assert total.min() >= -26 - 26 - 49 - 1
    total, saved = pilgrims("car-episodic-v0", blindly_right, -1)
    assert set(total[~saved]) == {-160.0}
    # from rest 1 m ± 0.2 away: 0.00075 n (n + 1) = 1 at n = 36.02, so from 33 to 40 steps
    assert -40 <= total[saved].min() <= total[saved].max() <= -32


def test_random_play_is_in_heaven_in_a_sixth_of_the_episodes(pilgrims):
    draw = np.random.default_rng(0)
    _, saved = pilgrims("car-v0", lambda seen, result: draw.uniform(-1, 1, (len(seen), 1)), -1)
    # After 160 steps the position has a deviation of 0.0015 / √3 · √(160³ / 3) = 1.01 m. Beyond
    # ±1 m is 0.32 of that, and little more was there before and came back; half of it is heaven.
    assert saved.mean() == pytest.approx(0.16, abs=4 * 0.37 / np.sqrt(1000))


@pytest.mark.parametrize("kind", [Car, EpisodicCar])
def test_hard_play_stays_in_the_box(kind):
    draw = np.random.default_rng(0)
    for heaven in (-1.0, 1.0):
        for _ in range(50):
            env = car(kind, [*draw.uniform(-1, 1, 2) * Car.state_limit], heaven)
            ended = False
            while not ended:
                observation, _, ended, *_ = env.step([heaven])
                assert observation in env.observation_space
