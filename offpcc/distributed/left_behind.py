"""Ends what Ray leaves behind where the process that started it was killed; run as a script.

Two of Ray's processes wait a minute for the others, which end with the one that started them.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from offpcc.processes.lifeline import Lifeline, inherited

SCRIPT = f"""
import runpy, sys
sys.path[:] = sys.argv[1:]
runpy.run_module({__name__!r}, run_name="__main__")
"""
SELDOM = 30.0  # seconds between two looks at which processes there are, in the long run
GRACE = 2.0  # seconds that they have to end by themselves


@contextmanager
def ended_with_this_process() -> Iterator[None]:
    """Inside, if this process is killed, those of Ray's that it has started end soon after."""
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    with Lifeline() as lifeline:
        watcher = lifeline.start([sys.executable, "-c", SCRIPT, *sys.path], os.environ, **nowhere)
        try:
            yield
        finally:
            watcher.kill()
            watcher.wait()


def main() -> None:
    """Watches the parent until it ends, then kills what is left."""
    lifeline, parent = inherited(), psutil.Process(os.getppid())
    assert lifeline is not None
    found, wait = set[psutil.Process](), 0.5
    while not select.select([lifeline], [], [], wait)[0]:
        with suppress(psutil.Error):
            found |= {p for p in parent.children(recursive=True) if p.name().startswith("ray::")}
        wait = min(1.2 * wait, SELDOM)
    time.sleep(GRACE)
    for process in found:
        with suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main()
