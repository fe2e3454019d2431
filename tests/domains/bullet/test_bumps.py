"""What the finger and the bumps do."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from offpcc.domains.extras import missing

pytest.importorskip("pybullet", reason=missing("pybullet", "bullet"))

from offpcc.domains.bullet.bump_tasks import PushRight
from offpcc.domains.bullet.layouts import Layout
from offpcc.domains.bullet.ur5 import TOOL

LEFT, RIGHT = -1.0, 1.0
SOFTEST, HARDEST = -1.0, 1.0


def grip(stiffness):
    """The κ of a stiffness in N m."""
    return (stiffness - 0.007) / 0.040 * 2 - 1


class Watched(PushRight):
    """Counts steps of the simulation, and keeps θ at each; never ends."""

    def laid(self, finger, *bumps):
        self.reset(seed=0)
        self.furnish(Layout(finger, bumps))
        self.angles = []
        return self

    def after_step(self):
        self.angles = [*getattr(self, "angles", []), self.angle]

    def judge(self):
        return 0.0, False, False

    @property
    def reached(self):
        return np.array(self.scene.call.getLinkState(self.arm.number, TOOL, 0, True)[4])


@pytest.fixture(scope="module")
def world():
    world = Watched()
    yield world
    world.close()


@pytest.mark.parametrize("start", [-0.3, 0.0, 0.27])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_full_action_is_some_123_steps_and_moves_half_a_decimetre(world, start, side):
    world.laid(start, 0.5, 0.6)
    begin = world.reached
    assert begin == pytest.approx((0.6, start, 0.2045), abs=1e-4)
    world.step((side, 0.0))
    assert 122 <= len(world.angles) <= 124
    x, y, z = world.reached - begin
    assert 0.0502 <= side * y <= 0.0504
    assert abs(x) < 1e-4 and abs(z) < 1e-4
    assert abs(world.tip - world.reached[1]) < 1e-3  # nothing bends the finger


def test_a_smaller_action_moves_less_and_none_nothing(world):
    world.laid(0.0, 0.5, 0.6)
    seen = world.step((0.0, HARDEST))[0]
    assert not world.angles
    assert seen.tolist() == world.step((0.0, SOFTEST))[0].tolist()
    world.step((0.3, 0.0))
    # 0.3 · 0.05 m = 0.015 m are passed by the 37th step of 0.409 mm: 36 · 0.409 = 14.72 mm
    assert len(world.angles) == 37
    assert world.reached[1] == pytest.approx(37 * 0.409e-3, abs=1e-5)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
@pytest.mark.parametrize("stiffness", [0.007, 0.020, 0.027])
def test_below_its_threshold_the_finger_bends_past_a_bump(world, side, stiffness):
    world.laid(0.0, side * 0.04, side * 0.5)
    for _ in range(4):
        world.step((side, grip(stiffness)))
    assert abs(world.moved[0]) < 1e-4
    assert side * (world.tip - world.places[0]) > 0.1
    angles = np.array(world.angles)
    # The blade, 0.15 m, hangs from 0.1645 m over a dome whose top is at 0.04 m: 0.15 cos θ = 0.1245
    # at the top, θ = 0.59, and a little more as its edge is thick
    assert (-side * angles).max() == pytest.approx(0.60, abs=0.02)
    assert (side * angles).max() < 0.02  # it lags, and does not swing ahead
    assert abs(world.angle) < 0.01


@pytest.mark.parametrize("side", [LEFT, RIGHT])
@pytest.mark.parametrize("stiffness", [0.029, 0.031, 0.035, 0.047])
def test_from_its_threshold_on_the_finger_moves_a_bump(world, side, stiffness):
    world.laid(0.0, side * 0.04, side * 0.5)
    for _ in range(2):
        world.step((side, grip(stiffness)))
    assert side * world.moved[0] > 0.01
    assert abs(world.moved[1]) < 1e-6  # the other one sleeps


@pytest.mark.parametrize("stiffness", [0.035, 0.047])
def test_a_stiff_finger_takes_the_bump_along_all_the_way(world, stiffness):
    world.laid(0.0, 0.04, 0.5)
    for _ in range(3):
        world.step((RIGHT, grip(stiffness)))
    # Blade and bump meet when the tool has gone 40 - 20 - 2.5 mm; it goes 150.9 mm
    assert world.moved[0] == pytest.approx(0.1509 - 0.0175, abs=0.002)
    assert min(world.angles) > -0.08
    assert world.tip < world.places[0]


def test_a_finger_that_pushes_to_the_right_has_a_negative_angle_and_its_tip_lags(world):
    world.laid(0.0, 0.04, 0.5)
    tip, angle = world.step((RIGHT, SOFTEST))[0]
    assert -0.3 < angle < -0.1
    # The blade is 0.15 m long
    assert world.reached[1] - tip == pytest.approx(0.15 * np.sin(-angle), abs=1e-3)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_the_arm_stops_once_it_has_crossed_the_edge(world, side):
    world.laid(side * 0.36, 0.0, -side * 0.2)
    for _ in range(2):
        world.step((side, 0.0))
        assert 0.38 < side * world.reached[1] < 0.3805
    world.step((-side, 0.0))
    assert side * world.reached[1] == pytest.approx(0.33, abs=1e-3)


def test_an_action_beyond_its_bounds_is_clipped(world):
    one = world.laid(0.0, 0.04, 0.5).step((7.0, -3.0))[0]
    two = world.laid(0.0, 0.04, 0.5).step((1.0, -1.0))[0]
    assert one.tolist() == two.tolist()


def test_choices_are_left_and_right_softly_and_hard(world):
    choosing = Watched(discrete=True)
    assert choosing.action_space == gymnasium.spaces.Discrete(4)
    pairs = (LEFT, SOFTEST), (LEFT, HARDEST), (RIGHT, SOFTEST), (RIGHT, HARDEST)
    for choice, pair in enumerate(pairs):
        seen = choosing.laid(0.0, 0.04, -0.04).step(choice)[0]
        assert seen.tolist() == world.laid(0.0, 0.04, -0.04).step(pair)[0].tolist()
    for wrong in (4, -1, 0.5, [1]):
        with pytest.raises(ValueError, match="a whole number below 4"):
            choosing.step(wrong)
    choosing.close()


def test_actions_can_be_made_to_fail():
    def mean_way(probability):
        world = Watched(action_failure_prob=probability).laid(-0.3, 0.5, 0.6)
        ways = []
        for _ in range(24):
            before = world.reached[1]
            world.step((0.1, 0.0))
            ways.append(world.reached[1] - before)
        world.close()
        return np.array(ways)

    assert (mean_way(0.0) > 0.005).all()
    assert (mean_way(1.0) < 1e-6).all()
    assert 4 <= (mean_way(0.5) > 0.005).sum() <= 20
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        PushRight(action_failure_prob=1.5)


@pytest.mark.parametrize("wrong", [0.5, [0.5], [0.5, 0.5, 0.5], [np.nan, 0.0]])
def test_what_is_no_action_is_refused(world, wrong):
    world.laid(0.0, 0.04, 0.5)
    with pytest.raises(ValueError, match="an action is 2 numbers"):
        world.step(wrong)


def test_there_is_no_step_before_a_reset_nor_after_the_end():
    world = PushRight(placement="test")
    with pytest.raises(ResetNeeded):
        world.step((0.0, 0.0))
    world.reset(seed=0)
    world.furnish(Layout(0.37, (-0.1, 0.1)))
    assert world.step((RIGHT, 0.0))[2]
    with pytest.raises(ResetNeeded):
        world.step((0.0, 0.0))
    world.close(), world.close()
    with pytest.raises(ResetNeeded):
        world.step((0.0, 0.0))
