"""Values: numbers and flags that an environment returned, read or refused with a reason."""

from typing import Any

import numpy as np

FLOAT32_MAX = float(np.finfo(np.float32).max)


class SpaceError(ValueError):
    """What an environment gave is not of the space that it declared; row: which row of a batch."""

    def __init__(self, text: str, row: int = 0) -> None:
        super().__init__(text)
        self.row = row


def numbers(name: str, value: Any) -> np.ndarray:
    """An array of a value. Raises SpaceError for what does not consist of numbers."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise SpaceError(f"{name} is no array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise SpaceError(f"{name} is not of numbers: {shortened(repr(value))}")
    return array


def scalar(name: str, value: Any) -> float:
    """A number of shape () or (1,). Raises SpaceError for another shape, or no number."""
    if type(value) is float:
        return value
    array = numbers(name, value)
    if array.shape not in ((), (1,)):
        raise SpaceError(f"{name} has shape {array.shape}; it is one number")
    return float(array.reshape(()))


def check_bytes(name: str, array: np.ndarray, axes: int = 0) -> None:
    """Raises SpaceError for what is no array of whole numbers from 0 to 255.

    axes: how many of the first ones are those of a batch.
    """
    if array.dtype == np.uint8:
        return
    if array.dtype.kind not in "iu":
        raise SpaceError(f"{name} is of {array.dtype}; its space says uint8")
    beyond = (array < 0) | (array > 255)
    if beyond.any():
        row = first_row(beyond, axes)
        raise SpaceError(f"{name} has {array[beyond][0]}; uint8 is 0 to 255", row)


def finite(name: str, value: Any) -> float:
    """A number that float32 can hold. Raises SpaceError for what is not."""
    number = scalar(name, value)
    if not abs(number) <= FLOAT32_MAX:
        beyond = ", more than float32 can hold" if np.isfinite(number) else ""
        raise SpaceError(f"{name} is {number}{beyond}")
    return number


def flag(name: str, value: Any) -> bool:
    """A truth value of shape () or (1,). Raises SpaceError for another shape, or no number."""
    return value if type(value) is bool else bool(scalar(name, value))


def shortened(value: Any) -> str:
    """A value in one line that is not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:200]} …"


def first_row(wrong: np.ndarray, axes: int) -> int:
    """The first row of a batch in which something is wrong; 0 without a batch."""
    return int(np.argwhere(wrong)[0][0]) if axes else 0
