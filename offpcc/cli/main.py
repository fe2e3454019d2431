"""The entry point: from arguments to an exit code."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from offpcc import errors
from offpcc.cli.parser import parser
from offpcc.cli.play import plays
from offpcc.cli.starter import by_jobs
from offpcc.config.locations import CHECKOUT, program


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments say; gives the exit code."""
    asked = parser().parse_args(arguments)
    try:
        return dispatch(asked)
    except (Exception, KeyboardInterrupt, SystemExit, errors.CallTimeout) as error:
        # Where every fault becomes a line and a code. Only other people's code ends a program.
        if asked.debug:
            traceback.print_exc()
        print(f"{program()}: {complaint(error)}", file=sys.stderr)
        return exit_code(error)


def exit_code(error: BaseException) -> int:
    """The exit code for an error; 1 for an unknown one."""
    known = (
        (errors.Stopped, 128 + getattr(error, "number", 0)),
        (KeyboardInterrupt, 130),
        ((errors.DivergedError, errors.NoUpdateError), 3),
        (errors.NoCheckpointError, 4),
        (errors.RunLockedError, 5),
        ((errors.EnvironmentFault, errors.CallTimeout, SystemExit), errors.FAULT),
        (OSError, 7),
        (errors.ExportMismatch, 8),
        (errors.WorkersLostError, errors.LOST_TOO_OFTEN),
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
    if asked.status is not None:
        from offpcc.cli.status import status

        return status(asked)
    if asked.plot is not None:
        from offpcc.cli.compare import plot

        return plot(asked)
    if asked.list:
        from offpcc.cli.catalog import list_all

        return list_all()
    if asked.compare or asked.report is not None:
        from offpcc.cli.compare import compare

        return compare(asked)
    if asked.tune or asked.trial is not None:
        from offpcc.cli.tune import tune

        return tune(asked)
    if asked.check:
        from offpcc.cli.catalog import check

        return check(asked.check)
    from offpcc.cli.runs import runs

    return runs(asked)


def script() -> int:
    """What the process does: main(), in a worker that it observes if an environment is played."""
    from offpcc.processes import streams

    search_working_folder_last()
    streams.tolerate_write_errors()
    asked = parser().parse_args()
    if os.name != "posix":
        return main()
    from offpcc.processes import supervisor

    tables = (asked.report, asked.plot, asked.status)
    elsewhere = (asked.list, asked.compare, *(each is not None for each in tables))
    plain = any((*elsewhere, by_jobs(asked), asked.print_config, asked.tune))
    trial = asked.trial is not None
    observed = trial or (bool(asked.check or asked.env) and not plain)
    if trial:
        return supervisor.run(main, observed, record=partial(record_trial_fault, asked))
    if asked.check or plays(asked):
        return supervisor.run(main, observed)
    return supervisor.run(main, observed, "--resume", partial(record_fault, asked))


def record_fault(asked: argparse.Namespace, process: int, fault: str) -> None:
    """Records, in the run that a process worked on, that its environment ended it."""
    from offpcc.cli.runs import requests

    for request in requests(asked):
        request.folder.record_fault(process, fault)


def record_trial_fault(asked: argparse.Namespace, process: int, fault: str) -> None:
    """Records the same in the run of a search's trial; of several seeds, in the one at work."""
    from offpcc.storage.run_folder import RunFolder

    search = Path(asked.results) / "tune" / Path(asked.tune).stem
    for name in (f"{asked.trial}", f"{asked.trial}-*"):
        for path in search.glob(f"*/*/{name}"):
            RunFolder(path).record_fault(process, fault)


def search_working_folder_last() -> None:
    """Modules of the user's are found in the working folder, but hide no installed package.

    The checkout, which Python puts first for launch.py, comes even later: its folders hide none of
    the user's.
    """
    here = str(Path.cwd())
    first = [sys.path.pop(0)] if sys.path[0] in (here, str(CHECKOUT)) else []
    sys.path += dict.fromkeys([here, *first])
