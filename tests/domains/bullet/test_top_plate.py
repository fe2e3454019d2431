"""What a finger feels of a stack of plates."""

import gymnasium
import numpy as np
import pytest

from offpcc.domains.extras import missing

pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))

from offpcc.domains.bullet.top_plate import TopPlate

MOVE, GRASP = -1.0, 1.0


@pytest.fixture(scope="module")
def env():
    env = TopPlate()
    yield env
    env.close()


def stacked(env, plates, height):
    """The environment with so many plates, and its tool at this height."""
    env.reset(seed=0)
    env.furnish(plates, height)
    return env


def scanned(env, to, by):
    """Heights of tool and tip, m, and θ, rad (3, ·), on the tool's way to a height."""
    felt = []
    while abs(env.height - to) > 1e-6:
        step = np.clip((to - env.height) / 0.02, -by, by)
        env.step((step, MOVE))
        felt.append((env.height, env.arm.tip[2], env.arm.angle))
    return np.array(felt).T


def test_numbers_and_heights_are_drawn_from_their_ranges(env):
    seen = [(env.reset(seed=seed)[0], env.height) for seed in range(60)]
    heights = np.array([height for _, height in seen])
    assert heights.min() >= 0.05 and heights.max() <= 0.2 and np.ptp(heights) > 0.13
    # The topmost of n plates is at 0.2 + 0.014 n
    plates = {round((0.4 * float(first[1]) - 0.2) / 0.014, 3) for first, _ in seen}
    assert plates == set(range(1, 11))
    for first, height in seen:
        assert first[[0, 2]] == pytest.approx((height / 0.4, 0.0), abs=1e-3)


@pytest.mark.parametrize("plates", [1, 4, 10])
def test_the_finger_bends_at_plates_and_is_straight_below_and_above_them(env, plates):
    tool, tip, angle = scanned(stacked(env, plates, 0.1), to=0.4, by=0.25)
    top = 0.2 + 0.014 * plates
    assert (np.abs(angle[tool < 0.205]) < 0.01).all()
    # 0.15 (1 - cos θ) = 0.001 m: it slips at 0.12 rad, and later for its thickness
    assert 0.12 < angle.max() < 0.22
    bent = tool[angle > 0.1]
    assert bent.min() == pytest.approx(0.227, abs=0.005)
    assert top < bent.max() < top + 0.035
    assert (angle > -0.01).all() and (tip <= tool + 1e-3).all()
    assert abs(angle[-1]) < 0.03
    # On the way down it is the other side of the topmost plate that bends it, the other way.
    tool, tip, angle = scanned(env, to=top - 0.012, by=0.25)
    assert angle.min() < -0.08
    assert tip.min() == pytest.approx(top + 0.002 + 0.0025, abs=0.002)  # thicknesses, halved


# Edges are at 0.214, 0.228 and 0.242 m; between two of them there is room for the straight finger.
@pytest.mark.parametrize(
    ("height", "success"), [(0.207, False), (0.221, False), (0.235, True), (0.249, False)]
)
def test_a_grasp_counts_between_the_two_topmost_edges(env, height, success):
    stacked(env, 3, height)
    seen, reward, ended, _, info = env.step((0.5, GRASP))
    assert seen == pytest.approx((height / 0.4, 0.242 / 0.4, 0.0), abs=1e-3)
    assert (reward, ended, info["success"]) == (float(success), True, success)


def test_with_one_plate_it_is_grasped_above_the_holder(env):
    stacked(env, 1, 0.19)
    assert scanned(env, to=0.21, by=0.5)[1][-1] > 0.2
    assert env.step((0.0, 0.0))[1:3] == (1.0, True)


def test_a_step_is_two_centimetres_and_stops_at_the_limits(env):
    stacked(env, 2, 0.06)
    env.step((0.5, MOVE))
    assert env.height == pytest.approx(0.07)
    assert env.arm.tip[2] == pytest.approx(0.07, abs=1e-3)
    for _ in range(2):
        env.step((-1.0, MOVE))
    assert env.height == 0.05
    stacked(env, 2, 0.395)
    env.step((1.0, MOVE))
    assert env.height == 0.4


def feels(memory, seen):
    """A memory and an action of one who sees z and θ alone.

    Up until the finger is straight again after it was bent, then down until it slips.
    """
    phase, last = memory
    angle = seen[1] * 1.0472
    if phase == "below" and angle > 0.08:
        phase = "along"
    elif phase == "along" and abs(angle) < 0.02:
        phase = "above"
    elif phase == "above" and angle < -0.1 and angle > last + 0.01:
        return ("above", angle), (0.0, GRASP)
    step = {"below": 1.0, "along": 1.0, "above": -0.2}[phase]
    return (phase, angle), (step, MOVE)


def test_with_a_memory_the_topmost_plate_can_be_grasped_by_touch_alone():
    env, grasped = gymnasium.make("top-plate-pomdp-v0"), []
    for seed in range(20):
        seen, _ = env.reset(seed=seed)
        memory, over = ("below", 0.0), False
        while not over:
            memory, action = feels(memory, seen)
            seen, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
        grasped.append(info["success"])
    env.close()
    assert np.mean(grasped) >= 0.8
