"""Props: the floor, what lies on it and what is drawn on it, as URDF."""

from functools import cache

from .urdf import (
    FLOOR,
    HIDDEN,
    LIMIT,
    STEEL,
    Colour,
    Link,
    box,
    cylinder,
    plane,
    sphere,
    urdf,
)

GROUND = -0.001  # z of the floor, m
RAIL = 0.0001, 1.0, 0.0001  # sizes of a rail, m


@cache
def floor() -> str:
    """Return the floor."""
    seen = box((1.6, 1.6, 0.001), (0.0, 0.0, -0.0005))
    return urdf("floor", [Link("floor", seen=[seen], solid=[plane()], colour=FLOOR, friction=1.0)])


@cache
def mark(colour: Colour) -> str:
    """Return a line on the floor, along x."""
    return urdf("mark", [Link("mark", seen=[box((0.2, 0.006, 0.002))], colour=colour)])


@cache
def dome(width: float) -> str:
    """Return a bump, as wide as high: a stump of a cylinder, and on it the upper half of a ball.

    An inertia of 1 kg m² keeps it from tipping and turning.
    """
    radius = width / 2
    stump = cylinder(radius, radius, (0.0, 0.0, radius / 2))
    shapes = (stump, sphere(radius, (0.0, 0.0, radius)))
    bump = Link("bump", 0.1, 1.0, shapes, shapes, HIDDEN, friction=0.2, rolling=1e-4)
    return urdf("bump", [bump])


@cache
def rail() -> str:
    """Return a rail along y that keeps a bump on its line."""
    return urdf("rail", [Link("rail", seen=[box(RAIL)], solid=[box(RAIL)], colour=LIMIT)])


@cache
def holder(height: float) -> str:
    """Return what plates are on, narrower than they are, from the floor up."""
    stand = cylinder(0.05, height, (0.0, 0.0, height / 2))
    return urdf("holder", [Link("holder", seen=[stand], solid=[stand], colour=STEEL)])


@cache
def plate(radius: float, thickness: float) -> str:
    """Return a plate that nothing moves."""
    disc = cylinder(radius, thickness)
    return urdf("plate", [Link("plate", 0.0, 0.0, [disc], [disc], HIDDEN, friction=0.2)])
