"""Exports a policy of every kind, and prints how far each is off, how large and how fast it is.

    python benchmarks/exports.py                the table: every pair of options at least once
    python benchmarks/exports.py --baselines    Stable-Baselines3's policies
    python benchmarks/exports.py --first 3      the first rows alone

Each policy is trained for a few updates in an environment that draws its observations. The export
verifies it over 200 steps of that. Then `policy.act` and the files take turns on the same inputs.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

import offpcc
from offpcc.deploy.export.formats import FORMATS
from offpcc.runs.provenance import processor

MEMORIES = {
    "none": "",
    "LSTM": "lstm",
    "LSTM, 2 layers": "lstm",
    "GRU": "gru",
    "GRU, 2 layers": "gru",
    "Elman": "rnn",
    "MinGRU": "min_gru",
    "transformer": "transformer",
}
LEARNERS = {  # what it is called with a memory, and without; the actions
    "SAC, Box": ("rsac", "sac", "box"),
    "TD3, Box of doubles": ("rtd3", "td3", "double"),
    "TD3+BC, Box": ("rtd3_bc", "td3_bc", "box"),
    "discrete SAC, Discrete": ("drsac", "dsac", "discrete"),
    "PPO, Box": ("lstm_ppo", "ppo", "box"),
    "PPO, MultiDiscrete": ("lstm_ppo", "ppo", "several"),
    "A2C, MultiBinary": ("lstm_a2c", "a2c", "binary"),
}
ACTIONS: dict[str, Any] = {
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([3, 0.5], np.float32)),
    "double": spaces.Box(np.array([[-1.0, 0.0]]), np.array([[3.0, 0.5]]), dtype=np.float64),
    "discrete": spaces.Discrete(4, start=-1),
    "several": spaces.MultiDiscrete([3, 2, 4]),
    "binary": spaces.MultiBinary(3),
}
NUMBERS = spaces.Box(-np.inf, np.inf, (5,))
OBSERVATIONS: dict[str, Any] = {
    "numbers": NUMBERS,
    "picture": spaces.Box(0, 255, (3, 36, 36), np.uint8),
    "keys": spaces.Dict(
        {
            "arm": spaces.Dict({"angle": spaces.Box(-np.inf, np.inf, (2,), np.float64)}),
            "gear": spaces.Discrete(3, start=1),
            "switches": spaces.MultiBinary(2),
        }
    ),
}
PASTS = ("nothing", "action", "action and reward", "measured action")
OPTIONS = (MEMORIES, LEARNERS, OBSERVATIONS, PASTS, ("raw", "normalised"), ("1", "free"))
SHORT = """
steps = 150
eval_interval = 150
eval_episodes = 1
learning_starts = 50
rollout_steps = 50
replay_ratio = 0.1
batch_size = 16
recurrent_batch_size = 2
num_threads = 1
"""


class Case(NamedTuple):
    """One policy of the table, by the names of its options."""

    memory: str
    learner: str
    observation: str
    past: str
    scaling: str
    batch: str

    @property
    def is_possible(self) -> bool:
        """Whether there is such a policy."""
        continuous = "Box" in self.learner
        arrays = self.observation == "numbers" and "reward" not in self.past
        return (self.past != "measured action" or continuous) and (
            "BC" not in self.learner or arrays
        )


class Drawn(gymnasium.Env[Any, Any]):
    """Draws its observations; an episode has 50 steps."""

    def __init__(self, seen: str, acts: str) -> None:
        self.observation_space, self.action_space = OBSERVATIONS[seen], ACTIONS[acts]

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """The first observation."""
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.left = 50
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        """The next one; small actions are rewarded."""
        self.left -= 1
        reward = -float(np.square(action).mean())
        return self.observation_space.sample(), reward, False, not self.left, {}


def cases() -> list[Case]:
    """As few as a greedy choice finds, so that each pair of options is in one of them."""
    possible = [case for case in (Case(*names) for names in product(*OPTIONS)) if case.is_possible]
    pairs = {case: set(combinations(enumerate(case), 2)) for case in possible}
    missing, chosen = set().union(*pairs.values()), []
    while missing:
        chosen.append(max(possible, key=lambda case: len(pairs[case] & missing)))
        missing -= pairs[chosen[-1]]
    places = [{name: place for place, name in enumerate(names)} for names in OPTIONS]
    order = lambda case: [at[name] for at, name in zip(places, case, strict=True)]  # noqa: E731
    return sorted(chosen, key=order)


def train(case: Case, folder: Path) -> Any:
    """A short run."""
    remembering, plain, acts = LEARNERS[case.learner]
    memory = MEMORIES[case.memory]
    lines = [
        f"normalize_observations = {case.scaling == 'normalised'}",
        f"previous_action = {'action' in case.past}",
        f"previous_reward = {'reward' in case.past}",
    ]
    if memory:
        lines += [f"include 'memory/{memory}.gin'"]
        lines += [f"memory_num_layers = {2 if 'layers' in case.memory else 1}"]
    if "A2C" in case.learner:
        lines += ["short_rollout_steps = 10"]
    if "BC" in case.learner:
        lines += [f"dataset = {str(data_set(folder / 'data'))!r}"]
    return short_run(remembering if memory else plain, case.observation, acts, lines, folder)


def short_run(algo: str, seen: str, acts: str, lines: Sequence[str], folder: Path) -> Any:
    """A run of a few updates."""
    config = folder / "short.gin"
    config.write_text(SHORT, encoding="utf-8")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return offpcc.run(
            Drawn,
            algo,
            env_kwargs={"seen": seen, "acts": acts},
            config=str(config),
            bind=lines,
            seed=1,
            results=str(folder),
        )


def data_set(folder: Path) -> Path:
    """Random steps, as `--demonstrate` would write them."""
    folder.mkdir()
    env, random = Drawn("numbers", "box"), np.random.default_rng(0)
    rows: dict[str, list[Any]] = {name: [] for name in ("obs", "next_obs", "action")}
    for step in range(500):
        seen = env.reset(seed=step)[0] if step % 50 == 0 else rows["next_obs"][-1]
        action = random.uniform(-1, 1, 2).astype(np.float32)  # as agents hold it
        for name, value in zip(rows, (seen, env.step(action)[0], action), strict=True):
            rows[name].append(value)
    arrays = {name: np.stack(values) for name, values in rows.items()}
    ends = np.arange(1, 501) % 50 == 0
    arrays |= {"reward": random.normal(size=500), "terminated": np.zeros(500), "truncated": ends}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def exported(run: Any, case: Case | None, form: str, folder: Path) -> dict[str, Any]:
    """The contract of an export, which has verified it."""
    measured = case is not None and case.past == "measured action"
    with contextlib.redirect_stdout(io.StringIO()):
        file = offpcc.export(
            run,
            folder / form,
            format=form,  # type: ignore[arg-type]
            batch=case is not None and case.batch == "free",
            previous_action="input" if measured else "state",
        )
    contract: dict[str, Any] = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    return contract | {"file": file}


def microseconds(run: Any, contracts: Sequence[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """Median and 99th percentile of one act: `policy.act`, then the files, which take turns."""
    policy, env = run.policy, offpcc.env_of(run.path)
    seen, state = env.reset(seed=0)[0], policy.initial_state()
    calls = [lambda: policy.act(seen, state)]
    for form, contract in zip(FORMATS, contracts, strict=True):
        play = FORMATS[form]().player(contract["file"])
        check = np.load(contract["file"].with_name("check.npz"))
        feed = {each["name"]: check[f"input:{each['name']}"][:1] for each in contract["inputs"]}
        feed |= {"state": check["state"][:1]} if contract["state_size"] else {}
        calls.append(lambda play=play, feed=feed: play(feed))  # type: ignore[misc]
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(6):
        for call, own in zip(calls, times, strict=True):
            for _ in range(100):
                began = time.perf_counter()
                call()
                own.append(time.perf_counter() - began)
    for own in times:
        median, slow = np.percentile(own[100:], (50, 99)) * 1e6  # without the first turn
        yield float(median), float(slow)


def row(name: Sequence[str], run: Any, case: Case | None, folder: Path) -> str:
    """A line of the table."""
    contracts = [exported(run, case, form, folder) for form in FORMATS]
    found = contracts[0]["verified"]
    errors = [f"{found[key]:.0e}" for key in ("action_error", "state_error")]
    times = [f"{median:.0f}, {slow:.0f}" for median, slow in microseconds(run, contracts)]
    size = f"{contracts[0]['bytes'] / 1e3:.0f}"
    return "| " + " | ".join([*name, *errors, size, *times]) + " |"


def header(names: Sequence[str]) -> str:
    """The first two lines of the table."""
    times = ("`policy.act`, µs", "ONNX, µs", "TorchScript, µs")
    columns = [*names, "action error", "state error", "kB", *times]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def baselines() -> None:
    """Prints the table of Stable-Baselines3's policies."""
    print(header(["baseline"]))
    for algo in ("sb3_sac", "sb3_td3", "sb3_ddpg", "sb3_tqc", "sb3_ppo", "sb3_recurrent_ppo"):
        for acts in ("box", "discrete") if "ppo" in algo else ("box",):
            with tempfile.TemporaryDirectory() as folder:
                run = short_run(algo, "numbers", acts, [], Path(folder))
                print(row([f"{algo}, {acts}"], run, None, Path(folder)), flush=True)


def main() -> None:
    """Prints a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--baselines", action="store_true")
    arguments.add_argument("--first", type=int)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, one thread; error: action in halves of the bounds' width, then state;")
    print("µs: median, 99th percentile\n")
    if asked.baselines:
        return baselines()
    print(header(["memory", "learner, actions", "observation", "past", "scaling", "batch"]))
    for case in cases()[: asked.first]:
        with tempfile.TemporaryDirectory() as folder:
            print(row(case, train(case, Path(folder)), case, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
