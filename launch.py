#!/usr/bin/env python
"""Trains an agent, continues a run, plays a trained one, or compares results; see --help."""

import sys
from pathlib import Path

from offpcc.cli.main import main, script

__all__ = ["main"]

if __name__ == "__main__":
    sys.path.append(str(Path.cwd()))  # where modules of one's own are looked for, too
    sys.exit(script())
