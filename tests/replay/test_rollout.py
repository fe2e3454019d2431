"""Rollouts: when they are complete, and how segments become windows."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from toys import through_the_disk

from offpcc.data import AgentSpec, Episode, Field
from offpcc.replay import Rollout, threshold_filter
from offpcc.replay.batch import Batch

SPEC = AgentSpec({"where": Field((2,))}, 1)
STATE = 3


def segment(number: int, length: int, *, begin: int = 0, **facts: Any) -> Episode:
    """Steps of an episode whose every number tells its episode and step."""
    t = np.arange(begin, begin + length + 1, dtype=np.float32)
    place = 100 * number + t
    return Episode(
        {"where": np.stack((place, -place), -1)},
        place[:-1, None] + 0.5,
        place[:-1] + 0.25,
        facts.pop("terminated", False),
        np.repeat(place[:-1, None], STATE, 1),
        -place[:-1],
        steps_before=begin,
        **facts,
    )


def batch_of(rollout: Rollout, *segments: Episode) -> Batch:
    for each in segments:
        rollout.add(each)
    (batch,) = rollout.batches(1)
    return batch


def test_a_rollout_is_given_out_once_when_every_copys_steps_are_there() -> None:
    rollout = Rollout(SPEC, STATE, rollout_steps=4, num_envs=2)
    for each in (segment(0, 3), segment(1, 4), segment(2, 0 + 1)):
        assert not list(rollout.batches(1))
        rollout.add(each)
    assert len(list(rollout.batches(1))) == 1
    assert not list(rollout.batches(1))


def test_windows_are_the_steps_in_their_order_each_with_what_it_needs() -> None:
    long = segment(1, 5, terminated=True)
    batch = batch_of(
        Rollout(SPEC, STATE, rollout_steps=7, sequence_length=2), long, segment(2, 2, ended=False)
    )
    # Episode 1 as steps 0 1 | 2 3 | 4, then episode 2 as 0 1.
    real = batch.mask.bool()
    assert real.tolist() == [[True, True], [True, True], [True, False], [True, True]]
    assert batch.reward[real].tolist() == [100.25, 101.25, 102.25, 103.25, 104.25, 200.25, 201.25]
    assert batch.action[real].squeeze(-1).tolist() == [
        100.5,
        101.5,
        102.5,
        103.5,
        104.5,
        200.5,
        201.5,
    ]
    assert batch.log_prob[real].tolist() == [-100, -101, -102, -103, -104, -200, -201]
    seen = batch.observation["where"][..., 0]
    assert seen.tolist() == [[100, 101, 102], [102, 103, 104], [104, 105, 105], [200, 201, 202]]
    assert batch.state[:, 0].tolist() == [100, 102, 104, 200]
    assert batch.terminated[real].tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert batch.segment_end[real].tolist() == [0, 0, 0, 0, 1, 0, 1]
    assert not batch.burn_in.any()


@pytest.mark.parametrize("sequence_length", [1, 3, 7, 20, None])
def test_every_step_is_there_once_whatever_the_windows_length(sequence_length) -> None:
    lengths = (4, 1, 7, 3)
    segments = [segment(n, length) for n, length in enumerate(lengths)]
    batch = batch_of(
        Rollout(SPEC, STATE, rollout_steps=15, sequence_length=sequence_length), *segments
    )
    places = np.concatenate([s.reward for s in segments])
    assert np.array_equal(batch.reward[batch.mask.bool()].numpy(), places)
    assert batch.mask.shape[1] == min(sequence_length or 7, 7)
    windows = sum(-(-length // (sequence_length or 7)) for length in lengths)
    assert len(batch.mask) == windows


def test_sums_of_rewards_go_on_over_a_copys_segments_and_begin_anew_with_an_episode() -> None:
    rollout = Rollout(SPEC, STATE, rollout_steps=2, num_envs=2, discount=0.5)
    one = replace(segment(0, 2, ended=False), reward=np.float32([1, 1]))
    other = replace(one, env_index=1, reward=np.float32([8, 8]))
    assert batch_of(rollout, one, other).discounted_return.ravel().tolist() == [1, 1.5, 8, 12]
    rest = replace(one, steps_before=2, ended=True)
    new = replace(other, ended=True)
    sums = batch_of(rollout, rest, new).discounted_return.ravel().tolist()
    assert sums == [1.75, 1.875, 8, 12]


def test_episodes_that_the_filter_refuses_are_left_out() -> None:
    long = partial(threshold_filter, min_length=3)
    rollout = Rollout(SPEC, STATE, rollout_steps=8, episode_filter=long)
    kept = segment(1, 2, begin=4), segment(2, 1, ended=False)
    batch = batch_of(rollout, segment(0, 2), *kept, segment(3, 3))
    assert batch.reward.ravel().tolist() == [104.25, 105.25, 200.25, 300.25, 301.25, 302.25]
    rollout.add(segment(0, 2))
    for _ in range(3):
        rollout.add(segment(0, 2))
    assert not list(rollout.batches(1))  # nothing is left to learn from


def test_a_rollout_under_way_goes_through_the_disk() -> None:
    first, restored = (Rollout(SPEC, STATE, rollout_steps=6, sequence_length=2) for _ in range(2))
    for each in (segment(1, 3, terminated=True, success=True), segment(2, 1, env_index=0)):
        first.add(each)
    restored.load_state_dict(through_the_disk(first.state_dict()))
    one, two = (batch_of(rollout, segment(3, 2)) for rollout in (first, restored))
    for name in vars(one).keys() - {"observation", "weight"}:
        assert torch.equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("name", ["rollout_steps", "num_envs", "sequence_length"])
def test_a_setting_below_1_is_refused(name) -> None:
    with pytest.raises(ValueError, match=rf"Rollout.{name} is 0; it must be at least 1"):
        Rollout(SPEC, **{name: 0})
