"""Discrete actions as agents hold them and as environments take them.

Those of continuous actions are in test_adapter.py.
"""

import numpy as np
import pytest
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete

from offpcc.envs.actions import actions_of, one_hot


def test_a_choice_is_the_place_of_the_largest_number_counted_from_the_spaces_first() -> None:
    actions = actions_of(Discrete(3, start=-1))
    assert (actions.size, actions.choices) == (3, (3,))
    assert [int(actions.raw(np.eye(3)[i])) for i in range(3)] == [-1, 0, 1]
    assert actions.raw(np.array([0.2, -0.5, 0.1])) == -1


def test_one_choice_is_a_number_that_its_space_holds() -> None:
    space = Discrete(2)
    raw = actions_of(space).raw(np.array([0.0, 1.0], np.float32))
    assert space.contains(raw) and isinstance(raw, np.int64)


@pytest.mark.parametrize("shape", [(2,), (1, 2)])
def test_several_choices_lie_behind_each_other(shape) -> None:
    space = MultiDiscrete(np.array([2, 3]).reshape(shape))
    actions = actions_of(space)
    assert (actions.size, actions.choices) == (5, (2, 3))
    raw = actions.raw(np.array([0, 1, 0, 0, 1], np.float32))
    assert space.contains(raw) and raw.ravel().tolist() == [1, 2]


@pytest.mark.parametrize("shape", [3, (2, 2)])
def test_each_bit_is_a_choice_of_0_or_1(shape) -> None:
    space = MultiBinary(shape)
    actions = actions_of(space)
    space.seed(0)
    assert actions.choices == (2,) * int(np.prod(shape))
    raw = np.stack([space.sample() for _ in range(6)])
    assert np.array_equal(actions.raw(actions.agents(raw)), raw)
    assert space.contains(actions.raw(actions.agents(raw))[0])


def test_rows_of_actions_become_rows_of_choices() -> None:
    one, many = actions_of(Discrete(2)), actions_of(MultiDiscrete([2, 3]))
    assert one.raw(np.eye(2)[[1, 0, 1]]).tolist() == [1, 0, 1]
    rows = np.array([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0]])
    assert many.raw(rows).tolist() == [[0, 1], [1, 0]]


def test_the_largest_number_of_each_part_is_the_one() -> None:
    actions = np.array([[0.1, 0.2, -0.5, -0.1, -0.9], [0.9, 0.2, 0.5, 0.1, 0.9]])
    assert one_hot(actions, (2, 3)).tolist() == [[0, 1, 0, 1, 0], [1, 0, 0, 0, 1]]


def test_of_legal_choices_alone_the_largest_number_is_the_one() -> None:
    actions = np.array([[0.9, 0.2, 0.5, 0.1, 0.4], [0.9, 0.2, 0.5, 0.1, 0.4]])
    mask = np.array([[0, 1, 0, 1, 1], [1, 1, 0, 1, 0]], bool)
    assert one_hot(actions, (2, 3), mask).tolist() == [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
