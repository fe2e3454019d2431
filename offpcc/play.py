"""Playing a trained policy: in a window, into videos, or many times for a score."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from offpcc.algorithms import Policy
from offpcc.evaluate import Evaluator, Score, mean_and_error, play, summary
from offpcc.experiment import load, world_of
from offpcc.world import World

EVALUATION_SEED = 0  # the same starts for every run, so that runs can be compared


def has_display() -> bool:
    """Whether a window could open."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def evaluate_run(path: Path, episodes: int) -> str:
    """Plays N greedy episodes; says, and writes to evaluation.json, what they came to."""
    worlds = [world_of(path) for _ in range(min(episodes, 20))]
    scores = Evaluator(worlds, episodes, EVALUATION_SEED)(load(path))
    row = summary("test", scores)
    (path / "evaluation.json").write_text(json.dumps({"episodes": episodes} | row, indent=2) + "\n")
    mean, error = mean_and_error([score.total for score in scores])
    low, high = mean - 1.96 * error, mean + 1.96 * error
    told = f"{path}: {episodes} episodes, return {mean:.1f}, standard error {error:.1f}"
    told += f", 95 % interval {low:.1f} to {high:.1f}, length {row['test_length']:.0f}"
    return told + (f", success {row['test_success']:.2f}" if "test_success" in row else "")


def watch(path: Path, episodes: int) -> None:
    """Plays episodes in a window, and prints each."""
    world, policy = world_of(path, "human"), load(path)
    try:
        for episode in range(episodes):
            print(_told(episode, play(policy, [world], [EVALUATION_SEED + episode])[0]), flush=True)
    finally:
        world.close()


def record(path: Path, episodes: int) -> list[Path]:
    """Plays episodes into videos/*.mp4, prints each, and gives the files."""
    import imageio.v2 as imageio

    world, policy = world_of(path, "rgb_array"), load(path)
    folder = path / "videos"
    folder.mkdir(exist_ok=True)
    files = []
    for episode in range(episodes):
        file = folder / f"episode-{episode}.mp4"
        filming = Filming(world)
        score = play(policy, [filming], [EVALUATION_SEED + episode])[0]
        frames: list[Any] = filming.frames
        imageio.mimwrite(file, frames, fps=_rate(world), macro_block_size=1)
        print(f"{_told(episode, score)}: {file}", flush=True)
        files.append(file)
    world.close()
    return files


class Filming(gymnasium.Wrapper):
    """A world that keeps a frame of every step."""

    frames: list[np.ndarray]

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """As the world; the first frame."""
        result = self.env.reset(**options)
        self.frames = [np.asarray(self.render())]
        return result

    def step(self, action: np.ndarray) -> Any:
        """As the world; the next frame."""
        result = self.env.step(action)
        self.frames.append(np.asarray(self.render()))
        return result


def chance(world: World, episodes: int, seed: int = EVALUATION_SEED) -> list[Score]:
    """What uniformly random actions come to, as a floor for a score."""
    random = np.random.default_rng(seed)
    return Evaluator([world], episodes, seed)(_Uniform(random, world.spec_of_agent.action))


class _Uniform(Policy):
    """Acts at random, and remembers nothing."""

    def __init__(self, random: np.random.Generator, size: int) -> None:
        torch.nn.Module.__init__(self)
        self._random, self._size = random, size

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def initial_state(self, copies: int = 1) -> torch.Tensor:
        return torch.zeros(copies, 0)

    def act(
        self, observation: dict[str, torch.Tensor], state: torch.Tensor, greedy: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        action = self._random.uniform(-1, 1, (len(state), self._size))
        return torch.from_numpy(action.astype(np.float32)), state


def _rate(world: World) -> float:
    return float(world.metadata.get("render_fps") or 30)


def _told(episode: int, score: Score) -> str:
    success = "" if score.success is None else f", {'success' if score.success else 'no success'}"
    return f"episode {episode}: return {score.total:.1f}, {score.length} steps{success}"
