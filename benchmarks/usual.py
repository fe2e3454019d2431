"""Recurrent SAC as it is usually written: what `speed.py` measures ours against.

Every loss makes passes of its own, so an update sends the observations 5 times forward and 3 times
backward through an LSTM (8 and 5 where each critic has its own). The heads come one after another,
each network has its own optimizer, and the slow copies move tensor by tensor.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from offpcc.replay.batch import Batch

NOW, NEXT = slice(0, -1), slice(1, None)  # of the T+1 observations


def mlp(inputs: int, hidden_sizes: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers = [
        layer
        for before, after in pairwise((inputs, *hidden_sizes, outputs))
        for layer in (nn.Linear(before, after), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1])


class Memory(nn.Module):
    """An LSTM, its output joined by its input if it has the skip_connection."""

    def __init__(
        self, inputs: int, hidden_size: int, num_layers: int, skip_connection: bool
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden_size, num_layers, batch_first=True)
        self.skip_connection = skip_connection
        self.size = hidden_size + inputs * skip_connection

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Features (B, T, F), and (h, c)."""
        output, state = self.lstm(inputs, state)
        return torch.cat((output, inputs), -1) if self.skip_connection else output, state


class Actor(nn.Module):
    """A memory and a squashed Gaussian."""

    def __init__(self, memory: Memory, actions: int, hidden_sizes: Sequence[int]) -> None:
        super().__init__()
        self.memory, self.head = memory, mlp(memory.size, hidden_sizes, 2 * actions)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, T, A) and their log-probabilities (B, T, 1)."""
        return self.sample(self.memory(inputs)[0])

    def sample(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """The same from features."""
        mean, log_std = self.head(feature).float().chunk(2, -1)
        normal = Normal(mean, log_std.clamp(-20, 2).exp())
        raw = normal.rsample()
        squash = 2 * (math.log(2) - raw - softplus(-2 * raw))
        return raw.tanh(), (normal.log_prob(raw) - squash).sum(-1, keepdim=True)


class Critic(nn.Module):
    """A memory, and heads on it that are called one by one."""

    def __init__(
        self, memory: Memory, actions: int, hidden_sizes: Sequence[int], heads: int
    ) -> None:
        super().__init__()
        self.memory = memory
        self.heads = nn.ModuleList(
            mlp(memory.size + actions, hidden_sizes, 1) for _ in range(heads)
        )

    def forward(self, inputs: Tensor, action: Tensor, part: slice) -> list[Tensor]:
        """Values (B, T, 1), a head each, of that part of the observations."""
        rows = torch.cat((self.memory(inputs)[0][:, part], action), -1)
        return [head(rows).float() for head in self.heads]


class UsualRSAC:
    """Twin critics on one memory, or each with its own, as the first recurrent SAC had them."""

    def __init__(
        self,
        inputs: int,
        actions: int,
        *,
        hidden_sizes: Sequence[int],
        hidden_size: int,
        num_layers: int = 1,
        skip_connection: bool = True,
        critic_memories: int = 1,
        precision: str = "fp32",
    ) -> None:
        def memory() -> Memory:
            return Memory(inputs, hidden_size, num_layers, skip_connection)

        heads = 2 // critic_memories
        self.actor = Actor(memory(), actions, hidden_sizes)
        self.critics = [
            Critic(memory(), actions, hidden_sizes, heads) for _ in range(critic_memories)
        ]
        self.targets = copy.deepcopy(self.critics)
        self.log_temperature = torch.zeros((), requires_grad=True)
        self.entropy = -actions
        self.precision = precision
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), 3e-4)
        self.critic_optimisers = [torch.optim.Adam(c.parameters(), 3e-4) for c in self.critics]
        self.temperature_optimiser = torch.optim.Adam([self.log_temperature], 3e-4)

    def update(self, batch: Batch) -> None:
        """One update; the observation's keys are laid end to end."""
        inputs = torch.cat([*batch.observation.values()], -1)  # (B, T+1, X)
        action, mask = batch.action, batch.mask.unsqueeze(-1)
        reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)
        temperature = self.log_temperature.detach().exp()
        with self.autocast(), torch.no_grad():
            chosen, log_prob = (part[:, NEXT] for part in self.actor(inputs))
            value = self.least(self.targets, inputs, chosen, NEXT) - temperature * log_prob
            target = reward + 0.99 * (1 - terminated) * value
        with self.autocast():
            values = [v for critic in self.critics for v in critic(inputs, action, NOW)]
            errors = [((value - target).square() * mask).sum() / mask.sum() for value in values]
        descend(torch.stack(errors).sum(), self.critic_optimisers)
        with self.autocast():
            chosen, log_prob = (part[:, NOW] for part in self.actor(inputs))
            value = self.least(self.critics, inputs, chosen, NOW)
            loss = ((temperature * log_prob - value) * mask).sum() / mask.sum()
        descend(loss, [self.actor_optimiser])
        surplus = ((log_prob.detach() + self.entropy) * mask).sum() / mask.sum()
        descend(-self.log_temperature * surplus, [self.temperature_optimiser])
        with torch.no_grad():
            for slow, online in zip(
                parameters(self.targets), parameters(self.critics), strict=True
            ):
                slow.mul_(0.995).add_(online, alpha=0.005)

    def least(
        self, critics: Sequence[Critic], inputs: Tensor, action: Tensor, part: slice
    ) -> Tensor:
        """The smallest value (B, T, 1) of all heads."""
        values = [value for critic in critics for value in critic(inputs, action, part)]
        return torch.stack(values).amin(0)

    def autocast(self) -> torch.autocast:
        """Bf16 inside, if it was asked for."""
        return torch.autocast("cpu", torch.bfloat16, self.precision == "bf16")

    @torch.no_grad()
    def act(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """An action (1, 1, A) for inputs (1, 1, X), by a pass of one step through the stack."""
        feature, state = self.actor.memory(inputs, state)
        return self.actor.sample(feature)[0], state


def parameters(modules: Iterable[nn.Module]) -> Iterable[Tensor]:
    """All of theirs, in order."""
    return chain.from_iterable(module.parameters() for module in modules)


def descend(loss: Tensor, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """One step of these optimisers on the loss."""
    for optimizer in optimisers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimisers:
        optimizer.step()
