"""What an environment gives is compared with what it declared."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple, flatten

from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.spaces import key_of, leaves, part_of, reader_of
from offpcc.envs.values import SpaceError, finite, flag, scalar, shortened
from offpcc.networks import Encoder

FLOATS = Box(-np.inf, np.inf, (3,), np.float32)
FRAME = Box(0, 255, (2, 2), np.uint8)
NAN = float("nan")


def read(space: Any, value: Any, rows: tuple[int, ...] = ()) -> np.ndarray:
    return reader_of("eye", space).read(value, rows)


@pytest.mark.parametrize(
    ("space", "given", "said"),
    [
        (FLOATS, np.zeros(4), r"eye has shape \(4,\); its space says \(3,\)"),
        (FLOATS, np.zeros((1, 3)), r"eye has shape \(1, 3\); its space says \(3,\)"),
        (FLOATS, 1.0, r"eye has shape \(\); its space says \(3,\)"),
        (FLOATS, [1, NAN, 2], r"eye is \[ ?1\. nan  ?2\. ?\]"),
        (FLOATS, np.array([0, 1e39, 0]), r"eye is \[0\.e\+00 1\.e\+39 0\.e\+00\]"),
        (FLOATS, ["a", "b", "c"], "eye is not of numbers: "),
        (FLOATS, None, "eye is not of numbers: None"),
        (FLOATS, [[1, 2], [3]], "eye is no array of numbers"),
        (FRAME, np.zeros((2, 2)), "eye is of float64; its space says uint8"),
        (FRAME, np.array([[1, 300], [2, 3]]), "eye has 300; uint8 is 0 to 255"),
        (FRAME, np.array([[1, -1], [2, 3]]), "eye has -1; uint8 is 0 to 255"),
        (Box(0, 255, (4,), np.uint8), np.float32([0, 1, 2, 3]), "eye is of float32; its space"),
        (Discrete(5), -1, r"eye is -1; Discrete\(5\) is 0 to 4"),
        (Discrete(5, start=1), 0, r"eye is 0; Discrete\(5, start=1\) is 1 to 5"),
        (Discrete(5), 5, "eye is 5; .* is 0 to 4"),
        (Discrete(5), 1.5, r"eye is 1\.5; "),
        (Discrete(5), [1, 2], r"eye has shape \(2,\); its space says \(\)"),
        (MultiDiscrete([2, 3]), [1, 3], "eye is 3; .* is 0 to 2"),
        (MultiBinary(2), [0, 2], r"eye has 2; MultiBinary\(2\) is 0 or 1"),
    ],
)
def test_what_is_not_of_the_space_is_refused_with_both(space, given, said) -> None:
    with pytest.raises(SpaceError, match=said):
        read(space, given)


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [
        (FLOATS, [1, 2, 3], [1, 2, 3]),
        (FLOATS, np.float64([1, 2, 3]), [1, 2, 3]),
        (FRAME, np.array([[0, 255], [1, 2]]), [[0, 255], [1, 2]]),
        (Box(-1, 1, (), np.float32), 0.5, [0.5]),
        (Discrete(3), np.array([1]), [0, 1, 0]),
        (Discrete(3, start=-1), np.int64(1), [0, 0, 1]),
        (Discrete(2), True, [0, 1]),
    ],
)
def test_what_is_of_the_space_is_read_whatever_its_type(space, given, expected) -> None:
    assert read(space, given).tolist() == expected


def test_a_space_of_many_numbers_is_said_in_one_line(capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    read(Box(-np.arange(1.0, 60), np.arange(1.0, 60), dtype=np.float64), np.full(59, 90.0))
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SpaceError) as caught:
        read(MultiDiscrete(range(2, 90)), np.full(88, 95))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "given", "row"),
    [
        (FLOATS, [[1, 2, 3], [1, NAN, 3]], 1),
        (FRAME, np.array([[[1, 1], [1, 1]], [[2, 2], [2, 2]], [[1, 1], [1, 256]]]), 2),
        (Discrete(3), [0, 1, 3], 2),
        (MultiBinary(2), [[0, 1], [1, -1]], 1),
    ],
)
def test_of_a_batch_the_row_is_said(space, given, row) -> None:
    with pytest.raises(SpaceError) as caught:
        read(space, given, (len(given),))
    assert caught.value.row == row


def test_a_batch_is_its_rows() -> None:
    for space in (FLOATS, FRAME, Discrete(4), MultiDiscrete([2, 3]), MultiBinary(3)):
        space.seed(0)
        values = [space.sample() for _ in range(5)]
        together = read(space, np.stack(values), (5,))
        assert np.array_equal(together, [read(space, value) for value in values])
        back = reader_of("eye", space).original(together)
        assert np.array_equal(back, values) and back.dtype == space.dtype


def test_a_box_of_floats_that_is_left_is_said_once_and_used(capsys, monkeypatch) -> None:
    monkeypatch.setattr("offpcc.processes.notices._said", set())
    readers = [reader_of("eye", Box(-1, 1, (2,), np.float32)) for _ in range(2)]
    for reader in readers * 2:
        assert reader.read([0.5, 1.0 + 1e-7]).max() <= 1.0001
    assert not capsys.readouterr().err, "rounding is no fault"
    for reader in readers * 2:
        assert reader.read([0.5, 7.0]).tolist() == [0.5, 7.0]
    said = capsys.readouterr().err
    assert said.startswith("eye leaves its space: 7 is outside of Box(-1.0, 1.0, (2,), float32)")
    assert said.count("\n") == 1


def test_numbers_and_flags_may_come_in_arrays_of_one() -> None:
    assert scalar("reward", np.array([2])) == scalar("reward", np.float32(2)) == 2.0
    assert finite("reward", np.array(-3.5)) == -3.5
    assert flag("terminated", np.array([True])) is True and flag("terminated", np.bool_(0)) is False
    for name, given, said in (
        ("reward", [1, 2], r"reward has shape \(2,\); it is one number"),
        ("reward", None, "reward is not of numbers: None"),
        ("reward", 1e39, r"reward is 1e\+39, more than float32 can hold"),
        ("reward", NAN, "reward is nan"),
    ):
        with pytest.raises(SpaceError, match=said):
            finite(name, given)


def test_a_part_that_is_missing_is_named() -> None:
    space = Dict({"arm": Tuple((FLOATS, Discrete(2))), "eye": FRAME})
    paths = [path for path, _ in leaves(space)]
    assert [key_of(path) for path in paths] == ["arm/0", "arm/1", "eye"]
    assert part_of({"arm": (1, 2)}, paths[1]) == 2
    with pytest.raises(SpaceError, match=r"the observation has no 'eye': \{'arm': 1\}"):
        part_of({"arm": 1}, paths[2])


NESTED = [
    Discrete(4, start=-2),
    MultiDiscrete([[2, 3], [4, 2]]),
    MultiBinary((2, 3, 2)),
    Box(-1, 1, (2, 3, 2), np.float64),
    Box(0, 9, (), np.int64),
    Box(0, 1, (3,), bool),
    Box(0, 255, (5,), np.uint8),
    Box(-1, 1, (2,), np.float16),
    Dict({"b": Discrete(3), "a": Dict({"z": MultiBinary(2), "y": Tuple((FLOATS, Discrete(2)))})}),
    Tuple((Dict({"k": FLOATS}), Tuple((Discrete(2), MultiDiscrete([2, 2]))), Box(0, 1, (2, 2)))),
]


@pytest.mark.parametrize("space", NESTED, ids=str)
def test_what_an_encoder_reads_of_a_space_is_what_gymnasium_flattens_it_to(space) -> None:
    adapter = SpaceAdapter(space, Box(-1, 1, (1,)))
    encoder = Encoder(adapter.spec)
    space.seed(0)
    for _ in range(5):
        value = space.sample()
        seen = adapter.first(value)
        batch = {key: torch.from_numpy(values[None, None]) for key, values in seen.items()}
        expected = np.asarray(flatten(space, value), np.float32)
        assert encoder(batch)[0, 0].tolist() == expected.tolist()
        (back,) = unstacked(adapter.env_observations([seen]))
        assert space.contains(back)
        assert np.array_equal(np.asarray(flatten(space, back), np.float32), expected)


def unstacked(stacked: Any) -> list[Any]:
    """The one observation that is in a batch of one."""
    if isinstance(stacked, dict):
        return [{key: unstacked(part)[0] for key, part in stacked.items()}]
    if isinstance(stacked, tuple):
        return [tuple(unstacked(part)[0] for part in stacked)]
    return [np.asarray(stacked[0])]


@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (4, 3, 6, 5), (2, 2, 6, 5, 1)])
def test_stacked_pictures_are_one_whose_channels_are_those_of_all(shape) -> None:
    space = Box(0, 255, shape, np.uint8)
    picture = reader_of("eye", space)
    count = int(np.prod(shape[:-3])) * min(shape[-3], shape[-1])
    last = shape[-1] < shape[-3]
    assert picture.field.is_picture
    assert picture.field.shape == ((6, 5, count) if last else (count, 6, 5))
    values = np.stack([space.sample() for _ in range(3)])
    stored = picture.read(values, (3,))
    assert np.array_equal(picture.original(stored), values)
    second = values.reshape(3, -1, *shape[-3:])[:, 1]  # the second picture of each stack
    size = min(shape[-3], shape[-1])
    part = slice(size, 2 * size)
    assert np.array_equal(stored[..., part] if last else stored[:, part], second)


def test_two_parts_of_one_name_are_refused() -> None:
    twins = Dict({"arm/left": FLOATS, "arm": Dict({"left": FLOATS})})
    with pytest.raises(ValueError, match=r"have one name, 'arm/left', .* rename a key"):
        SpaceAdapter(twins, Discrete(2))


def test_a_long_value_is_one_short_line() -> None:
    assert shortened("a\n  b") == "a b"
    assert len(shortened("x" * 500)) < 210
