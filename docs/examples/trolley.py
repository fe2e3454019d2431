"""Trolley: move an unknown load along a rail, with a sensor for the position alone."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box

DT = 0.1  # a step, s
STEPS = 40  # of an episode
FORCE = 1.0  # of the motor at most, N
END = 1.0  # where the rail ends, to either side, m


class Trolley(gymnasium.Env):
    """Bring a trolley without friction to a goal, and keep it there.

    The agent observes where the trolley and the goal are. Its velocity is hidden, and so is its
    mass, which changes with each episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = Box(-END, END, (2,), np.float32)  # trolley and goal, m
    action_space = Box(-1.0, 1.0, (1,), np.float32)  # share of FORCE

    def __init__(self, lightest=0.5, heaviest=2.0, render_mode=None):
        self.masses = lightest, heaviest  # kg
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)  # self.np_random is the only source of chance
        self.x, self.goal = self.np_random.uniform(-0.8 * END, 0.8 * END, 2)
        self.mass = self.np_random.uniform(*self.masses)
        self.velocity, self.time = 0.0, 0
        return self.observe(), {}

    def step(self, action):
        force = FORCE * float(np.clip(action[0], -1.0, 1.0))
        self.velocity += force / self.mass * DT
        self.x += self.velocity * DT
        if abs(self.x) >= END:  # a buffer stops it
            self.x, self.velocity = np.sign(self.x) * END, 0.0
        self.time += 1
        distance = abs(self.x - self.goal)
        success = distance < 0.05 and abs(self.velocity) < 0.1
        # No state is final: only the time runs out, so the episode is truncated.
        return self.observe(), -distance, False, self.time == STEPS, {"success": success}

    def observe(self):
        return np.array([self.x, self.goal], np.float32)

    def render(self):
        """A picture (96, 416, 3): the rail, the goal in green, the trolley larger if heavier."""
        picture = np.full((96, 416, 3), 255, np.uint8)
        picture[70:74, 8:408] = 160
        self.block(picture, self.goal, 4, 60, (0, 158, 115))
        self.block(picture, self.x, round(14 * self.mass**0.5), 40, (0, 114, 178))
        return picture

    def block(self, picture, x, half_width, height, colour):
        middle = round(208 + 200 * x / END)
        picture[70 - height : 70, max(middle - half_width, 0) : middle + half_width] = colour
