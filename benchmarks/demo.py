"""Trains agents with a memory beside agents without one, on two tasks that hide something.

Ends with the returns of all and of chance, a picture of the learning curves and videos.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from offpcc.errors import Stopped
from offpcc.processes.cores import cores
from offpcc.runs import jobs
from offpcc.runs.job import Job
from offpcc.runs.run_spec import RunSpec
from offpcc.runs.starter import LocalStarter

EPISODES = 100
FOLDER = Path("build") / "demo"  # not among the results, which --plot compares


@dataclass(frozen=True)
class Agent:
    """An algorithm, in words, and the returns that trainings with several seeds came to."""

    algo: str
    words: str
    seeds: str


@dataclass(frozen=True)
class Task:
    """An environment, what it hides, and two agents: the first one remembers."""

    env: str
    words: str
    steps: int
    eval_interval: int  # environment steps
    eval_episodes: int  # episodes, at the end of each epoch
    agents: tuple[Agent, Agent]

    def request(self, agent: Agent) -> RunSpec:
        """A run of one of the agents, on one core."""
        bind = [f"steps = {self.steps}", f"eval_interval = {self.eval_interval}", "num_threads = 1"]
        bind.append(f"eval_episodes = {self.eval_episodes}")
        return RunSpec(self.env, agent.algo, bind=bind, seed=1, results=FOLDER)


TASKS = (  # the longest runs first
    Task(
        "pendulum-p-v0",
        "the angle of a pendulum is seen, its speed is not; swing it up, and hold it there",
        80_000,
        8_192,
        10,
        (
            Agent("lstm_ppo", "PPO with an LSTM", "-213 to -179, ten seeds"),
            Agent("ppo", "PPO without a memory", "-1175 to -1050, ten seeds"),
        ),
    ),
    Task(
        "t-maze10-v0",
        "a cue is shown once; ten steps later, turn to its side (1), not to the other (-1)",
        3_000,
        500,
        100,  # of ±1 each
        (
            Agent("rsac", "SAC with an LSTM", "1 with each of ten seeds"),
            Agent("sac", "SAC without a memory", "-0.14 to 0.14, ten seeds"),
        ),
    ),
)


def main() -> int:
    """Trains all agents, compares them, and says where the pictures are; gives the exit code."""
    began = time.perf_counter()
    for task in TASKS:
        print(f"{task.env}: {task.words}")
    side_by_side = min(2, cores())
    print(f"\nfour agents learn this, {side_by_side} at a time; about 3 minutes on 2 cores\n")
    requests = [task.request(agent) for task in TASKS for agent in task.agents]
    code = jobs.run([Job(each, ("--overwrite",)) for each in requests], LocalStarter(side_by_side))
    if code:
        return code
    for task in TASKS:
        compare(task)
    attempt("picture", picture)
    for task in TASKS:
        attempt("video", lambda task=task: video(task))
    print(f"\nin {(time.perf_counter() - began) / 60:.1f} minutes. Go on with\n\n{commands()}")
    return 0


def compare(task: Task) -> None:
    """Prints the returns of a task's agents and of chance."""
    from offpcc.deploy import play
    from offpcc.envs.make_env import make_env

    print(f"\n{task.env}: return of {EPISODES} episodes, 95 % interval; trainings with other seeds")
    for agent in task.agents:
        mean, error = play.score(task.request(agent).folder.path, EPISODES)
        tell(agent.words, mean, error, agent.seeds)
    tell("chance", *play.chance(make_env(task.env), EPISODES))


def tell(words: str, mean: float, error: float, seeds: str = "") -> None:
    """A line of a table."""
    low, high = mean - 1.96 * error, mean + 1.96 * error
    print(f"  {words:22s}{mean:9.2f}  {f'{low:.2f} to {high:.2f}':22s}  {seeds}".rstrip())


def picture() -> None:
    """Draws the learning curves of all agents."""
    from offpcc.compare.plot import find_runs, learning_curves

    runs = find_runs(task.request(agent).folder.path for task in TASKS for agent in task.agents)
    print(f"\npicture: {learning_curves(runs, FOLDER / 'curves.png')}\nvideos:")


def video(task: Task) -> None:
    """Records an episode of the agent that remembers."""
    from offpcc.deploy import play

    play.record(task.request(task.agents[0]).folder.path, episodes=1)


def attempt(what: str, make: Callable[[], None]) -> None:
    """Makes something to look at, or says why there is none; the returns stand anyway."""
    try:
        make()
    except Exception as error:  # a missing package, a codec, a display: none is worth the ending
        print(f"no {what}: {type(error).__name__}: {error}")


def commands() -> str:
    """What to type next."""
    python = os.path.relpath(sys.executable)
    agent = f"--env {TASKS[0].env} --algo {TASKS[0].agents[0].algo}"
    return (
        f"  {python} launch.py {agent} --results {FOLDER} --evaluate 1000\n"
        f"  {python} launch.py --env pendulum-p-v0 --algo rsac --run_id 1\n"
        f"  {python} launch.py --list"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Stopped as stopped:
        print("stopped; `make demo` begins again", file=sys.stderr)
        sys.exit(128 + stopped.number)
