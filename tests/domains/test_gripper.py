import math

import numpy as np
import pytest
from episodes import play, random_policy

from offpcc.domains.gripper import BACK, BLADE, DT, HINGE, Gripper, dragged
from offpcc.domains.gripper_tasks import HIGH, WIDE, BoxTop, BumpMdp, BumpTop

SIDE, MIDDLE, SIZE = 2, 3, 4  # rows of `values`
ALONG = np.linspace(0.0, BLADE, 2001)


def gripper(kind, x, size, angle=0.0, side=1.0, middle=50.0):
    """A gripper at x, with an obstacle of this size where a test wants it."""
    env = kind()
    env.reset(seed=0)
    env.state = [x, angle]
    env.values[SIDE:5, 0] = side, middle, size
    return env


def cuts(kind, x, angle, size):
    """Whether a blade at x from an obstacle's middle goes through it, point by point."""
    across, height = x - ALONG * math.sin(angle), HINGE - ALONG * math.cos(angle)
    if kind is BoxTop:
        return bool(((abs(across) < WIDE) & (height < HIGH)).any())
    return bool((across**2 + height**2 < size**2).any())


@pytest.mark.parametrize(("kind", "size"), [(BumpTop, 3.0), (BumpTop, 6.0), (BoxTop, 1.0)])
def test_the_angles_between_the_limits_are_those_that_cut_the_obstacle(kind, size):
    draw, env = np.random.default_rng(0), kind()
    x, angle = draw.uniform(-16, 16, 3000), draw.uniform(-0.9, 0.9, 3000)
    right, left = env.limits(x, np.full(3000, size))
    inside = (right < angle) & (angle < left)
    assert inside.sum() > 150
    assert np.isfinite(right).all() and np.isfinite(left).all()
    for i in range(3000):
        # points of a blade lie 0.0075 cm apart, and a cut may be thinner where it is barely one
        grazing = min(abs(angle[i] - right[i]), abs(angle[i] - left[i])) < 2e-3
        assert grazing or inside[i] == cuts(kind, x[i], angle[i], size)


def test_without_a_box_nothing_is_in_the_way():
    right, left = BoxTop().limits(np.linspace(-50, 50, 99), np.zeros(99))
    assert not (right < left).any()


def test_a_free_finger_straightens_at_stiffness_over_damping():
    env = gripper(BumpMdp, 20.0, 6.0, angle=0.5)
    env.step([0.0])
    # 200 / 50 = 4 a second, for 100 / 240 s
    assert env.state == pytest.approx([20.0, 0.5 * math.exp(-4 * 100 / 240)], rel=1e-12)


@pytest.mark.parametrize("kind", [BumpTop, BoxTop])
@pytest.mark.parametrize("speed", [-90.0, -20.0, 3.0, 25.0, 100.0])
def test_dragging_is_the_same_step_by_step(kind, speed):
    draw = np.random.default_rng(0)
    size = np.full(200, 1.0 if kind is BoxTop else 6.0)
    path = draw.uniform(-40, 40, 200) + speed * DT * np.arange(101)[:, None]
    right, left = kind().limits(path, size)
    angle = begun = np.where(right[0] < left[0], left[0] + 0.01, draw.uniform(-0.8, 0.8, 200))
    side, ended = np.where(begun > (right[0] + left[0]) / 2, 1.0, -1.0), np.zeros(200, int)
    met = right[0] < left[0]
    for a, b in zip(right[1:], left[1:], strict=True):
        angle = angle * math.exp(-BACK * DT)
        side = np.where(met, side, np.where(angle > (a + b) / 2, 1.0, -1.0))
        met = a < b
        pushed = np.where(side > 0, np.maximum(angle, b), np.minimum(angle, a))
        angle, ended = np.where(met, pushed, angle), ended + met
    assert 10 < (ended > 0).sum() < 190
    np.testing.assert_allclose(dragged(begun, (right, left)), angle, rtol=1e-9, atol=1e-12)


def test_a_finger_over_a_bump_hangs_back_and_tells_how_large_it_is():
    # The triangle of hinge, tip and the bump's middle: cos θ = (16.5² + 15² - r²) / (2 · 16.5 · 15)
    for size, cosine in ((3.0, 488.25 / 495), (6.0, 461.25 / 495)):
        for way in (-1.0, 1.0):
            env = gripper(BumpMdp, 50.0 - 6.25 * way, size)
            env.step([way])
            assert env.state == pytest.approx([50.0, way * math.acos(cosine)])
    assert math.acos(461.25 / 495) > 2 * math.acos(488.25 / 495)


def test_a_finger_hangs_against_the_side_from_which_it_came():
    env = gripper(BumpMdp, 44.0, 6.0)
    angles = [env.step([0.2])[0][1] for _ in range(8)]
    # 45.25 … 54: from a touch (cos = 14.5 / 15 …) to a bend; then back to where it began
    assert np.all(np.diff(angles) > 0) and angles[0] > 0
    back = [env.step([-0.2])[0][1] for _ in range(8)]
    assert back[:-1] == pytest.approx(angles[-2::-1], abs=1e-6)
    assert back[-1] == pytest.approx(0.0, abs=0.05)


def test_a_finger_slips_off_beyond_the_bump_and_straightens():
    env = gripper(BumpMdp, 44.0, 6.0)
    most, angle = 0.0, 1.0
    for _ in range(10):
        x, angle = env.step([0.4])[0][:2]
        most = max(most, angle)
    # Its greatest bend: the tip is on top, (16.5 - 6) / 15 of the blade's length below the hinge.
    assert 0.9 * math.acos(10.5 / 15) < most <= math.acos(10.5 / 15)
    assert x * 90 > 64 and abs(angle) < 0.3
    env.step([0.0]), env.step([0.0])
    assert abs(env.state[1]) < 0.03


def test_a_box_is_felt_as_high_as_it_is():
    env = gripper(BoxTop, 30.0, 1.0)
    x, angle = env.step([0.02])[0]  # a target of 51 cm
    # The blade leans on the box's upper corner: its tangent is (x - 45) / (16.5 - 4).
    assert 49.9 < 100 * x < 51 and angle == pytest.approx(
        math.atan((100 * x - 45) / 12.5), rel=1e-5
    )
    env.step([0.14])
    assert env.state[1] == pytest.approx(math.acos(12.5 / 15))  # the tip is on top
    assert gripper(BoxTop, 30.0, 0.0).step([0.02])[0][1] == 0.0


@pytest.mark.parametrize("start", [20.0, 50.5, 80.0])
@pytest.mark.parametrize("action", [-0.7, 0.0, 0.33, 0.7])
def test_a_controller_stops_within_1_cm_of_its_target(start, action):
    env = gripper(BumpTop, start, 3.0)
    env.step([action])
    target, x = 50 + 50 * action, env.state[0]
    assert abs(target - x) < 1.0
    # One speed a time, which leaves 1 - 100 / 240 of the way; at least one, and no more than needed
    left = abs(target - start)
    count = max(1, math.ceil(math.log(1.0 / left, 1 - 100 / 240))) if left else 1
    assert abs(target - x) == pytest.approx(left * (1 - 100 / 240) ** count, abs=1e-9)


def test_velocities_are_15_cm_a_second_and_the_slide_has_ends():
    env = gripper(BumpMdp, 20.0, 3.0)
    assert env.step([-0.4])[0][0] * 90 == pytest.approx(20 - 0.4 * 15 * 100 / 240)
    env = gripper(BumpMdp, 89.0, 3.0, side=-1.0)
    seen, reward, terminated, _, info = env.step([1.0])
    assert (seen[0] * 90, seen[2]) == (pytest.approx(95.25), 1.0)
    assert (reward, terminated, info) == (0.0, True, {"success": False})
    env = gripper(BumpMdp, 99.0, 3.0)
    assert env.step([1.0])[0][0] == pytest.approx(100 / 90)


@pytest.mark.parametrize(("kind", "edge"), [(BumpTop, 40.0), (BoxTop, 45.0), (BumpMdp, 40.0)])
@pytest.mark.parametrize("way", [-1.0, 1.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_right_edge_pays_1_and_ends_as_the_wrong_one_does(kind, edge, way, side):
    worst = 0.0 if kind is BumpMdp else -1.0
    for short, ended in ((1.2, False), (-0.1, True)):
        env = gripper(kind, 50.0 + way * (edge - short), 0.0, side=side, middle=20.0 * way)
        _, reward, terminated, _, info = env.step(
            [way * (edge - short) / 50 if kind is not BumpMdp else 0.0]
        )
        won = ended and way == side
        assert (terminated, info) == (ended, {"success": won})
        assert reward == (1.0 if won else worst if ended else 0.0)


def test_what_lies_there_says_which_edge_is_right():
    for kind, left, right in ((BumpTop, 3.0, 6.0), (BoxTop, 1.0, 0.0), (BumpMdp, 3.0, 6.0)):
        env, random = kind(), np.random.default_rng(0)
        starts = np.array([env.begin(random) for _ in range(2000)])
        side, size = starts[:, SIDE], starts[:, SIZE]
        assert (size == np.where(side < 0, left, right)).all()
        assert abs(side.mean()) < 4 / math.sqrt(2000)
        x, middle = starts[:, 0], starts[:, MIDDLE]
        assert (abs(x - middle) >= 6).all() and not starts[:, 1].any()
        low, high = env.edges
        assert low < x.min() < low + 1 and high - 1 < x.max() < high
        if kind is BumpMdp:
            assert 40 <= middle.min() < 40.1 and 59.9 < middle.max() <= 60
        else:
            assert (middle == 50).all()
        right_limit, left_limit = env.limits(x - middle, size)
        assert not ((right_limit < 0) & (left_limit > 0)).any()  # the finger hangs free


def test_the_flag_says_go_left():
    for side, flag in ((-1.0, 1.0), (1.0, 0.0)):
        assert gripper(BumpMdp, 20.0, 3.0, side=side).step([0.0])[0][2] == flag


@pytest.mark.parametrize("kind", [BumpTop, BoxTop, BumpMdp])
def test_no_observation_leaves_the_box_in_hard_play(kind):
    env = kind(copies=64)
    for copy in range(64):
        env.renew(copy, seed=copy)
    draw, box, most = np.random.default_rng(0), env.observation_space, 0.0
    for _ in range(150):
        env.advance(draw.uniform(-1, 1, (1, 64)) * draw.choice((0.3, 1.0)))
        seen = env.seen()
        assert (seen >= box.low).all() and (seen <= box.high).all()
        most = max(most, abs(seen[:, 1]).max())
    assert most > 0.8 * Gripper.bend or (kind is BoxTop and most == np.float32(BoxTop.bend))


def feel(threshold, sign):
    """Goes to the middle, then to the edge that the finger's angle tells."""

    def act(seen):
        felt = abs(seen[:, 0] - 0.5) <= 0.011
        return np.where(felt, np.where(abs(seen[:, 1]) > threshold, sign, -sign), 0.0)[:, None]

    return act


@pytest.mark.parametrize(
    ("id", "threshold", "sign"), [("bump-top-v0", 0.25, 1), ("box-top-v0", 0.1, -1)]
)
def test_feeling_always_finds_the_right_edge_and_chance_half_the_time(id, threshold, sign):
    total, length, _ = play(id, feel(threshold, sign))
    assert (total == 1.0).all() and length.max() <= 2
    total, _, _ = play(id, random_policy())
    assert abs(total.mean()) < 4 / math.sqrt(256)
    total, length, _ = play(id, lambda seen: np.ones((len(seen), 1)))
    assert abs(total.mean()) < 4 / math.sqrt(256) and (length == 1).all()


def test_following_the_flag_always_finds_the_right_edge():
    total, length, _ = play("pbc-bump-mdp-v0", lambda seen: 1.0 - 2.0 * seen[:, 2:])
    assert (total == 1.0).all()
    assert length.max() <= 13  # at most 80 cm, in steps of 6.25 cm
    total, _, _ = play("pbc-bump-mdp-v0", random_policy())
    assert total.mean() < 0.5
