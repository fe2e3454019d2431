"""TopPlate: feel along a stack of plates with a finger, and grasp the topmost plate by its edge.

The finger points level at the stack, its tip 1 mm beyond the plates' edges. Moved up or down, it
catches on an edge, bends, and slips to the next one; above the stack it is straight. The gripper's
other finger, which would meet nothing before it grasps, is left out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from ..rendering import drawn_at
from .arm import Arm
from .bullet_env import BulletEnv
from .props import floor, holder, plate
from .scene import DT, Camera
from .ur5 import KNUCKLE, SIZES, reach_level, ur5

STACK = 0.6, 0.315  # x and y of the plates' middles, m
RADIUS, THICKNESS = 0.1, 0.004  # of a plate, m
BASE = 0.2  # height of the holder that they are on, m
GAP = 0.014  # from one plate to the next, m
MOST = 10  # plates
OVERLAP = 0.001  # of the straight finger's tip and the plates, m
STRIDE = 0.02  # the way of an action, m
STEPS = 10  # of the simulation for an action: 24 actions a second
LOWEST, LIMIT = 0.05, 0.4  # heights that the tool keeps to, m
STIFFNESS, SPEED = 0.02, 10.0  # of the finger's hinge at most, N m and rad/s
BENT = 1.0472  # what θ is seen in units of, rad


class TopPlate(BulletEnv):
    """Grasp with the tip between the edges of the topmost plate and of what is under it: +1.

    An action is (step, grasp): below 0 the second number moves the tool up by 0.02 m times the
    first; from 0 on it grasps, which ends the episode. Seen are the tip's z / 0.4 m, the topmost
    plate's z / 0.4 m, and the finger's angle θ / 1.0472 rad, above 0 where its tip hangs down.
    """

    metadata = drawn_at(fps=24)
    dt = STEPS * DT  # from one action to the next, s
    high = (1.1, 1.0, 1.1)
    action_size = 2
    camera = Camera((0.6, 0.12, 0.22), 0.8, yaw=90.0, pitch=-6.0)

    def begin(self, random: Generator) -> None:
        """Draw 1 to 10 plates, and a height of the tool from 0.05 m to the holder's."""
        self.furnish(int(random.integers(1, MOST + 1)), float(random.uniform(LOWEST, BASE)))

    def furnish(self, plates: int, height: float) -> None:
        """Begin with nothing; load the stack, and the arm with its tool at a height (m)."""
        self.scene.clear()
        self.scene.load(floor())
        self.scene.load(holder(BASE), (*STACK, 0.0))
        edges = [BASE + GAP * number for number in range(plates + 1)]
        for edge in edges[1:]:
            self.scene.load(plate(RADIUS, THICKNESS), (*STACK, edge))
        self.under, self.top = edges[-2:]
        self.height, self.did = height, "nothing yet"
        self.arm = Arm(self.scene, ur5(), joints_at(np.array(height)).tolist())
        self.arm.hold(STIFFNESS, SPEED)
        self._follow(np.full(STEPS, height))

    def advance(self, action: Sequence[float]) -> tuple[float, bool, bool]:
        """Move or grasp."""
        step, grasp = action
        if grasp >= 0:
            self.did = "grasped"
            success = self.under < self.arm.tip[2] < self.top
            return float(success), True, success
        goal = min(max(self.height + STRIDE * step, LOWEST), LIMIT)
        self.did = f"moved by {goal - self.height:+.3f} m"
        self._follow(np.linspace(self.height, goal, STEPS + 1)[1:])
        self.height = goal
        return 0.0, False, False

    def observe(self) -> Sequence[float]:
        """Return (z / 0.4, z of the topmost plate / 0.4, θ / 1.0472)."""
        return self.arm.tip[2] / LIMIT, self.top / LIMIT, self.arm.angle / BENT

    def captions(self) -> Sequence[str]:
        """Return what is felt, and the last action."""
        felt = f"tip at {self.arm.tip[2]:.3f} m, finger bent by {self.arm.angle:+.2f} rad"
        return felt, self.did

    def _follow(self, heights: np.ndarray) -> None:
        for joints in joints_at(heights).tolist():
            self.arm.move(joints)
            self.scene.step()


def joints_at(height: np.ndarray) -> np.ndarray:
    """Return the arm's joints (..., 6) where its tool is at heights (...), m, by the stack."""
    x, y = STACK
    return reach_level(x, y - RADIUS + OVERLAP - KNUCKLE - SIZES[2], height)
