"""Spaces: the settings that a search may choose, configs/tune/<name>.toml; imports no torch."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from offpcc.config.bindings import parse
from offpcc.config.catalog import space_file
from offpcc.config.config import Config
from offpcc.config.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from offpcc.config.tables import checked_fields
from offpcc.runs.run_spec import RunSpec

NAME = re.compile(r"[A-Za-z_][\w/.]*")  # of a setting
BOUND = re.compile(r"--bind (['\"])(.*?)\1:\d+: ")  # begins the complaint of a line
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")
# What all trials share, because scores at other steps, or over other episodes, are no comparison.
SHARED = ("Training.steps", "Training.eval_interval", "Evaluator.episodes")
# May differ between the commands that work on one study.
FREE = tuple(
    f"TrainingConfig.{name}" for name in ("device", "num_threads", "num_checkpoints", "async_envs")
)


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`: whole ones where all that is given is whole.

    log: as likely between 1 and 10 as between 10 and 100. step: only these from `low` on.
    """

    low: float
    high: float
    log: bool = False
    step: PositiveFloat | None = None

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low!r} and high {self.high!r}; low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low!r}; with log it must be above 0")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together")
        steps = (self.high - self.low) / (self.step or (self.high - self.low))
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"{self.step!r} does not divide {self.high!r} - {self.low!r}")

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))

    @property
    def ends(self) -> list[int | float]:
        """Its lowest and its highest number."""
        return [self.low, self.high] if self.whole else [float(self.low), float(self.high)]


@dataclass(frozen=True)
class Choices:
    """Values to choose from, which need no order; 'None' is None, and '@GRU' a reference."""

    choices: Sequence[Any]

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.ends)) < len(self.choices):
            raise ValueError("choices must be one at least, and no two alike")

    @property
    def ends(self) -> list[str]:
        """All of them, as a config writes them."""
        return [_written(value) for value in self.choices]


Setting = Range | Choices


@dataclass(frozen=True)
class Space:
    """Which runs a trial makes, how it is scored, and what may be chosen for it."""

    name: str
    env: str
    algo: str
    steps: PositiveInt
    trials: PositiveInt  # pruned and failed ones count
    space: Mapping[str, Any]
    seeds: PositiveInt = 1  # runs of a trial, one after another; every trial has the same seeds
    seed: NonNegativeInt = 1  # of the sampler, and of each trial's first run
    last_evaluations: PositiveInt = 5  # the score is their mean test_return, over all seeds
    config: str | None = None  # None: the domain's own
    bind: Sequence[str] = ()  # lines for all trials
    envs: PositiveInt | None = None
    precision: str | None = None
    random_trials: NonNegativeInt = 10  # before the sampler learns from what was scored
    pruner: Literal["median", "none"] = "median"
    prune_after_trials: NonNegativeInt = 5  # that have been scored
    prune_after_steps: NonNegativeInt | None = None  # None: a quarter of `steps`

    @property
    def settings(self) -> dict[str, Setting]:
        """What may be chosen for each setting."""
        return {name: _setting(name, table) for name, table in _flat(self.space)}

    @property
    def lines(self) -> list[str]:
        """What all trials bind, the macros first."""
        macros = {"steps": self.steps, "precision": self.precision, "num_envs": self.envs}
        lines = [f"{name} = {value!r}" for name, value in macros.items() if value is not None]
        return [*lines, *self.bind]

    @property
    def warmup_steps(self) -> int:
        """The steps in which no trial is pruned."""
        return self.steps // 4 if self.prune_after_steps is None else self.prune_after_steps

    def chosen(self, params: Mapping[str, Any]) -> list[str]:
        """A trial's lines for its settings; params: numbers, and choices as they are written."""
        texts = {k: v if isinstance(v, str) else repr(v) for k, v in params.items()}
        return [f"{name} = {texts[name]}" for name in self.settings]

    def requests(
        self, params: Mapping[str, Any], number: int, bind: Sequence[str] = (), **settings: Any
    ) -> list[RunSpec]:
        """The runs of a trial; bind: lines that decide nothing; settings: of `RunSpec`."""
        return [
            RunSpec(
                self.env, self.algo, seed=self.seed + k, config=self.config,
                run_id=f"{number}" if self.seeds == 1 else f"{number}-{self.seed + k}",
                bind=[*bind, *self.lines, *self.chosen(params)], **settings,
            )
            for k in range(self.seeds)
        ]  # fmt: skip

    def check(self, **settings: Any) -> Config:
        """The config of one trial, once all that may be chosen was tried in turn.

        Each setting takes both its ends, or each of its choices, while the others are at their
        first. settings: of `RunSpec`. Raises ValueError for what no trial could be trained with.
        """
        self._refuse_bound()
        first = {name: setting.ends[0] for name, setting in self.settings.items()}
        config = self._composed(first, settings)
        if not config.values["Evaluator.episodes"]:
            raise ValueError(f"{self.name}.toml: eval_episodes is 0; a score is of evaluations")
        for name, setting in self.settings.items():
            for value in setting.ends[1:]:
                other = self._composed(first | {name: value}, settings, f"{name} = {value}: ")
                if moved := [k for k in SHARED if other.values[k] != config.values[k]]:
                    raise ValueError(
                        f"{self.name}.toml: {name} changes {moved[0]}; trials can be compared at "
                        "equal steps and evaluations alone"
                    )
        return config

    def _refuse_bound(self) -> None:
        bound = [binding.key for line in self.lines for binding in parse(line, f"bind {line!r}")]
        if both := [name for name in self.settings if name in bound]:
            what = "a key of its own" if both[0] == "steps" else "bound as well"
            raise ValueError(f"{self.name}.toml: {both[0]} is in [space], and {what}")
        if twice := [key for key in bound if bound.count(key) > 1]:
            raise ValueError(f"{self.name}.toml: {twice[0]} is bound twice")

    def _composed(
        self, params: Mapping[str, Any], settings: Mapping[str, Any], prefix: str = ""
    ) -> Config:
        """A trial's config; prefix: the line to name in a complaint that names none itself."""
        try:
            return self.requests(params, 0, **settings)[0].compose()
        except ValueError as error:
            line = BOUND.match(str(error))
            what = f"{line[2]}: {str(error)[line.end() :]}" if line else f"{prefix}{error}"
            raise ValueError(f"{self.name}.toml: {what}") from error

    def facts(self, config: Config) -> dict[str, Any]:
        """What may not differ between commands that work on one study, as JSON can hold it."""
        own = asdict(self)
        del own["trials"]  # more may be asked for
        del own["steps"]  # as Training.steps
        own |= {"space": {name: asdict(each) for name, each in self.settings.items()}}
        return own | {"bind": list(self.bind), "settings": config.fixed(FREE)}


def read_space(name: str, steps: int | None = None, seed: int | None = None) -> Space:
    """A space by its name under configs/tune/, or by its path; with other steps or another seed.

    Raises ValueError, naming the key, for whatever cannot be meant.
    """
    path = space_file(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not FOLDER.fullmatch(path.stem):
        raise ValueError(f"{path.stem!r} names a folder: letters, digits and ._=+-")
    given = {"steps": steps, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    space = Space(**checked_fields(Space, {**table, **given}, str(path), name=path.stem))
    try:
        if not space.settings:
            raise ValueError(
                "[space] is empty; as [space] learning_rate = {low = 1e-4, high = 1e-2}"
            )
        return replace(space, config=_beside(space.config, path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _beside(config: str | None, path: Path) -> str | None:
    """A config's file: from the working folder, or else beside the space's file."""
    if config is None or Path(config).exists() or not (path.parent / config).exists():
        return config
    return str(path.parent / config)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their names: TOML reads SAC.tau without quotes as a table of its own."""
    own = {field.name for kind in (Range, Choices) for field in fields(kind)}
    for name, value in table.items():
        inner = isinstance(value, Mapping) and value and not own & value.keys()
        if inner and all(isinstance(each, Mapping) for each in value.values()):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _setting(name: str, table: Any) -> Setting:
    where = f"[space] {name}"
    if not NAME.fullmatch(name):
        raise ValueError(f"{where}: no setting has such a name")
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} is {table!r}; it is {{low = …, high = …}} or {{choices = […]}}")
    kind: type[Range] | type[Choices] = Choices if "choices" in table else Range
    content = checked_fields(kind, table, where)
    try:
        return kind(**content)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _written(value: Any) -> str:
    """A choice as a config writes it."""
    if isinstance(value, str) and (value == "None" or value.startswith(("@", "%"))):
        return value
    return repr(value)
