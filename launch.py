#!/usr/bin/env python
"""The command line of a checkout, the same as `offpcc` of an installed package; see --help."""

import sys

from offpcc.cli.main import main, script

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(script())
