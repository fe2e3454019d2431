"""URDF, the language that PyBullet reads bodies in, written from primitive shapes.

Lengths are in m, masses in kg, angles in rad; a shape's place is in its link's frame, and a joint's
in that of its parent.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

Triple = tuple[float, float, float]
Colour = tuple[float, float, float, float]  # red, green, blue, opacity

ORIGIN = (0.0, 0.0, 0.0)

# By role, as on the canvas of the other environments.
STEEL: Colour = (0.72, 0.75, 0.78, 1.0)
BODY: Colour = (0.0, 0.447, 0.698, 1.0)
ACTION: Colour = (0.835, 0.369, 0.0, 1.0)
LIMIT: Colour = (0.902, 0.624, 0.0, 1.0)
GOAL: Colour = (0.0, 0.62, 0.451, 1.0)
HIDDEN: Colour = (0.667, 0.2, 0.467, 1.0)
FLOOR: Colour = (0.93, 0.93, 0.91, 1.0)


class Shape(NamedTuple):
    """A primitive shape, as URDF names it and its sizes."""

    kind: str
    sizes: dict[str, str]
    at: Triple = ORIGIN
    rpy: Triple = ORIGIN


class Link(NamedTuple):
    """A rigid body: its shapes are `seen`, or `solid` and so met by others, or both.

    Its middle of mass is at its origin, its `inertia` (kg m²) the same about every axis. One
    without mass, alone in its body, never moves.
    """

    name: str
    mass: float = 0.0
    inertia: float = 0.0
    seen: Sequence[Shape] = ()
    solid: Sequence[Shape] = ()
    colour: Colour = STEEL
    friction: float = 0.5  # lateral; that of a contact is the product of both bodies'
    rolling: float = 0.0  # friction of rolling


class Joint(NamedTuple):
    """A link `child` on another one, turning about `axis` as far as ±`limit`; fixed without."""

    parent: str
    child: str
    at: Triple = ORIGIN
    rpy: Triple = ORIGIN
    axis: Triple | None = None
    limit: float = 2 * math.pi


def box(sizes: Triple, at: Triple = ORIGIN) -> Shape:
    """Return a box of these widths."""
    return Shape("box", {"size": _numbers(sizes)}, at)


def sphere(radius: float, at: Triple = ORIGIN) -> Shape:
    """Return a ball."""
    return Shape("sphere", {"radius": str(radius)}, at)


def cylinder(radius: float, length: float, at: Triple = ORIGIN, rpy: Triple = ORIGIN) -> Shape:
    """Return a cylinder along z, before it is turned, with its middle at `at`."""
    return Shape("cylinder", {"radius": str(radius), "length": str(length)}, at, rpy)


def plane(height: float = 0.0) -> Shape:
    """Return the half of space below a level, without end."""
    return Shape("plane", {"normal": "0 0 1"}, (0.0, 0.0, height))


def rod(radius: float, length: float, along: str, at: Triple = ORIGIN) -> Shape:
    """Return a capsule that begins at `at` and goes `length` (either sign) along y or z."""
    x, y, z = at
    middle = (x, y + length / 2, z) if along == "y" else (x, y, z + length / 2)
    rpy = (math.pi / 2, 0.0, 0.0) if along == "y" else ORIGIN
    return Shape("capsule", {"radius": str(radius), "length": str(abs(length))}, middle, rpy)


def urdf(name: str, links: Sequence[Link], joints: Sequence[Joint] = ()) -> str:
    """Return the body as a document."""
    robot = Element("robot", name=name)
    for link in links:
        _add_link(robot, link)
    for joint in joints:
        _add_joint(robot, joint)
    return tostring(robot, encoding="unicode")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(str, values))


def _add_link(robot: Element, link: Link) -> None:
    parent = SubElement(robot, "link", name=link.name)
    contact = SubElement(parent, "contact")
    SubElement(contact, "lateral_friction", value=str(link.friction))
    SubElement(contact, "rolling_friction", value=str(link.rolling))
    inertial = SubElement(parent, "inertial")
    SubElement(inertial, "mass", value=str(link.mass))
    same = dict.fromkeys(("ixx", "iyy", "izz"), str(link.inertia))
    SubElement(inertial, "inertia", {**same, "ixy": "0", "ixz": "0", "iyz": "0"})
    for shape in link.solid:
        _add_shape(SubElement(parent, "collision"), shape)
    for shape in link.seen:
        visual = SubElement(parent, "visual")
        _add_shape(visual, shape)
        material = SubElement(visual, "material", name=link.name)
        SubElement(material, "color", rgba=_numbers(link.colour))


def _add_shape(parent: Element, shape: Shape) -> None:
    SubElement(parent, "origin", xyz=_numbers(shape.at), rpy=_numbers(shape.rpy))
    SubElement(SubElement(parent, "geometry"), shape.kind, shape.sizes)


def _add_joint(robot: Element, joint: Joint) -> None:
    kind = "fixed" if joint.axis is None else "revolute"
    parent = SubElement(robot, "joint", name=f"{joint.parent}-{joint.child}", type=kind)
    SubElement(parent, "parent", link=joint.parent)
    SubElement(parent, "child", link=joint.child)
    SubElement(parent, "origin", xyz=_numbers(joint.at), rpy=_numbers(joint.rpy))
    if joint.axis is not None:
        SubElement(parent, "axis", xyz=_numbers(joint.axis))
        limits = {"lower": str(-joint.limit), "upper": str(joint.limit)}
        SubElement(parent, "limit", {**limits, "effort": "1000", "velocity": "10"})
