"""Demonstrations: a trained policy's episodes as files to learn from."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from offpcc.algorithms import Policy, PolicyWrapper
from offpcc.config.bindings import configured
from offpcc.config.catalog import bare
from offpcc.data import ACTION_MASK, OWN_PAST, Observation
from offpcc.deploy.loaded_policy import copies_of, load
from offpcc.deploy.play import SEED, SIDE_BY_SIDE
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.step_outcome import Outcome
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.storage.run_folder import RunFolder
from offpcc.training.dataset_io import ARRAYS, MASKS, refuse_taken, write_minari
from offpcc.training.evaluator import Evaluator, mean_and_error


def demonstrate(path: Path | str, episodes: int) -> str:
    """Plays greedy episodes into demonstrations/*.npy of a run's folder, and says what they are.

    obs and next_obs (N, X) hold the environment's observations, their keys concatenated; action
    (N, A), reward, terminated and truncated (N,) have a row per step, episodes end to end. Where
    choices are masked, action_mask and next_action_mask (N, A) hold the masks.
    """
    played, said, _ = _played(path, load(path), episodes)
    steps = [step for episode in played for step in episode]
    rows = [(shown(s.before), shown(s.after), s.action, *map(np.asarray, s[3:])) for s in steps]
    arrays = dict(zip(ARRAYS, map(np.stack, zip(*rows, strict=True)), strict=True))
    if ACTION_MASK in steps[0].before:
        for name, side in zip(MASKS, ("before", "after"), strict=True):
            arrays[name] = np.stack([getattr(step, side)[ACTION_MASK] for step in steps])
    return f"{_save(arrays, Path(path) / 'demonstrations')}: {said}"


def _save(arrays: dict[str, np.ndarray], folder: Path) -> Path:
    """Arrays as files of a folder, over those of an earlier one; all of them or none."""
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        for name, values in arrays.items():
            np.save(draft / f"{name}.npy", values)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # a full disk needs the room
    return folder


def record_data(path: Path | str, episodes: int) -> str:
    """Plays episodes drawn from the policy into a Minari data set, and says what they are.

    Its id is <environment>/<algorithm>-<run>-v0. Observations and actions are those of the
    environment. Raises ValueError without minari, and where there is such a data set.
    """
    facts = RunFolder(path).read()
    name = _data_set(facts["env"], facts["algo"], Path(path).name)
    refuse_taken(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        played, said, space_adapter = _played(path, StochasticPolicy(load(path)), episodes)
    rows = [_raw(episode, space_adapter) for episode in played]
    write_minari(name, rows, space_adapter.spaces, env=facts["env"], algorithm=facts["algo"])
    return f"{name}: {said}"


def _data_set(env_id: str, algo: str, run: str) -> str:
    """The id of a run's data set, in the letters that Minari takes."""
    name = re.sub("[^-_a-zA-Z0-9/]", "_", re.sub(r"-v\d+$", "", bare(env_id)))
    return f"{name:_<2s}/{algo}-{re.sub('[^-_a-zA-Z0-9]', '_', run)}-v0"


def _raw(episode: "list[Step]", space_adapter: SpaceAdapter) -> dict[str, Any]:
    """One episode as the environment gave and took it."""
    seen = [episode[0].before, *(step.after for step in episode)]
    return {
        "observations": space_adapter.env_observations(seen),
        "actions": space_adapter.raw(np.stack([step.action for step in episode])),
        "rewards": np.array([step.reward for step in episode]),
        "terminations": np.array([step.terminated for step in episode]),
        "truncations": np.array([step.truncated for step in episode]),
    } | ({"infos": _masks(seen)} if space_adapter.needs_mask else {})


def _masks(seen: Sequence[Observation]) -> dict[str, np.ndarray]:
    """The action masks (L, A) of observations, as an environment's infos would hold them."""
    return {ACTION_MASK: np.stack([each[ACTION_MASK] for each in seen])}


def _played(
    path: Path | str, policy: Policy, episodes: int
) -> "tuple[list[list[Step]], str, SpaceAdapter]":
    """The steps of so many episodes, a description, and the adapter of the environment."""
    witness = TransitionRecorder(copies_of(path, min(episodes, SIDE_BY_SIDE)))
    try:
        scores = configured(Evaluator)(witness, episodes, SEED)(policy)
    finally:
        witness.close()
    mean, error = mean_and_error([score.total for score in scores])
    played = witness.episodes[:episodes]
    steps = sum(map(len, played))
    said = f"{steps} steps of {episodes} episodes, return {mean:.1f} ± {error:.1f}"
    return played, said, witness.space_adapter


class StochasticPolicy(PolicyWrapper):
    """A policy that is never greedy."""

    def act(
        self, observation: dict[str, Tensor], state: Tensor, greedy: bool = True
    ) -> tuple[Tensor, Tensor]:
        """See `Policy.act`; drawn, whatever is asked for."""
        return super().act(observation, state, greedy=False)


class Step(NamedTuple):
    """One step of one copy."""

    before: Observation
    after: Observation
    action: np.ndarray  # (A,) in [-1, 1]
    reward: float
    terminated: bool
    truncated: bool


class TransitionRecorder(VectorEnvAdapter):
    """Environments whose steps are written down, episode by episode, in the order they began."""

    def __init__(self, copies: VectorEnvAdapter) -> None:
        self.copies, self.limit = copies, copies.limit
        self.begun: list[list[Step]] = []
        self.open: dict[int, list[Step]] = {}  # by copy
        self.latest: dict[int, Observation] = {}

    @property
    def space_adapter(self) -> SpaceAdapter:
        """See `VectorEnvAdapter`."""
        return self.copies.space_adapter

    @property
    def episodes(self) -> list[list[Step]]:
        """The steps of each episode; one that was cut from outside ends as by a time limit."""
        return [
            [*steps[:-1], steps[-1]._replace(truncated=not steps[-1].terminated)]
            for steps in self.begun
        ]

    def __len__(self) -> int:
        """How many."""
        return len(self.copies)

    def reset(
        self, seeds: Mapping[int, int], episodes: Mapping[int, int] | None = None
    ) -> list[Observation]:
        """See `VectorEnvAdapter`."""
        first = self.copies.reset(seeds, episodes)
        for copy, seen in zip(seeds, first, strict=True):
            self.open[copy] = []
            self.begun.append(self.open[copy])
            self.latest[copy] = seen
        return first

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """See `VectorEnvAdapter`."""
        outcomes = self.copies.step(actions)
        for copy, outcome in enumerate(outcomes):
            if copy in self.open:
                ends = outcome.terminated, outcome.truncated
                before, self.latest[copy] = self.latest[copy], outcome.seen
                step = Step(before, outcome.seen, actions[copy], outcome.reward, *ends)
                self.open[copy].append(step)
                if outcome.ended:
                    del self.open[copy]
        return outcomes

    def rest(self) -> None:
        """See `VectorEnvAdapter`."""
        self.copies.rest()

    def close(self) -> None:
        """See `VectorEnvAdapter`."""
        self.copies.close()


def shown(seen: Observation) -> np.ndarray:
    """What the environment shows (X,), without the agent's own past and the action mask."""
    unseen = (*OWN_PAST, ACTION_MASK)
    parts = [value.ravel() for key, value in seen.items() if key not in unseen]
    return np.concatenate(parts).astype(np.float32)
