"""Playing a trained policy: in a window, into videos, or many times for a score."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.algorithms import Policy, PolicyWrapper
from offpcc.config.bindings import configured
from offpcc.config.limits import MAX_EVALUATED
from offpcc.data import Observation
from offpcc.deploy.loaded_policy import copies_of, env_of, load
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import SequentialEnvs
from offpcc.storage.atomic_io import strict_json
from offpcc.storage.run_folder import RunFolder
from offpcc.training.evaluator import (
    Evaluator,
    Score,
    mean_and_error,
    play,
    summary,
)

SEED = 0  # the same starts for every run, so that runs can be compared
SIDE_BY_SIDE = 20  # copies of an environment in an evaluation
NORMAL = 1.96  # standard errors to either side hold 95 %


def has_display() -> bool:
    """Whether a window could open."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def score(path: Path | str, episodes: int) -> tuple[float, float]:
    """Mean return of greedy episodes, and its standard error."""
    return mean_and_error([each.total for each in _scores(path, load(path), episodes)])


def chance(env: EnvAdapter, episodes: int) -> tuple[float, float]:
    """Mean return of uniformly random actions, and its standard error: a floor for a score."""
    random = np.random.default_rng(SEED)
    returns = []
    for episode in range(episodes):
        seen = env.reset(seed=SEED + episode)[0]
        total = 0.0
        for _ in range(env.limit or MAX_EVALUATED):
            outcome = env.play(env.space_adapter.uniform(random, seen))
            seen = outcome.seen
            total += outcome.reward
            if outcome.ended:
                break
        returns.append(total)
    return mean_and_error(returns)


def evaluate(path: Path | str, episodes: int, *, ablated: bool = False) -> dict[str, Any]:
    """Plays greedy episodes; prints what they came to, and only then writes evaluation.json.

    Gives back what that file holds. ablated: plays the same starts again with a memory that is
    emptied before every step, and prints what memory is worth: the mean difference, episode by
    episode. Raises ValueError for less than one episode and, if ablated, for an agent that has no
    memory, and OSError where the file cannot be written.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; it must be at least 1")
    policy = load(path)
    if ablated and not policy.memory.state_size:
        raise ValueError(f"{path}: there is no memory to ablate; the agent acts on what it sees")
    scores = _scores(path, policy, episodes)
    row = summary("test", scores)
    low, high = _interval(row["test_return"], row["test_return_se"])
    result = {"episodes": episodes, **row, "test_return_low": low, "test_return_high": high}
    success = f", success {row['test_success']:.2f}" if "test_success" in row else ""
    said = f"{path}: {episodes} episodes, {_said(row['test_return'], row['test_return_se'])}"
    print(f"{said}, length {row['test_length']:.0f}{success}", flush=True)
    if ablated:
        without = _scores(path, MemorylessPolicy(policy), episodes)
        row = summary("ablated", without)
        pairs = zip(scores, without, strict=True)
        worth, error = mean_and_error([kept.total - emptied.total for kept, emptied in pairs])
        result |= row | {"memory_worth": worth, "memory_worth_se": error}
        low, high = _interval(worth, error)
        print(
            f"{path}: its memory emptied at every step, "
            f"{_said(row['ablated_return'], row['ablated_return_se'])}; memory is worth "
            f"{worth:.1f}, 95 % interval {low:.1f} to {high:.1f}",
            flush=True,
        )
    RunFolder(path).replace("evaluation.json", strict_json(result))
    return result


class MemorylessPolicy(PolicyWrapper):
    """A policy whose memory is emptied before every step."""

    def act(
        self, observation: dict[str, Tensor], state: Tensor, greedy: bool = True
    ) -> tuple[Tensor, Tensor]:
        """See `Policy.act`; whatever the state is, it is taken for the one before an episode."""
        return super().act(observation, torch.zeros_like(state), greedy)


def watch(path: Path | str, episodes: int) -> None:
    """Plays episodes in a window, and prints each; closing the window ends it."""
    env, policy = env_of(path, "human"), load(path)
    try:
        for episode in range(episodes):
            print(_line_of(episode, _played(policy, SequentialEnvs([env]), episode)), flush=True)
    except KeyboardInterrupt as closed:
        if not closed.args:  # Ctrl-C, and not the window
            raise
        print(closed)
    finally:
        env.close()


def record(path: Path | str, episodes: int) -> list[Path]:
    """Plays episodes into videos/*.mp4, prints each, and gives the files.

    Raises ValueError for an environment that draws no pictures.
    """
    env, policy = env_of(path, "rgb_array"), load(path)
    folder = Path(path) / "videos"
    files = []
    try:
        for episode in range(episodes):
            files.append(folder / f"episode-{episode}.mp4")
            filming = VideoRecorder(env, files[-1])
            try:
                result = _line_of(episode, _played(policy, filming, episode))
            finally:
                filming.stop()
            print(f"{result}: {files[-1]}", flush=True)
    finally:
        env.close()
    return files


def _played(policy: Policy, envs: SequentialEnvs, episode: int) -> Score:
    """What the episode of this number comes to in one environment."""
    limit = configured(Evaluator)(envs).max_episode_steps
    return play(policy, envs, [SEED + episode], first=episode, max_episode_steps=limit)[0]


class VideoRecorder(SequentialEnvs):
    """An environment alone that writes a picture of every step into a video."""

    def __init__(self, env: EnvAdapter, file: Path) -> None:
        super().__init__([env])
        self._env, self._file = env, file
        self._writer: Any = None

    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """As the environment; the first picture."""
        seen = super().reset(seeds, episodes)
        self._film()
        return seen

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """As the environment; the next picture."""
        outcomes = super().step(actions)
        self._film()
        return outcomes

    def stop(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()

    def _film(self) -> None:
        picture = self._env.render()
        if not isinstance(picture, np.ndarray):
            raise ValueError(f"{self._env.unwrapped} draws no pictures (render_mode 'rgb_array')")
        if self._writer is None:
            import imageio.v2 as imageio  # only a video needs it

            self._file.parent.mkdir(exist_ok=True)
            rate = float(self._env.metadata.get("render_fps") or 30)
            self._writer = imageio.get_writer(self._file, fps=rate, macro_block_size=1)
        height, width = (size // 2 * 2 for size in picture.shape[:2])  # the codec wants even ones
        self._writer.append_data(picture[:height, :width])


def _scores(path: Path | str, policy: Policy, episodes: int) -> list[Score]:
    envs = copies_of(path, min(episodes, SIDE_BY_SIDE))
    try:
        scores: list[Score] = configured(Evaluator)(envs, episodes, SEED)(policy)
        return scores
    finally:
        envs.close()


def _interval(mean: float, error: float) -> tuple[float, float]:
    return mean - NORMAL * error, mean + NORMAL * error


def _said(mean: float, error: float) -> str:
    low, high = _interval(mean, error)
    return f"return {mean:.1f}, standard error {error:.1f}, 95 % interval {low:.1f} to {high:.1f}"


def _line_of(episode: int, score: Score) -> str:
    success = "" if score.success is None else f", {'success' if score.success else 'no success'}"
    return f"episode {episode}: return {score.total:.1f}, {score.length} steps{success}"
