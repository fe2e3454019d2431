#!/usr/bin/env python
"""Trains an agent, continues a run, plays a trained one, or compares results; see --help."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

EXAMPLES = """examples:
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 1
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 1 --render
  python launch.py --env pendulum-p-v0 --algo rsac --run_id 2 --bind 'SAC.discount = 0.95'
  python launch.py --plot results/pendulum-p-v0

exit codes: 0 done, 2 usage or config, 3 diverged, 4 no valid checkpoint, 5 run locked,
6 environment fault, 7 storage fault, 130 or 143 stopped by a signal (continue with --resume)"""

DOMAIN_CONFIG = "left out: the file in configs/domains/ with the longest name that begins the id"
WANDB = "left out: online if OFFPCC_WANDB_PROJECT is set, else off"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        description="Reinforcement learning for agents that must remember.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = p.add_argument_group("what to run").add_argument
    what("--env", metavar="ID", help="a gymnasium id; module:Id-v0 imports module first")
    what("--algo", metavar="NAME", help="a file in configs/algorithms/")
    what("--config", metavar="FILE", help="gin, on top of the algorithm's; " + DOMAIN_CONFIG)
    what("--run_id", nargs="+", default=["1"], metavar="K", help="runs, one after another; 1")
    what("--results", default="results", metavar="DIR", help="where runs are kept")
    set_ = p.add_argument_group("settings").add_argument
    set_("--seed", type=int, metavar="N", help="left out: drawn; several runs take N, N+1, …")
    set_("--bind", action="append", default=[], metavar="LINE", help="gin, on top of everything")
    set_("--steps", type=int, metavar="N", help="environment steps")
    set_("--envs", type=int, metavar="N", help="copies of the environment")
    set_("--device", metavar="NAME", help="auto, cpu or cuda:0")
    set_("--precision", choices=("fp32", "bf16"), help="of an update's passes")
    set_("--wandb", choices=("online", "offline", "off"), help=WANDB)
    set_("--debug", action="store_true", help="show tracebacks")
    runs = p.add_argument_group("runs that exist").add_argument
    runs("--resume", action="store_true", help="continue exactly where it stopped")
    runs("--overwrite", action="store_true", help="begin again")
    runs("--render", action="store_true", help="play 10 episodes in a window")
    runs("--record", action="store_true", help="play 3 episodes into videos/*.mp4")
    runs("--evaluate", type=int, metavar="N", help="N greedy episodes: mean and interval")
    other = p.add_argument_group("other").add_argument
    other("--plot", nargs="*", metavar="PATH", help="curves and tables from results/")
    other("--list", action="store_true", help="the ids, algorithms and configs there are")
    other("--check", metavar="ID", help="check an environment, its seeding included")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; gives the exit code."""
    asked = parser().parse_args(arguments)
    try:
        return dispatch(asked)
    except Exception as error:  # the one place where every fault becomes a line and a code
        code = exit_code(error)
        if asked.debug or code is None:
            raise
        print(f"launch.py: {str(error).splitlines()[0]}", file=sys.stderr)
        return code


def exit_code(error: Exception) -> int | None:
    """What launch.py leaves with; None for what it does not know."""
    import offpcc.faults as faults

    known = (
        (faults.Stopped, 128 + getattr(error, "number", 0)),
        (faults.DivergedError, 3),
        (faults.NoCheckpointError, 4),
        (faults.RunLockedError, 5),
        (faults.WorldFault, 6),
        (OSError, 7),
        ((ValueError, TypeError, ImportError), 2),
    )
    return next((code for kind, code in known if isinstance(error, kind)), None)


def dispatch(asked: argparse.Namespace) -> int:
    """Chooses what to do. Heavy imports wait until they are needed."""
    if asked.plot is not None:
        from offpcc.plot import plot

        paths = [Path(path) for path in asked.plot or [asked.results]]
        for file in plot(paths, Path(asked.results) / "plots"):
            print(file)
        return 0
    import domains

    if asked.list:
        return list_all(domains.HIDDEN)
    if asked.check:
        from offpcc.check import check_world

        lines = check_world(asked.check)
        print("\n".join(lines))
        return int(any(": NO" in line for line in lines))
    return runs(asked)


def list_all(hidden: dict[str, str]) -> int:
    """Prints the catalog."""
    from offpcc import catalog

    print("environments (any other gymnasium id works, too), and what is hidden from the agent")
    for name, what in hidden.items():
        print(f"  {name:34s} {what}")
    print("\nalgorithms\n  " + " ".join(catalog.algorithms()))
    print("\nconfigs")
    for path in sorted(catalog.CONFIGS.glob("*/*.gin")):
        if path.parent.name != "algorithms":
            print(f"  {path.relative_to(catalog.CONFIGS.parent)}")
    return 0


def runs(asked: argparse.Namespace) -> int:
    """Trains or plays each run id in turn."""
    from offpcc import catalog

    if not (asked.env and asked.algo):
        raise ValueError("--env and --algo are needed; --list shows what there is")
    catalog.check_id(asked.env)
    catalog.algorithm_file(asked.algo)
    if asked.config and not Path(asked.config).exists():
        raise ValueError(f"there is no config {asked.config}")
    for count, run_id in enumerate(asked.run_id):
        if asked.render or asked.record or asked.evaluate:
            play(asked, run_id)
        else:
            train(asked, run_id, None if asked.seed is None else asked.seed + count)
    return 0


def train(asked: argparse.Namespace, run_id: str, seed: int | None) -> None:
    """Begins or continues one run."""
    from offpcc.experiment import run

    macros = {"copies": asked.envs, "device": asked.device, "precision": asked.precision}
    common = [f"{name} = {value!r}" for name, value in macros.items() if value is not None]
    wandb = asked.wandb or ("online" if os.environ.get("OFFPCC_WANDB_PROJECT") else "off")
    folder = run(
        asked.env, asked.algo, steps=asked.steps, resume=asked.resume, overwrite=asked.overwrite,
        run_id=run_id, config=asked.config, bind=[*common, *asked.bind], seed=seed,
        results=asked.results, wandb=wandb,
    )  # fmt: skip
    final = folder.read()["final"]
    print(f"{folder.path}: return {final['test_return']:.1f} ± {final['test_return_se']:.1f} "
          f"after {final['env_steps']:.0f} steps and {final['seconds']:.0f} s")  # fmt: skip


def play(asked: argparse.Namespace, run_id: str) -> None:
    """Plays one trained run."""
    from offpcc import play
    from offpcc.experiment import Run

    folder = Run(asked.env, asked.algo, run_id=run_id, results=asked.results).folder
    folder.read()
    if asked.evaluate:
        print(play.evaluate_run(folder.path, asked.evaluate))
    if asked.render and play.has_display():
        play.watch(folder.path, 10)
    elif asked.render:
        print("there is no display to open a window on; recording videos instead")
    if asked.record or (asked.render and not play.has_display()):
        play.record(folder.path, 3)


if __name__ == "__main__":
    sys.exit(main())
