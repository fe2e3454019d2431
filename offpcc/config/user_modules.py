"""User modules: code of the users, imported by the names in ids, configs and flags."""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offpcc.config.names import nearest
from offpcc.errors import ConfigError


def import_module(name: str, place: str) -> None:
    """Imports a module of the user's.

    place: where it was asked for, for the complaint. Raises ConfigError if it is not there, and
    for whatever it raises itself.
    """
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # other people's code may raise anything
        raise ConfigError(f"{place}: {_import_fault(name, error)}") from error


def _import_fault(name: str, error: BaseException) -> str:
    """Why a module could not be imported, in a line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        if f"{name}.".startswith(f"{error.name}."):
            return f"there is no module {error.name!r}; {searched()}"
        return f"module {name} needs {error.name!r}, which is not installed"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    others = (sys.prefix, sys.base_prefix, "<", __file__)  # packages, which may have hooks in it
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(others)]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"module {name} raised {said}{where} while it was imported"


def searched() -> str:
    """Which folders modules of one's own are imported from."""
    ours = (sys.prefix, sys.base_prefix)
    folders = [path or str(Path.cwd()) for path in sys.path if not path.startswith(ours)]
    return f"modules are looked for in {', '.join(dict.fromkeys(folders))}; PYTHONPATH adds more"


def import_attribute(name: str, place: str) -> Callable[..., Any]:
    """What `module:Name` leads to; place: where it was asked for.

    Raises ConfigError for a name without a module, and for one that leads to nothing callable.
    """
    module, _, attribute = name.rpartition(":")
    if not module:
        raise ConfigError(f"{place}: it is written module:Name")
    import_module(module, place)
    found = getattr(sys.modules[module], attribute, None)
    if not callable(found):
        near = nearest(attribute, [n for n in vars(sys.modules[module]) if n[0] != "_"])
        raise ConfigError(f"{place}: module {module} has no {attribute}{near}")
    return found
