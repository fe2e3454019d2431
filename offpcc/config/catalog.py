"""Catalog: which algorithms, configs and environments there are; cheap to ask, imports no torch."""

import importlib
import re
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import gymnasium

from offpcc import domains
from offpcc.config.installation import CONFIGS
from offpcc.errors import ConfigError

FEW = 12  # names that are listed where none is near
OURS = ("", "offpcc", "offpcc.domains")  # modules in front of an id of ours
SIMILAR = 0.75  # of two ids without their versions, where one may have been meant for the other

# What others call an algorithm, or one that is not here, by what comes nearest to it.
ELSEWHERE = {
    "rsac": "recurrent_sac sac_lstm lstm_sac sac_rnn sac_recurrent",
    "rtd3": "recurrent_td3 td3_lstm lstm_td3 td3_rnn td3_recurrent",
    "rdpg": "recurrent_ddpg rddpg ddpg_lstm lstm_ddpg ddpg_rnn ddpg_recurrent",
    "rtqc": "recurrent_tqc tqc_lstm lstm_tqc",
    "rredq": "recurrent_redq redq_lstm lstm_redq",
    "redq": "droq crossq",
    "dsac": "dqn ddqn double_dqn rainbow c51 qr_dqn qrdqn sac_discrete discrete_sac",
    "drsac": "drqn r2d2 recurrent_dqn dqn_lstm",
    "ppo": "ppo2 trpo",
    "lstm_ppo": "recurrent_ppo ppo_lstm ppo_rnn ppo_recurrent rppo",
    "a2c": "a3c impala reinforce vpg",
    "lstm_a2c": "recurrent_a2c a2c_lstm a2c_recurrent",
    "td3_bc": "iql cql bcq bear awac awr rebrac bc td3bc",
    "rtd3_bc": "recurrent_bc recurrent_td3_bc td3_bc_lstm recurrent_iql recurrent_cql",
}
SYNONYMS = {name: ours for ours, names in ELSEWHERE.items() for name in names.split()}


def algorithms() -> list[str]:
    """The names that `--algo` takes: the files under configs/algorithms/."""
    return sorted(path.stem for path in (CONFIGS / "algorithms").rglob("*.gin"))


def algorithm_file(name: str) -> Path:
    """An algorithm's gin file. Raises ValueError, naming the nearest, if there is none."""
    if name not in algorithms():
        known = SYNONYMS.get(re.sub(r"[^a-z0-9]+", "_", str(name).lower()))
        hint = f"; the nearest here is {known}" if known else nearest(str(name), algorithms())
        raise ValueError(f"unknown algorithm {name!r}{hint}")
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

    It lies in configs/domains/FAMILY/, the algorithm's file being in configs/algorithms/FAMILY/.
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
    """Imports the module of `module:Id-v0`; raises ValueError if gymnasium does not know the id.

    An id of ours with suffixes, such as pendulum-p-noise0.2-v0, is registered if it is not yet.
    Raises ConfigError, a ValueError, where the module cannot be imported.
    """
    module, _, name = env.rpartition(":")
    if module:
        import_module(module, f"--env {env}")
    if name not in gymnasium.registry and module in OURS:
        with suppress(ValueError):  # it is not one of ours either
            domains.harder(name)
    if name not in gymnasium.registry:
        raise ValueError(f"unknown environment {name!r}; {_meant(module, name)}")


def _meant(module: str, name: str) -> str:
    """A hint to ids that may have been meant, version or capitals apart, or to one's own."""
    if module:
        return f"{module} does not register it with gymnasium"
    named: dict[str, list[str]] = {}
    for each in gymnasium.registry:
        named.setdefault(_unversioned(each), []).append(each)
    near = get_close_matches(_unversioned(name), named, 3, SIMILAR)
    if ids := [each for kind in near for each in named[kind]]:
        best = " or ".join(get_close_matches(name, ids, 3, 0))
        return f"did you mean {best}? One of your own is module:{name}"
    return f"one of your own is module:{name}, and {_searched()}"


def _unversioned(env: str) -> str:
    return re.sub(r"-v\d+$", "", env).lower()


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
            return f"there is no module {error.name!r}; {_searched()}"
        return f"module {name} needs {error.name!r}, which is not installed"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    others = (sys.prefix, sys.base_prefix, "<", __file__)  # packages, which may have hooks in it
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(others)]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"module {name} raised {said}{where} while it was imported"


def _searched() -> str:
    """Which folders modules of one's own are imported from."""
    ours = (sys.prefix, sys.base_prefix)
    folders = [path or str(Path.cwd()) for path in sys.path if not path.startswith(ours)]
    return f"modules are looked for in {', '.join(dict.fromkeys(folders))}; PYTHONPATH adds more"


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint to put behind a complaint: the names that come near, or all if they are few."""
    known = sorted(names)
    if found := get_close_matches(name, known, 3, 0.5):
        return f"; did you mean {' or '.join(found)}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= FEW else ""
