"""Measures the speed of what decides a run's time, each beside a peer's, in one run on one machine.

    python benchmarks/speed.py              all pieces, some minutes on 2 quiet cores
    python benchmarks/speed.py sac act      some of them
    python benchmarks/speed.py --quick      whether everything runs; its figures mean little

Ours and the peer's take turns (A B A B …) and each figure is the median of its turns, so that what
else the machine does meets both. A ratio above 1 says that ours is faster.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3 as sb3
import torch
from measure import Clock, Row, header
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env
from usual import UsualRSAC

from offpcc.algorithms import PPO, REDQ, SAC, TD3, TD3BC, TQC, Agent, OffPolicy
from offpcc.data import AgentSpec, Episode, Field
from offpcc.envs.async_envs import AsyncEnvs
from offpcc.envs.make_env import make_env
from offpcc.envs.vector import SequentialEnvs, VectorEnvAdapter
from offpcc.networks import GRU, LSTM, MinGRU, Transformer
from offpcc.replay import EpisodeReplay, Rollout
from offpcc.replay.batch import Batch
from offpcc.training.collector import Collector
from offpcc.training.evaluator import Evaluator
from offpcc.training.loop import Training, columns
from offpcc.training.tracking import Recorder

# Pendulum without its velocity: two numbers and the previous action.
SPEC = AgentSpec({"observation": Field((2,)), "previous_action": Field((1,))}, action=1)
EPISODE = 200  # steps


def rsac(hidden_size: int = 128, units: int = 128, precision: str = "fp32", **memory: Any) -> SAC:
    """Our RSAC; hidden_size: of its LSTM; units: of each layer of its heads."""
    summarizer = partial(LSTM, hidden_size=hidden_size, **memory)
    return SAC(SPEC, summarizer=summarizer, hidden_sizes=(units, units), precision=precision)


def random_batch(agent: Agent, rows: int, steps: int) -> Batch:
    """B = rows windows of T = steps."""
    observation = {k: torch.randn(rows, steps + 1, *f.shape) for k, f in SPEC.observation.items()}
    return Batch(
        observation=observation,
        action=torch.rand(rows, steps, SPEC.action) * 2 - 1,
        reward=torch.randn(rows, steps),
        terminated=torch.zeros(rows, steps),
        mask=torch.ones(rows, steps),
        state=torch.zeros(rows, agent.state_size),
        burn_in=torch.zeros(rows, dtype=torch.int64),
    )


def updates(clock: Clock) -> Iterator[Row]:
    """RSAC's update: like against like, and our fastest against what is usually run."""
    for mine, theirs in (("fp32", "fp32"), ("bf16", "bf16"), ("bf16", "fp32")):
        peer = UsualRSAC(3, 1, hidden_sizes=(128, 128), hidden_size=128, precision=theirs)
        batch = random_batch(agent := rsac(precision=mine), 32, 64)
        times = clock.duel(partial(agent.update, batch), partial(peer.update, batch))
        yield Row(f"RSAC, LSTM-128, 32 × 64, {mine}", "updates/s", *times, f"usual, {theirs}")


def memories(clock: Clock) -> Iterator[Row]:
    """Updates and single actions with each memory, beside the LSTM's."""
    lstm = rsac()
    seen = {key: torch.ones(1, *field.shape) for key, field in SPEC.observation.items()}
    for name, memory in (
        ("GRU-128", partial(GRU, hidden_size=128)),
        ("MinGRU-128", partial(MinGRU, hidden_size=128)),
        ("Transformer-64", partial(Transformer, hidden_size=64)),
    ):
        agent = SAC(SPEC, summarizer=memory, hidden_sizes=(128, 128))
        calls = [partial(a.update, random_batch(a, 32, 64)) for a in (agent, lstm)]
        yield Row(f"RSAC, {name}, 32 × 64", "updates/s", *clock.duel(*calls), "ours with LSTM-128")
        calls = [partial(a.policy.act, seen, a.policy.initial_state()) for a in (agent, lstm)]
        yield Row(f"one action, {name}", "µs", *clock.duel(*calls), "ours with LSTM-128")


def family(clock: Clock) -> Iterator[Row]:
    """Updates of SAC's kin, beside SAC's, memoryless."""
    plain = SAC(SPEC)
    for algorithm in (TQC, REDQ, TD3BC):
        agent = algorithm(SPEC)
        calls = [partial(a.update, random_batch(a, 256, 1)) for a in (agent, plain)]
        yield Row(f"{algorithm.__name__}, batch 256", "updates/s", *clock.duel(*calls), "our SAC")


def priorities(clock: Clock) -> Iterator[Row]:
    """Drawing windows by priority and weighing them, beside drawing them all alike."""
    urgent, alike = filled_replay(100_000, priority_alpha=0.9), filled_replay(100_000)

    def draw() -> None:
        batch = urgent.sample()
        urgent.update_priorities(batch, batch.reward)

    times = clock.duel(draw, alike.sample)
    yield Row("32 × 32 of 100,000 steps by priority", "µs", *times, "ours, all alike")


def first_release(clock: Clock) -> Iterator[Row]:
    """The networks of the first release, where each critic had a memory of its own."""
    shape: dict[str, Any] = {"hidden_size": 256, "num_layers": 2, "skip_connection": False}
    for precision in ("fp32", "bf16"):
        peer = UsualRSAC(3, 1, hidden_sizes=(256, 256), critic_memories=2, **shape)
        batch = random_batch(agent := rsac(units=256, precision=precision, **shape), 10, 64)
        times = clock.duel(partial(agent.update, batch), partial(peer.update, batch))
        what = f"RSAC, 2-layer LSTM-256, 10 × 64, {precision}"
        yield Row(what, "updates/s", *times, "usual, fp32, LSTM per critic")


def filled_replay(capacity: int, **settings: Any) -> EpisodeReplay:
    """As many steps as it takes."""
    replay = EpisodeReplay(
        SPEC, buffer_size=capacity, batch_size=32, sequence_length=32, **settings
    )
    observation = {k: np.ones((EPISODE + 1, *f.shape)) for k, f in SPEC.observation.items()}
    action, state = np.ones((EPISODE, 1)), np.zeros((EPISODE, 0))
    for _ in range(capacity // EPISODE):
        replay.add(Episode(observation, action, np.ones(EPISODE), False, state))
    return replay


def sampling(clock: Clock) -> Iterator[Row]:
    """Sampling against a loop over windows that stay inside their episodes."""
    random, size = np.random.default_rng(0), 1_000_000
    observation = np.ones((size, 3), np.float32)
    others = [np.ones((size, 1), np.float32) for _ in ("action", "reward", "terminated")]

    def loop() -> list[torch.Tensor]:
        episodes, places = random.integers(size // EPISODE, size=32), random.integers(168, size=32)
        starts = (episodes * EPISODE + places).tolist()
        windows = [[observation[start : start + 33] for start in starts]]
        windows += [[array[start : start + 32] for start in starts] for array in others]
        return [torch.from_numpy(np.stack(rows)) for rows in windows]

    times = clock.duel(filled_replay(size).sample, loop)
    yield Row("sampling 32 × 32 of 1,000,000 steps", "µs", *times, "numpy, window by window")


def acting(clock: Clock) -> Iterator[Row]:
    """One action at a time, as a robot asks for them."""
    agent = rsac(256, 256, num_layers=2)
    peer = UsualRSAC(3, 1, hidden_sizes=(256, 256), hidden_size=256, num_layers=2)
    seen = {key: torch.ones(1, *field.shape) for key, field in SPEC.observation.items()}
    inputs, state = torch.ones(1, 1, 3), agent.policy.initial_state()
    cells = (torch.zeros(2, 1, 256), torch.zeros(2, 1, 256))
    times = clock.duel(lambda: agent.policy.act(seen, state), lambda: peer.act(inputs, cells))
    yield Row("one action, 2-layer LSTM-256", "µs", *times, "torch.nn.LSTM, step by step")


def loop(algorithm: type[OffPolicy], clock: Clock) -> Iterator[Row]:
    """The whole training loop after its warm-up: environment, replay, update; no evaluation."""
    env = make_env("Pendulum-v1")
    agent, replay = algorithm(env.spec_of_agent), EpisodeReplay(env.spec_of_agent)
    recorder = Recorder(Path(tempfile.mkdtemp()), columns(agent))
    collector = Collector(agent, [env], weight_sync="step")  # as SAC and TD3 do by default
    ours = Training(agent, replay, collector, Evaluator(SequentialEnvs([]), episodes=0), recorder)
    peer = getattr(sb3, algorithm.__name__)(
        "MlpPolicy", "Pendulum-v1", learning_starts=1_000, batch_size=256, train_freq=1,
        gradient_steps=1, policy_kwargs={"net_arch": [256, 256]}, device="cpu",
    )  # fmt: skip

    def learn(steps: int) -> None:
        for _ in range(steps):
            ours.step()

    learn(1_000)
    peer.learn(1_000)
    times = clock.duel(lambda: learn(100), lambda: peer.learn(100, reset_num_timesteps=False))
    what = f"{algorithm.__name__}, Pendulum-v1, batch 256, 256 × 256"
    yield Row(what, "steps/s", *times, f"Stable-Baselines3 {sb3.__version__}", 100)


def rollouts(clock: Clock) -> Iterator[Row]:
    """PPO's whole loop, 4 copies of 512 steps, 10 epochs in minibatches of 64."""
    mine = on_policy(512, copies=4, hidden_sizes=(64, 64), batch_size=64)
    peer = sb3.PPO(
        "MlpPolicy", make_vec_env("Pendulum-v1", 4), n_steps=512, batch_size=64, n_epochs=10,
        policy_kwargs={"net_arch": [64, 64]}, device="cpu",
    )  # fmt: skip
    times = clock.duel(mine, lambda: peer.learn(2_048, reset_num_timesteps=False))
    what = "PPO, Pendulum-v1, 4 × 512, batch 64"
    yield Row(what, "steps/s", *times, f"Stable-Baselines3 {sb3.__version__}", 2_048)


def recurrent_rollouts(clock: Clock) -> Iterator[Row]:
    """PPO with an LSTM-256 in actor and critic each: 512 steps, 10 epochs in minibatches of 128."""
    memory = partial(LSTM, hidden_size=256, skip_connection=False)
    mine = on_policy(
        512, sequence_length=64, summarizer=memory, hidden_sizes=(64, 64), batch_size=2
    )
    peer = RecurrentPPO(
        "MlpLstmPolicy", "Pendulum-v1", n_steps=512, batch_size=128, n_epochs=10,
        policy_kwargs={"net_arch": [64, 64], "lstm_hidden_size": 256}, device="cpu",
    )  # fmt: skip
    times = clock.duel(mine, lambda: peer.learn(512, reset_num_timesteps=False))
    what = "PPO, LSTM-256, Pendulum-v1, 512, batch 2 × 64"
    yield Row(what, "steps/s", *times, f"sb3-contrib {sb3_contrib.__version__}", 512)


def on_policy(
    steps: int, *, copies: int = 1, sequence_length: int = 1, **settings: Any
) -> Callable[[], None]:
    """A function that plays one rollout and learns from it."""
    envs = [make_env("Pendulum-v1") for _ in range(copies)]
    agent = PPO(envs[0].spec_of_agent, **settings)
    replay = Rollout(
        agent.spec,
        agent.state_size,
        rollout_steps=steps,
        num_envs=copies,
        sequence_length=sequence_length,
    )
    collector = Collector(agent, envs, rollout_steps=steps)
    recorder = Recorder(Path(tempfile.mkdtemp()), columns(agent))
    training = Training(
        agent,
        replay,
        collector,
        Evaluator(SequentialEnvs([]), episodes=0),
        recorder,
        learning_starts=0,
    )

    def play() -> None:
        for _ in range(steps):
            training.step()

    return play


def stepping(clock: Clock) -> Iterator[Row]:
    """256 copies in one step against one environment alone; episodes begin anew in both."""
    for name in (
        "pendulum-p",
        "cartpole-continuous-long-p",
        "cartpole-var-len-pa",
        "water-maze-simple-pomdp",
        "car-episodic",
        "reacher-pomdp",
        "t-maze10",
        "Quadrotor",
        "QuadInvPendulum",
    ):
        envs, env = gymnasium.make_vec(f"{name}-v0", 256), gymnasium.make(f"{name}-v0")
        times = clock.duel(together(envs), alone(env))
        yield Row(f"256 × {name}", "steps/s", times[0], 256 * times[1], "one alone", 256)


def together(envs: gymnasium.vector.VectorEnv) -> Callable[[], None]:
    """A step of one set of random actions, and a reset of the copies that it ends."""
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = envs.action_space.sample()

    def step() -> None:
        _, _, terminated, truncated, _ = envs.step(actions)
        ended = terminated | truncated
        if ended.any():
            envs.reset(options={"reset_mask": ended})

    return step


def alone(env: gymnasium.Env) -> Callable[[], None]:
    """The same of one environment."""
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    return step


def processes(clock: Clock) -> Iterator[Row]:
    """--async beside --envs alone: copies in a process each, or one after another."""
    env_id, copies = "hopper-p-v0", 4
    alone = [make_env(env_id, copy=copy) for copy in range(copies)]
    vectors = AsyncEnvs(env_id, copies, alone[0]), SequentialEnvs(alone)
    times = clock.duel(*(side_by_side_steps(envs) for envs in vectors))
    for envs in vectors:
        envs.close()
    yield Row("4 × hopper-p, --async", "steps/s", *times, "one after another", copies)


def side_by_side_steps(envs: VectorEnvAdapter) -> Callable[[], None]:
    """A step of random actions, and a reset of the copies that it ends."""
    random = np.random.default_rng(0)
    envs.reset({copy: copy for copy in range(len(envs))})

    def step() -> None:
        outcomes = envs.step(random.uniform(-1, 1, (len(envs), 3)))
        envs.reset({copy: copy for copy, outcome in enumerate(outcomes) if outcome.ended})

    return step


def growth(clock: Clock) -> Iterator[Row]:
    """How the rates grow with one size, the others being those of `updates`."""
    for name, width, rows, steps in (
        *((f"T = {steps}", 128, 32, steps) for steps in (32, 64, 128, 256)),
        *((f"B = {rows}", 128, rows, 64) for rows in (8, 16, 32, 64)),
        *((f"width {width}", width, 32, 64) for width in (64, 128, 256)),
    ):
        update = partial((agent := rsac(width)).update, random_batch(agent, rows, steps))
        yield Row(f"RSAC, LSTM-128, 32 × 64, but {name}", "updates/s", clock.alone(update))
    for copies in (1, 2, 4, 8, 16):
        envs = [make_env("pendulum-p-v0", previous_action=True) for _ in range(copies)]
        step = Collector(rsac(), envs).step
        what = f"collecting, LSTM-128, {copies} copies"
        yield Row(what, "steps/s", clock.alone(step), amount=copies)
    for capacity in (10_000, 100_000, 1_000_000):
        sample = filled_replay(capacity).sample
        yield Row(f"sampling 32 × 32 of {capacity:,} steps", "µs", clock.alone(sample))


PIECES: dict[str, Callable[[Clock], Iterator[Row]]] = {
    "rsac": updates,
    "memories": memories,
    "family": family,
    "priority": priorities,
    "first": first_release,
    "sample": sampling,
    "act": acting,
    "sac": partial(loop, SAC),
    "td3": partial(loop, TD3),
    "ppo": rollouts,
    "lstm_ppo": recurrent_rollouts,
    "stepping": stepping,
    "async": processes,
    "growth": growth,
}


def main() -> None:
    """Measures the pieces that were asked for."""
    parser = argparse.ArgumentParser(description="Speed, beside peers; a ratio above 1 is faster.")
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=f"{', '.join(PIECES)}; all")
    parser.add_argument("--quick", action="store_true", help="few and short turns")
    parser.add_argument("--threads", type=int, default=2, help="of torch; 2")
    asked = parser.parse_args()
    if unknown := set(asked.pieces) - set(PIECES):
        parser.error(f"no piece {', '.join(sorted(unknown))}; there are {', '.join(PIECES)}")
    began = time.perf_counter()
    torch.set_num_threads(asked.threads)
    print(f"{os.cpu_count()} cores, {asked.threads} threads, torch {torch.__version__}, "
          f"Python {platform.python_version()}\n\n{header()}", flush=True)  # fmt: skip
    clock = Clock(turns=2, span=0.02) if asked.quick else Clock(turns=7, span=0.5)
    for name in asked.pieces or PIECES:
        for row in PIECES[name](clock):
            print(row, flush=True)
    print(f"\nmeasured in {(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
