"""Measures how collecting grows with the number of workers, by Ray on this machine; no learning.

    python benchmarks/worker_scaling.py          an environment that sleeps 20 ms a step
    python benchmarks/worker_scaling.py --env hopper-p-v0 --awake --workers 1 2

A rate is that of the median request. 1.00 of linear: N workers collect N times what one does.
"""

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import gymnasium

from offpcc.config.bindings import compose
from offpcc.config.catalog import algorithm_file
from offpcc.runs.build import build
from offpcc.runs.workers import ray_pool

ASLEEP = 0.02  # seconds of a step
REQUESTS = 7  # measured, after one that is not


class Asleep(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that keeps nobody busy and takes its time, as a robot does."""

    def step(self, action: Any) -> Any:
        """A step, later."""
        time.sleep(ASLEEP)
        return super().step(action)


def rate(env: str, algo: str, workers: int, lines: list[str]) -> float:
    """Steps a second."""
    settings = [f"TrainingConfig.num_workers = {workers}", "TrainingConfig.collect_steps = 50"]
    config = compose(
        [algorithm_file(algo)], ["device = 'cpu'", "eval_episodes = 0", *settings, *lines]
    )
    source = build(config, env, seed=0, make_pool=partial(ray_pool, None)).collector
    try:
        source.step()
        seconds = []
        for _ in range(REQUESTS):
            since, before = time.perf_counter(), source.steps
            source.step()
            seconds.append((time.perf_counter() - since) / (source.steps - before))
    finally:
        source.close()
    return 1 / median(seconds)


def main() -> None:
    """Measures each number of workers in turn."""
    parser = argparse.ArgumentParser(description="Steps a second by number of workers.")
    parser.add_argument("--env", default="pendulum-p-v0", metavar="ID")
    parser.add_argument("--algo", default="rsac", metavar="NAME")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--awake", action="store_true", help="do not sleep in each step")
    asked = parser.parse_args()
    lines = [] if asked.awake else ["wrappers = ('worker_scaling:Asleep',)"]
    sys.modules["worker_scaling"] = sys.modules["__main__"]
    print(f"{os.cpu_count()} cores\n\n| workers | steps/s | of linear |\n|---|---|---|", flush=True)
    one = 0.0
    for number in asked.workers:
        found = rate(asked.env, asked.algo, number, lines)
        one = one or found / number
        print(f"| {number} | {found:.0f} | {found / number / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
