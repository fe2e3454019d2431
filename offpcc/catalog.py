"""Catalog: which algorithms, configs and environments there are; cheap to ask, imports no torch."""

import importlib
from difflib import get_close_matches
from pathlib import Path

import gymnasium

CONFIGS = Path(__file__).parents[1] / "configs"


def algorithms() -> list[str]:
    """The names that `--algo` takes: the files in configs/algorithms/."""
    return sorted(path.stem for path in (CONFIGS / "algorithms").glob("*.gin"))


def algorithm_file(name: str) -> Path:
    """An algorithm's gin file. Raises ValueError, naming the nearest, if there is none."""
    path = CONFIGS / "algorithms" / f"{name}.gin"
    if not path.exists():
        raise ValueError(f"unknown algorithm {name!r}{nearest(name, algorithms())}")
    return path


def domain_config(env: str) -> Path | None:
    """The file in configs/domains/ with the longest name that begins the id, if any does."""
    name = bare(env).lower()
    fitting = [p for p in (CONFIGS / "domains").glob("*.gin") if name.startswith(p.stem)]
    return max(fitting, key=lambda path: len(path.stem), default=None)


def bare(env: str) -> str:
    """The id without the module in front of it."""
    return env.rpartition(":")[2]


def check_id(env: str) -> None:
    """Imports the module of `module:Id-v0`; raises ValueError if gymnasium does not know the id."""
    module = env.rpartition(":")[0]
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"--env {env}: there is no module {error.name!r}") from error
    name = bare(env)
    if name not in gymnasium.registry:
        raise ValueError(f"unknown environment {name!r}{nearest(name, list(gymnasium.registry))}")


def nearest(name: str, names: list[str]) -> str:
    """A hint to put behind a complaint."""
    found = get_close_matches(name, names, 3, 0.5)
    return f"; did you mean {' or '.join(found)}?" if found else f"; there are {', '.join(names)}"
