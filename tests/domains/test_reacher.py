import math

import gymnasium
import numpy as np
import pytest

from offpcc.domains.reacher import (
    ARMATURE,
    DAMPING,
    DENSITY,
    LENGTHS,
    MAX_SPEED,
    RADIUS,
    Reacher,
    accelerations,
    capsule,
    tip_of,
)


@pytest.fixture
def env() -> Reacher:
    env = Reacher()
    env.reset(seed=0)
    return env


def copies(n: int) -> Reacher:
    env = Reacher(copies=n)
    for copy in range(n):
        env.renew(copy, seed=copy)
    return env


def cells(length: float) -> np.ndarray:
    """Small cubes of a capsule: places along and across the link, and masses (3, ·)."""
    along = np.linspace(-RADIUS, length + RADIUS, 301)
    across = np.linspace(-RADIUS, RADIUS, 41)
    along, across = (edges[:-1] + np.diff(edges) / 2 for edges in (along, across))
    x, y, z = np.meshgrid(along, across, across, indexing="ij")
    beyond = np.maximum(np.maximum(-x, x - length), 0.0)
    inside = beyond**2 + y**2 + z**2 < RADIUS**2
    cell = (along[1] - along[0]) * (across[1] - across[0]) ** 2
    return np.array((x[inside], y[inside], np.full(inside.sum(), DENSITY * cell)))


CELLS = [cells(length) for length in LENGTHS]


def kinetic(angles: np.ndarray, speeds: np.ndarray) -> float:
    """Kinetic energy (J), summed over the links' cells one by one."""
    heading = np.cumsum(angles)
    turning = np.cumsum(speeds)
    energy = ARMATURE * (speeds @ speeds) / 2
    base = 0.0j  # velocity of a link's joint, in the complex plane
    for (x, y, mass), way, turn, length in zip(CELLS, heading, turning, LENGTHS, strict=True):
        velocity = base + 1j * turn * (x + 1j * y) * np.exp(1j * way)
        energy += (mass * np.abs(velocity) ** 2).sum() / 2
        base = base + 1j * turn * length * np.exp(1j * way)
    return energy


def test_the_capsules_weigh_what_their_volume_does():
    # 1000 π (0.01² · 0.1 + 4/3 · 0.01³) = 0.0314159265 + 0.0041887902
    # 0.0314159265 (0.01/12 + 0.0001/4) + 0.0041887902 (0.01/4 + 3/8 · 0.001 + 2/5 · 0.0001)
    # = 2.69653369e-5 + 1.22103235e-5
    assert capsule(0.1) == pytest.approx((0.0356047167, 3.91756604e-5), rel=1e-8)
    for length, (x, _, mass) in zip(LENGTHS, CELLS, strict=True):
        assert mass.sum() == pytest.approx(capsule(length)[0], rel=1e-2)
        assert (mass * x).sum() / mass.sum() == pytest.approx(length / 2, rel=1e-9)


@pytest.mark.parametrize("bend", [-2.0, 0.4, 1.3])
def test_the_motion_obeys_euler_and_lagrange(bend):
    angles, speeds, torque = np.array((0.3, bend)), np.array((30.0, -50.0)), np.array((7.0, -3.0))
    arm = np.concatenate((angles, speeds))[:, None]
    gained = np.array(accelerations(arm, torque[:, None]))[:, 0]
    # The energy is quadratic in the speeds, so that differences of any size are exact.
    unit, h = np.eye(2), 1e-4

    def momenta(at: np.ndarray, moving: np.ndarray) -> np.ndarray:
        return np.array([(kinetic(at, moving + e) - kinetic(at, moving - e)) / 2 for e in unit])

    along = momenta(angles + h * speeds, speeds) - momenta(angles - h * speeds, speeds)
    slope = [(kinetic(angles + h * e, speeds) - kinetic(angles - h * e, speeds)) for e in unit]
    lost = momenta(angles, gained) + along / (2 * h) - np.array(slope) / (2 * h)
    # The terms of speed are near 0.2 · 0.0002 · 50² = 0.5 N m, and cells are good to 1 %.
    np.testing.assert_allclose(lost, torque - DAMPING * speeds, atol=5e-3)


def test_the_speeds_alone_move_the_arm_by_hand():
    # Inner, outer and coupling: 5.15650546e-4, 1.67483540e-4, 2.13104702e-4 kg m². At θ2 = π/2,
    # M11 = 1.000683134087, M12 = 0.000167483540, M22 = 1.000167483540: determinant 1.000850703990
    # right side: 0 - 20 + 2.13104702e-4 · 30 (2 · 20 + 30) = -19.552480126496
    #             0 - 30 - 2.13104702e-4 · 20² = -30.085241880668
    # θ̈1 = (M22 · -19.552480126496 + M12 · 30.085241880668) / 1.000850703990
    # θ̈2 = (M11 · -30.085241880668 + M12 · 19.552480126496) / 1.000850703990
    arm = np.array((1.0, math.pi / 2, 20.0, 30.0))[:, None]
    found = np.array(accelerations(arm, np.zeros((2, 1))))[:, 0]
    np.testing.assert_allclose(found, [-19.5340983269, -30.0769328496], rtol=1e-10)


@pytest.mark.parametrize("joint", [0, 1])
def test_a_torque_spins_its_joint_up_against_the_damping(env, joint):
    action = np.zeros(2)
    action[joint] = 0.5
    env.state = [0.0, 0.0, 0.0, 0.0]
    env.step(action)
    # ω̇ = 100 - ω for 0.02 s: 100 (1 - e^-0.02) = 1.98013; the turn is 100 (0.02 - 0.01980133)
    # The links add up to 1.1 thousandths to the motor's inertia.
    assert env.state[2 + joint] == pytest.approx(1.98013, rel=1.2e-3)
    assert env.state[joint] == pytest.approx(0.0198673, rel=1.2e-3)
    assert abs(env.state[3 - joint]) < 0.002  # what the links' own inertia carries over


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_second_joint_rests_at_its_stop(env, side):
    env.state = [0.5, side * 2.99, 0.0, side * 10.0]
    env.step([0.0, 0.0])
    # at rest there but for what the first joint's motion carries over
    assert env.state[[1, 3]] == pytest.approx([side * 3.0, 0.0], abs=1e-9)
    for _ in range(3):
        env.step([0.0, -side])
    assert abs(env.state[1]) < 3.0


def test_the_reward_is_the_distance_after_the_step_and_the_action_s_price(env):
    env.state = [0.0, math.pi / 2, 0.0, 0.0]  # the tip is at (0.1, 0.11)
    env.values[4:6, 0] = 0.07, 0.07  # (0.03, 0.04) away
    observation, reward, _, _, _ = env.step([0.0, 0.0])
    assert reward == pytest.approx(-0.05, abs=1e-12)
    expected = [1, 0, 0, 1, 0.07, 0.07, 0, 0, 0.03, 0.04, 0]
    np.testing.assert_allclose(observation, expected, atol=1e-7)
    reward = env.step([0.3, -0.4])[1]
    x, y = tip_of(*env.state[:2])
    assert reward == pytest.approx(-math.hypot(x - 0.07, y - 0.07) - 0.25, abs=1e-12)
    assert math.hypot(x - 0.07, y - 0.07) != pytest.approx(0.05, abs=1e-3)


def test_a_turned_environment_is_the_same_environment_and_a_mirrored_one_mirrors():
    plain, turned, mirrored = (Reacher() for _ in range(3))
    for one in (plain, turned, mirrored):
        one.reset(seed=0)
    x, y = plain.values[4:6, 0]
    turned.values[0] += math.pi / 2
    turned.values[4:6, 0] = -y, x
    mirrored.values[:4] *= -1
    mirrored.values[5] *= -1
    for action in np.random.default_rng(0).uniform(-1, 1, (50, 2)):
        reward = plain.step(action)[1]
        assert turned.step(action)[1] == pytest.approx(reward, abs=1e-9)
        assert mirrored.step(-action)[1] == pytest.approx(reward, abs=1e-9)


def test_episodes_begin_near_rest_with_a_target_anywhere_in_the_disc():
    angles, speeds, target = np.split(copies(4000).values[:6], 3)
    for drawn, reach in ((angles, 0.1), (speeds, 0.005)):
        assert (np.abs(drawn) <= reach).all()
        assert np.abs(drawn).max(1) == pytest.approx([reach, reach], rel=0.01)
        assert drawn.std(1) == pytest.approx([reach / 3**0.5] * 2, rel=0.04)
    away = (target**2).sum(0) / 0.2**2
    # For a uniform disc the squared radius is uniform in [0, 1]: mean 1/2, deviation 1/√12.
    assert away.max() <= 1.0
    assert away.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 4000))
    assert away.std() == pytest.approx(1 / math.sqrt(12), rel=0.04)
    assert abs(target.mean(1)).max() < 4 * 0.1 / math.sqrt(4000)


@pytest.mark.parametrize("bend", [None, -1.0, 1.0])
def test_no_observation_leaves_the_box_in_hard_play(bend):
    env = copies(32)
    draw = np.random.default_rng(0)
    env.values[2:4] = draw.choice((-200.0, 200.0), (2, 32))  # as fast as can be set
    box = env.observation_space
    for _ in range(400):
        push = np.where(env.values[2:4] >= 0, 1.0, -1.0)  # on with the way it goes
        if bend is not None:
            push[1] = bend
        env.advance(push)
        seen = env.seen()
        assert (seen >= box.low).all() and (seen <= box.high).all()
    assert np.abs(seen[:, 6]).max() == pytest.approx(200.0, rel=0.02)
    assert np.abs(seen[:, 6:8]).max() < MAX_SPEED


def law(seen: np.ndarray) -> np.ndarray:
    """The joint angles that bring the tip to the target, approached without overshooting."""
    cosine, (x, y), speeds = seen[:, 0:4], seen[:, 4:6].T, seen[:, 6:8]
    angles = np.arctan2(cosine[:, 2:], cosine[:, :2])
    near, far = LENGTHS
    bend = np.arccos(((x**2 + y**2 - near**2 - far**2) / (2 * near * far)).clip(-1, 1))
    first = np.arctan2(y, x) - np.arctan2(far * np.sin(bend), near + far * np.cos(bend))
    error = np.stack((first, np.minimum(bend, 2.95)), 1) - angles
    error[:, 0] = (error[:, 0] + np.pi) % (2 * np.pi) - np.pi
    return (64 * error - 16 * speeds) / 200


def returns(act, n: int = 500) -> tuple[float, np.ndarray]:
    envs = gymnasium.make_vec("reacher-mdp-v0", n)
    seen, _ = envs.reset(seed=0)
    total = np.zeros(n)
    for _ in range(50):
        seen, reward, terminated, truncated, _ = envs.step(act(seen))
        assert not terminated.any()
        total += reward
    assert truncated.all()
    return float(total.mean()), seen


def test_a_law_that_knows_the_target_reaches_it_and_beats_chance():
    mean, seen = returns(law)
    assert mean == pytest.approx(-4.6, abs=0.4)  # the mean of 500 has a deviation of 0.09
    assert np.hypot(seen[:, 8], seen[:, 9]).mean() < 0.005
    draw = np.random.default_rng(0)
    chance, _ = returns(lambda seen: draw.uniform(-1, 1, (len(seen), 2)))
    # The price of actions alone is 50 · 2/3 = 33.3, and the way is about 0.19 m: 42.7.
    assert chance == pytest.approx(-42.7, abs=0.7)


def test_one_look_shows_the_target_in_the_first_observation_and_never_again():
    ids = ("reacher-mdp-v0", "reacher-pomdp-v0", "reacher-pomdp-p-v0")
    full, once, places = (gymnasium.make(id) for id in ids)
    hidden, kept = [4, 5, 8, 9, 10], [0, 1, 2, 3, 4, 5, 8, 9, 10]
    for seed in range(2):
        first = full.reset(seed=seed)[0]
        assert np.array_equal(once.reset(seed=seed)[0], first)
        assert np.array_equal(places.reset(seed=seed)[0], first[kept])
        assert np.abs(first[[4, 5, 8, 9]]).min() > 0
        for action in np.random.default_rng(seed).uniform(-1, 1, (50, 2)):
            seen, reward, *_ = full.step(action)
            blind, same, *_ = once.step(action)
            expected = seen.copy()
            expected[hidden] = 0
            assert (blind.tolist(), same) == (expected.tolist(), reward)
            assert places.step(action)[0].tolist() == expected[kept].tolist()
