"""Hopper, walker, half-cheetah and ant as the package pybullet-envs-gymnasium has them.

Its physics, observations and rewards are unchanged. What is added: true bounds of the observation,
episodes that depend on their seed alone, a server for each copy, refusals, and a camera that walks
along. Scores in the literature on partial observability are of views of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import ClosedEnvironmentError, DependencyNotInstalled
from gymnasium.spaces import Box
from numpy.typing import NDArray

from ..extras import missing
from ..rendering import Frame, RenderedEnv, drawn_at
from .scene import Camera, Scene

if TYPE_CHECKING:
    from ..canvas import Canvas

try:
    from pybullet_envs_gymnasium import gym_locomotion_envs
except ImportError as error:
    needed = missing("pybullet-envs-gymnasium", "bullet")
    raise DependencyNotInstalled(f"{needed} ({error})") from error

Observation = NDArray[Any]

PICTURE = (480, 320)  # width and height, pixels
LEVEL = 0.7  # height that is looked at, m; not the robot's, so that one sees it hop
FARTHEST = 5.0  # where the package cuts every entry
BODY = 8  # entries before the joints: height, heading (2), velocity (3), roll, pitch


class Locomotion(RenderedEnv):
    """A robot that is paid for going forward, of the package's class `robot`; 0.0165 s a step.

    The observation is the torso's (height above the first one, sine and cosine of the way to the
    goal, velocity · 0.3 s/m in its own heading, roll and pitch in rad), then for each joint
    (position in [-1, 1] within its limits, speed · 0.1 s/rad), then 1 for each foot that touched
    the ground a step ago. Actions are torques. The half-cheetah never falls; the others may.
    """

    metadata = drawn_at(fps=60)
    frame = Frame(PICTURE, scale=1.0)

    def __init__(self, robot: str, render_mode: str | None = None) -> None:
        """Load the robot. Raises ValueError for a window without a display."""
        super().__init__(render_mode)
        self._scene = Scene(drawn=render_mode is not None, window=render_mode == "human")
        call, self._closed = self._scene.call, False
        call.setPhysicsEngineParameter(deterministicOverlappingPairs=1)
        self._base = getattr(gym_locomotion_envs, robot)()
        # Else it would join any server that another program shares on this machine.
        self._base._p, self._base.physicsClientId = call, call.client
        self._base.ownsPhysicsClient = True
        # The ground is among the parts that count only after a first reset, which changes rewards.
        self._base.reset(seed=0)
        self.dt = float(self._base.scene.dt)  # from one action to the next, s
        self._joints = self._base.action_space.shape[0]
        self.action_space = Box(-1.0, 1.0, (self._joints,), np.float32)
        low, high = _bounds(self._base.observation_space.shape[0], feet=BODY + 2 * self._joints)
        self.observation_space = Box(low, high, dtype=np.float32)
        if render_mode == "human":
            from ..canvas import pygame

            self._clock = pygame.time.Clock()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, all of its chance from the seed. There are no options.

        Raises ClosedEnvironmentError after `close`.
        """
        if self._closed:
            raise ClosedEnvironmentError("this environment was closed; make another one")
        super().reset(seed=seed)
        self._base.np_random = self._base.robot.np_random = self.np_random
        seen = self._base.reset()[0]
        self._show()
        return seen, {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold torques (A,), clipped to [-1, 1], for four steps of physics.

        Raises ValueError for an action of another shape or with a NaN.
        """
        torques = np.asarray(action, np.float32)
        if torques.shape != (self._joints,) or np.isnan(torques).any():
            raise ValueError(f"an action is {self._joints} numbers, not {action!r}")
        seen, reward, terminated, _, _ = self._base.step(torques.clip(-1.0, 1.0))
        self._show()
        return seen, float(reward), terminated, False, {}

    @property
    def camera(self) -> Camera:
        """What walks along beside the robot."""
        x, y, _ = self._base.robot.body_real_xyz
        return Camera((x, y, LEVEL), 3.0, yaw=0.0, pitch=-10.0, angle=50.0)

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Return the picture (H, W, 3) in mode rgb_array; in mode human, turn the window to it."""
        if self.render_mode != "human":
            return super().render()
        self._scene.look(self.camera)
        return None

    def draw(self, canvas: Canvas) -> None:
        """Draw what the camera sees, and how fast the robot is."""
        canvas.image(self._scene.photo(PICTURE, self.camera))
        x, speed = self._base.robot.body_real_xyz[0], self._base.robot.robot_body.speed()[0]
        canvas.text(f"went {x:+.2f} m    forward {speed:+.2f} m/s", row=0)

    def close(self) -> None:
        """Stop the physics, and close its window; closing twice does no harm."""
        super().close()
        self._closed = True
        self._scene.close()

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()
            self._clock.tick(self.metadata["render_fps"])


def _bounds(entries: int, feet: int) -> tuple[Observation, Observation]:
    """Return the least and the greatest entries of an observation, in which feet come last."""
    high = np.full(entries, FARTHEST, np.float32)
    high[1:3] = 1.0  # sine and cosine
    high[6], high[7] = np.pi, np.pi / 2
    low = -high
    low[feet:], high[feet:] = 0.0, 1.0
    return low, high
