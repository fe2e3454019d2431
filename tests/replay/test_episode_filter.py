"""Episode filters: what is stored, when, and that a resumed run has what waits."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from test_episode_replay import SPEC as REPLAY_SPEC
from test_episode_replay import STATE, episode, part
from toys import through_the_disk

from offpcc.data import Episode, joined
from offpcc.replay import EpisodeReplay, threshold_filter


def walked(rewards: list[float], success: bool | None = None, **before: Any) -> Episode:
    """An episode of these rewards."""
    steps = len(rewards)
    seen = {"observation": np.zeros((steps + 1, 1), np.float32)}
    nothing = np.zeros((steps, 0), np.float32)
    return Episode(seen, nothing, np.float32(rewards), False, nothing, success=success, **before)


@pytest.mark.parametrize(
    ("settings", "good", "bad"),
    [
        ({"min_length": 3}, walked([0, 0, 0]), walked([9, 9])),
        ({"min_length": 3}, walked([0], steps_before=2), walked([0], steps_before=1)),
        ({"min_return": 2.0}, walked([1, 1]), walked([1, 0.9])),
        ({"min_return": 2.0}, walked([1], reward_before=1.0), walked([1], reward_before=0.5)),
        ({"success": True}, walked([0], True), walked([0], False)),
        ({"success": True}, walked([0], True), walked([0], None)),
        ({"success": True, "min_return": 1.0}, walked([1], True), walked([0], True)),
    ],
)
def test_an_episode_passes_what_it_reaches(settings, good, bad) -> None:
    assert threshold_filter(good) and threshold_filter(bad)
    assert threshold_filter(good, **settings)
    assert not threshold_filter(bad, **settings)


def replay_of(**settings: Any) -> EpisodeReplay:
    return EpisodeReplay(REPLAY_SPEC, STATE, buffer_size=100, store_states=1, **settings)


def test_segments_that_are_joined_are_the_episode_that_was_cut() -> None:
    whole = episode(3, 9, terminated=True)
    again = joined([part(whole, 0, 4), part(whole, 4, 5), part(whole, 5, 9)])
    for name in ("action", "reward", "state"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    assert all(np.array_equal(again.observation[k], v) for k, v in whole.observation.items())
    assert (again.terminated, again.steps_before, again.reward_before) == (True, 0, 0.0)


def test_only_what_passes_is_stored_and_only_once_it_is_over() -> None:
    replay = replay_of(episode_filter=partial(threshold_filter, min_length=5))
    whole, short = episode(1, 7), episode(2, 4)
    replay.add(part(whole, 0, 3))
    replay.add(part(whole, 3, 6))
    assert len(replay) == 0 and not list(replay.batches(1))
    replay.add(part(whole, 6, 7))
    replay.add(short)
    assert len(replay) == 7
    plain = replay_of()
    plain.add(whole)
    one, other = replay.chunk(0), plain.chunk(0)
    assert one.keys() == other.keys() and all((one[k] == other[k]).all() for k in one)


def test_updates_that_fall_due_before_anything_passes_are_not_made_up() -> None:
    replay = replay_of(episode_filter=partial(threshold_filter, min_length=5))
    replay.add(episode(1, 4))
    assert not list(replay.batches(30))
    replay.add(episode(2, 6))
    assert len(list(replay.batches(3))) == 3


def test_a_function_of_ones_own_sees_the_whole_episode() -> None:
    lengths: list[int] = []
    replay = replay_of(episode_filter=lambda episode: bool(lengths.append(len(episode))))
    whole = episode(1, 7)
    for first, last in ((0, 3), (3, 7)):
        replay.add(part(whole, first, last))
    assert lengths == [7] and len(replay) == 0
    assert replay.lack == "the episode_filter has refused all of 1 episodes"


def test_what_waits_for_the_filter_is_in_a_checkpoint() -> None:
    settings: dict[str, Any] = {"episode_filter": partial(threshold_filter, min_length=5)}
    one, other = replay_of(**settings), replay_of(**settings)
    whole = episode(1, 7)
    one.add(episode(2, 3))
    one.add(part(whole, 0, 4))
    other.load_state_dict(through_the_disk(one.state_dict()))
    assert other.lack == one.lack == "the episode_filter has refused all of 1 episodes"
    for replay in (one, other):
        replay.add(part(whole, 4, 7))
    assert len(other) == 7
    first, second = one.chunk(0), other.chunk(0)
    assert all((first[k] == second[k]).all() for k in first)
