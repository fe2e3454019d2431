"""Type checks: whether a config's value is of the type that an argument's annotation asks for.

Configs write `3` where a number is meant, lists for sequences, and references for callables.
"""

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, get_origin

from offpcc.config.ranges import union

WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "a text in quotes",
    types.NoneType: "None",
}
PLURALS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts in quotes"}


@dataclass(frozen=True)
class Macro:
    """`%name` in a config."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class Reference:
    """`@scope/name` in a config, or `@scope/name()`, which calls it."""

    scope: str
    name: str
    called: bool = False

    def __repr__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        return f"@{scope}{self.name}{'()' if self.called else ''}"


def leaves(value: Any, kind: type) -> Iterator[Any]:
    """The values of a class in a value that may be a list of values."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part, kind)
    elif isinstance(value, kind):
        yield value


class Configurable(Protocol):
    """What is known of a class or function that a reference leads to."""

    @property
    def lineage(self) -> tuple[str, ...]:
        """The names of the class and of its ancestors, nearest first; none for a function."""


def matches(value: Any, kind: Any, registry: Mapping[str, Configurable]) -> bool:
    """Whether a value from a config is of an annotation's kind; references are to `registry`."""
    kind = _unmarked(kind)
    if (parts := union(kind)) is not None:
        return any(matches(value, part, registry) for part in parts)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind in (bool, Any)
    if kind is float:
        return isinstance(value, (int, float))
    if _is(kind, Callable):
        made = isinstance(value, Reference) and not value.called
        return made and _makes(registry[value.name], kind)
    if _is(kind, Sequence) and kind is not str:
        listed = isinstance(value, (list, tuple))
        return listed and all(matches(part, _inner(kind), registry) for part in value)
    plain = get_origin(kind) or kind
    return plain is Any or not isinstance(plain, type) or isinstance(value, plain)


def in_words(value: Any, kind: Any) -> str:
    """What an annotation asks for in place of a value, in words."""
    whole = isinstance(value, float) and value.is_integer() and matches(int(value), kind, {})
    return _said(kind) + (f"; write {int(value):_}" if whole else "")


def _said(kind: Any) -> str:
    kind = _unmarked(kind)
    if (parts := union(kind)) is not None:
        return " or ".join(map(_said, parts))
    if _is(kind, Callable):
        made = _made(kind)
        what = f" to a kind of {made.__name__}" if made else ""
        return f"a reference{what}, written @Name without ()"
    if _is(kind, Mapping):
        return "a mapping, as {'name': 3}"
    if _is(kind, Sequence) and kind is not str:
        return f"a list of {PLURALS.get(_inner(kind), 'values')}"
    return WORDS.get(kind, str(kind))


def _unmarked(kind: Any) -> Any:
    """A kind without the range that its annotation states: `offpcc.config.ranges` checks that."""
    if hasattr(kind, "__metadata__"):
        return get_args(kind)[0]
    return type(get_args(kind)[0]) if get_origin(kind) is Literal else kind


def _inner(kind: Any) -> Any:
    """What a sequence is of."""
    return _unmarked((*get_args(kind), Any)[0])


def _is(kind: Any, parent: Any) -> bool:
    """Whether an annotation is of this abstract class, with or without brackets."""
    plain = get_origin(kind) or kind
    return isinstance(plain, type) and issubclass(plain, parent)


def _made(kind: Any) -> type | None:
    """The class that a Callable's annotation says it makes, where it says one."""
    made = (None, *get_args(kind))[-1]
    return made if isinstance(made, type) and made is not bool else None


def _makes(item: Configurable, kind: Any) -> bool:
    """Whether calling a class gives what a Callable's annotation says; a function may."""
    made = _made(kind)
    return made is None or not item.lineage or made.__name__ in item.lineage
