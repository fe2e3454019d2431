"""The command line as `python -m offpcc`."""

import sys

from offpcc.cli.main import script

if __name__ == "__main__":
    sys.exit(script())
