"""Notices: lines on what is no fault but may spoil a run, each said once in a process."""

import sys

_said: set[str] = set()
_collected: list[tuple[str, str]] | None = None  # where lines go in a process that says none itself


def say_once(about: str, line: str) -> None:
    """Prints a line, unless something was said about the same before."""
    if about in _said:
        return
    _said.add(about)
    if _collected is None:
        print(line, file=sys.stderr, flush=True)
    else:
        _collected.append((about, line))


def collect() -> None:
    """From now on lines are collected, for the parent process to say: `take` gives them."""
    global _collected
    _collected = []


def take() -> list[tuple[str, str]]:
    """The arguments of `say_once` that were collected since the last time, none if none are."""
    taken = list(_collected or ())
    if _collected:
        _collected.clear()
    return taken
