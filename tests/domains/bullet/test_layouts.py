import numpy as np
import pytest

from offpcc.domains.bullet.layouts import PLACEMENTS, away, unlike

DRAWS = 1500


def drawn(place):
    """Many layouts: fingers (n,), left and right bumps (n,) in the order that they are given."""
    random = np.random.default_rng(0)
    layouts = [place(random) for _ in range(DRAWS)]
    bumps = np.array([layout.bumps for layout in layouts])
    return np.array([layout.finger for layout in layouts]), bumps[:, 0], bumps[:, 1]


def nearest(finger, *bumps):
    return np.abs(finger - np.array(bumps)).min()


def spans(values, low, high):
    """Whether values fill a range and stay in it, to a hundredth of it."""
    slack = 0.03 * (high - low)
    assert low <= values.min() < low + slack
    assert high - slack < values.max() <= high


def test_normal_bumps_keep_to_their_ranges_and_gaps():
    finger, left, right = drawn(PLACEMENTS["normal"])
    spans(left, -0.28, 0.16)
    spans(right, -0.16, 0.28)
    spans(right - left, 0.12, 0.32)
    spans(finger, -0.38, 0.38)
    assert 0.04 <= nearest(finger, left, right) < 0.042


def test_minmax_bumps_are_as_far_apart_as_can_be():
    finger, left, right = drawn(PLACEMENTS["minmax"])
    assert right - left == pytest.approx(np.full(DRAWS, 0.48))
    spans(left, -0.28, -0.2)
    spans(finger, -0.38, 0.38)


def test_real_bumps_are_anywhere_the_right_one_second():
    finger, left, right = drawn(PLACEMENTS["real"])
    spans(np.concatenate((left, right)), -0.35, 0.35)
    assert 0.06 <= (right - left).min() < 0.065
    assert 0.03 <= nearest(finger, left, right) < 0.032
    spans(finger, -0.4, 0.4)


def test_test_bumps_are_at_one_of_three_places():
    finger, left, right = drawn(PLACEMENTS["test"])
    which = np.round((left + 0.4) / 0.16)
    assert set(which) == {1.0, 2.0, 3.0}
    assert min((which == k).mean() for k in (1, 2, 3)) > 0.3
    spans(left - (-0.4 + 0.16 * which), -0.03, 0.03)
    spans(right - (-0.24 + 0.16 * which), -0.03, 0.03)
    spans(finger, -0.03, 0.03)


def test_unlike_bumps_come_in_either_order():
    finger, small, large = drawn(unlike)
    spans(np.abs(large - small), 0.24, 0.4)
    spans(small, -0.24, 0.24)
    spans(large, -0.24, 0.24)
    assert 0.45 < (small < large).mean() < 0.55
    assert nearest(finger, small, large) >= 0.04


def test_what_is_drawn_away_from_others_can_be_on_either_side():
    random = np.random.default_rng(0)
    places = np.array([away(random, (0.1,), 0.05, 0.2) for _ in range(DRAWS)])
    spans(places[places < 0.1], -0.2, 0.05)
    spans(places[places > 0.1], 0.15, 0.2)
