"""Runs: begun, continued or played, one after another or side by side."""

import argparse
import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from offpcc.cli.parser import check_workers, given
from offpcc.cli.play import play, plays
from offpcc.cli.starter import by_jobs, check_jobs, starter

if TYPE_CHECKING:
    from offpcc.runs.run_spec import RunSpec


def runs(asked: argparse.Namespace) -> int:
    """Trains or plays each run id in turn, once all of them are found to be in order."""
    for flag in ("evaluate", "demonstrate", "record_data"):
        episodes = getattr(asked, flag)
        if episodes is not None and episodes < 1:
            named = f"--{flag.replace('_', '-')} {episodes}"
            raise ValueError(f"{named}: it must be at least 1 episode")
    if asked.memory == "ablated" and asked.evaluate is None:
        raise ValueError("--memory ablated goes with --evaluate N")
    for flag in ("best", "export_batch", "export_previous"):
        if flag in given(asked) and not asked.export:
            raise ValueError(f"--{flag.replace('_', '-')} goes with --export")
    check_jobs(asked)
    check_workers(asked)
    playing = plays(asked)
    if playing and asked.jobs:
        raise ValueError("--jobs is for training; trained runs are played one after another")
    if playing and asked.workers:
        raise ValueError("--workers is for training; trained runs are played in one process")
    if playing and asked.ray:
        raise ValueError("--ray is for training; trained runs are played on this machine")
    if playing and asked.part:
        raise ValueError("--part is for training; trained runs are played in one place")
    if playing and asked.init_from:
        raise ValueError("--init-from is for training; trained runs are played as they are")
    asked_for = requests(asked)
    if asked.part and not (asked_for := asked_for[asked.part]):
        print("this part has no run")
        return 0
    again = continued(asked, asked_for)
    if asked.print_config:
        print(asked_for[0].compose(resume=bool(again)).explained(), end="")
        return 0
    for request in asked_for:
        if playing:
            request.folder.read()
        else:
            request.folder.check(resume=request in again, overwrite=asked.overwrite)
            request.compose(resume=request in again)
    if by_jobs(asked):
        return side_by_side(asked, asked_for)
    for request in asked_for:
        if playing:
            play(asked, request.folder.path)
        else:
            train(asked, request)
    return 0


def side_by_side(asked: argparse.Namespace, asked_for: "list[RunSpec]") -> int:
    """Trains several runs at a time; the exit code of the first that fails, or 0."""
    from offpcc.runs import jobs
    from offpcc.runs.job import Job

    flags = [f"--{name}" for name in ("overwrite", "debug") if getattr(asked, name)]
    again = continued(asked, asked_for)
    todo = [Job(each, (*flags, *(["--resume"] if each in again else []))) for each in asked_for]
    return jobs.run(todo, starter(asked))


def continued(asked: argparse.Namespace, asked_for: "list[RunSpec]") -> "list[RunSpec]":
    """Those that --resume continues: all, but of several jobs some may not have begun."""
    there = [request for request in asked_for if request.folder.exists]
    return (there if by_jobs(asked) and there else asked_for) if asked.resume else []


def requests(asked: argparse.Namespace) -> "list[RunSpec]":
    """The runs that are meant, checked as far as is possible before torch is imported."""
    from offpcc.runs.run_spec import RunSpec

    if not (asked.env and asked.algo):
        raise ValueError("--env and --algo are needed; --list shows what there is")
    if len(set(asked.run_id)) < len(asked.run_id):
        raise ValueError(f"--run_id {' '.join(asked.run_id)}: no two may be alike")
    if "=" in asked.bind:
        raise ValueError(
            f"--bind {' '.join(asked.bind)}: a line needs quotes, as 'learning_rate = 0.001'"
        )
    macros = {"steps": asked.steps, "num_envs": asked.envs, "wrappers": asked.wrapper}
    macros["env_kwargs"] = keyword_arguments(asked.env_kwargs) if asked.env_kwargs else None
    macros["async_envs"] = getattr(asked, "async") or None
    macros |= {"device": asked.device, "precision": asked.precision}
    macros["TrainingConfig.num_workers"] = asked.workers
    common = [f"{name} = {value!r}" for name, value in macros.items() if value is not None]
    return [
        RunSpec(
            asked.env, asked.algo, run_id=run_id, config=asked.config,
            bind=[*common, *asked.bind], results=asked.results, wandb=asked.wandb,
            init_from=asked.init_from, ray=asked.ray if asked.workers else None,
            seed=None if asked.seed is None else asked.seed + count,
        )
        for count, run_id in enumerate(asked.run_id)
    ]  # fmt: skip


def keyword_arguments(words: Sequence[str]) -> dict[str, Any]:
    """The arguments in `name=value` words; a value that is no Python literal is a text.

    Raises ValueError for other words.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(f"--env-kwargs {word}: it is written name=value")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def train(asked: argparse.Namespace, request: "RunSpec") -> None:
    """Begins or continues one run."""
    from offpcc.runs.start_or_resume import resume_run, start_run

    folder = resume_run(request) if asked.resume else start_run(request, asked.overwrite)
    final = folder.read()["final"]
    line = f"{folder.path}: {final['env_steps']:.0f} steps in {final['seconds']:.0f} s"
    if "test_return" in final:
        line += f", return {final['test_return']:.1f} ± {final['test_return_se']:.1f}"
    print(line)
