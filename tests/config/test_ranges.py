"""Ranges: what a setting may be stands in its annotation, and is checked wherever it is given."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest

from offpcc.config.ranges import (
    Interval,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    UnitFloat,
    check_fields,
    checked,
    complaint,
    union,
)
from offpcc.config.registry import REGISTRY, bindable
from offpcc.networks import LSTM, Encoder
from offpcc.runs.training_config import TrainingConfig

ANY_NUMBER = {"forget_gate_bias", "min_return", "target_entropy"}  # which may be negative


@pytest.mark.parametrize(
    ("value", "kind", "wrong"),
    [
        (0, PositiveInt, "it must be at least 1"),
        (1, PositiveInt, None),
        (-1, NonNegativeInt, "it must be at least 0"),
        (0.0, PositiveFloat, "it must be above 0"),
        (1e-300, PositiveFloat, None),
        (inf, PositiveFloat, "it must be above 0"),
        (nan, PositiveFloat, "it must be above 0"),
        (1.5, UnitFloat, "it must lie in [0, 1]"),
        (1, UnitFloat, None),
        (0.0, Annotated[float, Interval(0, 1, open=True)], "it must lie in (0, 1]"),
        (2_000, Annotated[int, Interval(1, 1_024)], "it must lie in [1, 1_024]"),
        (nan, float, "it must be finite"),
        (-inf, float, "it must be finite"),
        (-3.0, float, None),
        (2**63, int, "it must fit into 64 bits"),
        (10**400, PositiveInt, "it must fit into 64 bits"),
        (None, PositiveInt | None, None),
        (0, PositiveInt | None, "it must be at least 1"),
        ((64, 0), Sequence[PositiveInt], "each must be at least 1"),
        ([64, 1], Sequence[PositiveInt], None),
        ((), Sequence[PositiveInt], None),
        ("b", Literal["a", "c"], "it must be 'a' or 'c'"),
        ("c", Literal["a", "c"], None),
        (True, PositiveInt, None),
        ("text", str, None),
    ],
)
def test_a_value_is_held_against_its_annotation(value: Any, kind: Any, wrong: str | None) -> None:
    assert complaint(value, kind) == wrong


def test_an_infinite_upper_end_still_leaves_infinity_out() -> None:
    assert inf not in Interval(0) and nan not in Interval(0) and 10**400 in Interval(0)


def test_a_dataclass_is_refused_by_its_own_name_and_the_fields() -> None:
    @dataclass
    class Base:
        learning_rate: UnitFloat = 0.5

        def __post_init__(self) -> None:
            check_fields(self)

    @dataclass
    class Child(Base):
        count: PositiveInt = 1

    assert Child(learning_rate=1.0, count=2).count == 2
    with pytest.raises(ValueError, match=r"^Child.learning_rate is -1.0; it must lie in \[0, 1\]$"):
        Child(learning_rate=-1.0)
    with pytest.raises(ValueError, match=r"^Child.count is 0; it must be at least 1$"):
        Child(count=0)


def test_a_function_is_refused_by_its_name_and_looks_as_it_did() -> None:
    def make(size: PositiveInt, *, share: UnitFloat = 1.0) -> float:
        return size * share

    guarded = checked(make)
    assert guarded(3, share=0.5) == 1.5
    assert inspect.getfullargspec(guarded) == inspect.getfullargspec(make), "gin reads this"
    for wrong in (lambda: guarded(0), lambda: guarded(1, share=2.0)):
        with pytest.raises(ValueError, match=r"^make\.(size is 0|share is 2.0); it must "):
            wrong()


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: LSTM(3, hidden_size=0), "LSTM.hidden_size is 0"),
        (lambda: LSTM(3, num_layers=10_000), "LSTM.num_layers is 10000"),
        (lambda: TrainingConfig(num_threads=100_000), "TrainingConfig.num_threads is 100000"),
        (lambda: TrainingConfig(num_envs=100_000), "TrainingConfig.num_envs is 100000"),
        (lambda: Encoder(None, embedding_size=-1), "Encoder.embedding_size is -1"),
    ],
)
def test_a_part_made_in_python_is_checked_too(make: Callable[[], Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}; it must lie in "):
        make()


def numbers(kind: Any) -> list[Any]:
    """The kinds of number in an annotation."""
    if parts := union(kind):
        return [each for part in parts for each in numbers(part)]
    if get_origin(kind) in (Sequence, list, tuple):
        return numbers(get_args(kind)[0])
    plain = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    return [kind] if plain in (int, float) else []


@pytest.mark.parametrize("name", REGISTRY)
def test_every_number_that_a_config_may_set_states_its_range(name: str) -> None:
    for argument, parameter in bindable(name).items():
        for kind in numbers(parameter.annotation):
            assert hasattr(kind, "__metadata__") or argument in ANY_NUMBER, f"{name}.{argument}"
