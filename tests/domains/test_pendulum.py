import math

import gymnasium
import numpy as np
import pytest
from episodes import play, random_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from offpcc.domains.pendulum import Pendulum, VariableLength, wrapped


@pytest.fixture
def env() -> Pendulum:
    env = Pendulum()
    env.reset(seed=0)
    return env


def test_one_step_follows_the_dynamics(env):
    env.state = [math.pi / 2, 1.0]
    observation, _, _, _, _ = env.step([0.5])
    # u = 2 · 0.5 = 1; θ̇' = 1 + (3 · 10 / 2 · sin(π/2) + 3 · 1) · 0.05 = 1 + 18 · 0.05 = 1.9
    # θ' = π/2 + 1.9 · 0.05 = π/2 + 0.095, so cos θ' = -sin 0.095 and sin θ' = cos 0.095
    np.testing.assert_allclose(env.state, [math.pi / 2 + 0.095, 1.9], rtol=1e-12)
    np.testing.assert_allclose(observation, [-0.0948571683, 0.9954908899, 1.9], rtol=1e-6)


def test_a_picture_shows_the_rod_where_it_is():
    env = gymnasium.make("pendulum-img-v0").unwrapped
    env.reset(seed=0)
    for angle in (0.0, math.pi / 2, math.pi, -2.0):
        env.state = [angle, 0.0]
        picture = env.seen()[0, 0]
        assert picture.shape == (84, 84) and picture.dtype == np.uint8
        for length in (0.1, 0.5, 0.98):  # m from the pivot: x = -l sin θ, y = l cos θ
            column = 42 - 35 * length * math.sin(angle)
            row = 42 - 35 * length * math.cos(angle)
            assert picture[int(row), int(column)] == 255
        # a rod of 1 m, 0.2 m wide, with round ends, and pixels of (2.4 / 84) m
        area = (picture / 255).sum() * (2.4 / 84) ** 2
        assert area == pytest.approx(0.2 + math.pi * 0.1**2, rel=0.01)


def test_pictures_change_nothing_of_the_physics():
    plain, seen = gymnasium.make("pendulum-v0"), gymnasium.make("pendulum-img-v0")
    plain.reset(seed=4), seen.reset(seed=4)
    for action in np.linspace(-1, 1, 30, dtype=np.float32):
        assert plain.step(action[None])[1] == seen.step(action[None])[1]
        assert np.array_equal(plain.unwrapped.state, seen.unwrapped.state)


def test_the_reward_is_that_of_the_state_before_the_step(env):
    env.state = [math.pi / 2, 1.0]
    # (π/2)² + 0.1 · 1² + 0.001 · 1² = 2.4674011003 + 0.1 + 0.001
    assert env.step([0.5])[1] == pytest.approx(-2.5684011003, abs=1e-9)
    env.state = [0.0, 0.0]
    assert env.step([1.0])[1] == pytest.approx(-0.004, abs=1e-12)  # 0.001 · 2²


def test_the_speed_is_clipped_before_the_angle_moves(env):
    env.state = [math.pi / 2, 7.9]
    env.step([0.5])  # 7.9 + 0.9 = 8.8 -> 8; θ' = π/2 + 8 · 0.05
    np.testing.assert_allclose(env.state, [math.pi / 2 + 0.4, 8.0], rtol=1e-12)


def test_the_cost_counts_the_shorter_way_round(env):
    for angle in (-math.pi / 2, 3 * math.pi / 2, -5 * math.pi / 2):
        env.state = [angle, 0.0]
        assert env.step([0.0])[1] == pytest.approx(-((math.pi / 2) ** 2))


def test_angles_wrap_to_minus_pi_and_never_to_plus_pi():
    assert wrapped(math.pi) == -math.pi
    assert wrapped(-math.pi) == -math.pi
    assert wrapped(2 * math.pi + 0.25) == pytest.approx(0.25)


def test_it_moves_exactly_as_gymnasiums_pendulum(env):
    other = gymnasium.make("Pendulum-v1").unwrapped
    other.reset(seed=0)
    other.state = np.array([2.5, -0.5])
    env.state = [2.5, -0.5]
    for step in range(400):
        action = ((step * 7) % 17 - 8) / 8  # -1, -0.875, … 1: exact in float32
        observation, reward, _, _, _ = env.step(np.array([action]))
        expected, expected_reward, _, _, _ = other.step(np.array([2 * action]))
        np.testing.assert_allclose(env.state, other.state, rtol=0, atol=1e-9)
        np.testing.assert_allclose(observation, expected, rtol=0, atol=1e-6)
        assert reward == pytest.approx(float(expected_reward), abs=1e-9)


def test_episodes_begin_at_any_angle_and_a_speed_up_to_1():
    env = Pendulum()
    env.reset(seed=0)
    starts = np.array([env.reset() and env.state for _ in range(2000)])
    assert np.abs(starts[:, 0]).max() == pytest.approx(math.pi, abs=0.01)
    assert np.abs(starts[:, 1]).max() == pytest.approx(1.0, abs=0.01)
    # uniform on ±h: mean 0, deviation h/√3; the mean of 2000 is off by less than 4 · h/√6000
    assert abs(starts[:, 0].mean()) < 4 * math.pi / math.sqrt(6000)
    assert starts.std(axis=0) == pytest.approx([math.pi / 3**0.5, 1 / 3**0.5], rel=0.05)


@settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-1e6, 1e6),
    speed=st.floats(-8, 8),
    actions=st.lists(st.floats(-5, 5), min_size=1, max_size=30),
)
def test_no_observation_leaves_the_box_and_no_episode_ends(angle, speed, actions):
    env = Pendulum()
    env.state = [angle, speed]
    for action in actions:
        observation, _, terminated, truncated, _ = env.step([action])
        assert observation in env.observation_space
        assert not terminated and not truncated


def test_a_short_rod_is_quick_and_a_torque_moves_it_more():
    env = VariableLength()
    env.state = [math.pi / 2, 1.0]
    env.values[2] = 0.2
    observation, reward, _, _, _ = env.step([-0.4])
    # u = -0.8; θ̇' = 1 + (3 · 10 / (2 · 0.2) - 3 · 0.8 / 0.2²) · 0.05 = 1 + (75 - 60) · 0.05 = 1.75
    # θ' = π/2 + 1.75 · 0.05, so cos θ' = -sin 0.0875 and sin θ' = cos 0.0875
    np.testing.assert_allclose(env.state, [math.pi / 2 + 0.0875, 1.75], rtol=1e-12)
    np.testing.assert_allclose(observation, [-0.0873883907, 0.9961743265, 1.75, 0.2], rtol=1e-6)
    assert reward == pytest.approx(-(2.4674011003 + 0.1 + 0.001 * 0.64), abs=1e-9)


def test_a_rod_of_1_m_is_the_pendulum_and_its_length_stays():
    one, other = VariableLength(), Pendulum()
    for env in (one, other):
        env.state = [2.0, 0.5]
    one.values[2] = 1.0
    for action in (0.3, -1.0, 0.7) * 20:
        longer, (observation, *outcome) = one.step([action]), other.step([action])
        assert longer[0].tolist() == [*observation, 1.0]
        assert list(longer[1:]) == outcome


def test_both_lengths_come_as_often_and_beginnings_are_the_pendulums():
    env, other = VariableLength(), Pendulum()
    lengths = []
    for seed in range(1000):
        lengths.append(env.reset(seed=seed)[0][3])
        other.reset(seed=seed)
        assert np.array_equal(env.state, other.state)
    values, counts = np.unique(lengths, return_counts=True)
    assert values.tolist() == np.float32([0.2, 1.0]).tolist()
    assert counts[0] == pytest.approx(500, abs=4 * math.sqrt(250))  # of fair coins


def by_the_rod(seen, length):
    """Swing up by energy, then hold; the short rod's torque lifts it straight away."""
    cosine, sine, speed, _ = seen.T
    angle = np.arctan2(sine, cosine)
    hold = -10 * length * angle - 3 * length**2 * speed
    energy = length * speed**2 / 30 + cosine  # in m g l / 2: 1 at rest upright
    pump = 10 * (1 - energy) * np.sign(speed)
    torque = np.where((length < 0.5) | (abs(angle) < 0.5), hold, pump)
    return (torque / 2).clip(-1, 1)[:, None]


def test_a_law_that_knows_the_length_swings_up_and_a_wrong_length_costs_dearly():
    id = "pendulum-var-len-pvl-v0"
    known, _, env = play(id, lambda seen: by_the_rod(seen, seen[:, 3]))
    short = env.values[2] == 0.2
    # measured: -31 (least -79) with the short rod, -154 (least -372) with the long one
    assert known[short].min() > -100 and known[~short].min() > -400
    assert -200 < known[~short].mean() < -100
    as_if_long = play(id, lambda seen: by_the_rod(seen, np.ones(len(seen))))[0]
    as_if_short = play(id, lambda seen: by_the_rod(seen, np.full(len(seen), 0.2)))[0]
    assert as_if_long[short].mean() < -2000  # measured: -2259
    assert as_if_short[~short].mean() < -1000  # measured: -1109
    by_chance = play(id, random_policy())[0]
    # measured with other chance: -1589, deviation 380; a mean of 256 is within 4 · 380 / 16
    assert by_chance.mean() == pytest.approx(-1589, abs=95)
