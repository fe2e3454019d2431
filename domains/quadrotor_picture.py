"""The quadrotor's picture: its room from the side and from above, next to each other."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Point

Vector = NDArray[np.float64]
Place = tuple[float, float, float]

# Of the rotors in the body's frame, in arms: 1 and 2 turn one way, 3 and 4 the other.
PLACES = np.array(((0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)))
SIDE, LOWERED = 5.9, 0.3  # a view's middle from the picture's, sideways and down, m
ARM = 0.9  # drawn several times longer than it is, to be seen in a room of 10 m
WALL = 5.0  # greatest |x|, m
PUSH = 2.5  # the longest arrow, m


class Craft(NamedTuple):
    """A quadrotor to draw."""

    place: Vector  # (3,) m, z down
    angles: Vector  # (3,) roll, pitch and yaw, rad
    pushes: Vector  # (4,) thrusts as parts of the greatest one
    rotors: Vector  # (4,) conditions, 0 where a rotor has failed


def attitude(roll: float, pitch: float, yaw: float) -> Vector:
    """Return the matrix (3, 3) that turns the body's frame into the room's."""
    (sf, cf), (st, ct), (sp, cp) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
    return np.array(
        (
            (ct * cp, sf * st * cp - cf * sp, cf * st * cp + sf * sp),
            (ct * sp, sf * st * sp + cf * cp, cf * st * sp - sf * cp),
            (-st, sf * ct, cf * ct),
        )
    )


def panel(
    canvas: Canvas, craft: Craft, goal: Place, *, down: int, heights: tuple[float, float]
) -> None:
    """Draw a view of the room: x to the right, the entry `down` of a point down.

    The side (`down` 2) is on the left. A dark disc is the front; a failed rotor has its own colour.
    """
    middle = -SIDE if down == 2 else SIDE

    def at(point: Vector | Place) -> Point:
        return middle + float(point[0]), -LOWERED - float(point[down])

    top, bottom = heights
    corners = ((-WALL, top), (WALL, top), (WALL, bottom), (-WALL, bottom), (-WALL, top))
    canvas.line([at((x, end, end)) for x, end in corners], "limit", 0.06)
    canvas.line([at(craft.place), at(goal)], "faint", 0.04)
    canvas.disc(at(goal), 0.22, "goal")
    turned = attitude(*craft.angles.tolist())
    ends = [craft.place + ARM * turned @ place for place in PLACES]
    for end in ends:
        canvas.line([at(craft.place), at(end)], "body", 0.12)
    canvas.disc(at(ends[2]), 0.13, "ink")
    for end, push, condition in zip(ends, craft.pushes.tolist(), craft.rotors, strict=True):
        if condition == 0:
            canvas.disc(at(end), 0.13, "hidden")
        canvas.arrow([at(end), at(end - PUSH * push * turned[:, 2])], "action", 0.07)
