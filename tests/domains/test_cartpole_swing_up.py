import math

import numpy as np
import pytest
from episodes import COPIES, play, random_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from offpcc.domains.cartpole_swing_up import (
    LENGTHS,
    MAX_SPEED,
    MAX_TURN,
    FlipAction,
    VariableLength,
    accelerations,
)

VAR_LEN, FLIP = "cartpole-var-len-pvl-v0", "cartpole-flip-action-pvf-v0"

# From x = 0.5 m, ẋ = 1 m/s, θ = 0.3 rad, θ̇ = 2 rad/s, under F = 5 N:
# s = 0.2955202067, c = 0.9553364891, s c = 0.2823212367, 4 M - 3 m_p c² = 2.6309982888
# l = 0.6, ml = 0.3:
#   ẍ = (-2 · 0.3 · 4 s + 3 · 0.5 · 9.82 s c + 4 · 5 - 4 · 0.1) / 2.6309982888
#     = (-0.7092484960 + 4.1585918161 + 19.6) / 2.6309982888 = 8.760683509
#   θ̈ = (-3 · 0.3 · 4 s c + 6 · 9.82 s + 6 (5 - 0.1) c) / (0.6 · 2.6309982888)
#     = (-1.0163564520 + 17.4120505776 + 28.0868927796) / 1.5785989733 = 28.178522638
# l = 0.1, ml = 0.05:
#   ẍ = (-0.1182080827 + 4.1585918161 + 19.6) / 2.6309982888 = 8.985328434
#   θ̈ = (-0.1693927420 + 17.4120505776 + 28.0868927796) / 0.2630998289 = 172.290308236
START = [0.5, 1.0, 0.3, 2.0]
NEXT = {
    0.6: [0.51, 1.08760683509, 0.32, 2.28178522638],
    0.1: [0.51, 1.08985328434, 0.32, 3.72290308236],
}


def begun(kind, state, length=0.6, sign=1.0):
    env = kind()
    env.state = state
    env.values[4:6, 0] = length, sign
    return env


@pytest.mark.parametrize("length", LENGTHS)
def test_one_step_follows_every_term_of_the_dynamics(length):
    env = begun(VariableLength, START, length)
    observation, reward, terminated, _, _ = env.step([0.5])
    np.testing.assert_allclose(env.state, NEXT[length], rtol=1e-10)
    x, speed, _, turn = NEXT[length]
    shown = [x, speed, 0.9492354180, 0.3145665606, turn, length]  # cos 0.32, sin 0.32
    np.testing.assert_allclose(observation, shown, rtol=1e-6)
    # -0.1 (0.32² + 0.01 θ̇'² + 0.51²): of the new state
    worked = {0.6: -0.04145654382, 0.1: -0.05011000736}
    assert reward == pytest.approx(worked[length], abs=1e-10)
    assert terminated is False


@pytest.mark.parametrize(("sign", "action"), [(1.0, 0.5), (-1.0, -0.5)])
def test_the_sign_turns_the_action_round_and_is_shown_as_it_is(sign, action):
    env = begun(FlipAction, START, sign=sign)
    observation, reward, terminated, _, _ = env.step([action])
    np.testing.assert_allclose(env.state, NEXT[0.6], rtol=1e-10)
    assert observation[5] == sign
    # (cos 0.32 + 1) / 2 · cos(π 0.51 / 4.8) = 0.9746177090 · 0.9448060675
    assert reward == pytest.approx(0.9208247045, abs=1e-9)
    assert terminated is False


def test_upright_in_the_middle_is_best_and_hanging_costs_pi_squared():
    upright, hanging = [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, math.pi, 0.0]
    assert begun(VariableLength, upright).step([0.0])[1] == 0.0
    assert begun(FlipAction, upright).step([0.0])[1] == 1.0
    assert begun(VariableLength, hanging).step([0.0])[1] == pytest.approx(-0.1 * math.pi**2)
    assert begun(FlipAction, hanging).step([0.0])[1] == pytest.approx(0.0, abs=1e-12)


def test_turns_of_the_pole_are_not_counted():
    for turns in (-2, 1, 3):
        env = begun(VariableLength, [0.0, 0.0, 1.0 + 2 * math.pi * turns, 0.0])
        # from rest the angle stays 1; θ̈ = 6 · 9.82 sin 1 / (0.6 (4 - 1.5 cos² 1)) = 23.1960,
        # so the cost is 0.1 (1 + 0.01 (0.01 · 23.1960)²)
        assert env.step([0.0])[1] == pytest.approx(-0.1000538, abs=1e-7)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_cart_bounces_off_a_wall_and_the_pole_swings_on(side):
    env = begun(VariableLength, side * np.array([2.395, 1.0, 0.3, 2.0]))
    _, reward, terminated, _, _ = env.step([side * 0.5])
    # 2.395 + 0.01 is beyond 2.4: the cart stays and its new speed is turned round
    expected = side * np.array([2.395, -1.08760683509, 0.32, 2.28178522638])
    np.testing.assert_allclose(env.state, expected, rtol=1e-10)
    # -0.1 (0.1024 + 0.01 · 5.2065438193 + 5.736025)
    assert reward == pytest.approx(-0.5890490438, abs=1e-9)
    assert terminated is False
    env = begun(VariableLength, side * np.array([2.385, 1.0, 0.3, 2.0]))
    env.step([side * 0.5])  # 2.395 is not beyond it
    assert env.state[:2] == pytest.approx(side * np.array([2.395, 1.08760683509]))


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("speed", "ends", "reward"),
    [(0.4, False, 0.0006544984), (0.6, True, -0.0006544984)],  # cos(π · 2.399 / 4.8), and 2.401
)
def test_where_the_action_flips_the_track_s_end_is_the_episode_s(side, speed, ends, reward):
    env = begun(FlipAction, [side * 2.395, side * speed, 0.0, 0.0])
    _, found, terminated, truncated, _ = env.step([0.0])
    assert (terminated, truncated) == (ends, False)
    assert found == pytest.approx(reward, abs=1e-9)


def test_the_energy_changes_by_the_work_of_force_and_friction():
    random = np.random.default_rng(0)
    speed, angle, turn, force = random.uniform(-9, 9, (4, 1000))
    length = random.choice(LENGTHS, 1000)
    pull, swing = accelerations(speed, angle, turn, force, length)
    # a uniform rod of 0.5 kg on 1 kg in all, its centre at (x - l/2 sin θ, l/2 cos θ):
    # E = M ẋ²/2 + m l² θ̇²/6 - m l/2 ẋ θ̇ cos θ + m g l/2 cos θ
    moment = 0.5 * length / 2
    power = speed * pull + 0.5 * length**2 / 3 * turn * swing
    power -= moment * (pull * turn + speed * swing) * np.cos(angle)
    power += moment * (speed * turn**2 - 9.82 * turn) * np.sin(angle)
    np.testing.assert_allclose(power, (force - 0.1 * speed) * speed, atol=1e-9)


@pytest.mark.parametrize("kind", [VariableLength, FlipAction])
def test_the_mirror_image_moves_as_the_mirror_image(kind):
    one, other = begun(kind, START), begun(kind, -np.array(START))
    for action in (0.9, -0.3, 1.0) * 30:
        first, second = one.step([action]), other.step([-action])
        assert np.array_equal(one.state, -other.state)
        assert first[1] == pytest.approx(second[1])  # wrapping θ rounds the two sides apart
        assert first[2] == second[2]
        if first[2]:
            break


@pytest.mark.parametrize(
    ("kind", "row", "choices"), [(VariableLength, 4, LENGTHS), (FlipAction, 5, (-1.0, 1.0))]
)
def test_episodes_begin_hanging_and_what_is_hidden_is_as_often_one_as_the_other(kind, row, choices):
    env = kind()
    env.reset(seed=0)
    starts = np.array([env.reset() and env.values[:, 0].copy() for _ in range(2000)])
    # the mean of 2000 is off by less than 4 · 0.2 / √2000, the deviation by 4 · 0.2 / √4000
    assert starts[:, :4].mean(axis=0) == pytest.approx([0, 0, math.pi, 0], abs=0.018)
    assert starts[:, :4].std(axis=0) == pytest.approx(np.full(4, 0.2), abs=0.013)
    values, counts = np.unique(starts[:, row], return_counts=True)
    assert tuple(values) == choices
    assert counts[0] == pytest.approx(1000, abs=4 * math.sqrt(500))  # of fair coins
    assert abs(np.corrcoef(starts[:, 2], starts[:, row])[0, 1]) < 0.09  # 4/√2000
    hidden = env.values[4:6].copy()
    for _ in range(20):
        env.step([1.0])
        assert np.array_equal(env.values[4:6], hidden)


def to_the_top(seen, length):
    """Pump the pole's energy up to that at rest upright, then hold it there by feedback."""
    x, speed, cosine, sine, turn, _ = seen.T
    angle = np.arctan2(sine, cosine)
    energy = length * turn**2 / (3 * 9.82) + cosine  # in m g l / 2
    pump = 10 * (1 - energy).clip(-0.1, 0.1) * np.sign(turn * cosine) - 0.6 * x - 0.2 * speed
    # gains of linear-quadratic regulators of the two poles
    short, long = (0.806, 0.567, -2.807, -0.207), (0.914, 0.802, -4.265, -0.768)
    gains = np.where(length[:, None] < 0.3, short, long)
    hold = (gains * np.stack((x, speed, angle, turn), 1)).sum(1)
    near = (abs(angle) < 0.5) & (abs(hold) < 1.5)
    return np.where(near, hold, pump).clip(-1, 1)[:, None]


def test_a_law_that_knows_the_length_swings_up_and_a_wrong_length_never_gets_there():
    known, length, env = play(VAR_LEN, lambda seen: to_the_top(seen, seen[:, 5]))
    short = env.values[4] == 0.1
    assert (length == 500).all()
    # measured: -33 (least -38) with the short pole, -61 (least -72) with the long one
    assert known[short].min() > -60 and known[~short].min() > -100
    x, _, angle, turn = env.values[:4]
    assert (abs(x) < 0.5).all() and (np.cos(angle) > 0.99).all() and (abs(turn) < 1).all()
    for wrong, concerned in ((0.6, short), (0.1, ~short)):
        total = play(VAR_LEN, lambda seen, wrong=wrong: to_the_top(seen, np.full(COPIES, wrong)))[0]
        assert total[concerned].max() < -200  # measured: means of -321 and -248


def test_by_chance_the_pole_is_not_swung_up():
    total, length, _ = play(VAR_LEN, random_policy())
    # measured with other chance: -487, deviation 118; a mean of 256 is within 4 · 118 / 16
    assert total.mean() == pytest.approx(-487, abs=30)
    assert total.max() < -200 and (length == 500).all()


def test_only_a_law_that_knows_the_sign_swings_up_both_ways():
    six = np.full(COPIES, 0.6)
    known, length, env = play(FLIP, lambda seen: seen[:, 5:] * to_the_top(seen, six))
    assert (length == 350).all()
    assert known.min() > 230  # measured: mean 270, least 260
    total, _, _ = play(FLIP, lambda seen: to_the_top(seen, six))
    flipped = env.values[5] == -1.0
    assert np.array_equal(total[~flipped], known[~flipped])
    assert total[flipped].max() < 10  # measured: mean 1, greatest 4
    # measured with other chance: 12.8, deviation 12; a mean of 256 is within 4 · 12 / 16
    assert play(FLIP, random_policy())[0].mean() == pytest.approx(12.8, abs=3)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_hardest_play_stays_far_from_where_speeds_are_cut(length):
    def prepare(env):
        env.values[4] = length

    fastest = np.zeros(2)

    def with_the_pole(seen):
        np.maximum(fastest, abs(seen[:, [1, 4]]).max(0), out=fastest)
        return np.sign(seen[:, 2:3])  # a push that adds to θ̇

    play(VAR_LEN, with_the_pole, prepare)
    assert fastest[0] < MAX_SPEED / 4  # measured: 76 m/s
    assert fastest[1] < MAX_TURN / 2  # measured: 119 rad/s


@pytest.mark.parametrize("kind", [VariableLength, FlipAction])
@settings(max_examples=100, deadline=None)
@given(
    state=st.tuples(*(st.floats(-limit, limit) for limit in (2.4, MAX_SPEED, 10.0, MAX_TURN))),
    length=st.sampled_from(LENGTHS),
    actions=st.lists(st.sampled_from([-1.0, 0.3, 1.0]), min_size=5, max_size=30),
)
def test_no_observation_leaves_the_box_wherever_the_state_is_set(kind, state, length, actions):
    env = begun(kind, state, length)
    for action in actions:
        observation, _, terminated, _, _ = env.step([action])
        assert observation in env.observation_space
        if terminated:
            break
