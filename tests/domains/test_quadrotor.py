import math

import gymnasium
import numpy as np
import pytest

from offpcc.domains import quadrotor
from offpcc.domains.quadrotor import Quadrotor, change
from offpcc.domains.quadrotor_picture import attitude

AT_GOAL = np.array([0.0, 0.0, 2.0, *[0.0] * 9])
HOVER = 0.64 * 9.8066 / 4 / 10.301593  # the fraction of thrust that carries a quarter, 0.15231
NOMINAL = np.ones((5, 1))


@pytest.fixture
def env() -> Quadrotor:
    """Nominal physics, no noise, at the goal and at rest, its rotors standing."""
    env = Quadrotor(rotor_noise=0.0, randomise=False)
    env.reset(seed=0)
    env.state, env.u = AT_GOAL, np.zeros(4)
    return env


def test_a_step_from_the_goal_is_the_known_one(env):
    env.u, env.lag = [0.1] * 4, 0.4
    _, reward, _, _, _ = env.step([0.2, -0.4, 0.1, -0.7])
    known = [-3.857e-7, -2.866e-7, 1.99963378, -1.904624e-3, 2.554036e-3, 9.085471e-5]
    known += [-1.815885e-4, -1.351529e-4, -0.104853605, -0.458892745, 0.613735451, 0.0223817248]
    np.testing.assert_allclose(env.state, known, rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        env.u, [0.77051764, 0.54501535, 0.73774022, 0.38556115], rtol=0, atol=1e-8
    )
    assert reward == pytest.approx(0.888764470, abs=1e-7)


def test_without_thrust_it_falls_downwards_which_is_where_z_grows(env):
    _, reward, _, _, _ = env.step([-1.0] * 4)
    # v = 9.8066 · 0.01 = 0.098066, z = 2 + 9.8066 · 0.01² / 2 = 2.00049033
    np.testing.assert_allclose(env.state[[2, 8]], [2.00049033, 0.098066], rtol=1e-9)
    # exp(-2 · 0.00049033) = 0.99901982; 0.7 + 0.3 exp(-0.4 · 0.098066) = 0.98845990; and 0.9
    assert reward == pytest.approx(0.99901982 * 0.98845990 * 0.9, abs=1e-7)


def test_hovering_at_the_goal_scores_0_9198(env):
    env.u = [math.sqrt(HOVER)] * 4
    for _ in range(20):
        reward = env.step([2 * HOVER - 1] * 4)[1]
        assert reward == pytest.approx(0.9198, abs=5e-5)
    np.testing.assert_allclose(env.state, AT_GOAL, atol=1e-6)


@pytest.mark.parametrize(
    ("rotor", "roll", "pitch", "yaw"), [(0, -1, 0, 1), (1, 1, 0, 1), (2, 0, 1, -1), (3, 0, -1, -1)]
)
def test_each_rotor_turns_it_its_own_way(rotor, roll, pitch, yaw):
    thrusts = np.zeros((4, 1))
    thrusts[rotor] = 2.0
    turned = change(AT_GOAL[:, None], thrusts, NOMINAL)[9:, 0]
    # 2 N · 0.14 m / 0.00728 = 38.4615 rad/s²; 2 · (6.411e-10 / 4.612e-8) / 0.00993 = 2.799737
    expected = [38.461538 * roll, 38.461538 * pitch, 2.799737 * yaw]
    np.testing.assert_allclose(turned, expected, rtol=1e-6)


def test_thrust_points_out_of_the_top_however_it_is_turned():
    for roll, pitch, yaw in np.random.default_rng(0).uniform(-1.5, 1.5, (20, 3)):
        state = AT_GOAL.copy()
        state[3:6] = roll, pitch, yaw
        pull = change(state[:, None], np.full((4, 1), 0.8), NOMINAL)[6:9, 0]
        expected = np.array((0, 0, 9.8066)) - 3.2 / 0.64 * attitude(roll, pitch, yaw)[:, 2]
        np.testing.assert_allclose(pull, expected, atol=1e-12)


def test_without_thrust_the_angular_momentum_keeps_its_direction_in_the_room(env):
    state = AT_GOAL.copy()
    state[3:6], state[9:] = (0.4, -0.3, 1.0), (2.0, -3.0, 4.0)
    env.state = state

    def momentum() -> np.ndarray:
        return attitude(*env.state[3:6]) @ (quadrotor.INERTIA * env.state[9:])

    before, rates = momentum(), env.state[9:]
    for _ in range(20):
        env.step([-1.0] * 4)
    np.testing.assert_allclose(momentum(), before, rtol=1e-9)
    assert np.abs(env.state[9:] - rates).max() > 0.3  # seen from the body it does turn


def test_factors_scale_what_they_are_factors_of():
    state, thrusts = AT_GOAL[:, None], np.array([[1.0], [2.0], [4.0], [3.0]])
    plain = change(state, thrusts, NOMINAL)[:, 0]
    # an arm scales two torques, I all three; the yaw's goes as kq / kt
    for factor, entries, gain in [
        (1, [9, 10], 1.25),
        (2, [11], 0.8),
        (3, [9, 10, 11], 0.8),
        (4, [11], 1.25),
    ]:
        scales = NOMINAL.copy()
        scales[factor] = 1.25
        expected = plain.copy()
        expected[entries] *= gain
        np.testing.assert_allclose(change(state, thrusts, scales)[:, 0], expected, rtol=1e-12)
    heavy = change(state, thrusts, np.array([[1.25], [1], [1], [1], [1]]))[8, 0]
    assert heavy == pytest.approx(9.8066 - 10 / 0.8)


def test_a_stronger_rotor_constant_gives_more_thrust(env):
    env.values[14] = 1.05
    env.u = [math.sqrt(HOVER)] * 4
    env.step([2 * HOVER - 1] * 4)
    assert env.state[8] == pytest.approx(-0.05 * 9.8066 * 0.01, rel=1e-6)


def test_a_failed_rotor_gives_nothing_and_a_half_working_one_half_an_action(env):
    env.rotors = [1, 0, 1, 0.5]
    env.lag = 1.0
    env.step([0.6, 0.6, -0.6, 0.6])
    # fractions (1.6, 0, 0.4, 1.3) / 2
    np.testing.assert_allclose(env.u**2, [0.8, 0.0, 0.2, 0.65])


def test_yaw_is_paid_for_unless_a_rotor_is_off():
    state = AT_GOAL[:, None].repeat(2, 1)
    state[5] = 0.0, math.pi / 2
    asked = np.full((4, 2), 0.5)
    # 0.9 + 0.13 · 0.5 = 0.965, times (1 + cos ψ)/2
    assert quadrotor.rewards(state, asked, True) == pytest.approx([0.965, 0.4825])
    assert quadrotor.rewards(state, asked, False) == pytest.approx([0.965, 0.965])


def test_the_reward_of_a_worked_state():
    state = np.array([0.3, 0.0, 2.4, 0.5, -1.0, 0.8, 0.6, 0.0, 0.8, 0.0, 2.0, 0.0])
    # exp(-2 · 0.5) = 0.3678794; 0.7 + 0.3 exp(-0.4) = 0.9010960; 0.7 + 0.3 exp(-0.8) = 0.8347987
    # 0.75 + 0.25 cos 0.5 = 0.9693956; 0.75 + 0.25 cos 1 = 0.8850756; (1 + cos 0.8)/2 = 0.8483534
    # 0.9 + 0.13 · 0.7 = 0.991; the product is 0.1996074
    asked = np.array([[0.1], [0.7], [0.2], [0.3]])
    assert quadrotor.rewards(state[:, None], asked, True)[0] == pytest.approx(0.1996, abs=5e-5)


@pytest.mark.parametrize(
    "conditions", [[1, 1, 1], [1, 1, 1, 1.1], [-0.1, 1, 1, 1], 1, [np.nan] * 4]
)
def test_conditions_that_are_none_are_refused(env, conditions):
    with pytest.raises(ValueError, match="four numbers in 0-1"):
        env.rotors = conditions
    assert env.rotors.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("entries", "ends"),
    [
        ({0: 4.99, 6: 0.5}, False),
        ({0: 4.99, 6: 1.5}, True),
        ({1: -4.99, 7: -1.5}, True),
        ({2: 4.98, 8: 1.0}, False),
        ({2: 4.98, 8: 3.0}, True),
        ({2: -3.84, 8: -1.0}, False),  # z' = -3.8495; the ceiling is at -4 + 0.14 = -3.86
        ({2: -3.84, 8: -3.0}, True),  # z' = -3.8695
        ({3: 1.56, 9: 0.5}, False),  # φ' = 1.565, and 90° = 1.5708
        ({3: 1.56, 9: 2.0}, True),
        ({3: -1.56, 9: -2.0}, True),
        ({4: 1.56, 10: 0.5}, False),
        ({4: -1.56, 10: -2.0}, True),
        ({5: 3.14, 11: 9.0}, False),  # a full turn of yaw is allowed
    ],
)
def test_an_episode_ends_at_walls_at_the_ceiling_and_beyond_90_degrees(env, entries, ends):
    state = AT_GOAL.copy()
    for entry, value in entries.items():
        state[entry] = value
    env.state = state
    assert env.step([-1.0] * 4)[2] is ends


def test_the_three_last_frames_are_shown_the_newest_first():
    env = gymnasium.make("Quadrotor-v0")
    first, _ = env.reset(seed=0)
    assert np.array_equal(first, np.tile(first[:15], 3))
    second, third = (env.step(np.full(4, -0.5, np.float32))[0] for _ in range(2))
    assert np.array_equal(third[15:30], second[:15])
    assert np.array_equal(third[30:], first[:15])
    state = env.unwrapped.state
    turns = np.stack((np.sin(state[3:6]), np.cos(state[3:6])), 1).ravel()
    frame = np.concatenate(([0, 0, 2] - state[:3], state[6:9], turns, state[9:]))
    np.testing.assert_allclose(third[:15], frame, rtol=1e-6)


def begun(**settings: float) -> np.ndarray:
    """The values (30, 2000) that episodes begin with."""
    envs = gymnasium.make_vec("Quadrotor-v0", 2000, **settings)
    envs.reset(seed=0)
    return np.array(envs.unwrapped.env.values)


def test_episodes_begin_about_the_goal_with_physics_of_their_own():
    values = begun()
    values[2] -= 2.0
    pi = math.pi
    reach = np.array([3, 3, 1.5, pi / 4, pi / 4, pi, 1, 1, 1, 2 * pi, 2 * pi, 2 * pi])
    # uniform on ±h: the mean of 2000 is off by less than 4 · h/√6000, and the deviation is h/√3
    assert (np.abs(values[:12].mean(1)) < 4 * reach / math.sqrt(6000)).all()
    np.testing.assert_allclose(values[:12].std(1), reach / math.sqrt(3), rtol=0.05)
    assert (np.abs(values[:12]).max(1) <= reach).all()
    assert ((values[12:17] >= 0.95) & (values[12:17] <= 1.05)).all()
    np.testing.assert_allclose(values[12:17].std(1), 0.05 / math.sqrt(3), rtol=0.05)
    assert np.corrcoef(values[:17]) == pytest.approx(np.eye(17), abs=0.1)
    slowness = 0.04 / values[17]
    assert slowness.min() == pytest.approx(0.05, abs=1e-3)
    assert slowness.max() == pytest.approx(0.2, abs=1e-3)
    assert slowness.mean() == pytest.approx(0.125, abs=0.004)
    assert (values[18:22] == 0.1).all() and (values[22:] == 0).all()


def test_nominal_physics_stay_nominal_over_resets(env):
    for _ in range(3):
        env.reset()
        assert env.values[12:17].tolist() == [[1]] * 5
        assert env.lag == 0.4
    env.randomise = True
    env.reset()
    assert env.lag != 0.4 and (env.values[12:17] != 1).all()
    assert (begun(randomise=False)[:12] == begun()[:12]).all()


def test_conditions_and_silence_stay_over_resets(env):
    env.rotors = [1, 0, 1, 1]
    for _ in range(3):
        env.reset()
        for _ in range(5):
            env.step([0.0] * 4)
        assert (env.values[22:26] == 0).all()
        assert (env.noise, env.rotors.tolist()) == (0, [1, 0, 1, 1])


def test_the_noise_reverts_and_has_its_known_deviation():
    env = Quadrotor(copies=500)
    for copy in range(500):
        env.renew(copy, seed=copy)
    before = []
    for _ in range(40):
        before.append(env.values[22:26].ravel())
        env.advance(np.full((4, 500), -0.5))
    first, last = before[1], before[-1]
    # 0.05 in the first step; later 0.05 / √(1 - 0.85²) = 0.0949, of 2000 within 4/√4000 of itself
    assert first.std() == pytest.approx(0.05, rel=0.064)
    assert last.std() == pytest.approx(0.0949, rel=0.064)
    assert np.corrcoef(before[-2], last)[0, 1] == pytest.approx(0.85, abs=0.03)
    assert abs(last.mean()) < 4 * 0.0949 / math.sqrt(2000)


def test_a_copy_that_rests_draws_no_chance():
    envs, single = gymnasium.make_vec("Quadrotor-v0", 2), gymnasium.make("Quadrotor-v0")
    envs.reset(seed=[3, 4])
    single.reset(seed=3)
    idle, ended = np.full((2, 4), -1.0), False
    while not ended:
        envs.step(idle)
        ended = single.step(idle[0])[2]
    for _ in range(10):  # the other copy may go on without the first
        envs.reset(seed=[None, 5], options={"reset_mask": [False, True]})
        envs.step(idle)
    seen, _ = envs.reset(options={"reset_mask": [True, False]})
    assert np.array_equal(seen[0], single.reset()[0])


def hovering(seen: np.ndarray) -> np.ndarray:
    """Actions (n, 4) of a law that flies to the goal and holds it, from observations (n, 45)."""
    away, speeds, rates = seen[:, :3].clip(-1, 1), seen[:, 3:6], seen[:, 12:15]
    roll, pitch, yaw = (np.arctan2(seen[:, i], seen[:, i + 1]) for i in (6, 8, 10))
    wanted = 8.0 * away - 5.0 * speeds  # m/s², in the room
    ahead = np.cos(yaw) * wanted[:, 0] + np.sin(yaw) * wanted[:, 1]
    aside = np.cos(yaw) * wanted[:, 1] - np.sin(yaw) * wanted[:, 0]
    lift = 0.64 * (9.8066 - wanted[:, 2]) / (np.cos(roll) * np.cos(pitch))
    angles = np.stack((aside / 9.8066 - roll, -ahead / 9.8066 - pitch, -yaw), 1)
    torques = ((400, 400, 10) * angles - (40, 40, 6) * rates) * quadrotor.INERTIA
    roll, pitch, yaw = torques.T / ((0.28,), (0.28,), (4 * 6.411e-10 / 4.612e-8,))
    thrusts = lift / 4 + np.array((yaw - roll, yaw + roll, pitch - yaw, -pitch - yaw))
    return (2 * thrusts / 10.301593 - 1).clip(-1, 1).T


def near_the_goal(**settings: float) -> gymnasium.vector.VectorEnv:
    """64 copies within 0.2 (m, rad, m/s, rad/s) of rest at the goal, its rotors at hover."""
    envs = gymnasium.make_vec("Quadrotor-v0", 64, **settings)
    envs.reset(seed=0)
    near = np.random.default_rng(0).uniform(-0.2, 0.2, (12, 64))
    envs.unwrapped.env.values[:12] = AT_GOAL[:, None] + near
    envs.unwrapped.env.values[18:22] = math.sqrt(HOVER)
    return envs


def flown(envs: gymnasium.vector.VectorEnv, steps: int) -> np.ndarray:
    """Rewards (steps, 64) of the law, which loses none."""
    seen, *_ = envs.step(np.full((64, 4), 2 * HOVER - 1))
    rewards = []
    for _ in range(steps):
        seen, reward, ended, _, _ = envs.step(hovering(seen))
        assert not ended.any()
        rewards.append(reward)
    return np.array(rewards)


def test_a_plain_law_holds_the_goal_from_near_it_in_spite_of_noise():
    paid = flown(near_the_goal(), steps=400)[200:]
    # 0.709, with a deviation of 0.006 over the 64 copies
    assert paid.mean() == pytest.approx(0.709, abs=0.025)


def test_without_noise_the_same_law_comes_to_0_9198():
    paid = flown(near_the_goal(rotor_noise=0.0, randomise=False), steps=400)
    np.testing.assert_allclose(paid[-1], 0.9198, atol=1e-3)


def test_chance_falls_within_a_second_and_is_paid_little():
    envs, draw = gymnasium.make_vec("Quadrotor-v0", 500), np.random.default_rng(0)
    envs.reset(seed=0)
    total, ended = np.zeros(500), np.zeros(500, bool)
    while not ended.all():
        _, reward, ended, _, _ = envs.step(draw.uniform(-1, 1, (500, 4)))
        total += reward
    assert 20 < envs.unwrapped.steps.mean() < 60
    assert total.mean() < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_no_observation_leaves_the_box_wherever_the_state_is_set(seed):
    envs, draw = gymnasium.make_vec("Quadrotor-v0", 200), np.random.default_rng(seed)
    envs.reset(seed=0)
    limit = np.array(Quadrotor.state_limit)
    limit[5] = 10.0
    part = np.where(draw.random((12, 200)) < 0.5, draw.uniform(-1, 1, (12, 200)), 1.0)
    envs.unwrapped.env.values[:12] = part * draw.choice([-1, 1], (12, 200)) * limit[:, None]
    envs.unwrapped.env.values[9:12] *= 10.0 ** -draw.integers(0, 4, 200)
    push = draw.choice([-1.0, 1.0], (200, 4))
    for _ in range(60):
        seen, reward, ended, _, _ = envs.step(push)
        assert seen in envs.observation_space
        assert ((reward >= 0) & (reward <= 1.03)).all()
        push = np.where(draw.random((200, 4)) < 0.1, -push, push)
        if ended.all():
            break
