"""Training from Python, and what can be done with the run that comes of it."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from offpcc.compare.plot import plot
from offpcc.deploy.export.export import export
from offpcc.deploy.loaded_policy import LoadedPolicy, load
from offpcc.deploy.play import evaluate
from offpcc.envs.registration import Given, id_and_settings, wrapper_reference
from offpcc.runs.run_spec import RunSpec, lines_of
from offpcc.runs.start_or_resume import resume_run, start_run
from offpcc.storage.run_folder import RunFolder
from offpcc.training.callbacks import Callback, check_callbacks

OF_A_RUN = {field.name for field in fields(RunSpec)} - {"env", "algo", "bind"}


class TrainedRun(RunFolder):
    """A run on the disk: its rows, its policy, evaluations and curves."""

    @property
    def rows(self) -> list[dict[str, float]]:
        """The rows of progress.csv, each by column, without the cells that are empty."""
        with (self / "progress.csv").open(encoding="utf-8", newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    @property
    def policy(self) -> LoadedPolicy:
        """The newest policy; `offpcc.load(run.path, best=True)` gives the best one."""
        return load(self.path)

    def evaluate(self, episodes: int = 10) -> dict[str, Any]:
        """Plays greedy episodes; gives mean return, standard error, interval, length, success."""
        return evaluate(self.path, episodes)

    def export(self, folder: str | Path | None = None, **settings: Any) -> Path:
        """Writes its policy as a file that runs without offpcc: see `offpcc.export`."""
        return export(self, folder, **settings)

    def plot(self) -> list[Path]:
        """Draws its learning curves into plots/; gives the files."""
        return plot([self.path], self / "plots")


def run(
    env: Given,
    algo: str,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[str | type] = (),
    callbacks: Iterable[Callback] = (),
    bind: str | Sequence[str] | Mapping[str, Any] = (),
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> TrainedRun:
    """Trains, as the command line does, and gives the run.

    env: an id, an environment, its class, or a function that makes one; for a resumed run, the same
    as before. env_kwargs: what its constructor is given. wrappers: classes, or `module:Wrapper`,
    the innermost first. callbacks: see `Callback`. settings: run_id, config, seed, results, wandb
    and init_from, as on the command line, and settings of the config (steps=20_000,
    learning_rate=1e-3). bind: settings of single classes: "SAC.tau = 0.01", a list of such lines,
    or {"SAC.tau": 0.01}.

    Raises ValueError or TypeError for bad input, before anything is written; see `offpcc.errors`
    for what else can end a run.
    """
    known = check_callbacks(callbacks)
    if isinstance(wrappers, (str, type)):
        raise TypeError(f"wrappers is {wrappers!r}; it is a list of them")
    if not isinstance(env_kwargs, Mapping | None):
        raise TypeError(f"env_kwargs is {env_kwargs!r}; it is a mapping, as {{'gravity': 3.7}}")
    env_id, own = id_and_settings(env)
    common = {name: value for name, value in settings.items() if name not in OF_A_RUN}
    common = own | common
    if env_kwargs:
        common["env_kwargs"] = own.get("env_kwargs", {}) | dict(env_kwargs)
    if wrappers:
        common["wrappers"] = tuple(wrapper_reference(wrapper) for wrapper in wrappers)
    named = {name: value for name, value in settings.items() if name in OF_A_RUN}
    request = RunSpec(env_id, algo, **named, bind=[*lines_of(common), *lines_of(bind)])
    folder = resume_run(request, known) if resume else start_run(request, overwrite, known)
    return TrainedRun(folder.path)
