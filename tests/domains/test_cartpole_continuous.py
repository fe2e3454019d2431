import gymnasium
import numpy as np
import pytest
from episodes import play, random_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from offpcc.domains.cartpole_continuous import CART_MASSES, POLE_MASSES, CartPole, VariableMass


@pytest.fixture
def env() -> CartPole:
    env = CartPole()
    env.reset(seed=0)
    return env


def test_a_push_from_rest_tips_the_pole_backwards(env):
    env.state = [0.0, 0.0, 0.0, 0.0]
    observation, _, _, _, _ = env.step([1.0])
    # F = 30; tmp = 30/1.1 = 27.2727273; θ̈ = -27.2727273 / (0.5 (4/3 - 0.1/1.1)) = -43.9024390
    # ẍ = 27.2727273 + 0.1 · 0.5 · 43.9024390 / 1.1 = 29.2682927; both times 0.02 s
    np.testing.assert_allclose(env.state, [0, 0.585365854, 0, -0.878048780], rtol=1e-8)
    np.testing.assert_allclose(observation, [0, 0.585365854, 0, -0.878048780], rtol=1e-6)


def test_one_step_follows_every_term_of_the_dynamics(env):
    env.state = [1.0, 2.0, 0.1, -3.0]
    env.step([-0.5])
    # F = -15, sin 0.1 = 0.0998334166, cos 0.1 = 0.9950041653
    # tmp = (-15 + 0.05 · 9 · 0.0998334166) / 1.1 = -13.5955227
    # θ̈ = (0.978367483 + 0.9950041653 · 13.5955227) / (0.5 (1.333333333 - 0.0900030263))
    #    = 14.5059692 / 0.621665153 = 23.3340556
    # ẍ = -13.5955227 - 0.05 · 23.3340556 · 0.9950041653 / 1.1 = -14.6508628
    # x' = 1 + 0.02 · 2, ẋ' = 2 - 0.02 · 14.6508628, θ' = 0.1 - 0.02 · 3, θ̇' = -3 + 0.02 · 23.334
    np.testing.assert_allclose(env.state, [1.04, 1.706982744, 0.04, -2.533318888], rtol=1e-7)


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ([2.39, 0.4, 0.0, 0.0], False),  # x' = 2.398
        ([2.39, 0.6, 0.0, 0.0], True),  # x' = 2.402
        ([0.0, 0.0, 0.2, 0.46], False),  # θ' = 0.2092, and 12° = 0.20944
        ([0.0, 0.0, 0.2, 0.48], True),  # θ' = 0.2096
    ],
)
def test_an_episode_ends_beyond_2_4_m_or_12_degrees(env, side, state, ends):
    env.state = side * np.array(state)
    _, reward, terminated, truncated, _ = env.step([0.0])
    assert (terminated, truncated) == (ends, False)
    assert reward == 1.0  # the failing step is paid too


def test_a_linear_law_holds_the_pole_for_1000_of_1000_steps():
    env = gymnasium.make("cartpole-continuous-long-v0")
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        ended, rewards = False, []
        while not ended:
            push = 0.05 * observation[0] + 0.1 * observation[1]
            push += 1.5 * observation[2] + 0.3 * observation[3]
            observation, reward, terminated, truncated, _ = env.step(np.array([push]))
            ended = terminated or truncated
            rewards.append(reward)
        assert (sum(rewards), terminated, truncated) == (1000.0, False, True)


def test_left_alone_the_pole_falls(env):
    env.reset(seed=0)
    steps = 1
    while not env.step([0.0])[2]:
        steps += 1
    assert steps < 200


def test_all_four_entries_begin_within_0_05():
    env = CartPole()
    env.reset(seed=0)
    starts = np.array([env.reset() and env.state for _ in range(1000)])
    assert np.abs(starts).max(axis=0) == pytest.approx(np.full(4, 0.05), abs=0.001)
    assert (np.abs(starts) <= 0.05).all()
    assert np.corrcoef(starts.T) == pytest.approx(np.eye(4), abs=0.15)  # drawn one by one


def fraction_of(limit: float) -> st.SearchStrategy[float]:
    return st.floats(-1, 1).map(lambda part: part * limit)


@settings(max_examples=200, deadline=None)
@given(
    state=st.tuples(*map(fraction_of, CartPole.state_limit)),
    actions=st.lists(st.sampled_from([-1.0, 0.3, 1.0]), min_size=5, max_size=30),
)
def test_no_observation_leaves_the_box_wherever_the_state_is_set(state, actions):
    env = CartPole()
    env.state = state
    for action in actions:
        observation, _, terminated, _, _ = env.step([action])
        assert observation in env.observation_space
        if terminated:
            break


LIGHTEST_TO_HEAVIEST = [(cart, pole) for cart in CART_MASSES for pole in POLE_MASSES]


def test_one_step_follows_the_masses_of_the_episode():
    env = VariableMass()
    env.state = [1.0, 2.0, 0.1, -3.0]
    env.values[4:6, 0] = 0.7, 0.13
    observation, reward, _, _, _ = env.step([-0.5])
    # M = 0.83; F = -15; tmp = (-15 + 0.13 · 0.5 · 9 · 0.0998334166) / 0.83 = -18.0019246
    # θ̈ = (0.978367483 + 0.9950041653 · 18.0019246) / (0.5 (1.333333333 - 0.1550654010))
    #    = 32.0646227
    # ẍ = -18.0019246 - 0.065 · 32.0646227 · 0.9950041653 / 0.83 = -20.5004646
    np.testing.assert_allclose(env.state, [1.04, 1.589990708, 0.04, -2.358707546], rtol=1e-7)
    assert np.array_equal(observation, np.float32(env.state))
    assert reward == 1.0
    assert env.values[4:6, 0].tolist() == [0.7, 0.13]


def test_masses_are_drawn_evenly_and_apart_within_30_percent():
    env = VariableMass()
    env.reset(seed=0)
    masses = np.array([env.reset() and env.values[4:6, 0].copy() for _ in range(2000)])
    assert masses.min(axis=0) == pytest.approx([0.7, 0.07], rel=0.01)
    assert masses.max(axis=0) == pytest.approx([1.3, 0.13], rel=0.01)
    # uniform of width w: deviation w/√12, and the mean of 2000 is off by less than 4 · w/√24000
    assert masses.mean(axis=0) == pytest.approx([1.0, 0.1], rel=4 * 0.6 / 24000**0.5)
    assert masses.std(axis=0) == pytest.approx([0.6 / 12**0.5, 0.06 / 12**0.5], rel=0.05)
    assert abs(np.corrcoef(masses.T)[0, 1]) < 0.09  # 4/√2000


@pytest.mark.parametrize("masses", [None, *LIGHTEST_TO_HEAVIEST])
def test_one_linear_law_holds_every_pole_for_all_350_steps(masses):
    def prepare(env):
        if masses is not None:
            env.values[4:6] = np.array(masses)[:, None]

    law = np.array([[0.05], [0.1], [1.5], [0.3]])
    total, length, _ = play("cartpole-variable-mass-pv-v0", lambda seen: seen @ law, prepare)
    assert (total == 350).all() and (length == 350).all()


def test_by_chance_no_pole_is_held():
    total, _, _ = play("cartpole-variable-mass-pv-v0", random_policy())
    assert total.max() < 150  # measured: mean 17, greatest 94
    assert 12 < total.mean() < 22


@settings(max_examples=200, deadline=None)
@given(
    state=st.tuples(*map(fraction_of, VariableMass.state_limit)),
    masses=st.sampled_from(LIGHTEST_TO_HEAVIEST),
    actions=st.lists(st.sampled_from([-1.0, 0.3, 1.0]), min_size=5, max_size=30),
)
def test_no_observation_leaves_the_box_whatever_the_masses(state, masses, actions):
    env = VariableMass()
    env.state = state
    env.values[4:6, 0] = masses
    for action in actions:
        observation, _, terminated, _, _ = env.step([action])
        assert observation in env.observation_space
        if terminated:
            break
