#!/usr/bin/env python
"""Trains an agent, continues a run, plays a trained one, or compares results; see --help."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from offpcc import errors as errors

if TYPE_CHECKING:
    from offpcc.runs.run_spec import RunSpec

EXAMPLES = """examples:
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 1
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 1 --render
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 2 --bind 'SAC.discount = 0.95'
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 1 2 3 4 --seed 1 --jobs 2
  python launch.py --compare memory --jobs 2
  python launch.py --plot results/pendulum-p-v0

exit codes: 0 done, 2 usage or config, 3 diverged or no update, 4 no valid checkpoint, 5 run locked,
6 environment fault, 7 storage fault, 129, 130 or 143 stopped by SIGHUP, SIGINT or SIGTERM (continue
with --resume; a second signal, a second later, leaves at once)"""

DOMAIN_CONFIG = "left out: the file in configs/domains/ with the longest name that begins the id"
WANDB = "left out: online if OFFPCC_WANDB_PROJECT or OFFPCC_WANDB_ENTITY is set, else off"
BIND = "gin, on top of everything; each line in quotes"
REPORT = "with --compare: only the report, from results/ or from the rows that DIR has"
JOBS = "runs side by side, each a process of its own with its share of the cores"
PRECISION = "of an update's passes; auto: bf16 where the device has it and it is not slower"
MEMORY = "ablated: --evaluate plays again with it emptied at every step, and says what it is worth"
WATCHED, RECORDED = 10, 3  # episodes


class Parser(argparse.ArgumentParser):
    """One whose complaints are one line, with the nearest flags."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and exits with 2."""
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if unknown and unknown[0].startswith("--"):
            near = get_close_matches(unknown[0], self._option_string_actions, 3)
            message += f"; did you mean {' or '.join(near)}?" if near else ""
        self.exit(2, f"launch.py: {message}; --help lists all flags\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser(
        description="Reinforcement learning for agents that must remember.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = p.add_argument_group("what to run").add_argument
    what("--env", metavar="ID", help="a gymnasium id; module:Id-v0 imports module first")
    what("--algo", metavar="NAME", help="a file in configs/algorithms/")
    what("--config", metavar="FILE", help="gin, on top of the algorithm's; " + DOMAIN_CONFIG)
    what(
        "--run_id",
        "--run-id",
        nargs="+",
        default=["1"],
        metavar="K",
        help="runs, one after another (or --jobs J); 1",
    )
    what("--results", default="results", metavar="DIR", help="where runs are kept")
    set_ = p.add_argument_group("settings").add_argument
    set_("--seed", type=int, metavar="N", help="left out: drawn; several runs take N, N+1, …")
    set_("--bind", nargs="+", action="extend", default=[], metavar="LINE", help=BIND)
    set_("--steps", type=int, metavar="N", help="environment steps")
    set_("--envs", type=int, metavar="N", help="copies of the environment")
    set_("--jobs", type=int, metavar="J", help=JOBS)
    set_("--device", metavar="NAME", help="auto, cpu or cuda:0")
    set_("--precision", choices=("auto", "fp32", "bf16"), help=PRECISION)
    set_("--wandb", choices=("online", "offline", "off"), help=WANDB)
    set_("--debug", action="store_true", help="show tracebacks")
    group = p.add_argument_group("runs that exist")
    again = group.add_mutually_exclusive_group().add_argument
    again("--resume", action="store_true", help="continue exactly where it stopped")
    again("--overwrite", action="store_true", help="begin again")
    runs = group.add_argument
    runs("--render", action="store_true", help=f"play {WATCHED} episodes in a window")
    runs("--record", action="store_true", help=f"play {RECORDED} episodes into videos/*.mp4")
    runs("--demonstrate", type=int, metavar="N", help="N greedy episodes into demonstrations/*.npy")
    runs("--record-data", type=int, metavar="N", help="N drawn episodes into a Minari data set")
    runs("--evaluate", type=int, metavar="N", help="N greedy episodes: mean and interval")
    runs("--memory", choices=("kept", "ablated"), default="kept", help=MEMORY)
    other = p.add_argument_group("other").add_argument
    other("--compare", metavar="SUITE", help="run a file in configs/suites/, and report on it")
    other("--report", nargs="?", const="", metavar="DIR", help=REPORT)
    other("--plot", nargs="*", metavar="PATH", help="curves and tables from results/")
    other("--list", action="store_true", help="the ids, algorithms, suites and configs there are")
    other("--print-config", action="store_true", help="every setting of the run and its origin")
    other("--check", metavar="ID", help="check an environment, its seeding included")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; gives the exit code."""
    asked = parser().parse_args(arguments)
    try:
        return dispatch(asked)
    except (Exception, KeyboardInterrupt, SystemExit, errors.CallTimeout) as error:
        # Where every fault becomes a line and a code. Only other people's code ends a program.
        if asked.debug:
            traceback.print_exc()
        print(f"launch.py: {complaint(error)}", file=sys.stderr)
        return exit_code(error)


def exit_code(error: BaseException) -> int:
    """What launch.py leaves with; 1 for what it does not know."""
    known = (
        (errors.Stopped, 128 + getattr(error, "number", 0)),
        (KeyboardInterrupt, 130),
        ((errors.DivergedError, errors.NoUpdateError), 3),
        (errors.NoCheckpointError, 4),
        (errors.RunLockedError, 5),
        ((errors.EnvironmentFault, errors.CallTimeout, SystemExit), errors.FAULT),
        (OSError, 7),
        ((ValueError, TypeError, ImportError), 2),
    )
    return next((code for kind, code in known if isinstance(error, kind)), 1)


def complaint(error: BaseException) -> str:
    """The line for an error."""
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "stopped"
    if isinstance(error, SystemExit):
        return f"an environment, or a module of yours, ended the program by exit({error.code!r})"
    line = (str(error) or type(error).__name__).splitlines()[0]
    if exit_code(error) != 1:
        return line
    return f"{type(error).__name__}: {line}; a bug in offpcc; --debug shows where"


def dispatch(asked: argparse.Namespace) -> int:
    """Chooses what to do. Heavy imports wait until they are needed."""
    if asked.plot is not None:
        return plot(asked)
    import domains

    if asked.list:
        return list_all(domains.HIDDEN)
    for env in filter(None, (asked.env, asked.check)):
        with suppress(ValueError):  # not one of ours: whether there is such an id is asked later
            domains.harder(env)
    if asked.compare or asked.report is not None:
        return compare(asked)
    return check(asked.check) if asked.check else runs(asked)


def plot(asked: argparse.Namespace) -> int:
    """Draws what there is to compare."""
    from offpcc.compare.plot import plot

    paths = [Path(path) for path in asked.plot or [asked.results]]
    for file in plot(paths, Path(asked.results) / "plots"):
        print(file)
    return 0


def list_all(hidden: dict[str, str]) -> int:
    """Prints the catalog."""
    from offpcc.config import catalog

    print("environments (any other gymnasium id works, too), and what is hidden from the agent")
    width = max(map(len, hidden))
    for name, what in hidden.items():
        print(f"  {name:{width}s}  {what}")
    print("\nalgorithms\n  " + " ".join(catalog.algorithms()))
    print("\nsuites\n  " + " ".join(catalog.suites()))
    print("\nconfigs\n  " + "\n  ".join(catalog.configs()))
    return 0


def check(env: str) -> int:
    """Prints what the checks of a world say; 6 if one fails."""
    from offpcc.config import catalog

    catalog.check_id(env)
    from offpcc.envs.checker import check_world

    said = check_world(env)
    for what, verdict in said.items():
        print(f"{what}: {verdict}")
    return 6 if any(verdict.startswith("NO") for verdict in said.values()) else 0


def compare(asked: argparse.Namespace) -> int:
    """Trains what a suite lacks and reports on it; the first failure's exit code, or 0."""
    import domains
    from offpcc.compare.archive import keep_rows
    from offpcc.compare.report import report
    from offpcc.compare.suite import read_suite

    check_jobs(asked)
    if not asked.compare:
        raise ValueError("--report goes with --compare SUITE")
    refuse_settings(asked)
    suite = read_suite(asked.compare)
    for entry in suite.entries:
        with suppress(ValueError):  # as above
            domains.harder(entry.env)
    bind = [] if asked.device is None else [f"device = {asked.device!r}"]
    runs = Path(asked.results) / "compared"  # apart from one's own, which may have the same names
    planned = suite.plan(bind, results=runs, wandb=asked.wandb)
    folder = Path(asked.report or Path(asked.results) / "suites" / suite.name)
    rows, code = folder / "rows", 0
    if not asked.report:
        from offpcc.compare.train import refuse_others, train

        refuse_others(planned, rows)
        try:
            if asked.report is None:
                code = train(planned, asked.jobs or 1, rows, ["--debug"] if asked.debug else [])
        finally:  # what has finished is kept, however the rest ends
            kept = keep_rows(planned, rows)
        if not kept:
            print(f"no run of {suite.name} has finished: there is no report", file=sys.stderr)
            return code or 2
    for file in report(suite, planned, folder):
        print(file)
    if planned[0].request.wandb != "off":
        from offpcc.compare.train import show

        show(suite, planned[0], folder)
    return code


def refuse_settings(asked: argparse.Namespace) -> None:
    """Raises ValueError for a flag whose place is a suite's file."""
    free = {"compare", "report", "results", "jobs", "device", "wandb", "debug"}
    plain = vars(parser().parse_args([]))
    for name, value in plain.items():
        if name not in free and getattr(asked, name) != value:
            raise ValueError(f"--{name} does not go with --compare; the suite's file says it")


def check_jobs(asked: argparse.Namespace) -> None:
    """Raises ValueError for no jobs."""
    if asked.jobs is not None and asked.jobs < 1:
        raise ValueError(f"--jobs {asked.jobs}: it must be at least 1")


def runs(asked: argparse.Namespace) -> int:
    """Trains or plays each run id in turn, once all of them are found to be in order."""
    for flag in ("evaluate", "demonstrate", "record_data"):
        episodes = getattr(asked, flag)
        if episodes is not None and episodes < 1:
            named = f"--{flag.replace('_', '-')} {episodes}"
            raise ValueError(f"{named}: it must be at least 1 episode")
    if asked.memory == "ablated" and asked.evaluate is None:
        raise ValueError("--memory ablated goes with --evaluate N")
    check_jobs(asked)
    playing = plays(asked)
    if playing and asked.jobs:
        raise ValueError("--jobs is for training; trained runs are played one after another")
    asked_for = requests(asked)
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
    if asked.jobs:
        return side_by_side(asked, asked_for)
    for request in asked_for:
        if playing:
            play(asked, request.folder.path)
        else:
            train(asked, request)
    return 0


def plays(asked: argparse.Namespace) -> bool:
    """Whether trained runs are played; else they are trained."""
    ways = (asked.render, asked.record, asked.evaluate, asked.demonstrate, asked.record_data)
    return any(ways)


def side_by_side(asked: argparse.Namespace, asked_for: "list[RunSpec]") -> int:
    """Trains several runs at a time; the exit code of the first that fails, or 0."""
    from offpcc.runs import jobs

    flags = [f"--{name}" for name in ("overwrite", "debug") if getattr(asked, name)]
    again = continued(asked, asked_for)
    todo = [
        jobs.Job(each, (*flags, *(["--resume"] if each in again else []))) for each in asked_for
    ]
    return jobs.run(todo, asked.jobs)


def continued(asked: argparse.Namespace, asked_for: "list[RunSpec]") -> "list[RunSpec]":
    """Those that --resume continues: all, but of several jobs some may not have begun."""
    there = [request for request in asked_for if request.folder.exists]
    return (there if asked.jobs and there else asked_for) if asked.resume else []


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
    macros = {"steps": asked.steps, "num_envs": asked.envs}
    macros |= {"device": asked.device, "precision": asked.precision}
    common = [f"{name} = {value!r}" for name, value in macros.items() if value is not None]
    return [
        RunSpec(
            asked.env, asked.algo, run_id=run_id, config=asked.config,
            bind=[*common, *asked.bind], results=asked.results, wandb=asked.wandb,
            seed=None if asked.seed is None else asked.seed + count,
        )
        for count, run_id in enumerate(asked.run_id)
    ]  # fmt: skip


def train(asked: argparse.Namespace, request: "RunSpec") -> None:
    """Begins or continues one run."""
    from offpcc.runs.experiment import begin, proceed

    folder = proceed(request) if asked.resume else begin(request, asked.overwrite)
    final = folder.read()["final"]
    line = f"{folder.path}: {final['env_steps']:.0f} steps in {final['seconds']:.0f} s"
    if "test_return" in final:
        line += f", return {final['test_return']:.1f} ± {final['test_return_se']:.1f}"
    print(line)


def play(asked: argparse.Namespace, path: Path) -> None:
    """Plays one trained run."""
    from offpcc.deploy import play

    if asked.evaluate:
        play.evaluate(path, asked.evaluate, ablated=asked.memory == "ablated")
    if asked.demonstrate:
        from offpcc.deploy.demonstrate import demonstrate

        print(demonstrate(path, asked.demonstrate))
    if asked.record_data:
        from offpcc.deploy.demonstrate import record_data

        print(record_data(path, asked.record_data))
    window = asked.render and play.has_display()
    if window:
        play.watch(path, WATCHED)
    elif asked.render:
        print("there is no display to open a window on; recording videos instead")
    if asked.record or (asked.render and not window):
        play.record(path, RECORDED)


def script() -> int:
    """What the process does: main(), in a worker that it observes if an environment is played."""
    from offpcc.processes import streams

    streams.tolerate_write_errors()
    asked = parser().parse_args()
    if os.name != "posix":
        return main()
    from offpcc.processes import supervisor

    elsewhere = (asked.list, asked.compare, asked.report is not None, asked.plot is not None)
    plain = any(elsewhere) or asked.jobs or asked.print_config
    observed = bool(asked.check or asked.env) and not plain
    return supervisor.run(main, observed, "" if asked.check or plays(asked) else "--resume")


if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # where modules of one's own are looked for, too
    sys.exit(script())
