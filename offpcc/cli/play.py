"""Trained runs: played, recorded, evaluated, demonstrated."""

import argparse
from pathlib import Path

from offpcc.cli.parser import RECORDED, WATCHED


def plays(asked: argparse.Namespace) -> bool:
    """Whether trained runs are played; else they are trained."""
    ways = (asked.render, asked.record, asked.evaluate, asked.demonstrate, asked.record_data)
    return any(ways) or bool(asked.export)


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
    if asked.export:
        from offpcc.deploy.export.export import export

        export(
            path,
            format=asked.export,
            best=asked.best,
            batch=asked.export_batch,
            previous_action=asked.export_previous,
        )
    window = asked.render and play.has_display()
    if window:
        play.watch(path, WATCHED)
    elif asked.render:
        print("there is no display to open a window on; recording videos instead")
    if asked.record or (asked.render and not window):
        play.record(path, RECORDED)
