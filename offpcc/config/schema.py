"""Schema: the arguments that a class or function takes, with their types, ranges and defaults.

Those of offpcc are read from its source files: importing them would import torch, which takes
longer than it may take to refuse a wrong setting.
"""

import ast
import builtins
import collections.abc
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from offpcc.config import ranges
from offpcc.config.type_check import Reference

PACKAGE = Path(__file__).parents[1]
MEANINGS = (builtins, collections.abc, typing, ranges)  # of names in annotations
Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Schema:
    """A class or a function, where it is, and its arguments in their order.

    lineage: the names of the class and of its ancestors, nearest first; none for a function.
    """

    name: str
    module: str
    parameters: dict[str, Parameter]
    lineage: tuple[str, ...]

    def load(self) -> Callable[..., Any]:
        """The class or function itself; imports its module."""
        loaded: Callable[..., Any] = getattr(import_module(self.module), self.name)
        return loaded


def schema_of(item: Callable[..., Any]) -> Schema:
    """The schema of a class or function that has been imported."""
    made = item.__init__ if isinstance(item, type) else item  # type: ignore[misc]
    hints = typing.get_type_hints(made, include_extras=True)
    parameters = {
        name: each.replace(annotation=hints.get(name, Any))
        for name, each in signature(item).parameters.items()
    }
    lineage = tuple(kind.__name__ for kind in getattr(item, "__mro__", ()))
    return Schema(item.__name__, item.__module__, parameters, lineage)


@cache
def schema_in(module: str, name: str) -> Schema:
    """The schema of a class or function of offpcc, from its source.

    module: where it is defined, or where it can be imported from.
    """
    found = _definition(module, name)
    assert found is not None, f"{module} defines no {name}"
    home, node = found
    if isinstance(node, ast.FunctionDef):
        return Schema(name, home, _arguments(node), ())
    return Schema(name, home, _constructor(home, node), tuple(dict.fromkeys(_lineage(home, node))))


def _constructor(module: str, node: ast.ClassDef) -> dict[str, Parameter]:
    """What a class is made with: its dataclass fields, or its own or inherited `__init__`'s."""
    own = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    for each in own:
        if each.name == "__init__":
            return _arguments(each)
    if _is_dataclass(node):
        return _fields(module, node)
    return next((_constructor(*base) for base in _bases(module, node)), {})


def _fields(module: str, node: ast.ClassDef) -> dict[str, Parameter]:
    """The fields of a dataclass, behind those of the dataclasses that it derives from."""
    found: dict[str, Parameter] = {}
    for base in _bases(module, node):
        found |= _fields(*base)
    lines = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    for line in lines if _is_dataclass(node) else ():
        kind, name = ast.unparse(line.annotation), ast.unparse(line.target)
        if not kind.startswith(("ClassVar", "KW_ONLY")):
            found[name] = _parameter(name, line.annotation, line.value)
    return found


def _arguments(node: ast.FunctionDef) -> dict[str, Parameter]:
    """The arguments of a function, or of a method but `self`."""
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults))
    defaults += node.args.defaults
    given = zip([*plain, *node.args.kwonlyargs], [*defaults, *node.args.kw_defaults], strict=True)
    return {
        each.arg: _parameter(each.arg, each.annotation, default)
        for each, default in given
        if each.arg != "self"
    }


def _parameter(name: str, kind: ast.expr | None, default: ast.expr | None) -> Parameter:
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        default=Parameter.empty if default is None else _value(default),
        annotation=Any if kind is None else _kind(kind),
    )


def _value(node: ast.expr) -> Any:
    """A default: a constant, a reference to a class, or ... for what only Python code can pass."""
    if isinstance(node, ast.Name):
        return Reference("", node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def _kind(node: ast.expr) -> Any:
    """What an annotation means, with an empty class for each one that torch would be needed for."""
    return eval(compile(ast.Expression(node), "annotation", "eval"), {}, _Names())


class _Names(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        for place in MEANINGS:
            if hasattr(place, name):
                return getattr(place, name)
        return type(name, (), {})


def _lineage(module: str, node: ast.ClassDef) -> list[str]:
    """The names of a class and of its ancestors in offpcc, nearest first."""
    bases = _bases(module, node)
    return [node.name, *(name for base in bases for name in _lineage(*base))]


def _bases(module: str, node: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
    """The classes of offpcc that one derives from directly, each with its module."""
    found = (_definition(module, ast.unparse(base)) for base in node.bases)
    return [(home, base) for home, base in filter(None, found) if isinstance(base, ast.ClassDef)]


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(ast.unparse(each).startswith("dataclass") for each in node.decorator_list)


def _definition(module: str, name: str) -> tuple[str, Definition] | None:
    """Where offpcc defines what a module of it calls by this name, and how; None if nowhere."""
    for node in _tree(module).body:
        if isinstance(node, Definition) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            home = str(node.module)
            return _definition(home, name) if home.startswith("offpcc.") else None
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))
