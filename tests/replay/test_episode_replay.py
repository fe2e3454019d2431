"""Episode replay against a plain list of episodes, whose numbers tell where they came from."""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offpcc.data import AgentSpec, Episode, Field
from offpcc.replay import EpisodeReplay
from offpcc.replay.batch import Batch
from offpcc.replay.ring import Ring

SPEC = AgentSpec({"where": Field((2,)), "pixels": Field((1, 2, 2), "uint8")}, 2)
STATE = 3
LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=25)
SEGMENTS = st.none() | st.integers(1, 9)


def shown_of(number: int, steps: np.ndarray) -> dict[str, np.ndarray]:
    """What episode `number` shows at these steps: where it is, and a picture of it."""
    where = np.stack((np.full(len(steps), number), steps), -1).astype(np.float32)
    shade = (37 * number + steps + 1) % 256
    pixels = np.broadcast_to(shade[:, None, None, None], (len(steps), 1, 2, 2))
    return {"where": where, "pixels": pixels.astype(np.uint8)}


def action_of(number: int, steps: np.ndarray) -> np.ndarray:
    return np.stack((steps + 0.25, np.full(len(steps), -number)), -1).astype(np.float32)


def reward_of(number: int, steps: np.ndarray) -> np.ndarray:
    return (100 * number + steps + 0.5).astype(np.float32)


def state_of(number: int, steps: np.ndarray) -> np.ndarray:
    """A state that no other step has, and that is never zero."""
    return np.stack((steps + 1, np.full(len(steps), number), -steps), -1).astype(np.float32)


def episode(number: int, length: int, terminated: bool = False) -> Episode:
    t = np.arange(length)
    return Episode(
        shown_of(number, np.arange(length + 1)),
        action_of(number, t),
        reward_of(number, t),
        terminated,
        state_of(number, t),
    )


def part(whole: Episode, first: int, last: int) -> Episode:
    """The segment of its steps first … last-1."""
    ended = last == len(whole)
    return replace(
        whole,
        observation={k: seen[first : last + 1] for k, seen in whole.observation.items()},
        action=whole.action[first:last],
        reward=whole.reward[first:last],
        terminated=whole.terminated and ended,
        state=whole.state[first:last],
        ended=ended,
        steps_before=first,
    )


def replay_of(**settings: Any) -> EpisodeReplay:
    return EpisodeReplay(SPEC, STATE, **({"sequence_length": 4, "batch_size": 8} | settings))


def filled(lengths: list[int], **settings: Any) -> EpisodeReplay:
    replay = replay_of(**settings)
    for number, length in enumerate(lengths):
        replay.add(episode(number, length))
    return replay


class Everything:
    """In place of a random generator: draws each number below a bound once, in order."""

    def integers(self, bound: int, size: int) -> np.ndarray:
        return np.arange(bound)


def every_window(replay: EpisodeReplay) -> Batch:
    """One batch of all that can be drawn, each as often as its weight."""
    kept, replay._random = replay._random, Everything()  # type: ignore[assignment]
    batch = replay.sample()
    replay._random = kept
    return batch


def windows(batch: Batch) -> Iterator[tuple[int, int, int, int]]:
    """Each row's episode, its first step learned from, the one behind its last, and its begin."""
    columns = int(batch.burn_in.max())
    for i, mask in enumerate(batch.mask):
        number, first = batch.observation["where"][i, columns].int().tolist()
        yield number, first, first + int(mask.sum()), first - int(batch.burn_in[i])


def kept_of(lengths: list[int], buffer_size: int) -> list[int]:
    """The numbers of the newest episodes that fit."""
    kept = [*range(len(lengths))]
    while sum(lengths[number] for number in kept) > buffer_size:
        kept.pop(0)
    return kept


def expected_windows(length: int, sequence_length: int | None) -> list[tuple[int, int]]:
    """First and behind-last learned step of every window that an episode has."""
    if sequence_length is None:
        return [(0, length)]
    return [
        (steps[0], steps[-1] + 1)
        for s in range(-sequence_length, length + sequence_length)
        if (steps := [t for t in range(s, s + sequence_length) if 0 <= t < length])
    ]


def check_row(
    batch: Batch,
    i: int,
    window: tuple[int, int, int, int],
    lengths: list[tuple[int, bool]],
    store_states: int,
) -> None:
    """Row i holds what its episode (its length, whether terminated) held there, and no more."""
    number, first, last, begin = window
    length, terminated = lengths[number]
    columns, count = int(batch.burn_in.max()), last - first
    assert 0 <= begin <= first < last <= length
    assert batch.mask[i].tolist() == [1.0] * count + [0.0] * (batch.mask.shape[1] - count)
    for key, values in batch.observation.items():
        row = values[i].numpy()
        assert (row[: first - begin] == shown_of(number, np.arange(begin, first))[key]).all()
        shown = row[columns : columns + count + 1]
        assert (shown == shown_of(number, np.arange(first, last + 1))[key]).all()
        assert row.dtype == SPEC.observation[key].dtype
    learned = np.arange(first, last)
    assert (batch.action[i, :count].numpy() == action_of(number, learned)).all()
    assert (batch.reward[i, :count].numpy() == reward_of(number, learned)).all()
    ends = np.zeros(batch.mask.shape[1])
    ends[count - 1] = terminated and last == length
    assert (batch.terminated[i].numpy() == ends).all()
    state = state_of(number, np.array([begin]))[0] if store_states else np.zeros(STATE)
    assert (batch.state[i].numpy() == state).all()
    # Padding, and what stands behind a short warm-up, is the same episode's, too.
    assert (batch.observation["where"][i, :, 0] == number).all()
    assert (batch.observation["where"][i, :, 1] <= last).all()
    assert (batch.action[i, :, 1] == -number).all()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    lengths=LENGTHS,
    spare=st.integers(0, 60),
    sequence_length=SEGMENTS,
    burn_in=st.integers(0, 6),
    store_states=st.integers(0, 5),
)
def test_everything_drawn_is_a_slice_of_an_episode_that_is_kept(
    lengths: list[tuple[int, bool]],
    spare: int,
    sequence_length: int | None,
    burn_in: int,
    store_states: int,
) -> None:
    only = [length for length, _ in lengths]
    buffer_size = max(only) + spare
    replay = replay_of(
        buffer_size=buffer_size,
        sequence_length=sequence_length,
        burn_in=burn_in,
        store_states=store_states,
    )
    for number, (length, terminated) in enumerate(lengths):
        replay.add(episode(number, length, terminated))
        kept = kept_of(only[: number + 1], buffer_size)
        assert [*replay.episodes] == kept
        assert len(replay) == sum(only[k] for k in kept)
        for batch in (replay.sample(), every_window(replay)) if number % 4 == 0 else ():
            for i, window in enumerate(windows(batch)):
                check_row(batch, i, window, lengths, store_states)
    drawn = Counter(
        (number, first, last) for number, first, last, _ in windows(every_window(replay))
    )
    assert drawn == Counter(
        (number, *window)
        for number in kept
        for window in expected_windows(only[number], sequence_length)
    )


@pytest.mark.parametrize("sequence_length", [None, 1, 2, 4, 7, 30])
def test_every_stored_step_is_learned_from_equally_often(sequence_length: int | None) -> None:
    lengths = [1, 2, 3, 20, 4, 5, 1]
    batch = every_window(filled(lengths, sequence_length=sequence_length, burn_in=3))
    learned = Counter(
        (number, t) for number, first, last, _ in windows(batch) for t in range(first, last)
    )
    assert learned == Counter(
        {
            (number, t): sequence_length or 1
            for number, length in enumerate(lengths)
            for t in range(length)
        }
    )


def test_drawn_batches_learn_from_every_step_equally_often() -> None:
    lengths = [1, 2, 20, 5]
    batch = filled(lengths, sequence_length=4, batch_size=20_000).sample()
    learned = Counter(
        (number, t) for number, first, last, _ in windows(batch) for t in range(first, last)
    )
    assert len(learned) == sum(lengths)
    # 28 steps, each in 4 of the 1+2+20+5 + 4·3 = 40 windows: 2000 ± 42 times
    assert all(abs(count - 2000) < 200 for count in learned.values())


@pytest.mark.parametrize(
    ("burn_in", "store_states", "begins"),
    [
        # of the windows that begin to learn at step 0, 1, 2, … 9 of an episode of 10 steps
        (0, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (3, 0, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]),
        (0, 4, [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]),
        (3, 4, [0, 0, 0, 0, 0, 0, 0, 4, 4, 4]),
        (3, 1, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]),
        (99, 4, [0] * 10),
    ],
)
def test_rows_begin_the_burn_in_before_their_window_at_the_last_stored_state(
    burn_in: int, store_states: int, begins: list[int]
) -> None:
    replay = filled([10], sequence_length=3, burn_in=burn_in, store_states=store_states)
    batch = every_window(replay)
    found = {first: begin for _, first, _, begin in windows(batch)}
    assert [found[first] for first in range(10)] == begins
    for i, (_, _, _, begin) in enumerate(windows(batch)):
        expected = state_of(0, np.array([begin]))[0] if store_states else np.zeros(STATE)
        assert (batch.state[i].numpy() == expected).all()


def test_an_agent_without_memory_has_nothing_to_warm() -> None:
    replay = EpisodeReplay(SPEC, 0, batch_size=30, sequence_length=1, burn_in=4, store_states=3)
    replay.add(replace(episode(0, 20), state=np.zeros((20, 0), np.float32)))
    batch = replay.sample()
    assert not batch.burn_in.any()
    assert batch.observation["where"].shape == (30, 2, 2)


@pytest.mark.parametrize("store_states", [0, 3])
def test_whole_episodes_begin_at_their_start_and_need_no_burn_in(store_states: int) -> None:
    batch = every_window(filled([5, 9], sequence_length=None, burn_in=4, store_states=store_states))
    assert [(first, begin) for _, first, _, begin in windows(batch)] == [(0, 0), (0, 0)]
    assert batch.mask.sum(1).tolist() == [5, 9]
    assert batch.observation["where"].shape == (2, 10, 2)


@pytest.mark.parametrize("sequence_length", [None, 4])
def test_only_the_last_step_of_a_terminated_episode_ends_the_bootstrap(
    sequence_length: int | None,
) -> None:
    replay = replay_of(sequence_length=sequence_length)
    replay.add(episode(0, 6, terminated=True))
    replay.add(episode(1, 6, terminated=False))
    batch = every_window(replay)
    ends = {
        (number, first + int(t))
        for (number, first, _, _), row in zip(windows(batch), batch.terminated, strict=True)
        for t in row.nonzero()
    }
    assert ends == {(0, 5)}


def test_a_truncated_episode_keeps_its_own_last_observation() -> None:
    batch = every_window(filled([6, 6], sequence_length=None))
    assert batch.observation["where"][:, 6].tolist() == [[0, 6], [1, 6]]


def test_a_buffer_of_1000_steps_holds_five_episodes_of_200() -> None:
    replay = filled([200] * 5, buffer_size=1000)
    assert (len(replay), [*replay.episodes]) == (1000, [0, 1, 2, 3, 4])
    replay.add(episode(5, 1))
    assert (len(replay), [*replay.episodes]) == (801, [1, 2, 3, 4, 5])


def test_an_episode_longer_than_the_buffer_is_refused_and_harms_nothing() -> None:
    replay = filled([200, 300], buffer_size=500)
    message = "an episode of 501 steps does not fit a buffer of 500 steps; raise EpisodeReplay"
    with pytest.raises(ValueError, match=message):
        replay.add(episode(2, 501))
    assert (len(replay), [*replay.episodes]) == (500, [0, 1])
    replay.add(episode(2, 500))
    assert (len(replay), [*replay.episodes]) == (500, [2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("buffer_size", 0),
        ("batch_size", 0),
        ("sequence_length", 0),
        ("burn_in", -1),
        ("store_states", -1),
        ("replay_ratio", -0.5),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"EpisodeReplay.{name} is {value}"):
        replay_of(**{name: value})


@pytest.mark.parametrize(
    ("ratio", "owed"),
    [
        (1, [1, 1, 1, 1, 1, 1, 1, 1]),
        (2, [2, 2, 2, 2, 2, 2, 2, 2]),
        (1.5, [1, 2, 1, 2, 1, 2, 1, 2]),
        (0.5, [0, 1, 0, 1, 0, 1, 0, 1]),
        (0.25, [0, 0, 0, 1, 0, 0, 0, 1]),
        (0, [0] * 8),
    ],
)
def test_ratio_batches_are_owed_a_step_and_fractions_add_up(ratio: float, owed: list[int]) -> None:
    by_one, at_once = filled([5], replay_ratio=ratio), filled([5], replay_ratio=ratio)
    assert [len([*by_one.batches(1)]) for _ in range(8)] == owed
    assert len([*at_once.batches(8)]) == sum(owed)
    assert not [*at_once.batches(0)]


def test_an_empty_replay_yields_nothing() -> None:
    assert not [*replay_of().batches(10)]


# Segments


def assert_same_windows(one: EpisodeReplay, other: EpisodeReplay) -> None:
    """The same can be drawn from both, as often."""
    assert len(one) == len(other)
    mine, theirs = every_window(one), every_window(other)
    for field in fields(Batch):
        got, expected = getattr(mine, field.name), getattr(theirs, field.name)
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    cuts=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=8),
    spare=st.integers(0, 60),
    sequence_length=SEGMENTS,
    store_states=st.integers(0, 5),
)
def test_what_comes_in_segments_is_one_episode_as_far_as_it_is_known(
    cuts: list[list[int]], spare: int, sequence_length: int | None, store_states: int
) -> None:
    known: dict[str, Any] = {
        "buffer_size": 8 * 25 + spare,
        "sequence_length": sequence_length,
        "store_states": store_states,
        "burn_in": 2,
    }
    growing, so_far = replay_of(**known), replay_of(**known)
    for number, lengths in enumerate(cuts * 4):
        whole, ends = episode(number, sum(lengths), number % 2 == 0), np.cumsum(lengths)
        for length, last in zip(lengths, ends.tolist(), strict=True):
            growing.add(part(whole, last - length, last))
            grown = replace(part(whole, 0, last), ended=True)
            one_more = replay_of(**known)
            one_more.extend(so_far.chunk(0))
            one_more.add(grown)
            assert_same_windows(growing, one_more)
        so_far.add(whole)
        assert growing.episodes == so_far.episodes
        torch.testing.assert_close(growing.chunk(0), so_far.chunk(0), rtol=0, atol=0)


@pytest.mark.parametrize("sequence_length", [None, 4])
def test_by_priority_an_episode_is_drawn_as_it_grows(sequence_length: int | None) -> None:
    replay, whole = (
        replay_of(sequence_length=sequence_length, priority_alpha=0.6, batch_size=400),
        episode(0, 12),
    )
    for step in range(len(whole)):
        replay.add(part(whole, step, step + 1))
        drawn = {window[:3] for window in windows(replay.sample())}
        assert drawn == {(0, *steps) for steps in expected_windows(step + 1, sequence_length)}


def test_an_episode_under_way_is_not_in_a_chunk_until_it_is_over() -> None:
    replay, whole = filled([3, 4]), episode(2, 6)
    replay.add(part(whole, 0, 4))
    assert ([*replay.episodes], len(replay)) == ([0, 1], 11)
    assert replay.chunk(0)["length"].tolist() == [3, 4]
    replay.add(part(whole, 4, 6))
    assert ([*replay.episodes], len(replay)) == ([0, 1, 2], 13)
    assert replay.chunk(1)["length"].tolist() == [4, 6]


def test_an_episode_that_is_not_gone_on_with_stays_as_long_as_it_is() -> None:
    replay = replay_of(sequence_length=None)
    replay.add(part(episode(0, 6), 0, 4))
    replay.add(part(episode(1, 6), 0, 2))
    replay.add(part(episode(1, 6), 2, 6))
    assert [*windows(every_window(replay))] == [(0, 0, 4, 0), (1, 0, 6, 0)]


def test_segments_of_several_copies_are_episodes_of_their_own() -> None:
    replay, wholes = (
        replay_of(sequence_length=None),
        [replace(episode(k, 6), env_index=k) for k in range(2)],
    )
    for first in (0, 3):
        for whole in wholes:
            replay.add(part(whole, first, first + 3))
    found = [window[:3] for window in windows(every_window(replay))]
    assert found == [(0, 0, 3), (1, 0, 3), (0, 3, 6), (1, 3, 6)]


def test_an_episode_is_parted_where_it_would_fill_an_eighth_of_the_buffer() -> None:
    replay, whole = replay_of(buffer_size=80, sequence_length=None, store_states=4), episode(0, 100)
    for step in range(len(whole)):
        replay.add(part(whole, step, step + 1))
        assert len(replay) == min(step + 1, 71 + step % 10)
    batch = every_window(replay)
    assert [*windows(batch)] == [(0, t, t + 10, t) for t in range(20, 100, 10)]
    assert (batch.state.numpy() == state_of(0, np.arange(20, 100, 10))).all()


class Shelf:
    """Keeps a replay as a checkpoint does: what is new in a chunk, chunks without use dropped."""

    def __init__(self) -> None:
        self.chunks: list[tuple[int, bytes]] = []  # with the number behind the last episode
        self.state = b""

    def save(self, replay: EpisodeReplay) -> None:
        live = replay.episodes
        since = self.chunks[-1][0] if self.chunks else live.start
        if since < live.stop:
            self.chunks.append((live.stop, packed(replay.chunk(max(since, live.start)))))
        self.chunks = [(stop, chunk) for stop, chunk in self.chunks if stop > live.start]
        self.state = packed(replay.state_dict())

    def load(self, replay: EpisodeReplay) -> EpisodeReplay:
        for _, chunk in self.chunks:
            replay.extend(unpacked(chunk))
        replay.load_state_dict(unpacked(self.state))
        return replay


def packed(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def unpacked(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def assert_alike(one: EpisodeReplay, other: EpisodeReplay) -> None:
    """Both owe the same batches, of the same content."""
    assert (one.episodes, len(one)) == (other.episodes, len(other))
    pairs = [*zip(one.batches(3), other.batches(3), strict=True)]
    assert pairs
    for mine, theirs in pairs:
        for field in fields(Batch):
            got, expected = getattr(mine, field.name), getattr(theirs, field.name)
            torch.testing.assert_close(got, expected, rtol=0, atol=0)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    lengths=LENGTHS,
    spare=st.integers(0, 40),
    sequence_length=SEGMENTS,
    store_states=st.integers(0, 5),
    saves=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    stride=st.integers(1, 30),
    priority_alpha=st.sampled_from([0.0, 0.6]),
)
@example([(3, False)], 0, None, 0, [1, 1, 1], 2, 0.0)  # what grows drives out the oldest
def test_a_restored_replay_goes_on_with_the_same_samples(
    lengths: list[tuple[int, bool]],
    spare: int,
    sequence_length: int | None,
    store_states: int,
    saves: list[int],
    stride: int,
    priority_alpha: float,
) -> None:
    known: dict[str, Any] = {
        "buffer_size": max(length for length, _ in lengths) + 4 * spare,
        "priority_alpha": priority_alpha,
        "sequence_length": sequence_length,
        "store_states": store_states,
        "burn_in": 2,
        "replay_ratio": 0.75,
        "batch_size": 3,
    }
    never, stopped, shelf = replay_of(**known, seed=1), replay_of(**known, seed=1), Shelf()
    coming = (
        part(episode(number, length, terminated), first, min(first + stride, length))
        for number, (length, terminated) in enumerate(lengths * 3)
        for first in range(0, length, stride)
    )
    for count in saves:
        for _, played in zip(range(count), coming, strict=False):
            never.add(played)
            stopped.add(played)
            assert_alike(never, stopped)
        shelf.save(stopped)
        stopped = shelf.load(replay_of(**known, seed=99))
        assert_alike(never, stopped)


def test_a_chunk_holds_the_episodes_asked_for_and_no_more() -> None:
    replay = filled([3, 4, 5, 6], buffer_size=16)  # the first has left
    assert replay.chunk(0)["length"].tolist() == [4, 5, 6]
    assert replay.chunk(2)["length"].tolist() == [5, 6]
    assert replay.chunk(2)["step/reward"].tolist() == [
        *reward_of(2, np.arange(5)),
        *reward_of(3, np.arange(6)),
    ]
    nothing = replay.chunk(4)
    assert all(len(values) == 0 for values in nothing.values())
    replay.extend(nothing)
    assert [*replay.episodes] == [1, 2, 3]


def test_a_chunk_is_a_copy() -> None:
    replay = filled([3, 4], buffer_size=7)
    chunk = replay.chunk(0)
    before = {name: values.clone() for name, values in chunk.items()}
    replay.add(episode(2, 7))
    torch.testing.assert_close(chunk, before, rtol=0, atol=0)


@pytest.mark.parametrize("episodes", [10, 1000])
def test_a_sample_touches_as_many_rows_as_it_holds(
    monkeypatch: pytest.MonkeyPatch, episodes: int
) -> None:
    replay = filled([10] * episodes, batch_size=16, sequence_length=4, burn_in=3, store_states=5)
    touched = Counter[int]()
    take = Ring.take

    def counted(ring: Ring, numbers: np.ndarray) -> dict[str, np.ndarray]:
        touched[id(ring)] += numbers.size
        return take(ring, numbers)

    monkeypatch.setattr(Ring, "take", counted)
    batch = replay.sample()
    rows = batch.observation["where"].shape[:2].numel()
    assert sorted(touched.values()) == sorted([16, batch.mask.numel(), rows])


def test_pixels_stay_bytes_in_store_sample_and_chunk() -> None:
    replay = filled([5, 5])
    assert replay.sample().observation["pixels"].dtype == torch.uint8
    assert replay.chunk(0)["observation/pixels"].dtype == torch.uint8
    assert replay.chunk(0)["observation/pixels"].shape == (12, 1, 2, 2)


def test_observations_are_stored_once() -> None:
    lengths = [10] * 90
    assert len(filled(lengths, buffer_size=900).chunk(0)["observation/where"]) == 900 + len(lengths)


def test_the_memory_of_a_replay_is_known_before_it_fills() -> None:
    # 80 steps of 3 floats, 80 + 10 observations of 2 floats and 4 bytes, 20 + 1 states of 3 floats
    assert replay_of(buffer_size=80, store_states=4).nbytes == 80 * 12 + 90 * 12 + 21 * 12


@pytest.mark.parametrize("length", [1, 7, 30])
@pytest.mark.parametrize("store_states", [0, 4])
def test_a_full_replay_grows_no_further(length: int, store_states: int) -> None:
    replay = filled([length] * 200, buffer_size=60, store_states=store_states)
    rings = [part for part in vars(replay).values() if isinstance(part, Ring)]
    before = [ring.rows for ring in rings]
    for number in range(200, 600):
        replay.add(episode(number, length))
    assert len(rings) == 3
    assert [ring.rows for ring in rings] == before


def test_seeds_decide_what_is_drawn() -> None:
    one, same, other = (filled([20] * 20, seed=seed).sample().reward for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
