"""Catalog: which algorithms, configs and environments there are; cheap to ask, imports no torch."""

import importlib
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import gymnasium

CONFIGS = Path(__file__).parents[1] / "configs"
FEW = 12  # names that are listed where none is near


def algorithms() -> list[str]:
    """The names that `--algo` takes: the files under configs/algorithms/."""
    return sorted(path.stem for path in (CONFIGS / "algorithms").rglob("*.gin"))


def algorithm_file(name: str) -> Path:
    """An algorithm's gin file. Raises ValueError, naming the nearest, if there is none."""
    if name not in algorithms():
        raise ValueError(f"unknown algorithm {name!r}{nearest(name, algorithms())}")
    return next((CONFIGS / "algorithms").rglob(f"{name}.gin"))


def configs() -> list[str]:
    """The files that `--config` takes, as they are named from the project's folder."""
    files = (path.relative_to(CONFIGS.parent) for path in CONFIGS.rglob("*/*.gin"))
    return sorted(path.as_posix() for path in files if path.parts[1] != "algorithms")


def config_file(name: str) -> Path:
    """A config by its path, from here or from the project's folder. Raises ValueError."""
    for path in (Path(name), CONFIGS.parent / name, CONFIGS / name):
        if path.is_file():
            return path
    raise ValueError(f"there is no config {name}{nearest(name, configs())}")


def suites() -> list[str]:
    """The names that `--compare` takes: the files under configs/suites/."""
    return sorted(path.stem for path in (CONFIGS / "suites").glob("*.toml"))


def suite_file(name: str) -> Path:
    """A suite by its name or path. Raises ValueError, naming the nearest, if there is none."""
    for path in (CONFIGS / "suites" / f"{name}.toml", Path(name)):
        if path.is_file():
            return path
    raise ValueError(f"unknown suite {name!r}{nearest(name, suites())}")


def domain_config(env: str, algorithm: Path) -> Path | None:
    """The recipe with the longest name that begins the id, word by word.

    It lies in the folder of configs/domains/ that the algorithm's file lies in under
    configs/algorithms/, for on-policy algorithms learn with other numbers than off-policy ones.
    """
    name = re.sub(r"-v\d+$", "", bare(env)).lower()
    family = algorithm.parent.relative_to(CONFIGS / "algorithms")
    files = (CONFIGS / "domains" / family).glob("*.gin")
    fitting = [path for path in files if re.match(rf"{re.escape(path.stem)}\d*(-|$)", name)]
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
        near = nearest(name, gymnasium.registry) or "; --list shows those of this project"
        raise ValueError(f"unknown environment {name!r}{near}")


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint to put behind a complaint: the names that come near, or all if they are few."""
    known = sorted(names)
    if found := get_close_matches(name, known, 3, 0.5):
        return f"; did you mean {' or '.join(found)}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= FEW else ""
