"""Outcome: the result of one step of one copy, read from what the environment returned."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from offpcc.data import Observation
from offpcc.envs.values import FLOAT32_MAX, SpaceError, finite, flag, numbers, scalar, shortened

RESET = ("observation", "info")
STEP = ("observation", "reward", "terminated", "truncated", "info")
UNFIT = set(',"\r\n')  # in the name of a column


class Outcome(NamedTuple):
    """What a step of one copy came to."""

    seen: Observation
    reward: float
    terminated: bool
    truncated: bool
    success: bool | None = None  # None: the environment did not say
    reward_terms: Mapping[str, float] = {}  # what the reward is the sum of, where it says

    @property
    def ended(self) -> bool:
        """Whether this was the episode's last step."""
        return self.terminated or self.truncated


def parts_of(call: str, given: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """What a call gave, one for each name; the last is an info.

    Raises SpaceError for another number of them, and for an info that is no mapping.
    """
    if not isinstance(given, tuple) or len(given) != len(names):
        count = f"{len(given)} values" if isinstance(given, tuple) else shortened(repr(given))
        raise SpaceError(f"{call} gave {count}; gymnasium's gives {', '.join(names)}")
    if not isinstance(given[-1], Mapping):
        raise SpaceError(f"info is {shortened(repr(given[-1]))}; it is a mapping")
    return given


def step_of(given: Any) -> tuple[Any, float, bool, bool, Mapping[str, Any]]:
    """Observation, reward, terminated, truncated and info of what a step gave.

    Raises SpaceError; the observation is not looked at.
    """
    observation, reward, terminated, truncated, info = parts_of("step", given, STEP)
    return (
        observation,
        finite("reward", reward),
        flag("terminated", terminated),
        flag("truncated", truncated),
        info,
    )


def success_of(info: Mapping[str, Any]) -> bool | None:
    """`success`, else `is_success`; None where neither is given, or it is NaN, which is unknown."""
    for name in ("success", "is_success"):
        if (value := info.get(name)) is not None:
            number = scalar(name, value)
            return None if np.isnan(number) else bool(number)
    return None


def either(one: bool | None, other: bool | None) -> bool | None:
    """Whether either is a success; None where neither is known."""
    return other if one is None else one or bool(other)


def terms_of(info: Mapping[str, Any]) -> dict[str, float]:
    """The terms of the reward by name, `info["rewards"]`. Raises SpaceError."""
    given = info.get("rewards")
    if not isinstance(given, Mapping):
        return {}
    for name in given:
        check_name(name)
    return {name: finite(f"the reward's term {name!r}", value) for name, value in given.items()}


@cache
def check_name(name: object) -> None:
    """Raises SpaceError for the name of a reward's term that cannot head a column."""
    if not isinstance(name, str) or not name or UNFIT & set(name):
        raise SpaceError(
            f"the reward's term {name!r} cannot head a column; a name is a text without comma, "
            "quote and line break"
        )


def steps_of(given: Any, count: int) -> tuple[Any, np.ndarray, list[bool], list[bool], Any]:
    """The same of a vector environment's step: rewards (n,), and what ended, by copy."""
    observation, rewards, terminated, truncated, info = parts_of("step", given, STEP)
    reward = _column("reward", rewards, count)
    _refuse_infinite("reward", reward)
    ends = _column("terminated", terminated, count), _column("truncated", truncated, count)
    return observation, reward, ends[0].astype(bool).tolist(), ends[1].astype(bool).tolist(), info


def infos_of(
    info: Mapping[str, Any], count: int
) -> tuple[list[bool | None], list[dict[str, float]]]:
    """Success and the reward's terms of each copy. Raises SpaceError.

    `_success`, where it is there, says whose success is given.
    """
    success: list[bool | None] = [None] * count
    for name in ("is_success", "success"):
        if (values := info.get(name)) is not None:
            column = _column(name, values, count)
            known = np.asarray(info.get(f"_{name}", True)) & ~np.isnan(column)
            for copy in np.flatnonzero(np.broadcast_to(known, (count,))):
                success[copy] = bool(column[copy])
    terms: list[dict[str, float]] = [{} for _ in range(count)]
    given = info.get("rewards")
    for name, values in given.items() if isinstance(given, Mapping) else ():
        if str(name).startswith("_"):  # says whose `name` is given
            continue
        check_name(name)
        about = f"the reward's term {name!r}"
        column = _column(about, values, count)
        _refuse_infinite(about, column)
        for own, value in zip(terms, column.tolist(), strict=True):
            own[name] = value
    return success, terms


def _column(name: str, values: Any, count: int) -> np.ndarray:
    """One number for each of n copies, (n,). Raises SpaceError for another shape."""
    array = numbers(name, values)
    if array.shape not in ((count,), (count, 1)):
        raise SpaceError(f"{name} has shape {array.shape}; it is one number a copy, ({count},)")
    return array.reshape(count).astype(np.float64)


def _refuse_infinite(name: str, column: np.ndarray) -> None:
    fits = np.abs(column) <= FLOAT32_MAX
    if not fits.all():
        copy = int(np.flatnonzero(~fits)[0])
        raise SpaceError(f"{name} is {column[copy]}", copy)
