import math

import gymnasium
import numpy as np
import pytest

from offpcc.domains.ur5_top import UR5MdpTop, UR5Top, from_above, from_the_side, heights

TARGET, SINCE = slice(3, 6), 6  # rows of `values`
SWITCH = [0.0, 1.0, -1.0]  # the action that sets (0, 0, -π/4)
AWAY = [0.5, -0.5, 0.5]
every_kind = pytest.mark.parametrize("kind", [UR5Top, UR5MdpTop])
LOW = np.array((-math.pi, -math.pi / 4, -math.pi / 4))
HIGH = np.array((math.pi, 0.0, math.pi / 4))


def arm(kind=UR5Top, target=(2.0, -0.5, 0.3)):
    env = kind()
    env.reset(seed=0)
    env.values[TARGET, 0] = target
    return env


def action_for(angles):
    """The action that sets these angles."""
    return (np.asarray(angles) - (0, -math.pi / 8, 0)) / (math.pi, math.pi / 8, math.pi / 4)


def turned(axis, angle):
    """A rotation about x, y or z."""
    a, b = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = math.cos(angle)
    matrix[b, a], matrix[a, b] = math.sin(angle), -math.sin(angle)
    return matrix


def chain(first, second, third):
    """Elbow and wrist (m), from the joints' origins in their parents' frames one by one."""
    frame, place = turned(2, first), np.array((0, 0, 0.089159))
    place, frame = place + frame @ (0, 0.13585, 0), frame @ turned(1, math.pi / 2 + second)
    elbow = place + frame @ (0, -0.1197, 0.425)
    return elbow, elbow + frame @ turned(1, third) @ (0, 0, 0.39225)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (2.0, -0.6, 0.4), (-0.7, -0.2, -0.7)])
def test_elbow_and_wrist_are_where_the_joints_origins_put_them(angles):
    elbow, wrist = chain(*angles)
    assert heights(*angles[1:]) == pytest.approx((elbow[2], wrist[2]))
    base, *_, tip = from_the_side(*angles)
    # The arm's plane is 0.13585 - 0.1197 m beside the base's axis.
    ahead = math.sqrt(wrist[0] ** 2 + wrist[1] ** 2 - 0.01615**2)
    assert (tip[0] - base[0], tip[1] - base[1]) == pytest.approx((ahead, wrist[2]))
    base, *_, tip = from_above(*angles)
    assert (tip[0] - base[0], tip[1] - base[1]) == pytest.approx(tuple(wrist[:2]))


@every_kind
def test_an_action_sets_the_angles_at_once(kind):
    for action, degrees in (
        ((0, 0, 0), (0, -22.5, 0)),
        ((1, 1, 1), (180, 0, 45)),
        ((-1, -1, -1), (-180, -45, -45)),
        ((0.5, -0.5, 0.2), (90, -33.75, 9)),
    ):
        env = arm(kind)
        env.step(np.array(action))
        assert np.degrees(env.state) == pytest.approx(np.array(degrees, float))


def test_the_target_shows_for_ten_steps_after_the_arm_was_at_the_switch():
    env = arm()
    assert not env.step(AWAY)[0][3:].any()
    shown = [env.step(action)[0][3:] for action in [SWITCH] + [AWAY] * 12]
    assert np.array(shown[:11]) == pytest.approx(np.tile(env.values[TARGET, 0], (11, 1)))
    assert not np.array(shown[11:]).any()
    shown = [env.step(action)[0][3] != 0 for action in [SWITCH] + [AWAY] * 7 + [SWITCH]]
    assert all(shown)
    assert [env.step(AWAY)[0][3] != 0 for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize(("degrees", "near"), [(9.9, True), (10.1, False)])
@pytest.mark.parametrize(("joint", "way"), [(0, -1), (0, 1), (1, -1), (2, 1)])
def test_the_switch_is_ten_degrees_wide_in_each_joint(joint, way, degrees, near):
    angles = np.array((0.0, 0.0, -math.pi / 4))
    angles[joint] += way * math.radians(degrees)
    assert arm().step(action_for(angles))[0][3:].any() == near


@every_kind
@pytest.mark.parametrize(("degrees", "near"), [(9.9, True), (10.1, False)])
@pytest.mark.parametrize("way", [-1, 1])
@pytest.mark.parametrize("joint", [0, 1, 2])
def test_the_target_is_ten_degrees_wide_in_each_joint_and_ends_it(kind, joint, way, degrees, near):
    target = np.array((2.0, -0.4, 0.3))
    angles = target + way * math.radians(degrees) * np.eye(3)[joint]
    outcome = arm(kind, target).step(action_for(angles))[1:]
    assert outcome == (float(near), near, False, {"success": near})


def test_of_the_mdp_the_target_always_shows_but_for_the_first_observation():
    env = UR5MdpTop()
    assert not env.reset(seed=0)[0][3:].any()
    for _ in range(15):
        assert env.step(AWAY)[0][3:] == pytest.approx(env.values[TARGET, 0])


@every_kind
def test_episodes_begin_ahead_with_a_target_aside_and_above_the_floor(kind):
    env, random = kind(), np.random.default_rng(0)
    starts = np.array([env.begin(random) for _ in range(3000)])
    assert 0.99 * math.pi / 8 < abs(starts[:, 0]).max() <= math.pi / 8
    assert (starts[:, 1:3] == (0.003228, -0.127945)).all()
    target = starts[:, 3:6]
    assert (target >= LOW).all() and (target <= HIGH).all()
    assert abs(target[:, 0]).min() > math.pi / 4 and abs(target[:, 0]).max() > 0.99 * math.pi
    places = np.array([[joint[2] for joint in chain(*angles)] for angles in target])
    assert (places[:, 0] > 0.05).all() and (places[:, 1] > 0.15).all()
    assert places[:, 1].min() < 0.16  # and no higher than it has to be
    # What was kept of three evenly drawn angles, drawn here once more
    drawn = np.random.default_rng(1).uniform(LOW, HIGH, (3000, 3))
    high = np.array([chain(*angles)[1][2] > 0.15 for angles in drawn])
    kept = drawn[high & (abs(drawn[:, 0]) > math.pi / 4)]
    spread = kept.std(0) * 4 * math.sqrt(1 / len(kept) + 1 / 3000)
    assert (abs(kept.mean(0) - target.mean(0)) < spread).all()


def episodes(id, act, copies=400):
    """Successes (n,) and lengths (n,) of one episode of each copy."""
    envs = gymnasium.make_vec(id, copies)
    seen, _ = envs.reset(seed=0)
    won, length, over = np.zeros(copies, bool), np.zeros(copies, int), np.zeros(copies, bool)
    total = np.zeros(copies)
    while not over.all():
        length += ~over
        seen, reward, terminated, truncated, info = envs.step(act(seen))
        won |= info["success"] & info["_success"]
        total, over = total + reward, terminated | truncated
    assert (total == won).all()
    return won, length


def informed(seen):
    """Goes to the target if it shows, and else to the switch."""
    shows = seen[:, 3:].any(1)[:, None]
    return np.where(shows, action_for(seen[:, 3:]), SWITCH)


@pytest.mark.parametrize("id", ["ur5-top-v0", "ur5-mdp-top-v0"])
def test_who_looks_is_there_in_two_steps(id):
    won, length = episodes(id, informed)
    assert won.all() and (length == 2).all()


# A random action is near a target in θ1 with a chance of 20/360, in θ2 of 20/45 and in θ3 of 20/90
# at most: 0.0055 a step, so 0.104 in 20 steps and 0.67 in 200; less for targets near a limit.
@pytest.mark.parametrize(("id", "most"), [("ur5-top-v0", 0.67), ("ur5-mdp-top-v0", 0.104)])
def test_chance_finds_the_target_now_and_then(id, most):
    draw = np.random.default_rng(0)
    won, _ = episodes(id, lambda seen: draw.uniform(-1, 1, (len(seen), 3)))
    assert 0.5 * most < won.mean() < most + 4 * math.sqrt(most * (1 - most) / 400)
