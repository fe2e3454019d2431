"""Dataset: episodes that somebody has played before, read from a disk, to learn from offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box

from offpcc.data import ACTION_MASK, AgentSpec, Episode
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.training.dataset_io import ARRAYS, MASKS, minari_data_set, read_array
from offpcc.training.experience_source import ExperienceSource

# By how much what came after a row may differ from the next row: files may have several precisions.
RELATIVE, ABSOLUTE = 1e-5, 1e-6


class Rows(NamedTuple):
    """L steps as the environment gave them; actions in [-1, 1]."""

    observations: Any  # L + 1 of them: an array, or a mapping of arrays
    actions: np.ndarray  # (L, A)
    rewards: np.ndarray  # (L,)
    terminated: bool
    cut: bool = False  # it ends, without a flag, where the next row does not go on from it
    masks: Any = None  # L + 1 of them, where they come beside the observations


class Recording(NamedTuple):
    """The episodes of a data set, and how many of them end without a flag before the last row."""

    episodes: list[Episode]
    cuts: int

    def __str__(self) -> str:
        """How many episodes, how long they are, and what is odd about them."""
        lengths = [len(episode) for episode in self.episodes]
        shortest, longest = min(lengths), max(lengths)
        many = shortest if shortest == longest else f"{shortest} to {longest}"
        text = f"{len(lengths)} episodes of {many} steps (median {np.median(lengths):g})"
        if self.cuts:
            text += f"; {self.cuts} cuts that no flag explains: there, next_obs is not the next obs"
        if longest == 1 < len(lengths):
            text += "; no episode is longer than one step, so no memory has anything to hold"
        return text


class Dataset(ExperienceSource):
    """Hands over all episodes of a data set in its first step, and nothing after that.

    No environment is stepped: a step is what updates are counted by. source: a folder of .npy
    files, as `--demonstrate` writes it, or the id of a Minari data set on this machine.
    description: a line on its episodes.

    Raises ValueError for what is neither, and for episodes that are not of this environment.
    """

    def __init__(self, envs: VectorEnvAdapter, source: str) -> None:
        self.envs = envs
        recorded = read_episodes(source, envs.space_adapter)
        self.episodes = recorded.episodes
        self.description = f"{source}: {recorded}"

    def step(self, uniform: bool = False) -> list[Episode]:
        """All episodes, then none."""
        self.steps += 1
        found, self.episodes = self.episodes, []
        return found

    def state_dict(self) -> dict[str, Any]:
        """How far it is; the replay has the episodes."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self.steps = state["steps"]
        self.episodes = [] if self.steps else self.episodes


def read_episodes(source: str, space_adapter: SpaceAdapter) -> Recording:
    """The episodes of a data set as the collector would have stored them.

    Raises ValueError for a source that is no data set, that is empty, or not of this environment.
    """
    if not source:
        raise ValueError(
            "dataset is not set; it is a folder of .npy files, as --demonstrate writes it, or the "
            "id of a Minari data set"
        )
    read = _of_folder if Path(source).is_dir() else _of_minari
    episodes, cuts = [], 0
    try:
        with np.errstate(over="ignore"):  # of float32: what is not finite then is refused by name
            for played in read(source, space_adapter):
                episodes.append(_seen(played, space_adapter))
                cuts += played.cut
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{source}: {error}") from error
    if not episodes:
        raise ValueError(f"{source} has no episodes")
    return Recording(episodes, cuts)


def _seen(played: Rows, space_adapter: SpaceAdapter) -> Episode:
    """What an agent sees of it, its own past included."""
    if played.rewards.ndim != 1:
        raise ValueError(f"rewards have shape {played.rewards.shape}; they are (L,)")
    steps = len(played.rewards)
    over = np.append(np.zeros(steps, bool), played.terminated)
    if space_adapter.needs_mask and played.masks is None:
        raise ValueError(
            "the data set has no action masks, and this environment has; "
            "make_env.action_mask_key = None learns without them"
        )
    observation = space_adapter.first(
        played.observations, (steps + 1,), mask=played.masks, over=over
    )
    if "previous_action" in observation:
        observation["previous_action"][1:] = np.clip(played.actions, -1, 1)
    if "previous_reward" in observation:
        observation["previous_reward"][1:, 0] = played.rewards
    _check(played, space_adapter.spec)
    if space_adapter.spec.is_masked:
        _check_legal(played.actions, observation[ACTION_MASK][:-1])
    return Episode(
        observation,
        played.actions.astype(np.float32),
        played.rewards.astype(np.float32),
        played.terminated,
        np.zeros((steps, 0), np.float32),
    )


def _check(played: Rows, spec: AgentSpec) -> None:
    """Raises ValueError for actions that are not this environment's, and for what is not finite."""
    if (size := played.actions.shape[1:]) != (spec.action,):
        raise ValueError(f"actions have shape {size}; this environment's have {(spec.action,)}")
    if np.abs(played.actions).max(initial=0.0) > 1 + 1e-6:
        raise ValueError("actions lie beyond ±1, which is where an agent's lie")
    parts = np.split(played.actions, np.cumsum(spec.choices)[:-1], 1) if spec.choices else []
    if any(((part != 0).sum(1) != 1).any() or (part.sum(1) != 1).any() for part in parts):
        raise ValueError("actions are not one-hot, as this environment's choices are")
    for name, values in (("actions", played.actions), ("rewards", played.rewards)):
        if not np.isfinite(values.astype(np.float32)).all():
            raise ValueError(f"not all {name} are finite as float32, in which they are stored")


def _check_legal(actions: np.ndarray, masks: np.ndarray) -> None:
    """Raises ValueError for one-hot actions (L, A) that the masks (L, A) forbid."""
    illegal = ((actions > 0) & ~masks).any(1)
    if illegal.any():
        step = int(np.flatnonzero(illegal)[0])
        raise ValueError(f"the action of step {step} of an episode is one that its mask forbids")


def _of_folder(source: str, space_adapter: SpaceAdapter) -> Iterator[Rows]:
    """Rows end to end; one ends where it says so, or where the next row does not go on from it."""
    if not isinstance(space_adapter.spaces[0], Box) or space_adapter.spaces[0].dtype == np.uint8:
        raise ValueError(
            f"arrays are of plain numbers, not of {space_adapter.spaces[0]}; use --record-data"
        )
    obs, after, action, reward, terminated, truncated = (
        read_array(Path(source) / f"{name}.npy") for name in ARRAYS
    )
    if len({len(part) for part in (obs, after, action, reward, terminated, truncated)}) > 1:
        raise ValueError("the arrays have different lengths")
    if obs.shape != after.shape:
        raise ValueError(f"obs has shape {obs.shape}, and next_obs {after.shape}")
    if not len(obs) or any(part.ndim != 1 for part in (reward, terminated, truncated)):
        raise ValueError("reward, terminated and truncated are (N,), of at least one row")
    flagged = terminated.astype(bool) | truncated.astype(bool)
    ends = flagged | ~_goes_on(obs, after)
    masks = _masks_of_folder(Path(source), len(obs)) if space_adapter.needs_mask else None
    first = 0
    for last in np.flatnonzero(ends).tolist():
        part = slice(first, last + 1)
        seen = np.concatenate((obs[part], after[last : last + 1]))
        cut = last + 1 < len(obs) and not flagged[last]
        legal = masks and np.concatenate((masks[0][part], masks[1][last : last + 1]))
        yield Rows(seen, action[part], reward[part], bool(terminated[last]), cut, legal)
        first = last + 1


def _masks_of_folder(folder: Path, rows: int) -> list[np.ndarray] | None:
    """The masks (N, A) before and after each row; None where there are none.

    Raises ValueError for another number of them.
    """
    if not all((folder / f"{name}.npy").exists() for name in MASKS):
        return None
    masks = [read_array(folder / f"{name}.npy") for name in MASKS]
    if any(len(mask) != rows for mask in masks):
        raise ValueError("the arrays have different lengths")
    return masks


def _goes_on(obs: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether what came after each row is what the next row begins with (N,); not of the last."""
    before, then = (part.reshape(len(part), -1) for part in (obs, after))
    return np.append(np.isclose(then[:-1], before[1:], RELATIVE, ABSOLUTE).all(1), False)


def _of_minari(source: str, space_adapter: SpaceAdapter) -> Iterator[Rows]:
    for episode in minari_data_set(source).iterate_episodes():
        ended = bool(np.asarray(episode.terminations)[-1])
        actions = space_adapter.agents(np.asarray(episode.actions))
        masks = (episode.infos or {}).get(ACTION_MASK)
        rewards = np.asarray(episode.rewards)
        yield Rows(episode.observations, actions, rewards, ended, masks=masks)
