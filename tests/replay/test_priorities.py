"""Draws by priority against plain lists."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_episode_replay import SPEC, STATE, episode, replay_of

from offpcc.replay import EpisodeReplay
from offpcc.replay.priorities import LEAST, Priorities

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["append", "drop", "weigh"]), st.integers(1, 90)), max_size=40
)


def with_priorities(*priorities: float, exponent: float = 1.0, priority_beta: float = 1.0):
    queue = Priorities(exponent, priority_beta, 1.0)
    queue.append(len(priorities))
    places = np.arange(len(priorities))
    queue.update(places, np.array(priorities)[:, None] - LEAST, np.ones((len(places), 1)))
    return queue


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_sums_are_those_of_the_live_places_whatever_came_before(operations) -> None:
    queue, model, dropped, random = Priorities(1.0, 0.5, 1.0), [], 0, np.random.default_rng(0)
    for what, count in operations:
        if what == "append":
            model += [queue.most] * count
            queue.append(count)
        elif what == "drop":
            count = min(count, len(model))
            dropped, model = dropped + count, model[count:]
            queue.drop(count)
        elif model:
            index = np.unique(random.integers(len(model), size=count))
            errors = random.random(len(index)) + 0.1
            queue.update(index + dropped, errors[:, None], np.ones((len(index), 1)))
            for i, error in zip(index, errors, strict=True):
                model[i] = error + LEAST
        assert (queue.first, queue.last) == (dropped, dropped + len(model))
        assert queue._tree[1] == pytest.approx(sum(model))
        if model:
            places = queue.draw(random, 30)
            assert places.min() >= queue.first and places.max() < queue.last


def test_places_are_drawn_as_often_as_their_priority_says() -> None:
    queue, random = with_priorities(1.0, 5.0, 0.5, 3.5), np.random.default_rng(1)
    drawn = np.concatenate([queue.draw(random, 7) for _ in range(4_000)])
    share = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(share, [0.1, 0.5, 0.05, 0.35], atol=0.01)


def test_a_batch_takes_one_of_each_equal_part() -> None:
    queue = with_priorities(1.0, 1.0, 1.0, 1.0)
    for seed in range(20):
        assert queue.draw(np.random.default_rng(seed), 4).tolist() == [0, 1, 2, 3]


def test_an_exponent_flattens_priorities() -> None:
    queue = with_priorities(4.0, 16.0, exponent=0.5)
    random = np.random.default_rng(0)
    share = np.mean([queue.draw(random, 1)[0] for _ in range(4_000)])
    assert share == pytest.approx(4 / 6, abs=0.03)  # √16 / (√4 + √16)


def test_weights_by_hand() -> None:
    queue = with_priorities(1.0, 3.0, 4.0, priority_beta=0.5)
    # P = 1/8, 3/8, 4/8 of n = 3: (3/8)^-½, (9/8)^-½, (12/8)^-½, over the first
    expected = [1.0, (1 / 3) ** 0.5, 0.5]
    np.testing.assert_allclose(queue.weights(np.array([0, 1, 2])), expected, rtol=1e-6)


def test_a_priority_mixes_the_largest_error_and_the_mean_of_real_steps() -> None:
    queue = Priorities(2.0, 1.0, 0.75)
    queue.append(2)
    errors = np.array([[1.0, -3.0, 99.0], [2.0, 0.0, 0.0]])
    queue.update(np.array([0, 1]), errors, np.array([[1, 1, 0], [1, 1, 1]]))
    # (0.75 · 3 + 0.25 · 2)² and (0.75 · 2 + 0.25 · ⅔)²
    expected = [2.75**2, (1.5 + 1 / 6) ** 2]
    np.testing.assert_allclose(queue.state_dict()["live"], expected, rtol=1e-5)


def test_new_places_are_as_urgent_as_the_most_urgent_so_far() -> None:
    queue = with_priorities(1.0, 7.0)
    queue.append(1)
    queue.update(np.array([1]), np.array([[0.5]]), np.ones((1, 1)))
    queue.append(1)
    np.testing.assert_allclose(queue.state_dict()["live"], [1, 0.5, 7, 7], rtol=1e-5)


def test_an_error_that_is_not_finite_does_not_spread() -> None:
    queue = with_priorities(1.0, 2.0, 3.0)
    queue.update(np.array([0, 1]), np.array([[np.nan], [np.inf]]), np.ones((2, 1)))
    np.testing.assert_allclose(queue.state_dict()["live"], [3, 3, 3], rtol=1e-5)
    assert queue.most == pytest.approx(3)


# In the replay


def test_a_replay_that_was_emptied_goes_on() -> None:
    replay = replay_of(priority_alpha=0.5, buffer_size=30, sequence_length=3)
    for number, length in enumerate((20, 20, 25, 10, 10, 30, 5)):
        replay.add(episode(number, length))
        for _ in range(5):
            batch = replay.sample()
            replay.update_priorities(batch, batch.reward)
            assert (-batch.action[:, 0, 1] >= replay.episodes.start).all()


def filled(**more: float) -> EpisodeReplay:
    replay = replay_of(priority_alpha=1.0, buffer_size=60, **more)
    for number in range(9):
        replay.add(episode(number, 5 + number % 4, terminated=True))
    return replay


@pytest.mark.parametrize("sequence_length", [1, 4, None])
def test_wrong_windows_are_drawn_more_often_and_count_less(sequence_length) -> None:
    replay = filled(
        sequence_length=sequence_length, priority_eta=1.0, priority_beta=1.0, batch_size=16
    )
    counts = np.zeros(9)
    for draw in range(600):
        batch = replay.sample()
        number = -batch.action[:, 0, 1]
        errors = torch.where(number == 7, 9.0, 1.0).unsqueeze(1).expand_as(batch.mask)
        replay.update_priorities(batch, errors)
        counts += np.bincount(number.int().numpy(), minlength=9)
        seventh = batch.weight[number == 7]
        if draw > 300 and len(seventh) and (number != 7).any():
            assert seventh.max() == pytest.approx(1 / 9, rel=0.01)
            assert batch.weight[number != 7].min() == pytest.approx(1, rel=0.01)
    others = np.delete(counts, 7)
    assert counts[7] > 4 * others.max()


def test_without_a_priority_nothing_is_weighed() -> None:
    replay = EpisodeReplay(SPEC, STATE, batch_size=4, sequence_length=2)
    replay.add(episode(0, 9))
    batch = replay.sample()
    assert batch.weight is None
    replay.update_priorities(batch, torch.ones(4, 2))
    assert "priorities" not in replay.state_dict()


def test_draws_go_on_exactly_after_a_restore() -> None:
    replay = filled()
    for seed in range(5):
        batch = replay.sample()
        replay.update_priorities(
            batch, torch.rand(8, 4, generator=torch.Generator().manual_seed(seed))
        )
    replay.add(episode(9, 8))
    state, chunk = replay.state_dict(), replay.chunk(0)
    again = replay_of(priority_alpha=1.0, buffer_size=60)
    again.extend(chunk)
    again.load_state_dict(state)
    for step in range(20):
        one, other = replay.sample(), again.sample()
        assert torch.equal(one.action, other.action)
        assert torch.equal(one.weight, other.weight)
        for each, batch in ((replay, one), (again, other)):
            each.update_priorities(batch, batch.reward.abs() * 0.01)
            if step % 4 == 0:
                each.add(episode(10 + step, 6))


@pytest.mark.parametrize(
    "wrong", [{"priority_alpha": -1.0}, {"priority_eta": 1.5}, {"priority_beta": -0.5}]
)
def test_settings_that_make_no_sense_are_refused(wrong) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"EpisodeReplay.{name} is"):
        replay_of(**wrong)
