"""Trains an agent with a memory and one without on a pendulum whose speed is hidden.

Ends with the returns of both and of chance, a picture of the learning curves and a video.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "2")

import domains  # noqa: E402, F401 - registers the ids
from offpcc import play, run  # noqa: E402
from offpcc.plot import plot  # noqa: E402
from offpcc.world import make_world  # noqa: E402

ENV = "pendulum-p-v0"
STEPS = 10_000
FOLDER = Path("results/demo")
EPISODES = 100


def main() -> None:
    """Trains both, compares them, and says where the pictures are."""
    began = time.perf_counter()
    print(f"{ENV}: the agent sees the pendulum's angle, but not its speed.\n")
    runs = {}
    for algo, what in (("rsac", "SAC with an LSTM"), ("sac", "SAC without a memory")):
        print(f"{what}, {STEPS} steps")
        runs[what] = run(
            ENV, algo, config="configs/test/demo.gin", steps=STEPS, seed=1, results=str(FOLDER),
            overwrite=True,
        ).path  # fmt: skip
    print(f"\nreturns of {EPISODES} episodes, mean and standard error")
    for what, path in runs.items():
        mean, error = play.score(path, EPISODES)
        print(f"  {what:24s} {mean:8.1f} ± {error:.1f}")
    mean, error = play.chance(make_world(ENV), EPISODES)
    print(f"  {'chance':24s} {mean:8.1f} ± {error:.1f}\n")
    pictures = plot([FOLDER / ENV], FOLDER / "plots")
    video = play.record(runs["SAC with an LSTM"], 1)
    print("\nlearning curves:", *pictures)
    print("video:", *video)
    print(f"all in {(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
