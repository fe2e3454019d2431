"""LoadedPolicy: the policy of a finished run, and the environment that it was made for."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offpcc.algorithms import Policy, PolicyWrapper
from offpcc.config import bindings
from offpcc.data import ACTION_MASK, AgentSpec, Field
from offpcc.envs.actions import Choices, Continuous
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.values import check_bytes
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.runs.env_copies import build_copies, build_env
from offpcc.runs.saved_policy import saved_policy
from offpcc.storage.run_folder import RunFolder

Given = Mapping[str, Any] | NDArray[Any] | Tensor


class LoadedPolicy(PolicyWrapper):
    """A trained policy, on the CPU, that takes what an `EnvAdapter` gives.

    actions: the conversion to the environment's units, in which it then acts; None: its actions lie
    in [-1, 1], as `EnvAdapter.step` takes them. `spec` has the observation's keys that it reads,
    and the action mask where it has learned with one. The memory stays with the caller:
    `initial_state()` at an episode's start, then the state that `act` gave last.
    """

    def __init__(
        self, policy: Policy, spec: AgentSpec, actions: Continuous | Choices | None = None
    ) -> None:
        super().__init__(policy)
        self.actions = actions
        read = [*policy.memory.encoder.keys, *([ACTION_MASK] if spec.is_masked else [])]
        self.spec = replace(spec, observation={key: spec.observation[key] for key in read})

    def act(self, observation: Given, state: Tensor, greedy: bool = True) -> tuple[Any, Tensor]:
        """Actions and the next state (n, S).

        The actions are those of an agent: (n, A) in [-1, 1], one-hot for choices. Of a policy that
        was loaded with units="environment", they are those of the environment's action space: in
        its shape, type, bounds and units.

        observation: a mapping {key: (n, …)}, or its one key's array alone; of arrays or tensors; of
        one environment without n. The action comes back the same way. Raises ValueError for other
        keys and shapes, for pictures that are not of whole numbers from 0 to 255, and for an action
        mask that allows nothing.
        """
        named = self._named(observation)
        alone = all(np.ndim(named[k]) == len(f.shape) for k, f in self.spec.observation.items())
        tensors = {key: torch.as_tensor(value) for key, value in named.items()}
        if alone:
            tensors = {key: value.unsqueeze(0) for key, value in tensors.items()}
        self._check(tensors, len(state))
        action, state = super().act(tensors, state, greedy)
        action = action.squeeze(0) if alone else action
        plain = action.numpy() if self.actions is None else self.actions.raw(action.numpy())
        tensor = any(isinstance(value, Tensor) for value in named.values())
        return torch.as_tensor(plain) if tensor else plain, state

    def _named(self, observation: Given) -> dict[str, Any]:
        """The keys that are read, whichever way they came."""
        wanted = list(self.spec.observation)
        if not isinstance(observation, Mapping):
            observation = {"observation": observation}
        missing = [key for key in wanted if key not in observation]
        if missing:
            raise ValueError(
                f"the policy reads {wanted}, and {missing} is not there; "
                "offpcc.env_of(path) is an environment that gives them all"
            )
        return {key: _typed(key, observation[key], f) for key, f in self.spec.observation.items()}

    def _check(self, tensors: dict[str, Tensor], copies: int) -> None:
        for key, field in self.spec.observation.items():
            wanted, found = (copies, *field.shape), tuple(tensors[key].shape)
            if found != wanted:
                raise ValueError(f"{key} has shape {found}; a state of {copies} wants {wanted}")
        if self.spec.is_masked:
            parts = tensors[ACTION_MASK].split(list(self.spec.choices), -1)
            if not all(part.any(-1).all() for part in parts):
                raise ValueError(f"{ACTION_MASK} allows no choice: {tensors[ACTION_MASK].tolist()}")


def _typed(key: str, value: Any, field: Field) -> Any:
    """A value in the type that the policy reads. Raises ValueError for pictures of other values."""
    if field.dtype == "uint8":
        check_bytes(key, np.asarray(value))
    if isinstance(value, Tensor):
        return value.to(getattr(torch, field.dtype))
    return np.asarray(value, field.dtype)


def load(
    path: str | Path, best: bool = False, units: Literal["agent", "environment"] = "agent"
) -> LoadedPolicy:
    """The trained policy of a run's folder; its best instead of its newest, if asked.

    units: of the actions that it gives: in [-1, 1], as `env_of(path).step` takes them, or the
    environment's own, as a robot does; for these the environment is made and closed.

    Raises RunMissingError, NoCheckpointError, and ValueError for a damaged run.json.
    """
    if units not in ("agent", "environment"):
        raise ValueError(f"units is {units!r}; it is 'agent' or 'environment'")
    policy, spec, _ = saved_policy(RunFolder(path), best)
    actions = _actions_of(path) if units == "environment" else None
    return LoadedPolicy(policy, spec, actions).requires_grad_(False).eval()


def _actions_of(path: str | Path) -> Continuous | Choices:
    """How a run's environment takes actions."""
    env = env_of(path)
    env.close()
    return env.space_adapter.actions


def env_of(path: str | Path, render_mode: str | None = None) -> EnvAdapter:
    """A copy of the environment that a run is trained on, as its agent sees it and acts in it."""
    return build_env(_configured_env(path), render_mode)


def copies_of(path: str | Path, count: int) -> VectorEnvAdapter:
    """So many copies of that environment."""
    return build_copies(_configured_env(path), count)


def _configured_env(path: str | Path) -> str:
    """The id of a run's environment, its config being given to gin."""
    folder = RunFolder(path)
    env = folder.read()["env"]
    bindings.give(bindings.compose([folder / "config.gin"]))
    return str(env)
