"""Environments that say which choices are legal, and do not survive another one.

The module imports no other of the tests, so that a run's process can import a copy of it.
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv

SPACES: dict[str, Any] = {
    "discrete": Discrete(4, start=2),
    "several": MultiDiscrete([3, 2, 4], start=[1, 0, -2]),
    "binary": MultiBinary(3),
}
PARTS = {"discrete": (4,), "several": (3, 2, 4), "binary": (2, 2, 2)}


class Masked(gymnasium.Env[Any, Any]):
    """In each part of an action a drawn share of the choices is legal; the last choice pays.

    source: where the mask is: "info", "observation", "legal" (a key of that name), "method", or
    "tuple", which is the info's in parts. After a true end, nothing is legal.
    """

    def __init__(self, kind: str = "discrete", source: str = "info", length: int = 9) -> None:
        self.action_space, self.parts = SPACES[kind], PARTS[kind]
        self.source, self.length = source, length
        self.key = {"observation": "action_mask", "legal": "legal"}.get(source)
        seen = Box(-1, 1, (3,), np.float32)
        mask = MultiBinary(sum(self.parts))
        self.observation_space = Dict({"seen": seen, self.key: mask}) if self.key else seen
        if source == "method":
            self.action_masks = lambda: self.mask

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        self.draw()
        return self.shown(), self.info()

    def step(self, action: Any) -> Any:
        chosen = np.ravel(action - getattr(self.action_space, "start", 0)).astype(int)
        for part, choice in zip(self.split(), chosen, strict=True):
            if not part[choice]:
                raise RuntimeError(f"{action} is illegal: {self.mask}")
        reward = float(np.mean(chosen == np.array(self.parts) - 1))
        self.steps += 1
        over = self.steps == self.length
        self.draw()
        if over:
            self.mask = np.zeros_like(self.mask)
        return self.shown(), reward, over, False, self.info()

    def draw(self) -> None:
        legal = [self.np_random.random(count) < 0.5 for count in self.parts]
        for part in legal:
            part[self.np_random.integers(len(part))] = True
        self.mask = np.concatenate(legal).astype(np.int8)

    def split(self) -> list[np.ndarray]:
        return np.split(self.mask, np.cumsum(self.parts)[:-1])

    def shown(self) -> Any:
        seen = np.float32([self.steps / self.length, self.np_random.uniform(-1, 1), 1])
        return {"seen": seen, self.key: self.mask} if self.key else seen

    def info(self) -> dict[str, Any]:
        if self.source == "info":
            return {"action_mask": self.mask}
        return {"action_mask": tuple(self.split())} if self.source == "tuple" else {}


class MaskedVector(VectorEnv):
    """So many of them, stepped together; one that has ended rests, and has no mask then."""

    metadata: ClassVar[dict[str, Any]] = {
        "ended_copies_rest": True,
        "autoreset_mode": AutoresetMode.DISABLED,
    }

    def __init__(self, num_envs: int = 2, **settings: Any) -> None:
        self.num_envs = num_envs
        self.envs = [Masked(**settings) for _ in range(num_envs)]
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.last: list[Any] = [None] * num_envs

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        for copy in np.flatnonzero(options["reset_mask"]):
            seen, info = self.envs[copy].reset(seed=seed[copy])
            self.last[copy] = seen, 0.0, False, False, info
        return self.stacked(0), self.infos()

    def step(self, actions: Any) -> Any:
        for copy, action in enumerate(actions):
            if not self.last[copy][2]:
                self.last[copy] = self.envs[copy].step(action)
        return *(self.stacked(part) for part in range(4)), self.infos()

    def stacked(self, part: int) -> Any:
        values = [last[part] if last else self.empty()[part] for last in self.last]
        if isinstance(values[0], dict):
            return {key: np.stack([value[key] for value in values]) for key in values[0]}
        return np.stack(values)

    def empty(self) -> Any:
        seen = self.single_observation_space
        zeros = (
            {key: np.zeros(part.shape, part.dtype) for key, part in seen.items()}
            if isinstance(seen, Dict)
            else np.zeros(seen.shape, seen.dtype)
        )
        return zeros, 0.0, True, False, {}

    def infos(self) -> dict[str, Any]:
        envs = self.envs
        if envs[0].source != "info":
            return {}
        live = np.array([last is not None and not last[2] for last in self.last])
        size = sum(envs[0].parts)
        masks = [env.mask if on else np.zeros(size) for env, on in zip(envs, live, strict=True)]
        return {"action_mask": np.stack(masks).astype(np.int8), "_action_mask": live}


for _kind in SPACES:
    gymnasium.register(f"Masked-{_kind}-v0", Masked, kwargs={"kind": _kind})
gymnasium.register("MaskedKey-v0", Masked, kwargs={"source": "legal"})
gymnasium.register(
    "MaskedTogether-v0", Masked, vector_entry_point=lambda **given: MaskedVector(**given)
)
