import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offpcc.replay.index import Table


class Everything:
    """In place of a random generator: draws each number below a bound once, in order."""

    def integers(self, bound: int, size: int) -> np.ndarray:
        assert size == bound
        return np.arange(bound)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(moves=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=200))
def test_the_oldest_rows_leave_and_each_place_of_the_others_is_drawn_once(
    moves: list[tuple[int, int]],
) -> None:
    table, model = Table("weight", "name"), []
    for name, (weight, dropped) in enumerate(moves):
        table.append(weight=weight, name=name)
        model.append((name, weight))
        for _ in range(min(dropped, len(model) - 1)):
            table.drop_oldest()
            model.pop(0)
    assert table["name"].tolist() == [name for name, _ in model]
    assert [*table.live] == table["name"].tolist()
    drawn = table.draw(Everything(), sum(weight for _, weight in model))  # type: ignore
    row, place = table.rows(drawn)
    drawn = [*zip(row.tolist(), place.tolist(), strict=True)]
    assert drawn == [(i, p) for i, (_, weight) in enumerate(model) for p in range(weight)]


def test_rows_are_drawn_as_often_as_they_weigh() -> None:
    table, weights = Table("weight"), (5, 1, 10, 4)
    for weight in (1000, *weights):
        table.append(weight=weight)
    table.drop_oldest()
    row, place = table.rows(table.draw(np.random.default_rng(0), 40_000))
    cells, count = np.unique(np.stack((row, place)), axis=1, return_counts=True)
    assert cells.shape[1] == sum(weights)
    # χ² of 20 equal cells has mean 19 and deviation √38; 43.8 is its 0.999 quantile
    assert ((count - 2000) ** 2 / 2000).sum() < 43.8


def test_a_table_that_was_emptied_begins_anew() -> None:
    table = Table("weight")
    for _ in range(200):
        table.append(weight=3)
        table.drop_oldest()
    table.append(weight=2)
    assert [*table.live] == [200]
    drawn = table.draw(Everything(), 2)  # type: ignore
    assert [part.tolist() for part in table.rows(drawn)] == [[0, 0], [0, 1]]


@pytest.mark.parametrize("weight", [2**24 + 1, 2**31 + 1, 2**53 + 1])
def test_columns_and_places_are_exact_past_what_smaller_types_hold(weight: int) -> None:
    table = Table("weight", "step")
    for step in (0, weight, 2 * weight):
        table.append(weight=weight, step=step)
    table.drop_oldest()
    assert table["step"].tolist() == [weight, 2 * weight]

    class Edges:
        def integers(self, bound: int, size: int) -> np.ndarray:
            assert bound == 2 * weight
            return np.array([0, weight - 1, weight, bound - 1])

    row, place = table.rows(table.draw(Edges(), 4))  # type: ignore
    assert row.tolist() == [0, 0, 1, 1]
    assert place.tolist() == [0, weight - 1, 0, weight - 1]
