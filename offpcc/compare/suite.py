"""Suites: comparisons by name, configs/suites/<name>.toml; checked before torch is imported."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from offpcc.config.catalog import suite_file
from offpcc.config.names import nearest
from offpcc.config.ranges import PositiveInt
from offpcc.config.tables import checked_fields
from offpcc.config.type_check import matches
from offpcc.runs.run_spec import RunSpec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,._=+-]*")  # of folders, too
AT = ("steps", "time")


@dataclass(frozen=True)
class Entry:
    """Runs that differ in algorithm and seed alone."""

    env: str
    algos: Sequence[str]
    seeds: int | Sequence[int]  # a count stands for 1, 2, …
    steps: PositiveInt
    _: KW_ONLY
    task: str | None = None  # the panel that they are drawn in; None: the environment
    label: str | None = None  # the line that they are drawn as; None: the algorithm
    config: str | None = None  # None: the domain's own
    bind: Sequence[str] = ()
    precision: str | None = None
    envs: PositiveInt | None = None

    def __post_init__(self) -> None:
        for name, values in (("algos", self.algos), ("seeds", self.each_seed)):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must be one at least, and no two alike")
        if self.label and len(self.algos) > 1:
            raise ValueError(f"label {self.label!r} is for one algorithm, not {len(self.algos)}")
        for given in (self.task, self.label):
            if given is not None and not NAME.fullmatch(given):
                raise ValueError(f"{given!r} names a folder: letters, digits, spaces and ,._=+-")

    @property
    def each_seed(self) -> Sequence[int]:
        """The seeds, counted out."""
        return range(1, self.seeds + 1) if isinstance(self.seeds, int) else self.seeds

    @property
    def lines(self) -> list[str]:
        """What it binds, the macros first."""
        macros = {"steps": self.steps, "precision": self.precision, "num_envs": self.envs}
        lines = [f"{name} = {value!r}" for name, value in macros.items() if value is not None]
        return [*lines, *self.bind]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a suite: where it is drawn, and what is asked for."""

    task: str
    label: str
    seed: int
    steps: int
    request: RunSpec

    @property
    def place(self) -> tuple[str, str, str]:
        """Task, label and seed, by which its rows are kept."""
        return self.task, self.label, str(self.seed)

    @property
    def settings(self) -> list[Any]:
        """What all runs of a line share."""
        asked = self.request
        return [asked.env, asked.algo, asked.config, *asked.bind]

    @property
    def name(self) -> str:
        """<env>/<algo>/<run_id>."""
        return "/".join(self.request.folder.path.parts[-3:])


@dataclass(frozen=True)
class Suite:
    """A question, and the runs that answer it."""

    name: str
    question: str
    entries: Sequence[Entry]
    bind: Sequence[str] = ()  # lines for all of them, below their own
    at: str = "steps"  # or "time": scores are taken at a wall time that all runs have reached
    pairs: Sequence[Sequence[str]] = ()  # of labels, compared over all tasks; empty: every pair
    aims: Mapping[str, float] = field(
        default_factory=dict
    )  # returns by task, whose cost is reported

    def plan(self, bind: Sequence[str] = (), **settings: Any) -> list[PlannedRun]:
        """Its runs, with these lines bound for all; settings: other fields of `RunSpec`.

        Raises ValueError for what `RunSpec` refuses, naming the entry, for runs in one place and
        for lines of two settings.
        """
        planned: list[PlannedRun] = []
        for number, entry in enumerate(self.entries, start=1):
            try:
                planned += _runs(entry, [*bind, *self.bind], settings)
            except ValueError as error:
                raise ValueError(f"suite {self.name}, entry {number}: {error}") from error
        drawn: set[tuple[str, ...]] = set()
        asked: dict[str, RunSpec] = {}
        lines: dict[tuple[str, str], list[Any]] = {}
        for run in planned:  # the same run may be drawn in several panels
            if run.place in drawn or asked.setdefault(run.name, run.request) != run.request:
                raise ValueError(f"suite {self.name}: {run.name} is there twice; label one")
            if lines.setdefault(run.place[:2], run.settings) != run.settings:
                which = f"{run.task}, {run.label}"
                raise ValueError(f"suite {self.name}: {which} is of two settings; label one")
            drawn.add(run.place)
        labels = {run.label for run in planned}
        if unknown := [label for pair in self.pairs for label in pair if label not in labels]:
            near = nearest(unknown[0], labels)
            raise ValueError(f"suite {self.name}: pairs: no line is {unknown[0]!r}{near}")
        tasks = {run.task for run in planned}
        if unknown := sorted(self.aims.keys() - tasks):
            near = nearest(unknown[0], tasks)
            raise ValueError(f"suite {self.name}: aims: no task is {unknown[0]!r}{near}")
        return planned


def read_suite(name: str) -> Suite:
    """A suite by its name under configs/suites/, or by its path.

    Raises ValueError, naming the key, for whatever cannot be meant.
    """
    path = suite_file(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if matches(table.get("entries"), list[dict], {}):  # else it is complained about below
        numbered = enumerate(table["entries"], start=1)
        table["entries"] = [_entry(entry, f"{path}, entry {n}") for n, entry in numbered]
    suite = Suite(**checked_fields(Suite, table, str(path), name=path.stem))
    if suite.at not in AT:
        raise ValueError(f"{path}: at is {suite.at!r}; it is 'steps' or 'time'")
    if any(len(pair) != 2 for pair in suite.pairs):
        raise ValueError(f"{path}: pairs are of two lines each, ['X', 'Y']")
    if not all(matches(aim, float, {}) for aim in suite.aims.values()):
        raise ValueError(f'{path}: aims are returns by task, as "pendulum-p-v0" = -200')
    return suite


def _entry(table: Mapping[str, Any], where: str) -> Entry:
    content = checked_fields(Entry, table, where)
    try:
        return Entry(**content)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _runs(entry: Entry, bind: Sequence[str], settings: Mapping[str, Any]) -> list[PlannedRun]:
    slug = re.sub(r"[^a-z0-9]+", "-", (entry.label or "").lower()).strip("-")
    planned = []
    for algo in entry.algos:
        for seed in entry.each_seed:
            request = RunSpec(
                entry.env, algo, run_id=f"{slug}-{seed}" if slug else str(seed), seed=seed,
                config=entry.config, bind=[*bind, *entry.lines], **settings,
            )  # fmt: skip
            task = entry.task or request.folder.path.parts[-3]
            planned.append(PlannedRun(task, entry.label or algo, seed, entry.steps, request))
    return planned
