from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from offpcc.domains.observation_views import ViewWrapper, Window


class Counter(gymnasium.Env[Any, Any]):
    """Observes (n, 10 n, -n), where n counts the steps of the episode."""

    def __init__(self) -> None:
        self.observation_space = Box(np.float32([0, 0, -9]), np.float32([9, 90, 0]))
        self.action_space = Box(np.float32([-1, 2]), np.float32([1, 3]))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.count = 1
        return self.observed(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.observed(), 0.5, False, self.count == 5, {"count": self.count}

    def observed(self) -> Any:
        return np.float32([self.count, 10 * self.count, -self.count])


def test_keep_shows_exactly_its_entries_in_its_order():
    view = ViewWrapper(Counter(), keep=(2, 0))
    assert view.observation_space == Box(np.float32([-9, 0]), np.float32([0, 9]))
    assert view.reset()[0].tolist() == [-1, 1]
    assert view.step([0.0, 2.0])[0].tolist() == [-2, 2]


@pytest.mark.parametrize("indices", [(), (0, 0), (3,), (-1,)])
def test_keep_refuses_entries_that_are_none_double_or_absent(indices):
    with pytest.raises(ValueError, match="different indices from 0 to 2"):
        ViewWrapper(Counter(), keep=indices)


def test_the_previous_action_is_zero_at_reset_and_then_the_one_taken():
    view = ViewWrapper(Counter(), previous_action=True)
    assert view.reset()[0].tolist() == [1, 10, -1, 0, 0]
    assert view.step(np.array([0.5, 2.5]))[0].tolist() == [2, 20, -2, 0.5, 2.5]
    assert view.step([-1.0, 3.0])[0].tolist() == [3, 30, -3, -1, 3]
    assert view.reset()[0].tolist() == [1, 10, -1, 0, 0]


def test_the_previous_action_is_shown_as_the_environment_clips_it():
    view = ViewWrapper(Counter(), previous_action=True)
    view.reset()
    assert view.step(np.array([7.0, -7.0]))[0].tolist() == [2, 20, -2, 1, 2]


def test_the_box_of_the_previous_action_holds_its_zero_at_reset():
    view = ViewWrapper(Counter(), previous_action=True)
    assert view.observation_space.low.tolist() == [0, 0, -9, -1, 0]  # not 2: 0 is shown at reset
    assert view.observation_space.high.tolist() == [9, 90, 0, 1, 3]


def test_a_discrete_previous_action_is_refused():
    env = Counter()
    env.action_space = Discrete(3)
    with pytest.raises(TypeError, match="actions from a Box"):
        ViewWrapper(env, previous_action=True)


def test_a_window_repeats_the_first_frame_and_then_runs_oldest_first():
    view = ViewWrapper(Counter(), keep=(0, 1), window=3)
    assert view.observation_space == Box(np.float32([0] * 6), np.float32([9, 90] * 3))
    assert view.reset()[0].tolist() == [1, 10, 1, 10, 1, 10]
    assert view.step([0.0, 2.0])[0].tolist() == [1, 10, 1, 10, 2, 20]
    assert view.step([0.0, 2.0])[0].tolist() == [1, 10, 2, 20, 3, 30]
    assert view.step([0.0, 2.0])[0].tolist() == [2, 20, 3, 30, 4, 40]
    assert view.reset()[0].tolist() == [1, 10, 1, 10, 1, 10]


def test_a_window_may_run_newest_first():
    view = ViewWrapper(Counter(), keep=(0, 1), window=3, newest_first=True)
    assert view.reset()[0].tolist() == [1, 10, 1, 10, 1, 10]
    assert view.step([0.0, 2.0])[0].tolist() == [2, 20, 1, 10, 1, 10]
    assert view.step([0.0, 2.0])[0].tolist() == [3, 30, 2, 20, 1, 10]
    assert view.step([0.0, 2.0])[0].tolist() == [4, 40, 3, 30, 2, 20]
    assert view.reset()[0].tolist() == [1, 10, 1, 10, 1, 10]


def test_a_frame_of_a_window_holds_its_own_previous_action():
    view = ViewWrapper(Counter(), keep=(0,), previous_action=True, window=2)
    assert view.reset()[0].tolist() == [1, 0, 0, 1, 0, 0]
    assert view.step([0.5, 2.0])[0].tolist() == [1, 0, 0, 2, 0.5, 2]


def test_writing_into_an_observation_changes_no_later_one():
    view = ViewWrapper(Counter(), window=2)
    view.reset()[0][:] = 77
    first = view.step([0.0, 2.0])[0]
    assert first.tolist() == [1, 10, -1, 2, 20, -2]
    first[:] = 77
    assert view.step([0.0, 2.0])[0].tolist() == [2, 20, -2, 3, 30, -3]


def test_a_window_needs_a_frame():
    with pytest.raises(ValueError, match="at least 1 frame"):
        ViewWrapper(Counter(), window=0)


def test_observations_that_are_no_vectors_are_refused():
    env = Counter()
    env.observation_space = Box(0, 255, (8, 8), np.uint8)
    for shown in ({"keep": (0,)}, {"delay": 2}, {"previous_action": True}):
        with pytest.raises(TypeError, match="observations from a Box of shape"):
            ViewWrapper(env, **shown)
    env.observation_space = Discrete(3)
    with pytest.raises(TypeError, match="observations from a Box"):
        ViewWrapper(env, window=2)


@pytest.mark.parametrize("newest_first", [False, True])
def test_pictures_in_a_window_are_put_end_to_end(newest_first):
    window = Window(Box(0, 9, (1, 2, 2), np.uint8), 3, newest_first)
    assert window.space == Box(0, 9, (3, 2, 2), np.uint8)
    pictures = np.arange(12, dtype=np.uint8).reshape(3, 1, 1, 2, 2)  # of three steps, of one copy
    window.begin(pictures[0], np.ones(1, bool), [])
    window.follow(pictures[1], np.zeros((1, 1)))
    shown = window.follow(pictures[2], np.zeros((1, 1)))
    order = pictures[::-1] if newest_first else pictures
    assert shown.dtype == np.uint8 and np.array_equal(shown[0], order[:, 0, 0])
    again = window.begin(pictures[1], np.ones(1, bool), [])
    assert np.array_equal(again[0], pictures[[1, 1, 1], 0, 0])


def test_a_view_changes_nothing_but_the_observation():
    view = ViewWrapper(Counter(), keep=(0,), previous_action=True, window=2)
    view.reset()
    outcomes = [view.step([0.0, 2.0])[1:] for _ in range(4)]
    assert outcomes[0] == (0.5, False, False, {"count": 2})
    assert outcomes[-1] == (0.5, False, True, {"count": 5})


def test_a_view_keeps_the_dtype_of_the_observation():
    view = ViewWrapper(Counter(), keep=(0,), previous_action=True, window=2)
    assert view.reset()[0].dtype == np.float32
    assert view.step(np.array([0.1, 2.0], dtype=np.float64))[0].dtype == np.float32


def test_nothing_is_changed_where_nothing_is_asked_for():
    view = ViewWrapper(Counter())
    assert view.observation_space == Counter().observation_space
    assert view.reset()[0].tolist() == [1, 10, -1]
