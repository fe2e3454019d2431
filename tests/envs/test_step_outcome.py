"""What a step came to, of one copy and of a vector environment."""

from typing import Any

import numpy as np
import pytest

from offpcc.envs.step_outcome import (
    STEP,
    either,
    infos_of,
    parts_of,
    step_of,
    steps_of,
    success_of,
    terms_of,
)
from offpcc.envs.values import SpaceError

NAN = float("nan")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, None),
        ({"success": True}, True),
        ({"success": np.array([0.0])}, False),
        ({"is_success": 1}, True),
        ({"success": False, "is_success": True}, False),
        ({"success": None, "is_success": True}, True),
        ({"success": NAN}, None),
    ],
)
def test_success_is_what_the_info_says_and_nan_is_unknown(info, expected) -> None:
    assert success_of(info) is expected
    several = {key: np.array([np.ravel(value)[0]] * 2, float) for key, value in info.items()}
    if None not in info.values():
        assert infos_of(several, 2)[0] == [expected] * 2


def test_a_vector_environments_info_says_whose_it_is() -> None:
    info = {"success": np.array([True, True]), "_success": np.array([False, True])}
    terms = {"rewards": {"grip": np.array([1.0, 2.0]), "_grip": np.array([True, True])}}
    assert infos_of(info | terms, 2) == ([None, True], [{"grip": 1.0}, {"grip": 2.0}])


def test_any_step_may_count() -> None:
    result = [None, False, None, True, False]
    seen, success = [], None
    for each in result:
        success = either(success, each)
        seen.append(success)
    assert seen == [None, False, False, True, True]


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        ({"grip, left": 1.0}, "the reward's term 'grip, left' cannot head a column"),
        ({"": 1.0}, "the reward's term '' cannot"),
        ({"grip": np.array([1.0, 2.0])}, r"the reward's term 'grip' has shape \(2,\)"),
        ({"grip": NAN}, "the reward's term 'grip' is nan"),
    ],
)
def test_terms_that_cannot_be_written_are_refused_by_name(rewards, said) -> None:
    with pytest.raises(SpaceError, match=said):
        terms_of({"rewards": rewards})
    several = {name: np.stack([value] * 2) for name, value in rewards.items()}
    with pytest.raises(SpaceError, match=said.partition(r" has")[0]):
        infos_of({"rewards": several}, 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1, 2.0, True, {}), "step gave 4 values; gymnasium's gives observation, reward, term"),
        ("abc", "step gave 'abc'; gymnasium's gives"),
        ((1, 2.0, True, False, []), r"info is \[\]; it is a mapping"),
        ((1, [1, 2], True, False, {}), r"reward has shape \(2,\)"),
        ((1, 2.0, None, False, {}), "terminated is not of numbers: None"),
        ((1, NAN, False, False, {}), "reward is nan"),
    ],
)
def test_a_step_that_is_none_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        step_of(given)


def test_a_step_is_read_into_pythons_own_values() -> None:
    given = ("seen", np.array([2]), np.bool_(True), 0, {"a": 1})
    assert step_of(given) == ("seen", 2.0, True, False, {"a": 1})
    assert parts_of("step", given, STEP) == given


@pytest.mark.parametrize(
    ("rewards", "row", "said"),
    [
        ([1.0, NAN, 2.0], 1, "reward is nan"),
        ([1.0, 2.0, 1e39], 2, r"reward is 1e\+39"),
        ([1.0, 2.0], 0, r"reward has shape \(2,\); it is one number a copy, \(3,\)"),
    ],
)
def test_of_several_copies_the_one_that_is_wrong_is_said(rewards, row, said) -> None:
    flags = np.zeros(3, bool)
    with pytest.raises(SpaceError, match=said) as caught:
        steps_of(("seen", np.array(rewards), flags, flags, {}), 3)
    assert caught.value.row == row


def test_several_copies_are_read_as_each_alone() -> None:
    ends = np.array([True, False]), np.array([0, 1])
    read = steps_of(("seen", np.array([[1], [2]]), *ends, {}), 2)
    assert read[1].tolist() == [1.0, 2.0] and read[2:] == ([True, False], [False, True], {})
