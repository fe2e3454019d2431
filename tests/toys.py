"""Toy specs, batches, gradients and environments that several tests share."""

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from offpcc.algorithms import Agent
from offpcc.algorithms.core.agent import ActOutput
from offpcc.data import AgentSpec, Episode, Field
from offpcc.networks import Actor, Critic
from offpcc.replay.batch import Batch

SPEC = AgentSpec({"observation": Field((3,))}, 2)
GARBAGE = 1e3


def act(agent: Agent, observation: dict[str, Tensor], state: Tensor) -> ActOutput:
    """What an agent does at an episode's start, or where its noise is white."""
    return agent.act(observation, state, torch.zeros(len(state), agent.noise_size))


def make_batch(
    lengths: Sequence[int],
    *,
    state_size: int = 0,
    burn_in: Sequence[int] | None = None,
    padding: int = 0,
    seed: int = 0,
) -> Batch:
    """Windows of SPEC of these lengths, padded by more; what is not real is large garbage.

    Every odd row ends in a true end.
    """
    burn_in = burn_in or [0] * len(lengths)
    rows, before, steps = len(lengths), max(burn_in), max(lengths) + padding
    observation = torch.full((rows, before + steps + 1, 3), GARBAGE)
    action = torch.full((rows, steps, 2), -GARBAGE)
    reward = torch.full((rows, steps), GARBAGE)
    terminated, mask = torch.ones(rows, steps), torch.zeros(rows, steps)
    state = torch.zeros(rows, state_size)
    for i, (length, warm) in enumerate(zip(lengths, burn_in, strict=True)):
        draw = torch.Generator().manual_seed(1000 * seed + i)
        observation[i, :warm].normal_(generator=draw)
        observation[i, before : before + length + 1].normal_(generator=draw)
        action[i, :length] = 2 * torch.rand(length, 2, generator=draw) - 1
        reward[i, :length].normal_(generator=draw)
        terminated[i, :length] = 0
        terminated[i, length - 1] = i % 2
        mask[i, :length] = 1
        state[i].normal_(generator=draw).tanh_()
    return Batch(
        {"observation": observation}, action, reward, terminated, mask, state, torch.tensor(burn_in)
    )


def episode_batch(episode: Episode) -> dict[str, Tensor]:
    """The observations {key: (1, L+1, …)} of one episode."""
    return {key: torch.from_numpy(values[None]) for key, values in episode.observation.items()}


def weights(agent: Agent) -> dict[str, Tensor]:
    """Copies of every weight, slow and quick, and of the temperature, by name."""
    found = {}
    for name, part in agent.parts().items():
        if isinstance(part, nn.Module):
            found |= {f"{name}.{k}": v.detach().clone() for k, v in part.named_parameters()}
        elif isinstance(part, Tensor) and part.is_floating_point():
            found[name] = part.detach().clone()
    return found


def gradients(agent: Agent) -> dict[str, Tensor]:
    """Copies of every gradient that there is, by name."""
    found = {}
    for name, part in agent.parts().items():
        named = part.named_parameters() if isinstance(part, nn.Module) else [("", part)]
        for key, value in named:
            if isinstance(value, Tensor) and value.grad is not None:
                found[f"{name}.{key}"] = value.grad.clone()
    return found


@cache
def without_bf16(layer: type[nn.RNNBase]) -> str | None:
    """Why torch itself cannot run a recurrent layer in bf16 on this processor; None if it can."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            layer(3, 4)(torch.zeros(1, 2, 3))[0].sum().backward()
    except RuntimeError as error:
        kind = torch.backends.cpu.get_cpu_capability()
        return f"torch has no {layer.__name__} in bf16 on {kind}: {str(error).partition('. ')[0]}"
    return None


class Walk(gymnasium.Env[Any, Any]):
    """An episode is drawn from its seed: 2 to 7 steps, noise to see, a true end or a time limit.

    The observation is (noise, where the actions have led to); an honest walk heeds its seed.
    steps: how many there are, instead of drawn ones.
    """

    def __init__(self, *, honest: bool = True, steps: int | None = None) -> None:
        self.observation_space = Box(-np.inf, np.inf, (3,))
        self.action_space = Box(-1, 1, (2,))
        self.honest, self.steps = honest, steps
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.seeds.append(seed)
        self.random = np.random.default_rng(seed if self.honest else None)
        self.left = self.steps or int(self.random.integers(2, 8))
        self.place = np.zeros(2)
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        self.place += 0.1 * action
        reward = float(self.place.sum() + self.random.normal())
        terminated = bool(self.random.integers(2)) and self.left == 0
        return self.seen(), reward, terminated, self.left == 0 and not terminated, {}

    def seen(self) -> Any:
        return np.array([self.random.normal(), *self.place])


def constant_critic(critic: Critic, *values: float) -> None:
    """Makes head i give values[i], whatever it reads."""
    with torch.no_grad():
        critic.trunk.weights[-1].zero_()
        critic.trunk.biases[-1].copy_(torch.tensor(values).view(-1, 1, 1))


def constant_actor(actor: Actor, *outputs: float) -> None:
    """Makes the last layer give these outputs, whatever the actor reads."""
    with torch.no_grad():
        actor.trunk[-1].weight.zero_()
        actor.trunk[-1].bias.copy_(torch.tensor(outputs))


def through_the_disk(state: Any) -> Any:
    """The state as a checkpoint would give it back: tensors and plain containers alone."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)
