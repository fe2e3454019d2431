"""Recording: steps of the real environment that every exported file has to reproduce."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from offpcc.deploy.export.deployed_policy import PREVIOUS_ACTION, DeployedPolicy
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.spaces import part_of

STEPS = 200
RESET_AT = 100  # a reset lies inside, however long episodes are


@dataclass(frozen=True)
class Recording:
    """T steps of a policy: what it was given, by the names of its inputs, and what it gave."""

    inputs: dict[str, NDArray[Any]]  # (T, *shape)
    starts: NDArray[np.bool_]  # (T,): whether an episode starts here
    state: NDArray[np.float32]  # (T, S), before the step
    action: NDArray[Any]  # (T, …) in the environment's units
    next_state: NDArray[np.float32]  # (T, S)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it by name, as check.npz has it."""
        inputs = {f"input:{name}": values for name, values in self.inputs.items()}
        own = ("starts", "state", "action", "next_state")
        return inputs | {name: getattr(self, name) for name in own}


class RawObserver(gymnasium.Wrapper):
    """Keeps the newest observation as the environment gave it."""

    newest: Any = None

    def reset(self, **arguments: Any) -> Any:
        """As the environment."""
        self.newest, info = self.env.reset(**arguments)
        return self.newest, info

    def step(self, action: Any) -> Any:
        """As the environment."""
        self.newest, *rest = self.env.step(action)
        return self.newest, *rest


def record_steps(deployed: DeployedPolicy, env: EnvAdapter) -> Recording:
    """Plays the policy greedily, by its own `act`, for 200 steps of one or more episodes."""
    env.env = observer = RawObserver(env.env)
    policy = deployed.policy
    rows: list[dict[str, Any]] = []
    starts: list[bool] = []
    ended, seen, memory, raw = True, {}, policy.initial_state(), None
    for step in range(STEPS):
        starts.append(ended or step == RESET_AT)
        if starts[-1]:
            seen, memory = env.reset(seed=step)[0], policy.initial_state()
            raw = env.space_adapter.raw(np.zeros(env.space_adapter.spec.action))
        row = {f"input:{k}": v for k, v in _given(deployed, observer.newest, seen, raw).items()}
        row["state"] = _state(deployed, memory.numpy()[0], seen)
        action, memory = policy.act({key: seen[key] for key in policy.spec.observation}, memory)
        raw = row["action"] = env.space_adapter.raw(action)
        seen, _, terminated, truncated, _ = env.step(action)
        taken = {PREVIOUS_ACTION: np.clip(action, -1, 1, dtype=np.float32)}
        row["next_state"] = _state(deployed, memory.numpy()[0], taken)
        ended = terminated or truncated
        rows.append(row)
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    inputs = {n.removeprefix("input:"): v for n, v in stacked.items() if n.startswith("input:")}
    own = {name: stacked[name] for name in ("state", "action", "next_state")}
    return Recording(inputs, np.array(starts), **own)


def _given(
    deployed: DeployedPolicy, raw: Any, seen: dict[str, Any], action: Any
) -> dict[str, NDArray[Any]]:
    """The inputs by name: of the raw observation, or from beside it."""
    given = {}
    for each in deployed.inputs:
        if each.path is not None:
            value = part_of(raw, each.path)
        else:
            value = action if each.key == PREVIOUS_ACTION else seen[each.key]
        given[each.name] = np.asarray(value, each.dtype).reshape(each.shape)
    return given


def _state(
    deployed: DeployedPolicy, memory: NDArray[Any], seen: dict[str, Any]
) -> NDArray[np.float32]:
    """The state (S,) of a deployed policy: the memory's, and the previous action if it has that."""
    return np.concatenate((memory, seen[PREVIOUS_ACTION])) if deployed.recalls else memory.copy()
