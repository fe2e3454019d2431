import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offpcc.data import Field
from offpcc.replay.ring import Ring


def rows(first: int, count: int) -> dict[str, np.ndarray]:
    """Rows that tell their number."""
    numbers = np.arange(first, first + count)
    pixels = (numbers[:, None] % 256).astype(np.uint8)
    return {"step": numbers.astype(np.float32), "pixels": np.repeat(pixels, 2, 1)}


def ring_of(size: int) -> Ring:
    return Ring({"step": Field(()), "pixels": Field((2,), "uint8")}, size)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(size=st.integers(0, 12), moves=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_live_rows_are_what_was_written_wherever_the_head_is(
    size: int, moves: list[tuple[int, int]]
) -> None:
    ring = ring_of(size)
    for count, freed in moves:
        assert ring.append(rows(ring.written, count), count) == ring.written - count
        live = np.arange(ring.written - ring.live, ring.written)
        taken = ring.take(live)
        for name, expected in rows(ring.written - ring.live, ring.live).items():
            assert (taken[name] == expected).all()
            assert taken[name].dtype == expected.dtype
        ring.free(min(freed, ring.live))
    assert ring.written == sum(count for count, _ in moves)


def test_a_ring_that_is_large_enough_never_grows() -> None:
    ring = ring_of(10)
    for _ in range(50):
        ring.append(rows(ring.written, 5), 5)
        ring.free(max(ring.live - 5, 0))
    assert ring.rows == 10


def test_taken_rows_are_copies_of_any_shape() -> None:
    ring = ring_of(6)
    ring.append(rows(0, 6), 6)
    taken = ring.take(np.array([[1, 4], [5, 1]]))
    assert taken["step"].tolist() == [[1, 4], [5, 1]]
    assert taken["pixels"].shape == (2, 2, 2)
    taken["step"][:] = -1
    assert ring.take(np.arange(6))["step"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("written", [2**24, 2**31, 2**53])
def test_row_numbers_are_exact_past_what_smaller_types_hold(written: int) -> None:
    ring = ring_of(7)
    ring.written = written - 2
    start = ring.append(rows(0, 5), 5)
    assert start == written - 2
    ring.append(rows(5, 3), 3)  # and one more row than there is room for
    assert ring.take(np.arange(start, start + 8))["step"].tolist() == [*range(8)]
    assert ring.written == written + 6
