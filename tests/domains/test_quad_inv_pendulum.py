import math

import gymnasium
import numpy as np
import pytest

import offpcc.domains.quad_inv_pendulum as links
from offpcc.domains.quad_inv_pendulum import QuadInvPendulum, accelerations, solved

HANGING = [0.0, *[math.pi] * 4, *[0.0] * 5]
UPRIGHT = [0.0] * 10
LENGTHS, CENTRES = (0.190, 0.226, 0.262, 0.298), (0.120, 0.145, 0.178, 0.140)
MASSES = (0.5, 0.6, 0.6, 0.4)


@pytest.fixture
def env() -> QuadInvPendulum:
    env = QuadInvPendulum()
    env.reset(seed=0)
    return env


def mechanics(state: np.ndarray) -> tuple[float, float]:
    """The links' energy in the cart's frame (J), and Σ m x of their centres from the cart (kg m).

    From where the masses are and how fast they move, and from nothing else.
    """
    joint, speed = np.zeros(2), np.zeros(2)
    energy = sideways = 0.0
    parts = zip(LENGTHS, CENTRES, MASSES, state[1:5], state[6:], strict=True)
    for length, centre, mass, angle, rate in parts:
        along = np.array((-math.sin(angle), math.cos(angle)))
        across = rate * np.array((-math.cos(angle), -math.sin(angle)))
        place, moving = joint + centre * along, speed + centre * across
        energy += mass * moving @ moving / 2 + mass * centre**2 / 3 * rate**2 / 2
        energy += mass * 9.81 * place[1]
        sideways += mass * place[0]
        joint, speed = joint + length * along, speed + length * across
    return energy, sideways


def energy_change(env: QuadInvPendulum, steps: int) -> float:
    env.state = [0.0, 2.0, 2.5, -2.0, 3.0, 0.0, 1.0, -2.0, 0.5, 3.0]
    before = mechanics(env.state)[0]
    for _ in range(steps):
        env.step([0.0])
    return mechanics(env.state)[0] - before


def test_five_steps_of_full_push_from_hanging_are_the_known_ones(env):
    env.state = HANGING
    for _ in range(5):
        env.step([1.0])
    known = [0.2, 2.38480246, 2.80536691, 3.15969241, 3.14328951]
    known += [4, -6.38327952, -13.55236546, -1.11344964, 0.35490063]
    np.testing.assert_allclose(env.state, known, rtol=0, atol=1e-7)


def test_masses_couple_the_links_as_computed_by_hand():
    # S = (1.6, 1, 0.4, 0); c = a m + l S = (0.06 + 0.304, 0.087 + 0.226, 0.1068 + 0.1048, 0.056)
    np.testing.assert_allclose(links.MOMENTS, [0.364, 0.313, 0.2116, 0.056])
    # M_11 = 4/3 · 0.12² · 0.5 + 0.19² · 1.6, M_44 = 4/3 · 0.14² · 0.4, M_12 = 0.19 · 0.313, …
    known = {(0, 0): 0.06736, (3, 3): 0.010453333, (0, 1): 0.05947, (2, 1): 0.226 * 0.2116}
    for entry, value in known.items():
        assert links.COUPLINGS[entry] == pytest.approx(value, rel=1e-7)


def test_the_published_task_drives_the_first_link_with_another_mass():
    # a_1 m_2 + l_1 S_1 = 0.12 · 0.6 + 0.19 · 1.6 = 0.376, with m_1 0.364
    assert QuadInvPendulum().drive[0] == pytest.approx(0.376)
    assert gymnasium.make("QuadInvPendulum-v0").unwrapped.drive[0] == pytest.approx(0.376)
    right = gymnasium.make("QuadInvPendulum-v0", published_b1=False).unwrapped
    np.testing.assert_allclose(right.drive, [0.364, 0.313, 0.2116, 0.056])


def test_hanging_at_rest_stays(env):
    env.state = HANGING
    for _ in range(100):
        _, reward, terminated, _, _ = env.step([0.0])
        assert reward == pytest.approx(0.0, abs=1e-12) and not terminated
    np.testing.assert_allclose(env.state, HANGING, atol=1e-12)


def test_standing_upright_falls_from_a_thousandth(env):
    env.state = [0.0, 0.001, *[0.0] * 8]
    for _ in range(30):
        env.step([0.0])
    assert np.abs(env.state[1:5]).max() > 0.1


def test_damping_takes_energy_away(env):
    changes = [energy_change(env, steps) for steps in (5, 10, 20)]
    assert 0 > changes[0] > changes[1] > changes[2]


def test_without_damping_energy_is_kept_to_runge_kutta_s_order(env, monkeypatch):
    monkeypatch.setattr(links, "JOINT_DAMPING", np.zeros((4, 4)))
    assert abs(energy_change(env, 15)) < 1e-5  # J, of some 10 that move about
    ends = {}
    for substeps in (10, 20, 160):
        monkeypatch.setattr(links, "SUBSTEPS", substeps)
        energy_change(env, 15)
        ends[substeps] = env.state
    coarse, fine = (np.abs(ends[substeps] - ends[160]).max() for substeps in (10, 20))
    assert coarse / fine == pytest.approx(2**4, rel=0.2)


def test_a_steady_push_is_a_tilted_gravity_for_links_that_are_driven_right(monkeypatch):
    monkeypatch.setattr(links, "JOINT_DAMPING", np.zeros((4, 4)))
    kept = {}
    for published in (False, True):
        env = QuadInvPendulum(published_b1=published)
        env.state = [-0.5, 2.5, 3.0, 3.5, 2.8, 0.0, 1.0, -1.0, 0.5, 0.0]
        sums = []
        for _ in range(8):
            energy, sideways = mechanics(env.state)
            sums.append(energy + 12.0 * sideways)  # u = 0.3 · 40 = 12 m/s²
            env.step([0.3])
        kept[published] = max(sums) - min(sums)
    assert kept[False] < 1e-5
    assert kept[True] > 1e-2


def test_damping_alone_brakes_the_difference_of_two_links_rates():
    # joint 2 brakes link 1 by d_2 (q̇_1 - q̇_2), so with q̇_1 alone it feels d_1 + d_2
    torque = links.JOINT_DAMPING @ np.array((1.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(torque, [0.00240744762, -0.00085988501, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(links.JOINT_DAMPING.sum(1), [0.00154756261, 0, 0, 0], atol=1e-9)
    slowed = accelerations(
        np.full((4, 1), math.pi), np.ones((4, 1)), np.zeros(1), np.zeros(4)
    )  # all turn as one: the lowest joint alone brakes
    np.testing.assert_allclose(
        (links.COUPLINGS @ slowed)[:, 0], [-0.00154756261, 0, 0, 0], atol=1e-9
    )


def test_left_is_the_mirror_of_right(env):
    state = np.array([0.1, 0.5, -1.0, 2.0, 0.3, 0.2, 1.0, -2.0, 3.0, -1.0])
    ends = []
    for side in (1.0, -1.0):
        env.state = side * state
        ends.append([env.step([side * 0.7])[1] for _ in range(5)] + list(side * env.state))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9)


def test_elimination_solves_each_copy_as_if_it_were_alone():
    draw = np.random.default_rng(0)
    half = draw.normal(size=(4, 4, 300))
    matrix = np.einsum("ikn,jkn->ijn", half, half) + np.eye(4)[:, :, None]
    right = draw.normal(size=(4, 300))
    many = solved(matrix, right)
    for copy in (0, 7, 299):
        expected = np.linalg.solve(matrix[:, :, copy], right[:, copy])
        np.testing.assert_allclose(many[:, copy], expected, rtol=1e-9)
        one = slice(copy, copy + 1)
        assert np.array_equal(solved(matrix[:, :, one], right[:, one])[:, 0], many[:, copy])


def test_the_reward_of_worked_states():
    def reward(state, action):
        return links.rewards(np.array(state)[:, None], np.array([action]))[0]

    assert reward(UPRIGHT, 0.0) == 1.0
    assert reward(UPRIGHT, -1.0) == pytest.approx(0.8)
    # 0.5 + 0.5 exp(-0.7 · 0.25) = 0.9197285; 0.8 + 0.2 · 0.75 = 0.95
    # q_1 = 0.5: 0.9387913; q_2 - q_1 = -0.5: the same; the slowest factor is of q̇ = 2:
    # 0.5 + 0.5 exp(-0.8) = 0.7246645; all: 0.9197285 · 0.95 · 0.9387913² · 0.7246645 = 0.5580309
    state = [0.5, 0.5, 0.0, 0.0, 0.0, 9.0, 1.0, -2.0, 0.0, 1.0]
    assert reward(state, 0.5) == pytest.approx(0.5580309, abs=1e-6)


def test_the_reward_is_of_the_state_after_the_step(env):
    env.state = [0.0, 0.3, 0.1, 0.0, 0.2, 0.5, 1.0, 0.0, 0.0, 0.0]
    _, reward, _, _, _ = env.step([0.4])
    assert reward == pytest.approx(links.rewards(env.values[:10], np.array([0.4]))[0])


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("entries", "ends"),
    [
        ({0: 0.74, 5: 0.4}, False),  # x' = 0.748
        ({0: 0.74, 5: 0.6}, True),  # x' = 0.752
        ({6: 20.0, 7: 20.0, 8: 20.0, 9: 20.0}, False),
        ({9: 35.0, 8: -35.0}, None),  # whichever way that goes, it is as the rates say
        ({6: 35.0, 7: 35.0, 8: 35.0, 9: 35.0}, None),
    ],
)
def test_an_episode_ends_beyond_the_track_and_at_35_rad_s(env, side, entries, ends):
    state = np.array(HANGING)
    for entry, value in entries.items():
        state[entry] = side * value
    env.state = state
    terminated = env.step([0.0])[2]
    fast = bool((np.abs(env.state[6:]) >= 35).any())
    assert terminated == (fast if ends is None else ends)


def test_the_observation_shows_angles_from_link_to_link_and_rates_from_upright(env):
    env.state = [0.1, 0.2, 0.5, 0.1, -0.3, 0.0, 0.0, 0.0, 0.0, 0.0]
    env.values[5:10, 0] = [-0.4, 1.0, 2.0, 3.0, 4.0]
    bends, rates = (0.2, 0.3, -0.4, -0.4), (1.0, 2.0, 3.0, 4.0)
    expected = [0.1, -0.4]
    for bend, rate in zip(bends, rates, strict=True):
        expected += [math.sin(bend), math.cos(bend), rate]
    np.testing.assert_allclose(env.seen()[0], expected, rtol=1e-6)


def test_episodes_begin_near_hanging_in_the_middle():
    envs = gymnasium.make_vec("QuadInvPendulum-v0", 1000)
    envs.reset(seed=0)
    starts = (envs.unwrapped.env.values[:10].T - HANGING) / 0.01
    # standard normal: the mean of 1000 is off by less than 4/√1000, their deviation by 4/√2000
    np.testing.assert_allclose(starts.mean(0), np.zeros(10), atol=4 / math.sqrt(1000))
    np.testing.assert_allclose(starts.std(0), np.ones(10), atol=4 / math.sqrt(2000))
    assert np.corrcoef(starts.T) == pytest.approx(np.eye(10), abs=0.15)


def balancing_law() -> np.ndarray:
    """Gains (10,) that hold the links upright, from a numeric slope and Riccati's equation."""
    env = QuadInvPendulum(copies=22)
    small = 1e-6
    steps = np.concatenate((np.eye(11), -np.eye(11))) * small
    env.values = np.concatenate((steps[:, :10].T, np.zeros((1, 22))))
    env.advance(steps[:, 10][None])
    slope = (env.values[:10, :11] - env.values[:10, 11:]) / (2 * small)
    moves, pushes = slope[:, :10], slope[:, 10:]
    price = np.diag([10.0] + [10.0] * 4 + [1.0] * 5)
    value = price
    for _ in range(1000):
        gains = np.linalg.solve(100 + pushes.T @ value @ pushes, pushes.T @ value @ moves)
        value = price + moves.T @ value @ (moves - pushes @ gains)
    return gains[0]


def test_a_linear_law_balances_all_four_links_for_1000_steps():
    gains, env = balancing_law(), gymnasium.make("QuadInvPendulum-v0")
    env.reset(seed=0)
    env.unwrapped.state = [0.05, 0.005, -0.005, 0.005, -0.005, *[0.0] * 5]
    total = 0.0
    for _ in range(1000):
        push = -gains @ env.unwrapped.state
        _, reward, terminated, truncated, _ = env.step(np.array([push]))
        assert not terminated
        total += reward
    assert truncated
    assert 950 < total <= 1000
    np.testing.assert_allclose(env.unwrapped.state, UPRIGHT, atol=1e-3)


def test_chance_pays_next_to_nothing_and_does_not_last():
    envs, draw = gymnasium.make_vec("QuadInvPendulum-v0", 256), np.random.default_rng(0)
    envs.reset(seed=0)
    total, ended = np.zeros(256), np.zeros(256, bool)
    for _ in range(250):
        _, reward, ended, _, _ = envs.step(draw.uniform(-1, 1, (256, 1)))
        total += reward
        if ended.all():
            break
    assert ended.mean() > 0.98
    assert total.mean() < 5


@pytest.mark.parametrize("seed", range(3))
def test_no_observation_leaves_the_box_wherever_the_state_is_set(seed):
    envs, draw = gymnasium.make_vec("QuadInvPendulum-v0", 200), np.random.default_rng(seed)
    envs.reset(seed=0)
    limit = np.array(QuadInvPendulum.state_limit)
    limit[1:5] = 10.0
    part = np.where(draw.random((10, 200)) < 0.5, draw.uniform(-1, 1, (10, 200)), 1.0)
    envs.unwrapped.env.values[:10] = part * draw.choice([-1, 1], (10, 200)) * limit[:, None]
    push = draw.choice([-1.0, 1.0], (200, 1))
    for _ in range(40):
        seen, reward, ended, _, _ = envs.step(push)
        assert seen in envs.observation_space
        assert ((reward >= 0) & (reward <= 1)).all()
        push = np.where(draw.random((200, 1)) < 0.1, -push, push)
        if ended.all():
            break
