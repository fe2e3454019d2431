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
def env():
    env = Watched()
    yield env
    env.close()


@pytest.mark.parametrize("start", [-0.3, 0.0, 0.27])
@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_full_action_is_some_123_steps_and_moves_half_a_decimetre(env, start, side):
    env.laid(start, 0.5, 0.6)
    begin = env.reached
    assert begin == pytest.approx((0.6, start, 0.2045), abs=1e-4)
    env.step((side, 0.0))
    assert 122 <= len(env.angles) <= 124
    x, y, z = env.reached - begin
    assert 0.0502 <= side * y <= 0.0504
    assert abs(x) < 1e-4 and abs(z) < 1e-4
    assert abs(env.tip - env.reached[1]) < 1e-3  # nothing bends the finger


def test_a_smaller_action_moves_less_and_none_nothing(env):
    env.laid(0.0, 0.5, 0.6)
    seen = env.step((0.0, HARDEST))[0]
    assert not env.angles
    assert seen.tolist() == env.step((0.0, SOFTEST))[0].tolist()
    env.step((0.3, 0.0))
    # 0.3 · 0.05 m = 0.015 m are passed by the 37th step of 0.409 mm: 36 · 0.409 = 14.72 mm
    assert len(env.angles) == 37
    assert env.reached[1] == pytest.approx(37 * 0.409e-3, abs=1e-5)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
@pytest.mark.parametrize("stiffness", [0.007, 0.020, 0.027])
def test_below_its_threshold_the_finger_bends_past_a_bump(env, side, stiffness):
    env.laid(0.0, side * 0.04, side * 0.5)
    for _ in range(4):
        env.step((side, grip(stiffness)))
    assert abs(env.moved[0]) < 1e-4
    assert side * (env.tip - env.places[0]) > 0.1
    angles = np.array(env.angles)
    # The blade, 0.15 m, hangs from 0.1645 m over a dome whose top is at 0.04 m: 0.15 cos θ = 0.1245
    # at the top, θ = 0.59, and a little more as its edge is thick
    assert (-side * angles).max() == pytest.approx(0.60, abs=0.02)
    assert (side * angles).max() < 0.02  # it lags, and does not swing ahead
    assert abs(env.angle) < 0.01


@pytest.mark.parametrize("side", [LEFT, RIGHT])
@pytest.mark.parametrize("stiffness", [0.029, 0.031, 0.035, 0.047])
def test_from_its_threshold_on_the_finger_moves_a_bump(env, side, stiffness):
    env.laid(0.0, side * 0.04, side * 0.5)
    for _ in range(2):
        env.step((side, grip(stiffness)))
    assert side * env.moved[0] > 0.01
    assert abs(env.moved[1]) < 1e-6  # the other one sleeps


@pytest.mark.parametrize("stiffness", [0.035, 0.047])
def test_a_stiff_finger_takes_the_bump_along_all_the_way(env, stiffness):
    env.laid(0.0, 0.04, 0.5)
    for _ in range(3):
        env.step((RIGHT, grip(stiffness)))
    # Blade and bump meet when the tool has gone 40 - 20 - 2.5 mm; it goes 150.9 mm
    assert env.moved[0] == pytest.approx(0.1509 - 0.0175, abs=0.002)
    assert min(env.angles) > -0.08
    assert env.tip < env.places[0]


def test_a_finger_that_pushes_to_the_right_has_a_negative_angle_and_its_tip_lags(env):
    env.laid(0.0, 0.04, 0.5)
    tip, angle = env.step((RIGHT, SOFTEST))[0]
    assert -0.3 < angle < -0.1
    # The blade is 0.15 m long
    assert env.reached[1] - tip == pytest.approx(0.15 * np.sin(-angle), abs=1e-3)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_the_arm_stops_once_it_has_crossed_the_edge(env, side):
    env.laid(side * 0.36, 0.0, -side * 0.2)
    for _ in range(2):
        env.step((side, 0.0))
        assert 0.38 < side * env.reached[1] < 0.3805
    env.step((-side, 0.0))
    assert side * env.reached[1] == pytest.approx(0.33, abs=1e-3)


def test_an_action_beyond_its_bounds_is_clipped(env):
    one = env.laid(0.0, 0.04, 0.5).step((7.0, -3.0))[0]
    two = env.laid(0.0, 0.04, 0.5).step((1.0, -1.0))[0]
    assert one.tolist() == two.tolist()


def test_choices_are_left_and_right_softly_and_hard(env):
    choosing = Watched(discrete=True)
    assert choosing.action_space == gymnasium.spaces.Discrete(4)
    pairs = (LEFT, SOFTEST), (LEFT, HARDEST), (RIGHT, SOFTEST), (RIGHT, HARDEST)
    for choice, pair in enumerate(pairs):
        seen = choosing.laid(0.0, 0.04, -0.04).step(choice)[0]
        assert seen.tolist() == env.laid(0.0, 0.04, -0.04).step(pair)[0].tolist()
    for wrong in (4, -1, 0.5, [1]):
        with pytest.raises(ValueError, match="a whole number below 4"):
            choosing.step(wrong)
    choosing.close()


def test_actions_can_be_made_to_fail():
    def mean_way(probability):
        env = Watched(action_failure_prob=probability).laid(-0.3, 0.5, 0.6)
        ways = []
        for _ in range(24):
            before = env.reached[1]
            env.step((0.1, 0.0))
            ways.append(env.reached[1] - before)
        env.close()
        return np.array(ways)

    assert (mean_way(0.0) > 0.005).all()
    assert (mean_way(1.0) < 1e-6).all()
    assert 4 <= (mean_way(0.5) > 0.005).sum() <= 20
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        PushRight(action_failure_prob=1.5)


@pytest.mark.parametrize("wrong", [0.5, [0.5], [0.5, 0.5, 0.5], [np.nan, 0.0]])
def test_what_is_no_action_is_refused(env, wrong):
    env.laid(0.0, 0.04, 0.5)
    with pytest.raises(ValueError, match="an action is 2 numbers"):
        env.step(wrong)


def test_there_is_no_step_before_a_reset_nor_after_the_end():
    env = PushRight(placement="test")
    with pytest.raises(ResetNeeded):
        env.step((0.0, 0.0))
    env.reset(seed=0)
    env.furnish(Layout(0.37, (-0.1, 0.1)))
    assert env.step((RIGHT, 0.0))[2]
    with pytest.raises(ResetNeeded):
        env.step((0.0, 0.0))
    env.close(), env.close()
    with pytest.raises(ResetNeeded):
        env.step((0.0, 0.0))
