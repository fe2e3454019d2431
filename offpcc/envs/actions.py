"""Actions: conversion between the agent's, in [-1, 1] or one-hot, and the environment's."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from offpcc.envs.values import shortened

ChoiceSpace = spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary


class Continuous:
    """Actions (…, A) in [-1, 1], stretched over a finite Box of floats.

    centre, scale: of its A numbers, float64.
    """

    choices: tuple[int, ...] = ()

    def __init__(self, space: spaces.Box) -> None:
        self.space, self.size = space, int(np.prod(space.shape))
        low, high = (bound.astype(np.float64).ravel() for bound in (space.low, space.high))
        self.centre, self.scale = (low + high) / 2, (high - low) / 2

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """In the Box's shape and type; what lies beyond ±1 is cut."""
        space = self.space
        raw = (self.centre + self.scale * np.asarray(actions, np.float64)).astype(space.dtype)
        return np.clip(raw.reshape((*raw.shape[:-1], *space.shape)), space.low, space.high)

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """Actions (L, A) of those (L, …) that an environment took; an entry of no width is 0.

        Raises ValueError for those of another space.
        """
        _check_shape(raw, self.space.shape)
        width = np.where(self.scale > 0, self.scale, 1.0)
        return ((raw.reshape(len(raw), -1) - self.centre) / width).clip(-1, 1).astype(np.float32)


class Choices:
    """Actions (…, A) of one-hot parts, one behind the other; the largest number is chosen.

    Each part of a MultiBinary space is a choice of 0 or 1. start: the space's first choices.
    """

    def __init__(self, space: ChoiceSpace) -> None:
        self.space = space
        self.choices = tuple(int(count) for count in np.ravel(_counts(space)))
        self.size = sum(self.choices)
        self.start = getattr(space, "start", 0)  # a MultiBinary has none

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """Whole numbers in the space's shape and type, its first choice being `start`."""
        chosen = np.stack(chosen_of(actions, self.choices), -1)
        shape = self.space.shape or ()
        raw = chosen.reshape((*chosen.shape[:-1], *shape)) + self.start
        return np.asarray(raw.astype(self.space.dtype))[()]

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """Actions (L, A) of those (L, …) that an environment took.

        Raises ValueError for those of another space.
        """
        _check_shape(raw, self.space.shape or ())
        parts = (raw - self.start).reshape(len(raw), -1)
        if not np.isin(parts, range(max(self.choices))).all() or (parts >= self.choices).any():
            raise ValueError(f"actions are not all of {self.space}")
        parts = parts.T.astype(int)
        pairs = zip(parts, self.choices, strict=True)
        return np.concatenate([np.eye(count, dtype=np.float32)[part] for part, count in pairs], -1)


def _counts(space: ChoiceSpace) -> Any:
    """How many choices each part of an action has."""
    if isinstance(space, spaces.MultiBinary):
        return np.full(space.shape, 2)
    return space.n if isinstance(space, spaces.Discrete) else space.nvec


def _check_shape(raw: np.ndarray, shape: tuple[int, ...]) -> None:
    if raw.shape[1:] != shape:
        raise ValueError(f"actions have shape {raw.shape[1:]}; this environment's have {shape}")


def chosen_of(actions: np.ndarray, choices: Sequence[int]) -> list[np.ndarray]:
    """Where the largest number of each part of actions (…, A) is, (…) each."""
    parts = np.split(np.asarray(actions), np.cumsum(choices)[:-1], -1)
    return [part.argmax(-1) for part in parts]


def one_hot(
    actions: np.ndarray, choices: Sequence[int], action_mask: np.ndarray | None = None
) -> np.ndarray:
    """1 at the largest number of each part of actions (…, A), else 0.

    action_mask: the legal choices (…, A), which alone count; None: all.
    """
    if action_mask is not None:
        actions = np.where(action_mask, actions, -np.inf)
    pairs = zip(chosen_of(actions, choices), choices, strict=True)
    return np.concatenate([np.eye(count, dtype=np.float32)[at] for at, count in pairs], -1)


def actions_of(space: gymnasium.Space) -> Continuous | Choices:
    """How agents act in an action space. Raises ValueError for one that cannot be served."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return Choices(space)
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"the action space is {shortened(space)}; offpcc serves Box, Discrete, MultiDiscrete "
            "and MultiBinary: make it one of these with gymnasium.wrappers.TransformAction"
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"the action space is {shortened(space)} of integers; actions must be floats: make it "
            "a MultiDiscrete, or a Box of floats, with gymnasium.wrappers.TransformAction"
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ValueError(
            f"the action space {space} has no finite bounds; wrap the environment in "
            "gymnasium.wrappers.RescaleAction or give its Box finite ones"
        )
    return Continuous(space)
