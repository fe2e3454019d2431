"""Installation: where offpcc's own files are, and how Python and gymnasium find them.

Installed, the package holds `domains/` and `configs/`. In a checkout they lie beside it. Nothing
here depends on the working folder or on `sys.path`, so a user's folders may have any name.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parents[1]
CHECKOUT = None if (PACKAGE / "configs").is_dir() else PACKAGE.parent
CONFIGS = (CHECKOUT or PACKAGE).resolve() / "configs"
MODULE = "python -m offpcc"


class DomainsFinder:
    """Finds `offpcc.domains` beside the package."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of `offpcc.domains`; None for any other module."""
        if name != "offpcc.domains":
            return None
        return PathFinder.find_spec(name, [str(PACKAGE.parent)])


class GymnasiumFinder:
    """Registers our ids when gymnasium is imported, which `import offpcc` has no time for."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of gymnasium, whose loader also registers the ids; None for other modules."""
        if name != "gymnasium":
            return None
        others = (finder for finder in sys.meta_path if finder is not cls)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                if cls in sys.meta_path:
                    sys.meta_path.remove(cls)
                execute(module)
                import_module("offpcc.domains")

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def make_domains_known() -> None:
    """Makes `offpcc.domains` importable, and its ids known to gymnasium."""
    if CHECKOUT:
        sys.meta_path.append(DomainsFinder)
    if "gymnasium" in sys.modules:
        import_module("offpcc.domains")
    else:
        sys.meta_path.insert(0, GymnasiumFinder)


def version() -> str:
    """The version of offpcc: pyproject.toml's, from which a build copies it into the metadata."""
    if not CHECKOUT:
        from importlib import metadata

        return metadata.version("offpcc")
    import tomllib

    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def commit() -> str | None:
    """The checkout's commit, with `-dirty` where files have changed; None where there is none."""
    if not CHECKOUT:  # an installed package may lie inside a repository of the user's
        return None
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def program() -> str:
    """The command that started this process, as its messages name it.

    "launch.py", "offpcc" or "python -m offpcc"; of the first two, other scripts name the usual one.
    """
    started = Path(sys.argv[0])
    if started == PACKAGE / "__main__.py":
        return MODULE
    if started.name in ("launch.py", "offpcc"):
        return started.name
    return "launch.py" if CHECKOUT else "offpcc"


def child_command() -> list[str]:
    """The words that start the command line in a process of its own, in the working folder."""
    if CHECKOUT:
        return [sys.executable, os.path.relpath(CHECKOUT / "launch.py")]
    # Without -P, a folder of the user's could hide the package.
    return [sys.executable, "-P", *MODULE.split()[1:]]
