"""DeployedPolicy: a policy from raw observations to actions in the environment's units."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from offpcc.data import ACTION_MASK
from offpcc.deploy.export.policy_input import PolicyInput, masking, observed
from offpcc.deploy.loaded_policy import LoadedPolicy
from offpcc.envs.actions import Choices, Continuous
from offpcc.envs.space_adapter import SpaceAdapter
from offpcc.envs.spaces import key_of

ACTION, STATE, NEXT_STATE = "action", "state", "next_state"  # in the file
PREVIOUS_ACTION, PREVIOUS_REWARD = "previous_action", "previous_reward"


class DeployedPolicy(nn.Module):
    """Raw observations (n, …), then the state (n, S), to actions (n, …) and the next state (n, S).

    The state is that of the memory and, behind it, the previous action as the agent reads it; all
    zeros start an episode. It is neither input nor output where S = 0. Casts, normalisation,
    one-hot, the greedy actor, and the action's clip, units, bounds, shape and type are inside.

    measured: the previous action is an input, in the environment's units, for a robot that can
    measure what was executed; an episode starts with the centre of its Box. Raises ValueError for
    a policy that reads no previous action, or chooses.
    """

    def __init__(self, policy: LoadedPolicy, adapter: SpaceAdapter, measured: bool = False) -> None:
        super().__init__()
        self.policy, self.actions = policy, adapter.actions
        reads = policy.spec.observation
        if measured and (PREVIOUS_ACTION not in reads or isinstance(self.actions, Choices)):
            why = "it reads none" if PREVIOUS_ACTION not in reads else "it chooses its actions"
            raise ValueError(f"the policy needs no previous action to be measured: {why}")
        self.memory_size = int(policy.memory.state_size)
        recalls = PREVIOUS_ACTION in reads and not measured
        self.state_size = self.memory_size + self.actions.size * recalls
        self.inputs = list(_inputs(policy, adapter, measured))
        self.recalls = recalls

    @property
    def input_names(self) -> list[str]:
        """The names of what `forward` takes, in order."""
        return [each.name for each in self.inputs] + [STATE] * bool(self.state_size)

    @property
    def output_names(self) -> list[str]:
        """The names of what `forward` gives, in order."""
        return [ACTION] + [NEXT_STATE] * bool(self.state_size)

    def examples(self, rows: int = 1) -> tuple[Tensor, ...]:
        """What `forward` could be given."""
        state = [torch.zeros(rows, self.state_size)] if self.state_size else []
        return (*(each.zeros(rows) for each in self.inputs), *state)

    def forward(self, *values: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The action (n, …), and the next state (n, S) where there is one."""
        pairs = zip(self.inputs, values, strict=False)
        seen = {each.key: each.read(value) for each, value in pairs}
        state = (
            values[-1] if self.state_size else values[0].new_zeros(values[0].shape[0], 0).float()
        )
        if self.recalls:
            seen[PREVIOUS_ACTION] = state[:, self.memory_size :]
        feature, memory = self.policy.memory.step(
            self.policy.normalizer(seen), state[:, : self.memory_size]
        )
        action = self.policy.actor(feature, seen.get(ACTION_MASK)).clamp(-1, 1)
        if not self.state_size:
            return self.raw(action)
        after = torch.cat((memory, action), 1) if self.recalls else memory
        return self.raw(action), after

    def raw(self, action: Tensor) -> Tensor:
        """Actions (n, A) in [-1, 1] as the environment takes them, as `SpaceAdapter.raw` does."""
        actions = self.actions
        shape = (action.shape[0], *(actions.space.shape or ()))
        dtype = getattr(torch, np.dtype(actions.space.dtype).name)
        if isinstance(actions, Choices):
            parts = action.split(list(actions.choices), 1)
            chosen = torch.stack([part.argmax(1) for part in parts], 1)
            start = torch.as_tensor(np.asarray(actions.start, np.int64))
            return (chosen.reshape(shape) + start).to(dtype)
        precise = torch.promote_types(dtype, torch.float32)
        low, high, centre, scale = (
            torch.as_tensor(np.ravel(bound), dtype=precise)
            for bound in (actions.space.low, actions.space.high, actions.centre, actions.scale)
        )
        raw = centre + scale * action.to(precise)
        return torch.minimum(torch.maximum(raw, low), high).to(dtype).reshape(shape)


def _inputs(policy: LoadedPolicy, adapter: SpaceAdapter, measured: bool) -> Iterator[PolicyInput]:
    """The inputs that a policy needs, apart from its state."""
    reads = policy.spec.observation
    taken = {ACTION, STATE, NEXT_STATE}
    for path, reader in adapter.readers.items():
        if reader.key in reads:
            yield observed(_free(reader.key, taken), path, reader)
    if ACTION_MASK in reads and adapter.mask_reader is not None:
        place = adapter.mask_path
        name = _free(ACTION_MASK if place is None else key_of(place), taken)
        yield masking(name, ACTION_MASK, place, adapter.mask_reader)
    if PREVIOUS_REWARD in reads:
        name = _free(PREVIOUS_REWARD, taken)
        yield PolicyInput(
            name, PREVIOUS_REWARD, None, (1,), np.dtype(np.float32), -np.inf, np.inf, lambda x: x
        )
    if measured:
        yield _measured_action(adapter.actions, _free(PREVIOUS_ACTION, taken))


def _measured_action(actions: Continuous | Choices, name: str) -> PolicyInput:
    """The input of the action that was executed, in the environment's units."""
    assert isinstance(actions, Continuous)
    space = actions.space
    width = np.where(actions.scale > 0, actions.scale, 1.0)
    precise = torch.promote_types(getattr(torch, space.dtype.name), torch.float32)
    centre, scale = (torch.as_tensor(each, dtype=precise) for each in (actions.centre, width))

    def read(values: Tensor) -> Tensor:
        flat = values.reshape(values.shape[0], -1).to(precise)
        return ((flat - centre) / scale).clamp(-1, 1).float()

    shape = tuple(space.shape)
    return PolicyInput(name, PREVIOUS_ACTION, None, shape, space.dtype, space.low, space.high, read)


def _free(name: str, taken: set[str]) -> str:
    """A name for an input that no other input or output has; it is then taken."""
    while name in taken:
        name = f"observation.{name}"
    taken.add(name)
    return name
