"""Notices: lines on what is no fault but may spoil a run, each said once in a process."""

import sys

_said: set[str] = set()


def say_once(about: str, line: str) -> None:
    """Prints a line, unless something was said about the same before."""
    if about not in _said:
        _said.add(about)
        print(line, file=sys.stderr, flush=True)
