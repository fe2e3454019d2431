"""BallOnBeam: keep a ball in the middle of a beam that stands on a floor of unknown slope."""

import gymnasium

from offpcc.domains.bullet.bullet_env import BulletEnv
from offpcc.domains.bullet.props import floor
from offpcc.domains.bullet.scene import Camera
from offpcc.domains.bullet.urdf import ACTION, BODY, Joint, Link, box, sphere, urdf
from offpcc.domains.rendering import drawn_at

HALF = 0.5  # of the beam's length, m
RADIUS = 0.03  # of the ball, m
AXLE = 0.3  # height of the beam's axle, m
TILT = 0.15  # of the beam at an action of 1, rad
SLOPE = 0.05  # of the floor at most, rad
SPEED = 1.0  # of the axle at most, rad/s
STEPS = 10  # of the simulation for an action: 24 actions a second


def beam():
    """A beam along x on an axle along y, with a stop at either end."""
    post = Link("post", seen=[box((0.04, 0.04, AXLE), (0, 0, -AXLE / 2))])
    stops = [box((0.01, 0.1, 0.08), (side * (HALF + 0.005), 0, 0.04)) for side in (-1, 1)]
    parts = [box((2 * HALF, 0.1, 0.01), (0, 0, -0.005)), *stops]
    beam = Link("beam", 1.0, 0.1, parts, parts, ACTION, friction=1.0)
    return urdf("beam", [post, beam], [Joint("post", "beam", axis=(0, 1, 0), limit=0.5)])


def ball():
    """A solid ball of 100 g."""
    shapes = [sphere(RADIUS)]
    return urdf("ball", [Link("ball", 0.1, 0.4 * 0.1 * RADIUS**2, shapes, shapes, BODY, 1.0)])


class BallOnBeam(BulletEnv):
    """An action is the beam's angle to its post; the reward is minus the ball's distance, in m.

    Observed are the ball's place on the beam / 0.5 m and the beam's angle to its post / 0.15 rad.
    Hidden are the ball's velocity and the slope of the floor, which changes with each episode.
    """

    metadata = drawn_at(fps=24)
    high = (1.0, 2.0)
    action_size = 1
    camera = Camera((0.0, 0.0, 0.25), 1.2, yaw=0.0, pitch=-10.0)
    hidden = "the ball's velocity and the floor's slope"  # for the picture

    def begin(self, random):
        """Draw the slope, and where the ball lies."""
        self.slope = float(random.uniform(-SLOPE, SLOPE))
        self.scene.clear()
        self.scene.call.setGravity(9.8 * self.slope, 0.0, -9.8)  # the floor's frame leans
        self.scene.load(floor())
        self.beam = self.scene.load(beam(), (0.0, 0.0, AXLE))
        start = float(random.uniform(-0.8, 0.8)) * HALF
        self.ball = self.scene.load(ball(), (start, 0.0, AXLE + RADIUS), fixed=False)

    def advance(self, action):
        """Turn the beam towards its angle, for 1/24 s."""
        call = self.scene.call
        call.setJointMotorControl2(
            *(self.beam, 0, call.POSITION_CONTROL),
            targetPosition=TILT * action[0],
            force=50.0,
            maxVelocity=SPEED,
        )
        for _ in range(STEPS):
            self.scene.step()
        distance = abs(self.scene.place(self.ball)[0])
        return -distance, False, distance < 0.05

    def observe(self):
        """Return (place / 0.5, angle / 0.15)."""
        angle = self.scene.call.getJointState(self.beam, 0)[0]
        return self.scene.place(self.ball)[0] / HALF, angle / TILT

    def captions(self):
        """Return what is written above the picture."""
        place, angle = self.observe()
        seen = f"ball at {HALF * place:+.2f} m, floor leans by {self.slope:+.3f} rad"
        return seen, f"beam at {TILT * angle:+.3f} rad"


gymnasium.register("ball-on-beam-v0", entry_point=BallOnBeam, max_episode_steps=72)
