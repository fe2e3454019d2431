"""Ranges: which values a setting may take, stated in its annotation and checked in one place.

`learning_rate: LearningRate = 3e-4` says it all: configs, dataclasses and constructors read it from
there.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, wraps
from math import inf
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

INT64 = 2**63  # whole numbers in torch and numpy end below it
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, infinity never among them; `open`: without `low`."""

    low: float
    high: float = inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open else value >= self.low
        return above and value <= self.high and value < inf

    def __str__(self) -> str:
        """What a number in it does."""
        if self.high < inf:
            return f"lie in {'(' if self.open else '['}{self.low:_}, {self.high:_}]"
        return f"be above {self.low:_}" if self.open else f"be at least {self.low:_}"


PositiveInt = Annotated[int, Interval(1)]
NonNegativeInt = Annotated[int, Interval(0)]
PositiveFloat = Annotated[float, Interval(0, open=True)]
NonNegativeFloat = Annotated[float, Interval(0)]
UnitFloat = Annotated[float, Interval(0, 1)]
PositiveUnitFloat = Annotated[float, Interval(0, 1, open=True)]
LearningRate = UnitFloat
Depth = Annotated[int, Interval(1, 1_000)]  # layers, which are made one by one
Size = Annotated[int, Interval(1, 1_000_000)]  # units, heads: a product of four is no overflow


def complaint(value: Any, kind: Any, subject: str = "it") -> str | None:
    """What a value of the right type must be by its annotation, and is not; None if it is."""
    if value is None or isinstance(value, bool):
        return None
    if (parts := union(kind)) is not None:
        found = [complaint(value, part, subject) for part in parts if part is not types.NoneType]
        return None if None in found else found[0]
    if isinstance(value, (list, tuple)):
        inner = (*get_args(kind), Any)[0]
        return next(filter(None, (complaint(part, inner, "each") for part in value)), None)
    if get_origin(kind) is Literal and value not in get_args(kind):
        return f"{subject} must be {' or '.join(map(repr, get_args(kind)))}"
    if not isinstance(value, (int, float)):
        return None
    for interval in getattr(kind, "__metadata__", ()):
        if value not in interval:
            return f"{subject} must {interval}"
    if isinstance(value, int):
        return None if -INT64 <= value < INT64 else f"{subject} must fit into 64 bits"
    return None if -inf < value < inf else f"{subject} must be finite"


def check_fields(item: Any) -> None:
    """Raises ValueError for a field of a dataclass that lies outside its range."""
    kind: Any = type(item)
    _check(kind.__name__, {f.name: getattr(item, f.name) for f in fields(item)}, _hints(kind))


def checked(function: Function) -> Function:
    """The function, or `__init__`, raising ValueError for an argument that is out of its range."""
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        owner = type(args[0]).__name__ if "self" in given else function.__name__
        _check(owner, given, _hints(function))
        return function(*args, **kwargs)

    call.__signature__ = signature  # type: ignore[attr-defined]  # gin does not look behind it
    return call  # type: ignore[return-value]


def union(kind: Any) -> tuple[Any, ...] | None:
    """The kinds of `A | B`, or None."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        return get_args(kind)
    return None


def _check(owner: str, values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if wrong := complaint(value, hints.get(name, Any)):
            raise ValueError(f"{owner}.{name} is {value!r}; {wrong}")


@cache
def _hints(item: Any) -> dict[str, Any]:
    return get_type_hints(item, include_extras=True)
