"""Trains an agent with a memory and one without on a pendulum whose speed is hidden.

Ends with the returns of both and of chance, a picture of the learning curves and a video.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import domains  # noqa: F401 - registers the ids
from offpcc import play, run
from offpcc.plot import learning_curves
from offpcc.plot.runs import find_runs
from offpcc.world import make_world

ENV = "pendulum-p-v0"
AGENTS = {"rsac": "SAC with an LSTM", "sac": "SAC without a memory"}
STEPS = 6_000
EPISODES = 100
FOLDER = Path("build") / "demo"  # not among the results, which --plot compares


def main() -> None:
    """Trains both, compares them, and says where the pictures are."""
    began = time.perf_counter()
    print(
        f"{ENV}: an agent sees the pendulum's angle, but not its speed. Two learn to swing it up."
    )
    runs = {algo: train(algo) for algo in AGENTS}
    print(f"\nreturn of {EPISODES} episodes, mean ± standard error")
    for algo, what in AGENTS.items():
        tell(what, *play.score(runs[algo], EPISODES))
    tell("chance", *play.chance(make_world(ENV), EPISODES))
    print("agents that see the speed, too, reach about -150\n")
    picture = learning_curves(find_runs(runs.values()), FOLDER / "curves.png")
    (video,) = play.record(runs["rsac"], episodes=1)
    print(f"\npicture: {picture}\nvideo:   {video}")
    print(f"in {(time.perf_counter() - began) / 60:.1f} minutes")


def train(algo: str) -> Path:
    """One run's folder."""
    print(f"\n{AGENTS[algo]}, {STEPS:,} steps")
    settings = {"results": FOLDER, "seed": 1, "overwrite": True}
    return run(ENV, algo, steps=STEPS, bind=["epoch = 500", "threads = 1"], **settings).path


def tell(what: str, mean: float, error: float) -> None:
    """A line of the table."""
    print(f"  {what:22s} {mean:8.1f} ± {error:.1f}")


if __name__ == "__main__":
    main()
