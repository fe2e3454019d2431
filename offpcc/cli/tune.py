"""Searches: trials of settings from a space, and the best of them."""

import argparse
import importlib.util
import sys
from pathlib import Path

from offpcc.cli.parser import given
from offpcc.cli.starter import check_jobs
from offpcc.config.locations import program

FREE = ("tune", "trial", "jobs", "results", "steps", "seed", "device", "wandb", "debug")


def tune(asked: argparse.Namespace) -> int:
    """Makes the trials that a search lacks, prints the best and writes best.gin.

    0 once there is a best one, else the exit code of the first trial that failed. With --trial,
    makes this one alone.
    """
    from offpcc.compare.search.space import read_space

    if not asked.tune:
        raise ValueError("--trial goes with --tune SPACE")
    check_jobs(asked)
    if asked.ray:
        raise ValueError("--ray does not go with --tune; trials run on one machine, by --jobs")
    if others := [name for name in given(asked) if name not in FREE]:
        flag = others[0].replace("_", "-")
        raise ValueError(f"--{flag} does not go with --tune; the space's file says it")
    space = read_space(asked.tune, asked.steps, asked.seed)
    if importlib.util.find_spec("optuna") is None:
        raise ImportError("optuna is not installed: pip install optuna")
    folder = Path(asked.results) / "tune" / space.name
    settings = {"results": folder, "wandb": asked.wandb}
    config = space.check(**settings)
    from offpcc.compare.search.study import Study

    study = Study(space, config, folder)
    settings["bind"] = [] if asked.device is None else [f"device = {asked.device!r}"]
    if asked.trial is not None:
        from offpcc.compare.search.trial import run_trial

        params = study.trial(asked.trial).params
        run_trial(study, asked.trial, space.requests(params, asked.trial, **settings))
        return 0
    from offpcc.compare.search.best import table, write_best
    from offpcc.compare.search.search import search

    code = search(study, asked.jobs or 1, words(asked))
    for line in table(study):
        print(line)
    best = write_best(study, f"{program()} {' '.join(words(asked))}")
    print(best or "no trial has a score: there is no best.gin", file=None if best else sys.stderr)
    return 0 if best else code or 2


def words(asked: argparse.Namespace) -> list[str]:
    """The command line of the search, without its number of jobs."""
    known = {name: getattr(asked, name) for name in ("steps", "seed", "device", "wandb")}
    said = {name: str(value) for name, value in known.items() if value is not None}
    more = [word for name, value in said.items() for word in (f"--{name}", value)]
    debug = ["--debug"] if asked.debug else []
    return ["--tune", asked.tune, "--results", asked.results, *more, *debug]
