"""Catalog: which algorithms, configs and environments there are; cheap to ask, imports no torch."""

import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import gymnasium

from offpcc import domains
from offpcc.config.locations import CONFIGS
from offpcc.config.names import nearest
from offpcc.config.user_modules import import_module, searched

OURS = ("", "offpcc", "offpcc.domains")  # modules in front of an id of ours
SIMILAR = 0.75  # of two ids without their versions, where one may have been meant for the other

_registered: set[str] = set()  # names of the user's classes that are ids by now

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


def spaces() -> list[str]:
    """The names that `--tune` takes: the files under configs/tune/."""
    return sorted(path.stem for path in (CONFIGS / "tune").glob("*.toml"))


def space_file(name: str) -> Path:
    """A space by its name or path. Raises ValueError, naming the nearest, if there is none."""
    for path in (CONFIGS / "tune" / f"{name}.toml", Path(name)):
        if path.is_file():
            return path
    raise ValueError(f"unknown space {name!r}{nearest(name, spaces())}")


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
    free = name not in gymnasium.registry or name in _registered
    if free and callable(getattr(sys.modules.get(module), name, None)):
        register(name, f"{module}:{name}")
    if name not in gymnasium.registry:
        raise ValueError(f"unknown environment {name!r}; {_meant(module, name)}")


def register(name: str, entry_point: str | Callable[..., Any], steps: int | None = None) -> None:
    """Registers an environment of the user's under its class's name.

    steps: its time limit. Raises ValueError for a name that is a registered id of another one.
    """
    known = gymnasium.registry.get(name)
    if known is not None and known.entry_point == entry_point:
        return
    if known is not None and name not in _registered:
        raise ValueError(f"gymnasium has another environment {name!r}; rename the class")
    with warnings.catch_warnings(action="ignore"):  # of gymnasium, where a class was redefined
        try:
            gymnasium.register(name, entry_point, max_episode_steps=steps)
        except gymnasium.error.Error as error:
            raise ValueError(f"env {name!r}: {error}") from error
    _registered.add(name)


def _meant(module: str, name: str) -> str:
    """A hint to ids that may have been meant, version or capitals apart, or to one's own."""
    if module:
        return f"{module} neither registers it with gymnasium nor has a class of this name"
    named: dict[str, list[str]] = {}
    for each in gymnasium.registry:
        named.setdefault(_unversioned(each), []).append(each)
    near = get_close_matches(_unversioned(name), named, 3, SIMILAR)
    if ids := [each for kind in near for each in named[kind]]:
        best = " or ".join(get_close_matches(name, ids, 3, 0))
        return f"did you mean {best}? One of your own is module:{name}"
    return f"one of your own is module:{name}, and {searched()}"


def _unversioned(env: str) -> str:
    return re.sub(r"-v\d+$", "", env).lower()
