"""Request: a run by its name, and what was asked of it; checked before torch is imported."""

import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from offpcc.catalog import algorithm_file, bare, check_id, config_file, domain_config
from offpcc.folder import RunFolder

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")
WANDB = ("online", "offline", "off")


@dataclass
class Request:
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
        self._check_wandb()

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
        """Environment, algorithm and config, which runs that belong together share."""
        config = self.files[1].stem if len(self.files) > 1 else "defaults"
        return f"{bare(self.env)} {self.algo} {config}"

    @property
    def arguments(self) -> list[str]:
        """The command line that asks for the same."""
        told = ["--env", self.env, "--algo", self.algo, "--run_id", str(self.run_id)]
        told += ["--results", str(self.results), "--wandb", str(self.wandb)]
        told += ["--config", str(self.config)] if self.config else []
        told += [] if self.seed is None else ["--seed", str(self.seed)]
        return told + [part for line in self.bind for part in ("--bind", line)]

    @property
    def folder(self) -> RunFolder:
        """Where it is on the disk."""
        env = bare(self.env).replace("/", "-")
        return RunFolder(Path(self.results) / env / self.algo / str(self.run_id))
