"""Names: hints to those that may have been meant."""

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 12  # names that are listed where none is near


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint to put behind a complaint: the names that come near, or all if they are few."""
    known = sorted(names)
    if found := get_close_matches(name, known, 3, 0.5):
        return f"; did you mean {' or '.join(found)}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= FEW else ""
