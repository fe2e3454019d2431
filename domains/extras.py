"""Packages that only some domains need, and what to do where one is missing."""

import platform
import sys

NEWEST = {"bullet": (3, 11), "dmc": (3, 12)}  # the last Python for which an extra has all wheels


def missing(package: str, extra: str) -> str:
    """What to say where a package of one of our extras cannot be imported."""
    newest, way = NEWEST[extra], f"pip install 'offpcc[{extra}]'"
    if sys.version_info[:2] <= newest:
        return f"it needs {package}; {way}"
    last = ".".join(map(str, newest))
    return (
        f"it needs {package}, which has no wheels for Python {platform.python_version()}; "
        f"use Python {last}, and there {way}"
    )
