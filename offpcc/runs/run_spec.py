"""RunSpec: which run is asked for, with which settings; checked before torch is imported."""

import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file, bare, check_id, config_file, domain_config
from offpcc.config.config import Config
from offpcc.config.ranges import complaint
from offpcc.runs.feasibility import check_together
from offpcc.storage.run_folder import RunFolder

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")
WANDB = ("online", "offline", "off")


@dataclass
class RunSpec:
    """A run by its name, and the settings beside its config.

    Raises ValueError for an unknown environment, algorithm or config, and for a run_id that is no
    plain name; ImportError where wandb is asked for and missing.
    """

    env: str  # a gymnasium id; module:Id-v0 imports module first
    algo: str
    _: KW_ONLY
    run_id: str | int = "1"
    config: str | Path | None = None  # a gin file; None: the domain's own, if there is one
    bind: Sequence[str] = ()  # gin lines on top of everything
    seed: int | None = None  # None: drawn
    results: str | Path = "results"
    init_from: str | Path | None = None  # the folder of a run whose networks it starts from
    ray: str | None = None  # the Ray cluster of its workers; None: one that starts here
    wandb: str | None = None  # None: online if OFFPCC_WANDB_PROJECT or _ENTITY is set, else off

    def __post_init__(self) -> None:
        check_id(self.env)
        algorithm = algorithm_file(self.algo)
        own = domain_config(self.env, algorithm)
        config = config_file(str(self.config)) if self.config else own
        self.files = [algorithm, *([config] if config else [])]
        if not RUN_ID.fullmatch(str(self.run_id)):
            raise ValueError(
                f"run_id is {str(self.run_id)!r}; it names a folder: letters, digits and ._=+-"
            )
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; it lies in 0 … 2^63 - 1")
        if self.init_from and Path(self.init_from).resolve() == self.folder.path.resolve():
            raise ValueError(f"--init-from {self.init_from} is the run itself; name an older one")
        self._check_wandb()

    def compose(self, resume: bool = False) -> Config:
        """Its config; resumed, a run goes on from the one it was begun with, unless it has a file.

        Raises ConfigError for whatever cannot be meant, or cannot work in its environment, and
        RunMissingError where the run that it starts from is not there.
        """
        begun = [self.folder / "config.gin"] if resume and not self.config else self.files
        config = compose(begun, self.bind)
        check_together(config, self.env)
        if self.init_from and not resume:
            RunFolder(self.init_from).read()
        return config

    def _check_wandb(self) -> None:
        if self.wandb is None:
            asked = {"OFFPCC_WANDB_PROJECT", "OFFPCC_WANDB_ENTITY"} & os.environ.keys()
            self.wandb = "online" if asked else "off"
        if self.wandb not in WANDB:
            raise ValueError(f"wandb is {self.wandb!r}; it is {', '.join(WANDB)}")
        if self.wandb != "off" and importlib.util.find_spec("wandb") is None:
            raise ImportError("wandb is not installed: pip install wandb")

    @property
    def name(self) -> str:
        """Environment, algorithm, config, and what it starts from: runs that belong together."""
        config = self.files[1].stem if len(self.files) > 1 else "defaults"
        older = f" from {Path(self.init_from).resolve().parent.name}" if self.init_from else ""
        return f"{bare(self.env)} {self.algo} {config}{older}"

    @property
    def arguments(self) -> list[str]:
        """The command line that asks for the same."""
        words = ["--env", self.env, "--algo", self.algo, "--run_id", str(self.run_id)]
        words += ["--results", str(self.results), "--wandb", str(self.wandb)]
        words += ["--config", str(self.config)] if self.config else []
        words += ["--ray", self.ray] if self.ray else []
        words += ["--init-from", str(self.init_from)] if self.init_from else []
        words += [] if self.seed is None else ["--seed", str(self.seed)]
        return words + [part for line in self.bind for part in ("--bind", line)]

    @property
    def folder(self) -> RunFolder:
        """Where it is on the disk."""
        env = bare(self.env).replace("/", "-")
        return RunFolder(Path(self.results) / env / self.algo / str(self.run_id))


def lines_of(bind: str | Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Settings as gin lines: from one line, from several, or from values by name.

    A value may be a class; a text that begins with @ or % is a reference or a macro. Raises
    ValueError for a value that no line can hold.
    """
    if isinstance(bind, str):
        return [bind]
    if not isinstance(bind, Mapping):
        return list(bind)
    return [f"{name} = {_written(value, name)}" for name, value in bind.items()]


def _written(value: Any, name: str) -> str:
    """A value as gin reads it, numpy's numbers as plain ones."""
    if isinstance(value, (type, FunctionType)):
        return f"@{value.__name__}"
    if isinstance(value, str) and value.startswith(("@", "%")):
        return value
    if isinstance(value, (list, tuple)):
        parts = "".join(f"{_written(part, name)}, " for part in value)
        return f"[{parts}]" if isinstance(value, list) else f"({parts})"
    if isinstance(value, Mapping):
        parts = ", ".join(f"{key!r}: {_written(part, name)}" for key, part in value.items())
        return f"{{{parts}}}"
    value = value.item() if hasattr(value, "item") else value
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise ValueError(
            f"{name} is {value!r}; it is a number, a text, a class, a list or a mapping of these"
        )
    if wrong := complaint(value, type(value)):
        raise ValueError(f"{name} is {value!r}; {wrong}")
    return repr(value)
