"""Logs of a controller as a data set: as a folder of arrays, or as a Minari data set."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from trolley import Trolley

EPISODES = 200


def drive(env, seed):
    """One episode of a PD controller, with noise: observations (L + 1, X), actions, rewards."""
    random = np.random.default_rng(seed)
    seen, _ = env.reset(seed=seed)
    observations, actions, rewards, ended = [seen], [], [], False
    while not ended:
        x, goal = seen
        moved = x - observations[-2][0] if actions else 0.0
        force = 2.0 * (goal - x) - 10.0 * moved + random.normal(0.0, 0.5)
        actions.append(np.array([np.clip(force, -1.0, 1.0)], np.float32))
        seen, reward, terminated, truncated, _ = env.step(actions[-1])
        observations.append(seen)
        rewards.append(reward)
        ended = terminated or truncated
    return np.array(observations), np.array(actions), np.array(rewards), terminated


def save_arrays(folder, episodes):
    """Writes one array for each quantity, with a row for each step, the episodes end to end."""
    rows = {name: [] for name in ("obs", "next_obs", "action", "reward", "terminated", "truncated")}
    for observations, actions, rewards, terminated in episodes:
        last = np.arange(len(rewards)) == len(rewards) - 1
        rows["obs"].append(observations[:-1])
        rows["next_obs"].append(observations[1:])
        rows["action"].append(actions)
        rows["reward"].append(rewards)
        rows["terminated"].append(last & terminated)
        rows["truncated"].append(last & (not terminated))
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, parts in rows.items():
        np.save(Path(folder) / f"{name}.npy", np.concatenate(parts))


def save_minari(name, episodes, env):
    """Writes a Minari data set (extra minari), which also has the spaces of the environment."""
    from minari import create_dataset_from_buffers
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for number, (observations, actions, rewards, terminated) in enumerate(episodes):
        last = np.arange(len(rewards)) == len(rewards) - 1
        ends = {"terminations": last & terminated, "truncations": last & (not terminated)}
        kept = {"observations": observations, "actions": actions, "rewards": rewards}
        buffers.append(EpisodeBuffer(id=number, **kept, **ends))
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    create_dataset_from_buffers(name, buffers, **spaces)


if __name__ == "__main__":
    episodes = [drive(Trolley(), seed) for seed in range(EPISODES)]
    save_arrays("logs", episodes)
    if find_spec("minari"):
        save_minari("trolley/logs-v0", episodes, Trolley())
    returns = [rewards.sum() for _, _, rewards, _ in episodes]
    print(f"{EPISODES} episodes, mean return {np.mean(returns):.2f}")
