"""UR5: a jointed arm, built from capsules, with a finger; one body in PyBullet.

The finger is a blade on a hinge that a motor of little force holds straight: push with it, and it
bends, the sooner the less force there is. Nothing but the blade is solid.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .urdf import ACTION, BODY, STEEL, Joint, Link, box, cylinder, rod, urdf

Joints = NDArray[np.float64]

PI = math.pi
ARM = tuple(range(6))  # numbers of the arm's joints in PyBullet, and of the links they move
TOOL, BLADE = 6, 7  # those of the finger's base, at the tool, and of its hinge and blade

SHOULDER = 0.089159  # height of the upper arm's joint, m
UPPER_ARM, FOREARM = 0.425, 0.39225  # lengths of the links, m
OUT, BACK, WRIST_1, WRIST_2, WRIST_3 = 0.13585, -0.1197, 0.093, 0.09465, 0.0823
HOME = PI * np.array((-1.0, -0.5, 0.5, -0.5, -0.5, 0.0))

KNUCKLE = 0.04  # from the tool to the hinge: 0.05 m, but the finger's base sits 0.01 m deeper
SIZES = 0.005, 0.025, 0.15  # of the blade: thickness, width, length, m
TIP = 0.0, 0.002, 0.15  # in the blade's frame, m
MASS = 0.02  # of the blade, kg
BEND = 1.0472  # the hinge turns no further to either side, rad

_UP, _SIDE = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)  # axes
_AHEAD = (0.0, PI / 2, 0.0)  # an origin turned from up to ahead


@cache
def ur5() -> str:
    """Return the URDF of arm and finger.

    The arm's motors are as strong as it takes, so that how its mass is spread does not matter.
    """
    # With the published 1 kg m² the blade would push anything, however weak its motor; PyBullet,
    # left to itself, takes the box's own, about its middle.
    inertia = MASS * (SIZES[1] ** 2 + SIZES[2] ** 2) / 12
    blade = box(SIZES, (0.0, 0.0, SIZES[2] / 2))
    pin = cylinder(0.008, 0.03, rpy=(PI / 2, 0.0, 0.0))
    elbow = rod(0.05, BACK, "y", (0.0, 0.0, UPPER_ARM))
    links = (
        Link("base", 4.0, 0.01, [cylinder(0.075, 0.04, (0.0, 0.0, 0.02))], colour=BODY),
        Link("shoulder", 3.7, 0.01, [rod(0.055, OUT, "y")], colour=BODY),
        Link("upper-arm", 8.393, 0.1, [rod(0.05, UPPER_ARM, "z"), elbow], colour=STEEL),
        Link("forearm", 2.275, 0.1, [rod(0.042, FOREARM, "z")], colour=STEEL),
        Link("wrist-1", 1.219, 0.01, [rod(0.038, WRIST_1, "y")], colour=BODY),
        Link("wrist-2", 1.219, 0.01, [rod(0.036, WRIST_2, "z")], colour=STEEL),
        Link("wrist-3", 0.1879, 0.01, [rod(0.034, WRIST_3 - 0.03, "y")], colour=BODY),
        Link("finger", 0.1, 0.01, [rod(0.01, KNUCKLE, "z")], colour=STEEL),
        Link("blade", MASS, inertia, [blade, pin], [blade], ACTION, friction=1.0),
    )
    joints = (
        Joint("base", "shoulder", (0.0, 0.0, SHOULDER), axis=_UP),
        Joint("shoulder", "upper-arm", (0.0, OUT, 0.0), _AHEAD, _SIDE),
        Joint("upper-arm", "forearm", (0.0, BACK, UPPER_ARM), axis=_SIDE),
        Joint("forearm", "wrist-1", (0.0, 0.0, FOREARM), _AHEAD, _SIDE),
        Joint("wrist-1", "wrist-2", (0.0, WRIST_1, 0.0), axis=_UP),
        Joint("wrist-2", "wrist-3", (0.0, 0.0, WRIST_2), axis=_SIDE),
        Joint("wrist-3", "finger", (0.0, WRIST_3, 0.0), (-PI / 2, 0.0, 0.0)),
        Joint("finger", "blade", (0.0, 0.0, KNUCKLE), axis=_SIDE, limit=BEND),
    )
    return urdf("ur5", links, joints)


def reach(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Joints:
    """Return the joints' angles (..., 6) that bring the tool to x, y, z (m) as it is at home.

    That is pointing down, with the finger's hinge along x. The arm's base is turned by π about z.
    Raises ValueError for a place out of reach.
    """
    x, y, z = np.broadcast_arrays(np.asarray(x, float), y, z)
    turn, ahead = _turn(x, y)
    lift, elbow = _bend(ahead - WRIST_2, z + WRIST_3 - SHOULDER)
    down = np.full_like(x, -PI / 2)
    return np.stack((turn - PI, lift, elbow, down - lift - elbow, down, turn), -1)


def reach_level(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Joints:
    """Return the angles (..., 6) for a tool at x, y, z that points along y, its hinge along x.

    Raises ValueError for a place out of reach.
    """
    x, y, z = np.broadcast_arrays(np.asarray(x, float), y, z)
    turn, ahead = _turn(x, y - WRIST_3)
    lift, elbow = _bend(ahead, z + WRIST_2 - SHOULDER)
    return np.stack((turn - PI, lift, elbow, -lift - elbow, turn, np.full_like(x, PI / 2)), -1)


def _turn(x: Joints, y: Joints) -> tuple[Joints, Joints]:
    """Return the turn of the links' plane so that wrist 2 is over x, y, and how far ahead it is."""
    beside = OUT + BACK + WRIST_1  # it is so far to the left of that plane
    ahead = np.sqrt(x**2 + y**2 - beside**2)
    return np.arctan2(y, x) - np.arctan2(beside, ahead), ahead


def _bend(ahead: Joints, up: Joints) -> tuple[Joints, Joints]:
    """Return lift and elbow, up, so that wrist 1 is ahead of and up from the shoulder."""
    bent = (ahead**2 + up**2 - UPPER_ARM**2 - FOREARM**2) / (2 * UPPER_ARM * FOREARM)
    if not (abs(bent) <= 1.0).all():
        raise ValueError(f"the arm does not reach {ahead} m ahead of its shoulder and {up} m up")
    elbow = np.arccos(bent)
    fore = np.arctan2(FOREARM * np.sin(elbow), UPPER_ARM + FOREARM * bent)
    return -(np.arctan2(up, ahead) + fore), elbow
