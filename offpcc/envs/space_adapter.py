"""SpaceAdapter: between an environment's spaces and the agent's observations and actions."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from offpcc.data import ACTION_MASK, AgentSpec, Field, Observation
from offpcc.envs.action_mask import MaskReader
from offpcc.envs.actions import Choices, actions_of, one_hot
from offpcc.envs.spaces import Path, key_of, leaves, nested, part_of, readers_of


class SpaceAdapter:
    """Converts between an environment's spaces and the agent's, for one copy or for rows.

    previous_action, previous_reward: whether the observation has these keys, zero at reset.
    action_mask_key: the part of the observation that is its action mask, if there is one.
    mask_beside: what errors call an action mask that comes beside it; None: none does.
    readers: what reads each part of a raw observation, by its path; mask_reader and mask_path: the
    same of the action mask, the path being None for one that comes beside. actions: the conversion.
    Raises ValueError for spaces that cannot be served.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        previous_action: bool = False,
        previous_reward: bool = False,
        action_mask_key: str | None = ACTION_MASK,
        mask_beside: str | None = None,
    ) -> None:
        self.spaces = observation_space, action_space
        self.actions = actions_of(action_space)
        size = self.actions.size
        parts = dict(leaves(observation_space))
        self.mask_reader: MaskReader | None = None
        self.mask_path: Path | None = None  # of a mask that is a part of the observation
        if isinstance(self.actions, Choices):
            found = [path for path in parts if key_of(path) == action_mask_key]
            self.mask_path = found[0] if found else None
            if self.mask_path is not None:
                self.mask_reader = MaskReader(
                    self.actions, key_of(self.mask_path), parts.pop(self.mask_path)
                )
            elif mask_beside:
                self.mask_reader = MaskReader(self.actions, mask_beside)
        self.readers = readers_of(parts)
        self._past: dict[str, int] = {}  # sizes of the agent's own past, by key
        if previous_action:
            self._past["previous_action"] = size
        if previous_reward:
            self._past["previous_reward"] = 1
        keys = {reader.key: reader.field for reader in self.readers.values()}
        if twice := self._past.keys() & keys.keys():
            raise ValueError(f"the observation has {sorted(twice)} already; do not ask for it")
        if self.mask_reader is not None and ACTION_MASK in keys:
            raise ValueError(
                f"the observation's key {ACTION_MASK!r} is not the action mask, "
                f"{self.mask_reader.name} is; rename the key"
            )
        mask = {} if self.mask_reader is None else {ACTION_MASK: self.mask_reader.field}
        past = {key: Field((size,)) for key, size in self._past.items()}
        self.spec = AgentSpec(keys | mask | past, size, self.actions.choices)

    def raw(self, actions: np.ndarray) -> np.ndarray:
        """Actions (…, A) as the environment takes them, never beyond its bounds."""
        return self.actions.raw(actions)

    def agents(self, raw: np.ndarray) -> np.ndarray:
        """The environment's actions (…) as agents hold them (…, A); the way back from `raw`."""
        return self.actions.agents(raw)

    @property
    def needs_mask(self) -> bool:
        """Whether an action mask comes beside the observation."""
        return self.mask_reader is not None and self.mask_path is None

    def uniform(self, random: np.random.Generator, seen: Observation) -> np.ndarray:
        """A uniform action (A,) in [-1, 1], or the one-hot of legal choices, at an observation."""
        action = random.uniform(-1, 1, self.spec.action)
        return one_hot(action, self.spec.choices, seen[ACTION_MASK]) if self.mask_reader else action

    def first(
        self,
        observation: Any,
        rows: tuple[int, ...] = (),
        *,
        mask: Any = None,
        over: Any = False,
    ) -> Observation:
        """What the agent sees of an episode's first raw observation, or of a batch of `rows`.

        mask: the action mask beside it. over (*rows): where an episode has truly ended. Raises
        SpaceError for an observation that is not of its space, and for a mask that cannot be.
        """
        past = {k: np.zeros((*rows, size), np.float32) for k, size in self._past.items()}
        return self._read(observation, rows, mask, over) | past

    def after(
        self,
        observation: Any,
        action: np.ndarray,
        reward: Any,
        rows: tuple[int, ...] = (),
        *,
        mask: Any = None,
        over: Any = False,
    ) -> Observation:
        """What the agent sees of the raw observation after an action (*rows, A) that it took.

        reward: (*rows). The others, and what is raised, are those of `first`.
        """
        seen = self._read(observation, rows, mask, over)
        if "previous_action" in self._past:
            seen["previous_action"] = np.clip(action, -1, 1, dtype=np.float32)
        if "previous_reward" in self._past:
            seen["previous_reward"] = np.asarray(reward, np.float32).reshape(*rows, 1)
        return seen

    def env_observations(self, seen: Sequence[Observation]) -> Any:
        """What the environment showed in these steps (L, …), in its own types."""
        own = {
            path: reader.original(np.stack([each[reader.key] for each in seen]))
            for path, reader in self.readers.items()
        }
        if self.mask_reader is not None and self.mask_path is not None:
            masks = np.stack([each[ACTION_MASK] for each in seen])
            own[self.mask_path] = self.mask_reader.original(masks)
        return nested(own, self.spaces[0])

    def _read(self, observation: Any, rows: tuple[int, ...], mask: Any, over: Any) -> Observation:
        """The mapping of one raw observation, or of a batch, and its action mask."""
        seen = {
            reader.key: reader.read(part_of(observation, path), rows)
            for path, reader in self.readers.items()
        }
        if self.mask_reader is not None:
            if self.mask_path is not None:
                mask = part_of(observation, self.mask_path)
            seen[ACTION_MASK] = self.mask_reader.read(mask, rows, over)
        return seen
