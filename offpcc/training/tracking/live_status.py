"""LiveStatus: the latest line of each of several runs, updated in place on a terminal."""

import re
import shutil
import sys

ROW = re.compile(r"\d+ / \d+ steps, ")  # as `Progress` writes an epoch's line


class LiveStatus:
    """For the person who waits for several runs.

    On a terminal, the newest row of each run at work stands below all else that runs say;
    elsewhere every line is printed, behind the run's name.
    """

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._rows: dict[str, str] = {}  # of the runs at work
        self._drawn = 0  # lines

    def begin(self, name: str) -> None:
        """A run has started."""
        self._rows[name] = "starts"
        self._draw()

    def tell(self, name: str, line: str) -> None:
        """A run has said a line."""
        if self._shown and ROW.match(line):
            self._rows[name] = line
        else:
            self._clear()
            print(f"{name}: {line}", flush=True)
        self._draw()

    def end(self, name: str) -> None:
        """A run is at work no more."""
        del self._rows[name]
        self._draw()

    def _draw(self) -> None:
        self._clear()
        if self._shown:
            width = shutil.get_terminal_size().columns - 1
            for name, row in self._rows.items():
                print(f"{name}: {row}"[:width], file=sys.stderr)
            sys.stderr.flush()
            self._drawn = len(self._rows)

    def _clear(self) -> None:
        if self._drawn:
            print(f"\x1b[{self._drawn}F\x1b[J", end="", file=sys.stderr, flush=True)
            self._drawn = 0
