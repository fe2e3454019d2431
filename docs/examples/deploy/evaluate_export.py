"""Plays an exported policy in the environment of its run: python evaluate_export.py RUN [EPISODES].

The environment is gymnasium's own, not offpcc's adapter: what it gives goes to the runner, and the
runner's action to it. The starts are those of `--evaluate`, so both must give the same mean.
"""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import offpcc
from offpcc.deploy.runner import Runner


def start(episode: int) -> int:
    """The seed from which `--evaluate` starts an episode."""
    entropy = np.random.SeedSequence([0, episode], spawn_key=(1,))
    return int(entropy.generate_state(1)[0])


def beside(runner: Runner, info: dict[str, Any], action: Any, reward: float) -> dict[str, Any]:
    """The inputs that no observation holds."""
    mask = info.get("action_mask")
    known = {"action_mask": mask, "previous_action": action, "previous_reward": reward}
    keys = [each["key"] for each in runner.contract["inputs"] if each["path"] is None]
    return {key: known[key] for key in keys}


def episode_return(env: gymnasium.Env, runner: Runner, seed: int) -> float:
    """The undiscounted return of one episode."""
    observation, info = env.reset(seed=seed)
    runner.reset()
    ended, total, reward = False, 0.0, 0.0
    bounds = runner.contract["action"]
    action = np.full(bounds["shape"], 0.5) * np.add(bounds["low"], bounds["high"])
    while not ended:
        action = runner.act(observation, **beside(runner, info, action, reward))
        observation, reward, terminated, truncated, info = env.step(action)
        ended, total = terminated or truncated, total + float(reward)
    return total


def main(run: str, episodes: int = 100) -> None:
    """Prints the mean return, and its standard error."""
    runner = Runner(Path(run) / "export" / "policy.onnx")
    env = offpcc.env_of(run).env
    returns = [episode_return(env, runner, start(episode)) for episode in range(episodes)]
    mean, error = np.mean(returns), np.std(returns, ddof=1) / episodes**0.5
    print(f"{run}: {episodes} episodes, return {mean:.4f}, standard error {error:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
