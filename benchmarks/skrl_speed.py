"""Measures the speed of skrl's SAC_RNN and PPO_RNN beside that of our rsac and lstm_ppo.

    python benchmarks/skrl_speed.py              2 minutes on a quiet core
    python benchmarks/skrl_speed.py ppo          one of sac and ppo
    python benchmarks/skrl_speed.py --quick      whether everything runs; its figures mean little

Networks are those of the recipes. Both sides take turns, as in `speed.py`, and seconds are those of
the process on one thread, so that what else the machine does counts less.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import skrl
import torch
from measure import Clock, Row, header
from skrl_peers import recipe, settings_of, trainer_of

from offpcc.runs.build import build
from offpcc.runs.provenance import processor
from offpcc.training.loop import Training, columns
from offpcc.training.tracking import Recorder

SHAPES = ((20, 40), (32, 64), (8, 200))  # windows × steps
FILLED = 2_000  # steps in the replay when updates are timed


def updates(clock: Clock) -> Iterator[Row]:
    """SAC's updates, sampling included."""
    env = "pendulum-p-v0"
    for rows, length in SHAPES:
        for precision in ("fp32", "bf16"):
            ours = our_update(env, rows, length, precision)
            times = clock.duel(ours, their_update(env, rows, length, precision))
            what = f"RSAC, LSTM-128, {rows} × {length}, {precision}"
            yield Row(what, "updates/s", *times, "skrl's SAC_RNN")


def rollouts(clock: Clock) -> Iterator[Row]:
    """PPO's whole loop, without evaluations."""
    for env in ("pendulum-p-v0", "cartpole-continuous-long-p-v0"):
        ours, steps = our_rollout(env)
        times = clock.duel(ours, their_rollout(env, steps))
        what = f"PPO, LSTM-128, {env.removesuffix('-v0')}"
        yield Row(what, "steps/s", *times, "skrl's PPO_RNN", steps)


def our_update(env: str, rows: int, length: int, precision: str) -> Callable[[], Any]:
    """Samples from `FILLED` random steps and updates."""
    shape = f"recurrent_batch_size = {rows}", f"recurrent_sequence_length = {length}"
    config = recipe(env, "sac_rnn", *shape, f"precision = '{precision}'", "eval_episodes = 0")
    parts = build(config, env, seed=0)
    while parts.collector.steps < FILLED:
        for episode in parts.collector.step(uniform=True):
            parts.replay.add(episode)
    return lambda: parts.agent.update(parts.replay.sample())


def their_update(env: str, rows: int, length: int, precision: str) -> Callable[[], Any]:
    """The same of skrl's, whose first actions are those of a policy that has not learned."""
    settings = settings_of(recipe(env, "sac_rnn"), "sac_rnn") | {
        "batch_size": rows,
        "sequence_length": length,
        "replay_ratio": 1.0,
        "learning_starts": FILLED,
        "mixed_precision": precision == "bf16",
    }
    trainer, agent = trainer_of(env, "sac_rnn", settings, seed=0)
    for timestep in range(FILLED):
        trainer.train(timestep=timestep, timesteps=FILLED)
    agent.enable_models_training_mode(True)
    return partial(agent.update, timestep=0, timesteps=1)


def our_rollout(env: str) -> tuple[Callable[[], None], int]:
    """Plays one rollout and learns from it; and how many steps that is."""
    config = recipe(env, "ppo_rnn", "eval_episodes = 0")
    parts = build(config, env, seed=0)
    recorder = Recorder(Path(tempfile.mkdtemp()), columns(parts.agent))
    training = Training(*parts, recorder, learning_starts=0)
    steps = math.prod(config.values[f"Rollout.{name}"] for name in ("rollout_steps", "num_envs"))

    def play() -> None:
        aim = parts.collector.steps + steps
        while parts.collector.steps < aim:
            training.step()

    return play, steps


def their_rollout(env: str, steps: int) -> Callable[[], None]:
    """The same of skrl's."""
    settings = settings_of(recipe(env, "ppo_rnn"), "ppo_rnn")
    trainer = trainer_of(env, "ppo_rnn", settings, seed=0)[0]

    def play() -> None:
        for _ in range(steps // trainer.env.num_envs):
            trainer.train()

    return play


PIECES = {"sac": updates, "ppo": rollouts}


def main() -> None:
    """Measures the pieces that were asked for."""
    parser = argparse.ArgumentParser(description="Speed beside skrl; a ratio above 1 is faster.")
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=f"{', '.join(PIECES)}; all")
    parser.add_argument("--quick", action="store_true", help="few and short turns")
    asked = parser.parse_args()
    if unknown := set(asked.pieces) - set(PIECES):
        parser.error(f"no piece {', '.join(sorted(unknown))}; there are {', '.join(PIECES)}")
    torch.set_num_threads(1)
    where = f"{processor()}, {torch.backends.cpu.get_cpu_capability()}, 1 thread"
    print(f"{where}, torch {torch.__version__}, skrl {skrl.__version__}\n\n{header()}", flush=True)
    turns, span = (2, 0.02) if asked.quick else (5, 0.3)
    for name in asked.pieces or PIECES:
        for row in PIECES[name](Clock(turns, span, time.process_time)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
