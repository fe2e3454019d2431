"""Mirrors of a run's rows in TensorBoard and wandb; the only file that imports either."""

import html
import logging
import os
import random
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

logger = logging.getLogger(__name__)

Row = Mapping[str, float | int]


class Mirror(Protocol):
    """Whatever follows the rows of a run."""

    def write(self, row: Row) -> None:
        """Take one row, by column name, without the columns that are empty."""

    def close(self) -> None:
        """Take the end of the run."""


class OptionalMirror(ABC):
    """A mirror that may fail: it says so once and stops, and training goes on."""

    stopped = False

    def write(self, row: Row) -> None:
        """Copy one row, by column name; raises nothing."""
        self._attempt(lambda: self._write(row))

    def close(self) -> None:
        """Finish what is on its way; raises nothing."""
        self._attempt(self._close)
        self.stopped = True

    def _attempt(self, action: Callable[[], None]) -> None:
        failure = None if self.stopped else _failure_of(action)
        if failure is not None:
            self._stop(failure)

    def _stop(self, failure: Exception) -> None:
        self.stopped = True
        name, reason = type(self).__name__, _first_line(failure)
        logger.warning("%s stops; training and progress.csv go on (%s)", name, reason)
        _failure_of(self._abandon)

    @abstractmethod
    def _write(self, row: Row) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...

    @abstractmethod
    def _abandon(self) -> None: ...  # lets go of what a failure has left behind


class TensorBoard(OptionalMirror):
    """Rows as scalars under folder/tensorboard, over env_steps."""

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard is not installed: pip install tensorboard") from error
        self._make: type[Any] = SummaryWriter
        self._folder = str(folder / "tensorboard")
        self._writer: Any = None

    def _write(self, row: Row) -> None:
        step = int(row["env_steps"])
        if self._writer is None:
            # A resumed run repeats the rows since its checkpoint: purge_step hides the old ones.
            self._writer = self._make(self._folder, purge_step=step)
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _abandon(self) -> None:
        self._writer = None


class WandB(OptionalMirror):
    """Rows as one wandb run, kept under folder/wandb, over env_steps; a resumed run goes on there.

    Online without a key or a server: waits less than 30 seconds, then logs offline and says so.
    """

    def __init__(
        self,
        folder: Path,
        *,
        group: str,  # "<env> <algo> <config>": wandb averages over it
        name: str,  # "run_id=<k>"
        config: Mapping[str, Any],  # the values that wandb shows, and filters by
        mode: str = "online",  # or "offline"
        project: str = "offpcc",
        entity: str | None = None,  # a user or a team; None: the account's own
    ):
        if mode not in ("online", "offline"):
            raise ValueError(f'wandb has no mode {mode!r}; choose "online" or "offline"')
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # else even an offline run calls out
        os.environ.setdefault("WANDB_LOGIN_TIMEOUT", "5")  # s; at a terminal it asks for a key
        os.environ.setdefault("WANDB_FINISH_TIMEOUT", "15")  # s; else it waits for a lost server
        try:
            import wandb
        except ImportError as error:
            raise ImportError("wandb is not installed: pip install wandb") from error
        self._wandb: Any = wandb
        self._run: Any = None
        self._arguments = {
            "dir": str(folder),
            "project": project,
            "entity": entity,
            "group": group,
            "name": name,
            "config": dict(config),
            "id": _kept_id(folder / "wandb" / "id"),  # and makes the folder: else it writes to /tmp
            "resume": "allow",
        }
        self._start(mode)

    def show(self, text: Path, pictures: Iterable[Path]) -> None:
        """Log a report, its text as it is written and its pictures; raises nothing."""
        wandb = self._wandb

        def log() -> None:
            page = f"<pre>{html.escape(text.read_text(encoding='utf-8'))}</pre>"
            shown = {path.stem: wandb.Image(str(path)) for path in pictures}
            self._run.log({text.stem: wandb.Html(page), **shown})

        self._attempt(log)

    def _start(self, mode: str) -> None:
        failure = _failure_of(lambda: self._open(mode))
        if failure is not None and mode == "online":
            reason = _first_line(failure)
            failure = _failure_of(lambda: self._open("offline"))
            if failure is None:
                command = f"wandb sync {Path(self._run.dir).parent}"
                logger.warning("wandb logs offline (%s); to upload: %s", reason, command)
        if failure is not None:
            self._stop(failure)

    def _open(self, mode: str) -> None:
        settings = self._wandb.Settings(
            init_timeout=10,  # s; wandb adds up to 10 of its own
            silent=True,
            console="off",  # leaves stdout and stderr alone
            x_disable_stats=True,  # its system monitor takes processor time from the training
        )
        self._run = self._wandb.init(
            mode=mode,
            reinit="create_new",  # a process may hold several runs
            settings=settings,
            **self._arguments,
        )
        self._run.define_metric("*", step_metric="env_steps")

    def _write(self, row: Row) -> None:
        self._run.log(dict(row))  # no step=: with it, rows repeated after a resume are dropped

    def _close(self) -> None:
        self._run.finish()

    def _abandon(self) -> None:
        self._run = None
        self._wandb.teardown()  # a dead service would fail this process's next run, and its exit


def account() -> dict[str, Any]:
    """Where runs are logged, as the environment says."""
    return {
        "project": os.environ.get("OFFPCC_WANDB_PROJECT", "offpcc"),
        "entity": os.environ.get("OFFPCC_WANDB_ENTITY"),
    }


def _kept_id(path: Path) -> str:
    """The id in this file; if there is none, that of the sweep's run or a new one is put there."""
    found = path.read_text() if path.exists() else ""
    if not found:
        # In a sweep, wandb ignores the id it is given; a resume outside needs the sweep's.
        sweep = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
        found = sweep or secrets.token_hex(4)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    return found


def _first_line(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}".splitlines()[0]


def _failure_of(action: Callable[[], None]) -> Exception | None:
    """Run the action and give back what it raised; the global generators stay as they were."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        action()
    # The one place: wandb raises ConnectionResetError, private classes that share no base, and
    # even a bare Exception("The wandb backend process has shutdown"); none may end a training.
    except Exception as failure:
        return failure
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
    return None
