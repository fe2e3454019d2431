"""Comparisons: suites of runs, their reports, and plots of any runs."""

import argparse
import sys
from pathlib import Path

from offpcc.cli.parser import refuse_settings
from offpcc.cli.starter import check_jobs, starter


def compare(asked: argparse.Namespace) -> int:
    """Trains what a suite lacks and reports on it; the first failure's exit code, or 0."""
    from offpcc.compare.archived_rows import keep_rows
    from offpcc.compare.report import report
    from offpcc.compare.suite import read_suite

    check_jobs(asked)
    if not asked.compare:
        raise ValueError("--report goes with --compare SUITE")
    refuse_settings(asked)
    suite = read_suite(asked.compare)
    bind = [] if asked.device is None else [f"device = {asked.device!r}"]
    runs = Path(asked.results) / "compared"  # apart from one's own, which may have the same names
    planned = suite.plan(bind, results=runs, wandb=asked.wandb)
    folder = Path(asked.report or Path(asked.results) / "suites" / suite.name)
    rows, code = folder / "rows", 0
    if asked.part and asked.report is not None:
        raise ValueError("--part trains a part of the runs; --report is of all of them")
    if not asked.report:
        from offpcc.compare.train import refuse_others, train

        refuse_others(planned, rows)
        ours = planned[asked.part] if asked.part else planned
        try:
            if asked.report is None:
                flags = ["--debug"] if asked.debug else []
                code = train(ours, starter(asked), rows, flags)
        finally:  # what has finished is kept, however the rest ends
            kept = keep_rows(ours, rows)
        if asked.part:
            print(f"--compare {asked.compare} without --part reports on all parts")
            return code
        if not kept:
            print(f"no run of {suite.name} has finished: there is no report", file=sys.stderr)
            return code or 2
    for file in report(suite, planned, folder):
        print(file)
    if planned[0].request.wandb != "off":
        from offpcc.compare.train import show

        show(suite, planned[0], folder)
    return code


def plot(asked: argparse.Namespace) -> int:
    """Draws what there is to compare."""
    from offpcc.compare.plot import plot

    paths = [Path(path) for path in asked.plot or [asked.results]]
    for file in plot(paths, Path(asked.results) / "plots"):
        print(file)
    return 0
