"""Bindings: config files read into layers, checked, and given to gin.

The only file of offpcc that imports gin. A later layer overrides an earlier one, and within a file
what stands in it overrides what it includes.
"""

import importlib.util  # noqa: F401  # gin uses it without importing it
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gin
from gin import config_parser

from offpcc.config.catalog import CONFIGS
from offpcc.config.config import Binding, Config
from offpcc.config.registry import REGISTRY
from offpcc.config.schema import Schema
from offpcc.config.type_check import Macro, Reference
from offpcc.config.user_modules import import_module
from offpcc.errors import ConfigError

# What gin knows by a name: the schema it was loaded from, and what fills its arguments in.
_given_to_gin: dict[str, tuple[Schema, Callable[..., Any]]] = {}


def configured(item: Callable[..., Any]) -> Callable[..., Any]:
    """The class or function with what the config given to gin binds already filled in."""
    return _given_to_gin[item.__name__][1]


def compose(files: Sequence[Path], lines: Sequence[str] = ()) -> Config:
    """What these files come to, a later one over an earlier one, and these lines on top.

    Raises ConfigError, with file and line, for whatever cannot be meant.
    """
    layers = [read(file) for file in files]
    layers.append([binding for line in lines for binding in parse(line, f"--bind {line!r}")])
    macros = [b.key for file in CONFIGS.glob("*.gin") for b in read(file) if not b.argument]
    merged: dict[str, Binding] = {}
    for layer in layers:
        merged |= {binding.key: binding for binding in layer}
        # At once: a later layer may replace what this one rightly binds.
        Config(merged).check_layer(layer, macros)
    config = Config(merged)
    config.check_values()
    config.check_asked(layers[-1])
    return config


def give(config: Config) -> None:
    """Makes gin hold a config, and nothing else."""
    gin.clear_config()
    for name, schema in REGISTRY.items():
        if name not in _given_to_gin or _given_to_gin[name][0] is not schema:
            with gin.config.interactive_mode():  # where a name may be given again
                _given_to_gin[name] = schema, gin.external_configurable(schema.load(), name)
    gin.parse_config(config.text())


def read(file: Path, outer: Sequence[Path] = ()) -> list[Binding]:
    """The bindings of a file, behind those of the files that it includes.

    Raises ConfigError for a missing file, a syntax error, a name bound twice in it, and for a file
    that includes itself.
    """
    if file.resolve() in outer:
        raise ConfigError(f"{file} includes itself")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"config {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {file} is not a text: {error}") from error
    ours = file.resolve().is_relative_to(CONFIGS)
    name = file.resolve().relative_to(CONFIGS.parent).as_posix() if ours else str(file)
    return parse(text, name, [*outer, file.resolve()])


def parse(text: str, name: str, outer: Sequence[Path] = ()) -> list[Binding]:
    """The bindings of a text; includes are looked for beside the file, then in `configs/`.

    Those of a line without a file are looked for in the working folder first.

    name: what to call the text in complaints; outer: the file it is from, behind those that
    include it. Raises ConfigError.
    """
    own: dict[str, Binding] = {}
    included: list[Binding] = []
    for statement in _statements(text, name):
        place = f"{name}:{statement.location.line_num}"
        if isinstance(statement, config_parser.IncludeStatement):
            inner = read(_find(statement.filename, outer, place), outer)
            included += [replace(binding, via=place) for binding in inner]
        elif isinstance(statement, config_parser.ImportStatement):
            import_module(statement.module, place)
        elif isinstance(statement, config_parser.BindingStatement):
            binding = _binding(statement, place)
            if binding.key in own:
                first = own[binding.key].place
                raise ConfigError(f"{place}: {binding.key} is bound twice, first at {first}")
            own[binding.key] = binding
    return included + list(own.values())


class _Delegate(config_parser.ParserDelegate):
    """Keeps references and macros as they are written, for our own checks."""

    def configurable_reference(self, scoped_name: str, evaluate: bool) -> Reference:
        scope, _, name = scoped_name.rpartition("/")
        return Reference(scope, name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def _statements(text: str, name: str) -> Iterator[Any]:
    try:
        yield from config_parser.ConfigParser(text, _Delegate())
    except SyntaxError as error:
        message = (error.msg or "").splitlines()[-1].strip()
        hint = "; a text needs quotes" if "token" in message else ""
        raise ConfigError(f"{name}:{error.lineno}: {message}{hint}") from error
    except tokenize.TokenError as error:
        raise ConfigError(f"{name}:{error.args[1][0]}: a bracket or quote is not closed") from error


def _binding(statement: Any, place: str) -> Binding:
    scope, argument = statement.scope or "", statement.arg_name or ""
    return Binding(scope, str(statement.selector), argument, statement.value, place)


def _find(filename: str, outer: Sequence[Path], place: str) -> Path:
    beside = outer[-1].parent if outer else Path.cwd()
    for folder in (beside, CONFIGS):
        if (folder / filename).is_file():
            return folder / filename
    raise ConfigError(
        f"{place}: the included file {filename!r} is not in {beside}, nor in configs/"
    )
