"""Flags of the command line, and their checks that need nothing else."""

import argparse
from difflib import get_close_matches
from typing import NoReturn

from offpcc.config.locations import program

EXAMPLES = """examples:
  {command} --env pendulum-p-v0 --algo rsac --run_id 1
  {command} --env pendulum-p-v0 --algo rsac --run_id 1 --render
  {command} --env pendulum-p-v0 --algo rsac --run_id 2 --bind 'SAC.discount = 0.95'
  {command} --env pendulum-p-v0 --algo rsac --run_id 1 2 3 4 --seed 1 --jobs 2
  {command} --compare memory --jobs 2
  {command} --plot results/pendulum-p-v0
  {command} --status
  {command} --tune pendulum-p --jobs 2

exit codes: 0 done, 2 usage or config, 3 diverged or no update, 4 no valid checkpoint, 5 run locked,
6 environment fault, 7 storage fault, 8 an exported policy that differs from the run's, 9 a machine
or a worker that was lost again and again, 129, 130 or 143 stopped by SIGHUP, SIGINT or SIGTERM
(continue with --resume; a second signal, a second later, leaves at once)"""

DOMAIN_CONFIG = "default: the recipe in configs/domains/ with the longest name that begins the id"
ENV = "a gymnasium id; module:Id-v0 imports module first; or a class of it, as module:Class"
KWARGS = "what the environment's constructor is given, as gravity=3.7"
WRAPPER = "wrappers around the environment, the innermost first"
WANDB = "default: online if OFFPCC_WANDB_PROJECT or OFFPCC_WANDB_ENTITY is set, else off"
INIT_FROM = "start from the networks of an older run, as far as they fit; RUN: its folder"
BIND = "gin lines that override all files; each in quotes"
REPORT = "with --compare: train nothing, report on the runs in results/ or on the rows in DIR"
STATUS = "list the runs below DIR (default: --results): at work or not, steps, return, time left"
TUNE = "search settings: the ranges are in configs/tune/SPACE.toml, or in a file of your own"
JOBS = "runs to train at the same time, each in its own process on its share of the cores"
WORKERS = "processes that collect experience, each with --envs copies; needs the extra ray"
ASYNC = "with --envs: a process for each copy, which pays off if a step takes milliseconds"
RAY = "a Ray cluster for runs, or --workers: HOST:PORT, auto (this machine's), local (starts here)"
PART = "of --compare, or of several run ids: every N-th run from the I-th on, for N machines"
PRECISION = "of updates; auto: bf16 where the device has it and it is not slower"
MEMORY = "ablated: --evaluate also runs with the memory reset at every step, and compares"
EXPORT = "write the policy to export/, as a file that runs without offpcc; default: onnx"
PREVIOUS = "state: an exported policy keeps its own previous action; input: the robot measures it"
WATCHED, RECORDED = 10, 3  # episodes


class Parser(argparse.ArgumentParser):
    """One whose complaints are one line, with the nearest flags."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong and exits with 2."""
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if unknown and unknown[0].startswith("--"):
            near = get_close_matches(unknown[0], self._option_string_actions, 3)
            message += f"; did you mean {' or '.join(near)}?" if near else ""
        self.exit(2, f"{program()}: {message}; --help lists all flags\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    name = program()
    p = Parser(
        prog=name,
        description="Reinforcement learning for agents that must remember.",
        epilog=EXAMPLES.format(command="python launch.py" if name == "launch.py" else name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_run(p)
    _add_settings(p)
    _add_uses(p)
    _add_other(p)
    return p


def _add_run(p: Parser) -> None:
    """Which run."""
    what = p.add_argument_group("what to run").add_argument
    what("--env", metavar="ID", help=ENV)
    what("--env-kwargs", nargs="+", metavar="K=V", help=KWARGS)
    what("--wrapper", nargs="+", metavar="MODULE:CLASS", help=WRAPPER)
    what("--algo", metavar="NAME", help="a file in configs/algorithms/")
    what(
        "--config",
        metavar="FILE",
        help="a gin file that overrides the algorithm's; " + DOMAIN_CONFIG,
    )
    what(
        "--run_id",
        "--run-id",
        nargs="+",
        default=["1"],
        metavar="K",
        help="names of the runs, trained in turn (or --jobs J); default: 1",
    )
    what("--results", default="results", metavar="DIR", help="folder of all runs; default: results")


def _add_settings(p: Parser) -> None:
    """Its settings."""
    set_ = p.add_argument_group("settings").add_argument
    set_("--seed", type=int, metavar="N", help="default: random; several runs take N, N+1, …")
    set_("--bind", nargs="+", action="extend", default=[], metavar="LINE", help=BIND)
    set_("--init-from", metavar="RUN", help=INIT_FROM)
    set_("--steps", type=int, metavar="N", help="environment steps")
    set_("--envs", type=int, metavar="N", help="copies of the environment")
    set_("--async", action="store_true", help=ASYNC)
    set_("--workers", type=int, metavar="N", help=WORKERS)
    set_("--jobs", type=int, metavar="J", help=JOBS)
    set_("--ray", nargs="?", const="auto", metavar="ADDRESS", help=RAY)
    set_("--part", type=part_of, metavar="I/N", help=PART)
    set_("--device", metavar="NAME", help="auto, cpu or cuda:0")
    set_("--precision", choices=("auto", "fp32", "bf16"), help=PRECISION)
    set_("--wandb", choices=("online", "offline", "off"), help=WANDB)
    set_("--debug", action="store_true", help="show tracebacks")


def _add_uses(p: Parser) -> None:
    """What to do with runs that exist."""
    group = p.add_argument_group("runs that exist")
    again = group.add_mutually_exclusive_group().add_argument
    again("--resume", action="store_true", help="continue exactly where the run stopped")
    again("--overwrite", action="store_true", help="delete the run and start it again")
    runs = group.add_argument
    runs("--render", action="store_true", help=f"show {WATCHED} episodes in a window")
    runs("--record", action="store_true", help=f"record {RECORDED} episodes into videos/*.mp4")
    runs(
        "--demonstrate",
        type=int,
        metavar="N",
        help="write N greedy episodes to demonstrations/*.npy",
    )
    runs(
        "--record-data", type=int, metavar="N", help="write N sampled episodes to a Minari data set"
    )
    runs(
        "--evaluate",
        type=int,
        metavar="N",
        help="mean return of N greedy episodes, with its interval",
    )
    runs("--export", nargs="?", const="onnx", choices=("onnx", "torchscript"), help=EXPORT)
    runs("--best", action="store_true", help="with --export: the best policy, not the newest")
    runs("--export-batch", action="store_true", help="any number of rows, instead of one")
    runs("--export-previous", choices=("state", "input"), default="state", help=PREVIOUS)
    runs("--memory", choices=("intact", "ablated"), default="intact", help=MEMORY)


def _add_other(p: Parser) -> None:
    """What needs no run."""
    other = p.add_argument_group("other").add_argument
    other(
        "--compare", metavar="SUITE", help="train what a suite of configs/suites/ lacks, and report"
    )
    other("--report", nargs="?", const="", metavar="DIR", help=REPORT)
    other("--plot", nargs="*", metavar="PATH", help="draw learning curves and tables of runs")
    other("--status", nargs="*", metavar="DIR", help=STATUS)
    other("--tune", metavar="SPACE", help=TUNE)
    other("--trial", type=int, help=argparse.SUPPRESS)  # of --tune: makes this one alone
    other(
        "--list",
        action="store_true",
        help="list environments, algorithms, suites, spaces and configs",
    )
    other(
        "--print-config",
        action="store_true",
        help="print every setting and where its value is from",
    )
    other("--check", metavar="ID", help="check an environment and its seeding")


def refuse_settings(asked: argparse.Namespace) -> None:
    """Raises ValueError for a flag whose place is a suite's file."""
    free = {"compare", "report", "results", "jobs", "ray", "part", "device", "wandb", "debug"}
    if others := [name for name in given(asked) if name not in free]:
        flag = others[0].replace("_", "-")
        raise ValueError(f"--{flag} does not go with --compare; the suite's file says it")


def given(asked: argparse.Namespace) -> list[str]:
    """The names of the flags that say something else than their defaults."""
    plain = vars(parser().parse_args([]))
    return [name for name, value in plain.items() if getattr(asked, name) != value]


def part_of(text: str) -> slice:
    """The runs of part I/N in a list of all. Raises ArgumentTypeError for another text."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r}: it is written I/N, and I is from 1 to N")
    return slice(int(first) - 1, None, int(count))


def check_workers(asked: argparse.Namespace) -> None:
    """Raises ValueError for no workers, and for those of several runs."""
    if asked.workers is not None and asked.workers < 1:
        raise ValueError(f"--workers {asked.workers}: it must be at least 1")
    if asked.workers and (asked.jobs or len(asked.run_id) > 1):
        raise ValueError("--workers is for one run; several runs go side by side with --jobs")
