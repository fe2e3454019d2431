"""The status of runs, read from their folders while they train; imports no torch."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offpcc.storage.run_folder import ENDED, HOLDER, LOCK, RunFolder, read_json
from offpcc.training.tracking.time_left import seconds_left

CELL = 32  # bytes that a cell of progress.csv may have; the longest float has 25 with its comma
LONGEST_HEADER = 65_536  # bytes
WRITTEN = ("progress.csv", "run.json", ENDED, HOLDER)  # what tells when a run was last at work
STOPS = ("Stopped", "KeyboardInterrupt")  # errors that somebody asked for
Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run as its folder shows it; None stands for what is not known."""

    path: Path
    state: str  # running, finished, stopped, diverged, failed: <error>, not begun, damaged
    reason: str = ""  # what a failed run said
    env_steps: int | None = None  # of the last row
    steps: int | None = None  # of the whole run
    steps_per_second: float | None = None  # between the last two rows
    test_return: float | None = None
    test_success: float | None = None
    seconds_left: float | None = None  # of a run at work, from now on
    written_at: float = 0.0  # Unix time of the newest file


def statuses_of_runs(places: Iterable[Path]) -> list[RunStatus]:
    """The runs in these folders and below, the last written first.

    Left out are folders that are no runs, and the rows that suites keep of finished runs. Raises
    ValueError for a place that is not a folder.
    """
    now = time.time()
    found = (_status(RunFolder(path), now) for path in _run_folders(places))
    return sorted(filter(None, found), key=lambda run: (-run.written_at, run.path))


def _run_folders(places: Iterable[Path]) -> Iterator[Path]:
    """Folders that may be runs, each once, whatever links lead to it."""
    waiting, seen = list(places), set()
    for place in waiting:
        if not place.is_dir():
            raise ValueError(f"{place} is not a folder; runs are below results/, or --results DIR")
    while waiting:
        folder = waiting.pop()
        try:
            facts = folder.stat()
            entries = [*os.scandir(folder)]
        except OSError:  # not for us to read, or just removed
            continue
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        names = {entry.name for entry in entries}
        if names & {LOCK, "run.json"}:
            yield folder
        if not names & {LOCK, "progress.csv", "checkpoints"}:  # no run lies in another
            waiting += [folder / entry.name for entry in entries if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # such as a link that leads to itself
        return False


def _status(folder: RunFolder, now: float) -> RunStatus | None:
    """The status of a run; None for a folder that is none."""
    state, reason = _state(folder)  # first: a run that ends meanwhile has its last row below
    if not state:
        return None
    rows, steps = _last_rows(folder / "progress.csv"), _setting(folder, "Training.steps")
    row = rows[-1] if rows else {}
    return RunStatus(
        path=folder.path,
        state=state,
        reason=reason,
        env_steps=int(row["env_steps"]) if row else None,
        steps=steps,
        steps_per_second=row.get("steps_per_second"),
        test_return=row.get("test_return"),
        test_success=row.get("test_success"),
        seconds_left=_left(folder, rows, steps, now) if state == "running" else None,
        written_at=max(_modified(folder / name) for name in WRITTEN),
    )


def _state(folder: RunFolder) -> tuple[str, str]:
    """The state of a run, and the reason if it failed; empty for a folder that is no run."""
    try:
        if folder.at_work:
            return "running", ""
        facts = read_json(folder / "run.json") if folder.exists else {}
    except ValueError as error:
        return "damaged", str(error)
    except OSError as error:
        return "unreadable", str(error)
    if "spec" not in facts and not (folder / LOCK).exists():
        return "", ""
    if "final" in facts:
        return "finished", str(facts.get("stopped", ""))
    return _end(folder, bool(facts))


def _end(folder: RunFolder, begun: bool) -> tuple[str, str]:
    """How a run ended that is not finished, and the reason if it failed."""
    ended: Mapping[str, Any] = {}
    with suppress(ValueError, OSError):
        ended = read_json(folder / ENDED, ("error", "message"))
    if ended and ended["error"] not in STOPS:
        diverged = ended["error"] == "DivergedError"
        return "diverged" if diverged else f"failed: {ended['error']}", str(ended["message"])
    # Without ended.json, as of an older version; once the run was resumed, run.json is newer.
    if not ended and _modified(folder / "diverged.json") > _modified(folder / "run.json"):
        return "diverged", ""
    return "stopped" if begun else "not begun", ""


def _left(folder: RunFolder, rows: Sequence[Row], steps: int | None, now: float) -> float | None:
    """Seconds that a run at work still takes from now on."""
    if not rows or steps is None or "steps_per_second" not in rows[-1]:
        return None
    before = rows[-2]["env_steps"] if len(rows) > 1 else 0
    starts = _setting(folder, "Training.learning_starts") or 0
    left = seconds_left(rows[-1], before, steps, starts)
    since = now - _modified(folder / "progress.csv")  # a resume touches the file, too
    return None if left is None else max(left - since, 0.0)


def _modified(path: Path) -> float:
    """When a file was written, in Unix time; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _setting(folder: RunFolder, key: str) -> int | None:
    """A whole number in config.gin, where it may be bound to a macro."""
    try:
        text = (folder / "config.gin").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    bound = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    value = bound.get(key, "")
    for _ in bound:  # a macro may lead to another, but a broken file back to itself
        if not value.startswith("%"):
            break
        value = bound.get(value[1:], "")
    return int(value) if value.isdecimal() else None


def _last_rows(path: Path) -> list[Row]:
    """The last two rows of progress.csv at most, each without its empty cells.

    A line that is cut short, or does not fit the header, does not count.
    """
    try:
        with path.open("rb") as file:
            header = file.readline(LONGEST_HEADER)
            names = header.decode(errors="replace").rstrip("\r\n").split(",")
            end = file.seek(0, os.SEEK_END)
            # Two whole rows, and one that is being written.
            start = file.seek(max(len(header), end - 3 * CELL * len(names)))
            lines = file.read(end - start).decode(errors="replace").split("\n")[:-1]
    except OSError:
        return []
    rows = (_row(names, line.rstrip("\r").split(",")) for line in lines)
    return [row for row in rows if row][-2:]


def _row(names: list[str], cells: list[str]) -> Row:
    """The numbers of a line by column; empty if it is no row."""
    if len(cells) != len(names):
        return {}
    try:
        values = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
    except ValueError:
        return {}
    row = {name: value for name, value in values.items() if math.isfinite(value)}
    return row if "env_steps" in row else {}
