"""Arm: a UR5 with a finger in a scene, moved by its joints' targets; it feels by the finger."""

import math
from collections.abc import Sequence

from .scene import Scene, pybullet
from .ur5 import ARM, BLADE, TIP
from .urdf import Triple


class Arm:
    """The arm with its base at the origin, turned by π about z, its joints at given angles."""

    def __init__(self, scene: Scene, body: str, joints: Sequence[float]) -> None:
        """Load its URDF, `body`; `joints` (6,) are in rad, and the finger is straight."""
        self._call = scene.call
        self.number = scene.load(body, turned=math.pi)
        for joint, angle in zip(ARM, joints, strict=True):
            self._call.resetJointState(self.number, joint, angle)

    def move(self, joints: Sequence[float]) -> None:
        """Have the joints (6,) at these angles, rad, after the scene's next step."""
        self._call.setJointMotorControlArray(
            *(self.number, ARM, pybullet.POSITION_CONTROL),
            targetPositions=joints,
            positionGains=_GAINS,
        )

    def hold(self, stiffness: float, speed: float) -> None:
        """Hold the finger straight with a torque (N m) and a speed (rad/s) of at most these."""
        self._call.setJointMotorControl2(
            *(self.number, BLADE, pybullet.POSITION_CONTROL),
            targetPosition=0.0,
            force=stiffness,
            maxVelocity=speed,
        )

    @property
    def tip(self) -> Triple:
        """Where the finger's tip is, m."""
        at, turned = self._call.getLinkState(self.number, BLADE, 0, True)[4:6]
        tip: Triple = pybullet.multiplyTransforms(at, turned, TIP, (0.0, 0.0, 0.0, 1.0))[0]
        return tip

    @property
    def angle(self) -> float:
        """The finger's θ, rad, 0 where it is straight: minus the hinge's angle."""
        return -float(self._call.getJointState(self.number, BLADE)[0])


_GAINS = [1.0] * len(ARM)
