"""Tables of TOML files, checked against the dataclasses that they are to become."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

from offpcc.config.names import nearest
from offpcc.config.ranges import complaint
from offpcc.config.type_check import in_words, matches


def checked_fields(kind: type, table: Mapping[str, Any], where: str, **ours: Any) -> dict[str, Any]:
    """The table as keyword arguments of a dataclass, with ours, which are not for the file.

    where: the place to name in complaints. Raises ValueError for a key that is unknown, missing,
    mistyped or out of range.
    """
    known = {each.name: each for each in fields(kind) if each.name not in ours}
    if unknown := sorted(table.keys() - known.keys()):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}{nearest(unknown[0], known)}")
    missing = [name for name in known if _needed(known[name]) and name not in table]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    types = get_type_hints(kind, include_extras=True)
    for name, value in table.items():
        if not matches(value, types[name], {}):
            wanted = in_words(value, types[name])
            raise ValueError(f"{where}: {name} is {value!r}, which is not {wanted}")
        if wrong := complaint(value, types[name]):
            raise ValueError(f"{where}: {name} is {value!r}; {wrong}")
    return {**table, **ours}


def _needed(key: Field[Any]) -> bool:
    return key.default is MISSING and key.default_factory is MISSING
