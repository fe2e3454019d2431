"""Trains skrl's SAC_RNN and PPO_RNN as the suite `memory` trains our rsac and lstm_ppo.

    python benchmarks/skrl_peers.py pendulum-p-v0 sac_rnn 1 2 3     environment, algorithm, seeds
    python benchmarks/skrl_peers.py --table                         their scores beside ours

Steps, evaluations and all settings that both libraries have are those of our recipes, but for those
of `CHOSEN` and those given as `--set name=value`. `skrl_speed.py` measures both.
"""

import argparse
import ast
import csv
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from offpcc.compare.plot.runs import Run, by_env, find_runs
from offpcc.compare.plot.table import markdown
from offpcc.compare.suite import read_suite
from offpcc.config import bindings
from offpcc.config.config import Config
from offpcc.runs.env_copies import build_copies
from offpcc.runs.provenance import processor, versions
from offpcc.training.evaluator import Evaluator, mean_and_error, summary

OURS = {"sac_rnn": "rsac", "ppo_rnn": "lstm_ppo"}
SUITES = Path(__file__).parents[1] / "results/suites"
ROWS = SUITES / "skrl/rows"
CHOSEN: dict[str, dict[str, Any]] = {  # beside our recipes, or in their place: docs/peers.md
    "sac_rnn": {"activation": "ReLU", "replay_ratio": 0.25, "mixed_precision": True},
    "ppo_rnn": {"activation": "Tanh", "layer_norm": False, "mixed_precision": False},
}
SHARED = (
    "steps", "eval_interval", "episodes", "num_envs", "previous_action", "hidden_size",
    "hidden_sizes", "forget_gate_bias", "batch_size", "sequence_length", "discount",
    "learning_rate", "anneal_learning_rate", "max_grad_norm", "normalize_observations",
)  # fmt: skip
OWN = {
    "sac_rnn": ("learning_starts", "tau", "temperature", "reward_scale", "layer_norm"),
    "ppo_rnn": (
        "rollout_steps",
        "num_epochs",
        "gae_lambda",
        "clip_range",
        "clip_range_vf",
        "vf_coef",
        "ent_coef",
    ),
}
WINDOWS = {"batch_size": 20, "sequence_length": 40}  # where ours learn from whole episodes
COLUMNS = ("env_steps", "updates", "test_return", "test_return_se", "test_length", "seconds")
HEAD = ("task", "algorithm", "runs", "final return", "each run", "env steps", "updates", "minutes")


def recipe(env: str, peer: str, *bind: str) -> Config:
    """The config of our run of the suite `memory`, with more lines; it is given to gin, too."""
    planned = read_suite("memory").plan()
    request = next(r.request for r in planned if (r.request.env, r.label) == (env, OURS[peer]))
    config = replace(request, bind=[*request.bind, *bind]).compose()
    bindings.give(config)
    return config


def settings_of(config: Config, peer: str) -> dict[str, Any]:
    """skrl's settings: ours by the last part of their names, and those that were chosen."""
    last = {name.rpartition(".")[2]: v for name, v in config.values.items() if "/" not in name}
    settings = {name: last[name] for name in (*SHARED, *OWN[peer])} | CHOSEN[peer]
    if settings["sequence_length"] is None:
        return settings | WINDOWS
    if peer == "ppo_rnn":
        settings["sequence_length"] = min(settings["sequence_length"], settings["rollout_steps"])
    return settings


def trainer_of(env: str, peer: str, settings: Mapping[str, Any], seed: int) -> tuple[Any, Any]:
    """skrl's trainer and its agent, with copies of the environment."""
    from skrl.trainers.torch import StepTrainer
    from skrl.utils import set_seed
    from skrl_agents import PEERS
    from skrl_env import SkrlEnv

    set_seed(seed)
    envs = SkrlEnv(build_copies(env, settings["num_envs"]), seed)
    agent = PEERS[peer](envs, settings)
    quiet = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
    timesteps = settings["steps"] // envs.num_envs
    return StepTrainer(env=envs, agents=agent, cfg={"timesteps": timesteps, **quiet}), agent


def train(env: str, peer: str, seed: int, other: Mapping[str, Any], rows: Path) -> None:
    """Trains one run and writes its rows as those of ours are."""
    from skrl_env import Greedy

    config = recipe(env, peer)
    settings = settings_of(config, peer) | other
    trainer, agent = trainer_of(env, peer, settings, seed)
    evaluator = Evaluator(build_copies(env, settings["episodes"]), settings["episodes"], seed=seed)
    optimizer = agent.policy_optimizer if peer == "sac_rnn" else agent.optimizer
    began, timesteps, copies = time.perf_counter(), trainer.cfg.timesteps, trainer.env.num_envs
    with progress(folder := rows / env / f"skrl_{peer}" / str(seed)) as write:
        for timestep in range(timesteps):
            trainer.train(timestep=timestep, timesteps=timesteps)
            steps = (timestep + 1) * copies
            if steps % settings["eval_interval"] < copies or timestep + 1 == timesteps:
                row = summary("test", evaluator(Greedy(agent))) | {"env_steps": steps}
                row["updates"] = max((int(s["step"]) for s in optimizer.state.values()), default=0)
                write(row | {"seconds": time.perf_counter() - began})
                print(f"{env} {peer} {seed}: {steps:_}, {row['test_return']:.1f}", flush=True)
    facts = describe(env, peer, seed, settings)
    (folder / "run.json").write_text(json.dumps(facts, indent=2) + "\n")


@contextmanager
def progress(folder: Path) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A function that writes one row of folder/progress.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "progress.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()

        def write(row: Mapping[str, float]) -> None:
            table.writerow(row)
            file.flush()

        yield write


def describe(env: str, peer: str, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a run: where its numbers come from, and its settings."""
    return {
        "env": env,
        "algo": f"skrl_{peer}",
        "seed": seed,
        "eval_episodes": settings["episodes"],
        "precision": "bf16" if settings["mixed_precision"] else "fp32",
        "num_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "processor": processor(),
        "versions": versions(("skrl",)),
        "settings": dict(settings),
    }


def scores(theirs: Sequence[Run], ours: Sequence[Run]) -> str:
    """The table: theirs, and of ours those in the same tasks with the same seeds below them.

    Runs of ours among theirs have lines of their own.
    """
    lines = []
    for env, group in by_env(theirs).items():
        for algo, members in group.items():
            seeds = {run.run_id for run in members}
            name = OURS.get(algo.removeprefix("skrl_"))
            mine = [r for r in ours if (r.env, r.algo) == (env, name) and r.run_id in seeds]
            lines += [_line(runs) for runs in (members, mine) if runs]
    return markdown(HEAD, lines)


def _line(members: Sequence[Run]) -> list[str]:
    finals = [run.final_return() for run in members]
    mean, error = mean_and_error(finals)
    minutes = [run.end("seconds") / 60 for run in members]
    counts = [f"{members[0].end(name):,.0f}" for name in ("env_steps", "updates")]
    return [
        members[0].env,
        members[0].algo,
        str(len(members)),
        f"{mean:,.1f} ± {error:.1f}" if len(members) > 1 else f"{mean:,.1f}",
        ", ".join(f"{final:,.1f}" for final in finals),
        *counts,
        f"{np.mean(minutes):.0f}",
    ]


def setting(line: str) -> tuple[str, Any]:
    """Name and value of `name=value`. Raises ArgumentTypeError for what is neither."""
    name, _, value = line.partition("=")
    known = {*SHARED, *(each for peer in OURS for each in (*OWN[peer], *CHOSEN[peer]))}
    if name not in known:
        raise argparse.ArgumentTypeError(f"no setting {name!r}; there are {sorted(known)}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{line}: the value is no Python literal") from error


def main() -> None:
    """Trains the runs that were asked for, or prints a table."""
    planned = read_suite("memory").plan()
    tasks = sorted({run.task for run in planned if run.label in OURS.values()})
    parser = argparse.ArgumentParser(description="skrl's recurrent agents beside ours.")
    parser.add_argument("env", nargs="?", choices=tasks, metavar="env", help=", ".join(tasks))
    parser.add_argument("algo", nargs="?", choices=OURS)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--set", nargs="*", default=[], type=setting, metavar="NAME=VALUE")
    parser.add_argument("--rows", type=Path, default=ROWS, help="where the runs' rows are")
    parser.add_argument(
        "--table", action="store_true", help="print the scores of all runs that ended"
    )
    asked = parser.parse_args()
    if asked.table:
        try:
            ended = [run for run in find_runs([asked.rows]) if run.eval_episodes]  # in run.json
            print(scores(ended, find_runs([SUITES / "memory/rows"])))
        except ValueError as error:
            parser.error(str(error))
    elif not asked.seeds:
        parser.error("give an environment, an algorithm and seeds, or --table")
    if asked.seeds and importlib.util.find_spec("skrl") is None:
        parser.error("skrl is not installed: pip install '.[peers]'")
    torch.set_num_threads(1)
    for seed in asked.seeds:
        train(asked.env, asked.algo, seed, dict(asked.set), asked.rows)


if __name__ == "__main__":
    main()
