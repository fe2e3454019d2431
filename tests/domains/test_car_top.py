import numpy as np
import pytest

from offpcc.domains.car_top import CarTop, CarTopNarrow, CarTopRelative

HEAVEN = 1  # row of `values`


def car(kind, x: float = 0.0, heaven: float = 1.0):
    """A car with heaven where a test wants it."""
    env = kind()
    env.reset(seed=0)
    env.state = [x]
    env.values[HEAVEN] = heaven
    return env


def by_memory(seen, result):
    """Goes to the priest, then to where he says."""
    return np.where(result == 0, 0.5 / 1.1, result)[:, None]


def by_memory_and_steps(seen, result):
    return np.where(result == 0, 0.5 - seen[:, -3], result)[:, None]


def blindly_right(seen, result):
    return np.ones((len(seen), 1))


def test_the_car_is_at_once_where_the_action_says():
    env = car(CarTop, 0.1)
    assert env.step([-0.5])[:3] == (pytest.approx([-0.55, 0.0]), 0.0, False)
    assert env.step([0.5])[0] == pytest.approx([0.55, 1.0])
    assert env.state.tolist() == [0.55]


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [(CarTop, (0.301, 0.699), (0.299, 0.701)), (CarTopNarrow, (0.451, 0.549), (0.449, 0.551))],
)
def test_the_priest_is_heard_within_his_half_width(kind, inside, outside):
    for heaven in (-1.0, 1.0):
        for places, heard in ((inside, heaven), (outside, 0.0)):
            for x in places:
                assert car(kind, heaven=heaven).step([x / 1.1])[0][1] == heard


@pytest.mark.parametrize("kind", [CarTop, CarTopNarrow])
@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("heaven", [-1.0, 1.0])
def test_heaven_pays_1_and_hell_minus_1_and_both_end(kind, side, heaven):
    env = car(kind, heaven=heaven)
    assert env.step([side * 0.9])[1:3] == (0.0, False)  # 0.99 m
    won = side == heaven
    ended = (1.0 if won else -1.0, True, False, {"success": won})
    assert env.step([side * 0.91])[1:] == ended  # 1.001 m


def test_a_relative_step_is_seen_in_its_twenty_parts():
    env = car(CarTopRelative, 0.2, heaven=-1.0)
    observation, reward, terminated, _, info = env.step([0.4])
    frames = observation.reshape(20, 3)
    np.testing.assert_allclose(frames[:, 0], 0.2 + 0.02 * np.arange(1, 21), rtol=1e-6)
    assert not frames[:, 1].any()
    # 0.2 + 0.02 k lies in [0.3, 0.7] from the fifth part to the last; the fifth is at its edge
    assert frames[:, 2].tolist()[5:] == [-1.0] * 15 and not frames[:4, 2].any()
    assert env.state == pytest.approx([0.6])
    assert (reward, terminated, info) == (-20.0, False, {"success": False})


def test_parts_end_at_the_first_flag():
    env = car(CarTopRelative, 0.77)
    observation, reward, terminated, _, info = env.step([1.0])
    # 0.77 + 0.05 · 5 = 1.02: the fifth part is the last, and its place is seen for the rest
    frames = observation.reshape(20, 3)
    np.testing.assert_allclose(frames[:5, 0], [0.82, 0.87, 0.92, 0.97, 1.02], rtol=1e-6)
    np.testing.assert_allclose(frames[5:, 0], 1.02, rtol=1e-6)
    assert env.state == pytest.approx([1.02])
    assert (reward, terminated, info) == (-5.0, True, {"success": True})


def test_a_flag_is_reached_at_exactly_1_by_the_last_part():
    assert car(CarTopRelative, 0.0).step([1.0])[1:3] == (-20.0, True)


def test_hell_costs_all_that_is_left_of_160_parts():
    env = car(CarTopRelative, -0.5, heaven=1.0)
    assert [env.step([0.0])[1] for _ in range(3)] == [-20.0] * 3
    # 70 parts are over, with 10 to the flag at -1, and 90 are left
    assert env.step([-1.0])[1:3] == (-10.0 - 90.0, True)


def test_a_relative_episode_begins_with_one_place_twenty_times():
    env = CarTopRelative()
    frames = env.reset(seed=0)[0].reshape(20, 3)
    np.testing.assert_allclose(frames, np.tile([env.state[0], 0, 0], (20, 1)), rtol=1e-6)


@pytest.mark.parametrize("kind", [CarTop, CarTopNarrow, CarTopRelative])
def test_starts_are_within_0_2_and_heaven_is_on_either_side(kind):
    env, random = kind(), np.random.default_rng(0)
    starts = np.array([env.begin(random) for _ in range(2000)])
    assert np.abs(starts[:, 0]).max() == pytest.approx(0.2, abs=0.001)
    assert abs(starts[:, 0].mean()) < 4 * 0.2 / np.sqrt(3 * 2000)
    assert set(starts[:, HEAVEN]) == {-1.0, 1.0}
    assert abs(starts[:, HEAVEN].mean()) < 4 / np.sqrt(2000)


@pytest.mark.parametrize("id", ["car-top-v0", "car-top-narrow-v0"])
def test_memory_always_finds_heaven_and_blindly_right_half_the_time(id, pilgrims):
    total, saved = pilgrims(id, by_memory, 1)
    assert total.mean() == saved.mean() == 1.0
    total, saved = pilgrims(id, blindly_right, 1)
    assert saved.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))
    assert total.mean() == pytest.approx(2 * saved.mean() - 1)


def test_memory_finds_heaven_by_relative_steps_too(pilgrims):
    total, saved = pilgrims("car-top-relative-v0", by_memory_and_steps, -1)
    # to the priest 20 parts, then 0.5 m in parts of 0.05 m: 30; to the left 1.5 m: 50, or one more
    # where 0.5 m is not quite what float32 says
    assert saved.all() and set(total) <= {-30.0, -31.0, -50.0, -51.0}
    total, saved = pilgrims("car-top-relative-v0", blindly_right, -1)
    assert set(total[~saved]) == {-160.0}
    assert saved.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(1000))


@pytest.mark.parametrize("kind", [CarTop, CarTopNarrow, CarTopRelative])
def test_no_observation_leaves_the_box_wherever_the_state_is_set(kind):
    for x in np.linspace(-1.0, 1.0, 21):
        for action in np.linspace(-1.0, 1.0, 21):
            env = car(kind, x)
            assert env.step([action])[0] in env.observation_space
