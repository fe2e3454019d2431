"""Gin at the edge: which classes a config may bind, and every check of what it says.

The only file of offpcc that imports gin. Files are layers: later ones override earlier ones. What
gin itself lets pass is refused here, before anything is built: a name bound twice in one file, an
unknown class, parameter or macro, a value of the wrong type, a binding that nothing would use.
"""

import importlib.util  # noqa: F401 - gin uses it without importing it
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import gin
from gin import config_parser
from gin.config import ConfigurableReference, ParserDelegate

from offpcc import algorithms, networks
from offpcc.collect import Collector
from offpcc.evaluate import Evaluator
from offpcc.faults import ConfigError
from offpcc.recipe import Recipe
from offpcc.replay import EpisodeReplay
from offpcc.train import Training
from offpcc.world import make_world

ROOTS: tuple[Callable[..., Any], ...] = (Recipe, make_world, Collector, Evaluator, Training)
REFERRED: tuple[Callable[..., Any], ...] = (
    algorithms.DDPG,
    algorithms.TD3,
    algorithms.SAC,
    EpisodeReplay,
    networks.Encoder,
    networks.Identity,
    networks.LSTM,
    networks.GRU,
    networks.RNN,
)
KNOWN = {item.__name__: item for item in (*ROOTS, *REFERRED)}
CONFIGURABLE = {name: gin.external_configurable(item, name) for name, item in KNOWN.items()}


@dataclass(frozen=True)
class Binding:
    """One line of a config: `scope/selector.argument = value`, or a macro (`argument` is empty)."""

    scope: str
    selector: str
    argument: str
    value: Any
    place: str  # file:line

    @property
    def key(self) -> str:
        """What gin calls it."""
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{self.selector}.{self.argument}" if self.argument else self.selector


def configured(item: Callable[..., Any]) -> Callable[..., Any]:
    """The class or function with what the loaded config binds already filled in."""
    return CONFIGURABLE[item.__name__]


def load(files: Sequence[Path], lines: Sequence[str] = ()) -> None:
    """Makes gin hold these files, then these lines, the later over the earlier.

    Raises ConfigError before gin holds anything else.
    """
    layers = [binding for file in files for binding in read(file)]
    macros = {b.selector for file in files[:1] for b in read(file) if not b.argument}
    for i, line in enumerate(lines, 1):
        layers += parse(line, f"--bind {i}")
    final = {binding.key: binding for binding in layers}
    for binding in final.values():
        _check_names(binding, macros)
    values = {b.selector: b for b in final.values() if not b.argument}
    for binding in final.values():
        _check_type(binding, values, macros)
    _check_use(final)
    gin.clear_config()
    for binding in final.values():
        name = f"{binding.selector}/macro.value" if not binding.argument else binding.key
        gin.bind_parameter(name, binding.value)


def operative() -> str:
    """Every value used so far, defaults too, as a config that can be loaded again."""
    return gin.operative_config_str(max_line_length=100)


def read(file: Path) -> list[Binding]:
    """The bindings of a file, after those of the files that it includes.

    Raises ConfigError for a missing file, a syntax error, or a name bound twice in it.
    """
    try:
        text = file.read_text()
    except OSError as error:
        raise ConfigError(f"config {file}: {error.strerror}") from error
    return parse(text, str(file), file.parent)


def parse(text: str, name: str, folder: Path | None = None) -> list[Binding]:
    """The bindings of a text; includes are looked for beside the file, then in `configs/`."""
    own: dict[str, Binding] = {}
    included: list[Binding] = []
    for statement in _statements(text, name):
        if isinstance(statement, config_parser.IncludeStatement):
            included += read(_find(statement.filename, folder, name))
        elif isinstance(statement, config_parser.BindingStatement):
            binding = _binding(statement, name)
            if binding.key in own:
                first = own[binding.key].place
                raise ConfigError(
                    f"{binding.place}: {binding.key} is bound twice, first at {first}"
                )
            own[binding.key] = binding
        else:
            raise ConfigError(f"{name}: only bindings, macros and include lines are served")
    return included + list(own.values())


def _statements(text: str, name: str) -> Iterator[Any]:
    try:
        yield from config_parser.ConfigParser(text, ParserDelegate())
    except SyntaxError as error:
        raise ConfigError(f"{name}:{error.lineno}: {error.msg}") from error
    except ValueError as error:  # a reference to a class that gin does not know
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from error


def _find(filename: str, folder: Path | None, name: str) -> Path:
    places = [Path(__file__).parents[1] / "configs" / filename]
    if folder is not None:
        places.insert(0, folder / filename)
    for place in places:
        if place.exists():
            return place
    raise ConfigError(f"{name}: the included file {filename!r} is not there")


def _binding(statement: Any, name: str) -> Binding:
    place = f"{name}:{statement.location.line_num}"
    selector = str(statement.selector)
    argument = statement.arg_name or ""
    if not argument or (selector == "macro" and statement.scope):
        return Binding("", statement.scope or selector, "", statement.value, place)
    return Binding(statement.scope or "", selector, argument, statement.value, place)


def _nearest(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, list(names), 1, 0.0)
    return f"; the nearest is {found[0]!r}" if found else ""


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(KNOWN[name]).parameters)


def _check_names(binding: Binding, macros: set[str]) -> None:
    if not binding.argument:
        if binding.selector not in macros:
            raise ConfigError(
                f"{binding.place}: unknown macro {binding.selector!r}"
                f"{_nearest(binding.selector, macros)}"
            )
        return
    if binding.selector not in KNOWN:
        near = _nearest(binding.selector, KNOWN)
        raise ConfigError(f"{binding.place}: unknown class {binding.selector!r}{near}")
    names = _parameters(binding.selector)
    if binding.argument not in names:
        raise ConfigError(
            f"{binding.place}: {binding.selector} has no parameter {binding.argument!r}"
            f"{_nearest(binding.argument, names)}"
        )


def _is_macro(value: Any) -> bool:
    return isinstance(value, ConfigurableReference) and value.selector.endswith("macro")


def _check_type(binding: Binding, values: dict[str, Binding], macros: set[str]) -> None:
    value, place = binding.value, binding.place
    while _is_macro(value):
        macro = "/".join(value.scopes) if hasattr(value, "scopes") else value.scoped_selector
        if macro not in values:
            raise ConfigError(f"{place}: unknown macro %{macro}{_nearest(macro, macros)}")
        value, place = values[macro].value, values[macro].place
    if binding.argument:
        kind = get_type_hints(_annotated(KNOWN[binding.selector])).get(binding.argument, Any)
        if not _fits(value, kind):
            raise ConfigError(f"{place}: {binding.key} is {value!r}, which is not {_said(kind)}")


def _annotated(item: Callable[..., Any]) -> Any:
    return item.__init__ if isinstance(item, type) else item  # type: ignore[misc]


def _said(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        return " or ".join(map(_said, get_args(kind)))
    if kind is type(None):
        return "None"
    if get_origin(kind) is Callable or get_origin(kind) is type(Callable):
        return "a reference like @LSTM"
    return names.get(kind, str(kind).replace("collections.abc.", ""))


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value from a config is of an annotation's type."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, types.UnionType) or origin is Union:
        return any(_fits(value, part) for part in inner)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, (list, tuple)) and all(_fits(v, inner[0]) for v in value)
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
        return isinstance(value, ConfigurableReference)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _check_use(final: dict[str, Binding]) -> None:
    """Refuses a class binding that nothing would read: what no root leads to."""
    reached = {("", root.__name__) for root in ROOTS}
    growing = True
    while growing:
        found = {
            reference
            for binding in final.values()
            if not binding.argument or _reads(binding, reached)
            for reference in _references(binding.value)
        }
        growing = not found <= reached
        reached |= found
    for binding in final.values():
        if binding.argument and not _reads(binding, reached):
            used = sorted({name for _, name in reached})
            raise ConfigError(
                f"{binding.place}: {binding.key} is never used; this run uses {', '.join(used)}"
            )


def _reads(binding: Binding, reached: set[tuple[str, str]]) -> bool:
    """Whether something reached has the binding's class under its scope."""
    return any(
        name == binding.selector and (not binding.scope or scope == binding.scope)
        for scope, name in reached
    )


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, ConfigurableReference) and not _is_macro(value):
        *scopes, name = value.scoped_selector.split("/")
        yield "/".join(scopes), name.split(".")[-1]
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _references(part)
