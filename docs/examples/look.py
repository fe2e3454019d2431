"""A picture of the ball on the beam, and how fast it is simulated."""

from time import perf_counter

import ball_on_beam
import imageio.v2 as imageio

env = ball_on_beam.BallOnBeam(render_mode="rgb_array")
env.reset(seed=3)
for _ in range(24):
    env.step([1.0])
imageio.imwrite("beam.png", env.render())

env = ball_on_beam.BallOnBeam()
env.reset(seed=0)
start = perf_counter()
for _ in range(200):
    env.step([0.0])
print(f"{200 / (perf_counter() - start):.0f} steps per second")
