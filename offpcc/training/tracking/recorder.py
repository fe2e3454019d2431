"""Recorder: the rows of a run in progress.csv, whole after a kill and continued by a resume."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from offpcc.storage.atomic_io import make_folder, sync_folder
from offpcc.training.tracking.mirrors import Mirror, Row

logger = logging.getLogger(__name__)


class Recorder:
    """Writes one line of folder/progress.csv a row; a row is safe once `write` has returned."""

    def __init__(self, folder: Path, columns: Sequence[str], mirrors: Sequence[Mirror] = ()):
        self._name(columns)
        make_folder(folder)
        self._path = folder / "progress.csv"
        self._mirrors = tuple(mirrors)
        self._begun = False
        self._offset = 0  # bytes of progress.csv that are this run's
        self._unwritten = ""  # rows that a full disk has not taken yet
        self._pending: list[Mapping[str, Tensor]] = []
        self._gathered: dict[str, Tensor] = {}  # (n,) each, older than all that is pending

    def add_columns(self, columns: Iterable[str]) -> None:
        """More columns, behind the others; those that are there stay where they are.

        Raises ValueError for a new one once the file has begun.
        """
        new = [name for name in columns if name not in self._known]
        if new and self._begun:
            raise ValueError(f"{self._path} has begun and cannot have new columns {new}")
        self._name([*self._columns, *new])

    def _name(self, columns: Sequence[str]) -> None:
        odd = [name for name in columns if not name or set(name) & set(',"\r\n')]
        if not columns or odd or len(set(columns)) < len(columns):
            raise ValueError(f"columns must be different, plain names, not {list(columns)}")
        self._columns, self._known = tuple(columns), frozenset(columns)
        self._header = ",".join(columns) + "\n"

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep what one update returned, detached scalars by column, until the next `write`.

        Nothing is read from the device. The tensors must not be overwritten in place later.
        """
        self._check_known(metrics)
        self._pending.append(metrics)

    def write(self, row: Row) -> Row:
        """Append these values, and for every metric added its mean over the updates that had it.

        Gives the values by column. NaN counts in no mean; a column without a value stays empty.
        Raises ValueError for a column that is unknown or given twice, and for a progress.csv with
        another run's rows.
        """
        self._check_known(row)
        self._check_begun()
        vectors = self._gather()
        if twice := sorted(vectors.keys() & row.keys()):
            raise ValueError(f"{twice} came from the updates and in the row; give each once")
        values = {name: float(vector.double().nanmean()) for name, vector in vectors.items()}
        values |= row
        ordered = {name: values[name] for name in self._columns if name in values}
        cells = (_cell(ordered[name]) if name in ordered else "" for name in self._columns)
        self._append(",".join(cells) + "\n")
        self._gathered = {}
        for mirror in self._mirrors:
            mirror.write(ordered)
        return ordered

    def close(self) -> None:
        """Close the mirrors; progress.csv needs no closing."""
        for mirror in self._mirrors:
            mirror.close()

    def state_dict(self) -> dict[str, Any]:
        """Bytes of progress.csv so far, and the metrics (n,) that wait for the next row."""
        pending = dict(self._gather())
        return {"offset": self._offset, "unwritten": self._unwritten, "pending": pending}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut progress.csv to its length when the state was taken; the next row follows there.

        Raises ValueError if the file is shorter than that, or has other columns.
        """
        self._path.touch()
        size = self._path.stat().st_size
        if state["offset"] > size:
            raise ValueError(
                f"{self._path} has {size} bytes, the checkpoint continues it at byte "
                f"{state['offset']}; put the whole file back, or resume an older checkpoint"
            )
        self._check_header()
        os.truncate(self._path, state["offset"])
        self._begun = True
        self._offset, self._unwritten = state["offset"], state["unwritten"]
        self._pending, self._gathered = [], dict(state["pending"])

    def _gather(self) -> dict[str, Tensor]:
        """Move what is pending to the CPU: one vector (n,) a metric, in the order it came."""
        fresh: dict[str, list[Tensor]] = {}
        for metrics in self._pending:
            for name, value in metrics.items():
                fresh.setdefault(name, []).append(value)
        for name, scalars in fresh.items():
            older = [self._gathered[name]] if name in self._gathered else []
            self._gathered[name] = torch.cat([*older, torch.stack(scalars).detach().cpu()])
        self._pending = []
        return self._gathered

    def _append(self, line: str) -> None:
        self._unwritten += line
        data = (self._unwritten if self._offset else self._header + self._unwritten).encode()
        try:
            with self._path.open("ab") as file:
                file.truncate(self._offset)  # what an earlier failure left half written
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not self._offset:  # the file is new
                sync_folder(self._path.parent)
        except OSError as failure:  # such as a full disk: this row goes with the next one
            logger.error("%s; the row will be written with the next one", failure)
            return
        self._offset += len(data)
        self._unwritten = ""

    def _check_known(self, names: Iterable[str]) -> None:
        if unknown := set(names) - self._known:
            raise ValueError(
                f"progress.csv has no column {sorted(unknown)}; it has {list(self._columns)}"
            )

    def _check_begun(self) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if not self._begun and size > len(self._header.encode()):
            raise ValueError(f"{self._path} has rows; resume that run or choose another run_id")
        self._begun = True

    def _check_header(self) -> None:
        with self._path.open(encoding="utf-8", errors="replace", newline="") as file:
            header = file.readline()
        if header.endswith("\n") and header != self._header:
            raise ValueError(
                f"{self._path} has columns {header.strip()}, this run {self._header.strip()}; "
                "resume with the config that the run was started with"
            )


def _cell(value: float | int) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
