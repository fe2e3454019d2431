"""Slow and plain forms of what offpcc computes, written apart from it, to hold it against."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offpcc.algorithms import DDPG, SAC, TD3, OffPolicy
from offpcc.networks import Critic, Memory
from offpcc.replay.batch import Batch


def heads_of(critic: Critic) -> list[nn.Sequential]:
    """A critic's heads as networks of their own with the same weights."""
    heads = []
    for i in range(len(critic.trunk.weights[0])):
        layers: list[nn.Module] = []
        for weight, bias in zip(critic.trunk.weights, critic.trunk.biases, strict=True):
            linear = nn.Linear(*weight[i].shape)
            linear.weight.data = weight.detach()[i].T.clone()
            linear.bias.data = bias.detach()[i, 0].clone()
            layers += [linear, nn.ReLU()]
        heads.append(nn.Sequential(*layers[:-1]))
    return heads


def tanh_gaussian(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The action tanh u, u ~ N, and its log-density by the change of variables, in float64."""
    mean, log_std = outputs.double().chunk(2, -1)
    std = log_std.clamp(-20, 2).exp()
    raw = mean + std * noise.double()
    density = -((raw - mean) ** 2) / (2 * std**2) - std.log() - math.log(math.sqrt(2 * math.pi))
    log_prob = (density - (1 - raw.tanh() ** 2).log()).sum(-1)
    return raw.tanh().float(), log_prob.float()


class PlainAdam:
    """Adam (Kingma & Ba, 2014, algorithm 1)."""

    def __init__(self, parameters: Sequence[Tensor], rate: float) -> None:
        self.parameters, self.rate, self.t = list(parameters), rate, 0
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]

    def slopes(self, loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, self.parameters))

    def descend(self, slopes: list[Tensor]) -> None:
        self.t += 1
        for parameter, slope, (m, v) in zip(self.parameters, slopes, self.moments, strict=True):
            m.copy_(0.9 * m + 0.1 * slope)
            v.copy_(0.999 * v + 0.001 * slope**2)
            m_hat, v_hat = m / (1 - 0.9**self.t), v / (1 - 0.999**self.t)
            parameter.data -= self.rate * m_hat / (v_hat.sqrt() + 1e-8)


class FlatDDPG:
    """DDPG on flat transitions (B, X), from the weights of an agent; every head on its own."""

    agent: DDPG

    def __init__(self, agent: OffPolicy) -> None:
        self.agent = agent
        self.actor = copy.deepcopy(agent.policy.actor.trunk)
        self.heads = heads_of(agent.critic)
        self.slow_actor, self.slow_heads = copy.deepcopy((self.actor, self.heads))
        self.actor_adam = PlainAdam([*self.actor.parameters()], agent.learning_rate)
        self.head_adam = PlainAdam(
            [p for q in self.heads for p in q.parameters()], agent.learning_rate
        )
        self.generator = torch.Generator().manual_seed(agent.seed)
        self.count = 0

    def update(self, batch: Batch) -> dict[str, Tensor]:
        flat = batch.observation["observation"]
        now, after = flat[:, 0], flat[:, 1]
        action, reward, done = batch.action[:, 0], batch.reward[:, 0], batch.terminated[:, 0]
        with torch.no_grad():
            target = reward + self.agent.discount * (1 - done) * self.next_value(after)
        values = [q(torch.cat((now, action), 1)).squeeze(1) for q in self.heads]
        critic_loss = sum((0.5 * (q - target) ** 2).mean() for q in values)
        made = {"critic_loss": critic_loss, "target": target.mean(), "q": sum(values) / len(values)}
        others = self.other_losses(now)
        losses = [(self.head_adam, critic_loss), *others]
        slopes = [(adam, adam.slopes(loss)) for adam, loss in losses]  # before anything moves
        for adam, slope in slopes:
            adam.descend(slope)
        if others:
            self.follow()
            made["actor_loss"] = others[0][1]
        self.count += 1
        return {name: value.detach().mean() for name, value in made.items()}

    def next_value(self, after: Tensor) -> Tensor:
        action = self.slow_actor(after).tanh()
        return self.slow_heads[0](torch.cat((after, action), 1)).squeeze(1)

    def other_losses(self, now: Tensor) -> list[tuple[PlainAdam, Tensor]]:
        raw = self.actor(now)
        value = self.heads[0](torch.cat((now, raw.tanh()), 1))
        beyond = torch.relu(raw - 3) + torch.relu(-3 - raw)
        price = self.agent.action_saturation_penalty * (beyond**2).sum(1)
        return [(self.actor_adam, price.mean() - value.mean())]

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        return [*zip(self.slow_heads, self.heads, strict=True), (self.slow_actor, self.actor)]

    def follow(self) -> None:
        share = self.agent.tau
        for slow, quick in self.pairs():
            for a, b in zip(slow.parameters(), quick.parameters(), strict=True):
                a.data = (1 - share) * a.data + share * b.data

    def noise(self, rows: int) -> Tensor:
        return torch.randn((rows, self.agent.spec.action), generator=self.generator)


class FlatTD3(FlatDDPG):
    """Two heads, a smoothed target action, and an actor that moves every other update."""

    agent: TD3

    def next_value(self, after: Tensor) -> Tensor:
        noise = torch.clip(0.2 * self.noise(len(after)), -0.5, 0.5)
        action = torch.clip(self.slow_actor(after).tanh() + noise, -1, 1)
        q1, q2 = (q(torch.cat((after, action), 1)).squeeze(1) for q in self.slow_heads)
        return torch.minimum(q1, q2)

    def other_losses(self, now: Tensor) -> list[tuple[PlainAdam, Tensor]]:
        return super().other_losses(now) if self.count % 2 == 0 else []


class FlatSAC(FlatDDPG):
    """Two heads, an actor with entropy, and a temperature."""

    agent: SAC

    def __init__(self, agent: SAC) -> None:
        super().__init__(agent)
        self.log_alpha = torch.tensor(agent.temperature).log().requires_grad_()
        self.alpha_adam = PlainAdam([self.log_alpha], agent.learning_rate)

    def next_value(self, after: Tensor) -> Tensor:
        action, log_prob = tanh_gaussian(self.actor(after), self.noise(len(after)))
        q1, q2 = (q(torch.cat((after, action), 1)).squeeze(1) for q in self.slow_heads)
        return torch.minimum(q1, q2) - self.log_alpha.exp() * log_prob

    def other_losses(self, now: Tensor) -> list[tuple[PlainAdam, Tensor]]:
        action, log_prob = tanh_gaussian(self.actor(now), self.noise(len(now)))
        q1, q2 = (q(torch.cat((now, action), 1)).squeeze(1) for q in self.heads)
        alpha = self.log_alpha.exp().detach()
        actor_loss = (alpha * log_prob - torch.minimum(q1, q2)).mean()
        floor = -self.agent.spec.action
        alpha_loss = -(self.log_alpha * (log_prob.detach() + floor)).mean()
        return [(self.actor_adam, actor_loss), (self.alpha_adam, alpha_loss)]

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        return [*zip(self.slow_heads, self.heads, strict=True)]


class SlowLSTM:
    """A memory's LSTM with the skip connection, row by row and cell by cell."""

    def __init__(self, memory: Memory) -> None:
        network = memory.summarizer.memory
        self.split = memory.summarizer.split
        self.cells = []
        for weights in network.all_weights:
            cell = nn.LSTMCell(weights[0].shape[1], network.hidden_size)
            for mine, theirs in zip(cell.parameters(), weights, strict=True):
                mine.data = theirs.detach().clone()
            self.cells.append(cell)

    def features(self, batch: Batch, state: Tensor) -> list[Tensor]:
        """(L+1, F) for each row of the batch, L being its real steps."""
        return [self.row(batch, i, state[i : i + 1]) for i in range(len(state))]

    def row(self, batch: Batch, i: int, state: Tensor) -> Tensor:
        seen, warm = batch.observation["observation"][i], int(batch.burn_in[i])
        begin = int(batch.burn_in.max())
        layers = [(h, c) for h, c in zip(*self.split(state), strict=True)]
        with torch.no_grad():
            for column in seen[:warm]:
                layers = self.advance(column, layers)
        features = []
        for column in seen[begin : begin + int(batch.mask[i].sum()) + 1]:
            layers = self.advance(column, layers)
            features.append(torch.cat((layers[-1][0][0], column)))
        return torch.stack(features)

    def advance(
        self, column: Tensor, layers: list[tuple[Tensor, Tensor]]
    ) -> list[tuple[Tensor, Tensor]]:
        below, after = column[None], []
        for cell, old in zip(self.cells, layers, strict=True):
            after.append(cell(below, old))
            below = after[-1][0]
        return after

    def gradients(self) -> list[Tensor]:
        return [p.grad for cell in self.cells for p in cell.parameters()]


__all__ = ["DDPG", "FlatDDPG", "FlatSAC", "FlatTD3", "PlainAdam", "SlowLSTM"]
