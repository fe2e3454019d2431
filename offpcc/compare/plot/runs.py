"""Runs on the disk: results/<env>/<algo>/<run_id>/progress.csv, read into columns."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpcc.storage.run_folder import read_json

Array = NDArray[np.float64]

STUDY = "study.db"  # of a search, three folders above its runs
NEEDED = ("env_steps", "seconds", "test_return")
MADE = {"precision": "precision", "processor": "processor", "instructions": "cpu"}  # in run.json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One run: `columns` of progress.csv, (rows,) each, NaN where a cell is empty."""

    env: str
    algo: str
    run_id: str
    columns: dict[str, Array]
    eval_episodes: int | None = None  # a point of test_return is their mean; None: unknown
    made: Mapping[str, str] = field(default_factory=dict)  # how, as far as is known: see `MADE`
    search: str = ""  # the algorithm and the search, where this is a run of a search's trial
    horizon: float | None = None  # seconds at which it is judged; None: where it ends

    @property
    def legend(self) -> str:
        """What a legend calls it: all trials of a search have one name."""
        return self.search or self.algo

    def curve(self, x: str) -> tuple[Array, Array]:
        """Give x and test_return of the evaluations, (evaluations,) each, x increasing."""
        steps, returns = self.columns[x], self.columns["test_return"]
        evaluated = np.isfinite(steps) & np.isfinite(returns)
        return steps[evaluated], returns[evaluated]

    def final_return(self) -> float:
        """Give the mean of test_return over the last tenth of the evaluations, one at least.

        Before a horizon, over those in the last tenth of its seconds. Raises ValueError if there
        is none before it at all.
        """
        seconds, returns = self.curve("seconds")
        if self.horizon is None:
            return float(returns[-max(1, len(returns) // 10) :].mean())
        last = int((seconds <= self.horizon).sum())
        if not last:
            name = f"{self.env}/{self.algo}/{self.run_id}"
            raise ValueError(f"{name} has no evaluation in its first {self.horizon:.0f} s")
        late = seconds[:last] > 0.9 * self.horizon
        return float(returns[last - max(1, int(late.sum())) : last].mean())

    def reached(self, aim: float, x: str) -> float:
        """Give x of the first evaluation at or above a return; inf if there is none."""
        at, returns = self.curve(x)
        return float(min(at[returns >= aim], default=np.inf))

    def end(self, x: str) -> float:
        """Give x where it is judged: at its horizon, or in its last row."""
        reached = self.columns["seconds"] <= (np.inf if self.horizon is None else self.horizon)
        return float(self.columns[x][reached][-1])


def find_runs(paths: Iterable[Path | str]) -> list[Run]:
    """Read the runs under these paths: results/, an env's, an algorithm's or a run's folder.

    A run without an evaluation yet is left out, which the log says. Raises ValueError for a path
    that is not there, a file that is not a progress.csv, and if there is no run at all.
    """
    places = [Path(path) for path in paths]
    folders = list(dict.fromkeys(folder for place in places for folder in _run_folders(place)))
    if not folders:
        raise ValueError(
            f"no runs in {', '.join(map(str, places))}; "
            "a run is <env>/<algo>/<run_id>/progress.csv, as a training writes it under results/"
        )
    runs = [run for folder in folders if (run := _read_run(folder)) is not None]
    if not runs:
        raise ValueError(f"none of the {len(folders)} runs has an evaluation yet; wait for one")
    return sorted(runs, key=lambda run: (run.env, run.algo, run.run_id))


def algorithms(runs: Iterable[Run]) -> list[str]:
    """Give the names of the algorithms, sorted: the order of colours."""
    return sorted({run.algo for run in runs})


def by_env(runs: Iterable[Run]) -> dict[str, dict[str, list[Run]]]:
    """Sort runs into {env: {algo: runs}}."""
    tree: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        tree.setdefault(run.env, {}).setdefault(run.algo, []).append(run)
    return tree


def at_equal_time(runs: Sequence[Run]) -> list[Run]:
    """Judge runs of an environment at the wall time that the quickest to end had reached."""
    horizon: dict[str, float] = {}
    for run in runs:
        last = float(run.curve("seconds")[0][-1])
        horizon[run.env] = min(last, horizon.get(run.env, last))
    return [replace(run, horizon=horizon[run.env]) for run in runs]


def _run_folders(place: Path) -> list[Path]:
    """Give the folders with a progress.csv here or below, as deep as an env named a/b needs."""
    if not place.is_dir():
        raise ValueError(f"{place} is not a folder; give results/ or a folder under it")
    files = (file for depth in range(5) for file in place.glob("*/" * depth + "progress.csv"))
    return sorted(file.parent.resolve() for file in files)


def _read_run(folder: Path) -> Run | None:
    env, algo, run_id = folder.parts[-3:]
    columns = _read_columns(folder / "progress.csv")
    facts = _read_facts(folder / "run.json")
    if older := facts.get("init_from"):  # another curve than that of runs from random weights
        algo = f"{algo} from {older['algo']}"
    run = Run(env, algo, run_id, columns, facts.get("eval_episodes"), _made(facts))
    if (folder.parents[2] / STUDY).exists():  # trials have other settings each: no two are alike
        search, number = f"{algo}, {folder.parents[2].name}", run_id.partition("-")[0]
        run = replace(run, search=search, algo=f"{search} trial {number}")
    if np.isfinite(columns["test_return"]).any():
        return run
    logger.warning("%s has no evaluation yet and is left out", folder)
    return None


def _read_columns(path: Path) -> dict[str, Array]:
    """Read a progress.csv; a last line without its end was cut by a kill and does not count."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")[:-1]
    names = lines[0].split(",") if lines else list(NEEDED)
    if missing := sorted(set(NEEDED) - set(names)):
        raise ValueError(f"{path} has no columns {missing}; it is not a run's, move it away")
    rows = [_read_row(path, names, number, line) for number, line in enumerate(lines[1:], start=2)]
    table = np.array(rows, dtype=np.float64).reshape(-1, len(names))
    return dict(zip(names, table.T, strict=True))


def _read_row(path: Path, names: Sequence[str], number: int, line: str) -> list[float]:
    cells = line.split(",")
    try:
        row = [float(cell) if cell else np.nan for cell in cells]
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}; repair or move the run") from error
    if len(row) != len(names):
        raise ValueError(
            f"{path}, line {number}: {len(row)} cells for {len(names)} columns; "
            "repair or move the run"
        )
    return row


def _read_facts(path: Path) -> dict[str, Any]:
    """Read a run.json; empty where there is none."""
    if not path.exists():
        return {}
    return read_json(path)


def _made(facts: Mapping[str, Any]) -> dict[str, str]:
    """Give each fact of `MADE` that is known; one that changed at a resume as "this, then that"."""
    states = [facts, *({**facts, **resume} for resume in facts.get("resumes", ()))]
    found = {
        name: [value for value, _ in groupby(str(each[key]) for each in states if key in each)]
        for name, key in MADE.items()
    }
    return {name: ", then ".join(values) for name, values in found.items() if values}
