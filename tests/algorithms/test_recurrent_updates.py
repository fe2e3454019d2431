"""What an update with memory computes, and what it must not depend on."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain

import pytest
import torch
from references import SlowLSTM, heads_of, tanh_gaussian
from torch import Tensor
from toys import SPEC, gradients, make_batch, weights

from offpcc.algorithms import DDPG, REDQ, SAC, TD3, TQC, OffPolicy
from offpcc.networks import GRU, LSTM, RNN
from offpcc.replay.batch import Batch

SMALL = {
    "summarizer": partial(LSTM, hidden_size=6, num_layers=2),
    "hidden_sizes": (10, 8),
    "discount": 0.9,
}
LENGTHS, BURN_IN = (4, 1, 3, 5), (2, 0, 3, 1)


class SlowRSAC:
    """SAC with LSTMs: a loop over rows and steps, a pass of its own for every use of a memory."""

    def __init__(self, agent: SAC) -> None:
        self.alpha = agent.log_temperature.detach().exp()
        self.discount, self.shared = agent.discount, agent.shared
        self.actor = agent.policy.actor.trunk
        self.memory = {name: SlowLSTM(m) for name, m in memories(agent).items()}
        self.heads, self.slow_heads = heads_of(agent.critic), heads_of(agent.target_critic)
        self.generator = torch.Generator()
        self.generator.set_state(agent.generator.get_state())

    def losses(self, batch: Batch, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """Actor's, critic's, and the slope of the temperature's loss in log α."""
        noise = [torch.randn(batch.action.shape, generator=self.generator) for _ in range(2)]
        features = {n: m.features(batch, states[n]) for n, m in self.memory.items()}
        actors_next = features["slow" if self.shared else "actor"]
        sums = Counter[str]()
        for i, length in enumerate(batch.mask.sum(1).int().tolist()):
            for t in range(length):
                action, log_prob = self.sample(actors_next[i][t + 1], noise[0][i, t])
                value = self.least(self.slow_heads, features["slow"][i][t + 1], action)
                live = 0.0 if batch.terminated[i, t] else 1.0
                target = batch.reward[i, t] + self.discount * live * (value - self.alpha * log_prob)
                sums["target"] += target.detach()
                for head in self.heads:
                    taken = head(torch.cat((features["critic"][i][t], batch.action[i, t])))[0]
                    sums["critic"] += 0.5 * (taken - target.detach()) ** 2
                mine = features["actor"][i][t]
                mine = mine.detach() if self.shared else mine
                action, log_prob = self.sample(mine, noise[1][i, t])
                value = self.least(self.heads, features["critic"][i][t].detach(), action)
                sums["actor"] += self.alpha * log_prob - value
                sums["log_alpha"] -= log_prob.detach() + -SPEC.action
        return {name: total / batch.mask.sum() for name, total in sums.items()}

    def sample(self, feature: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return tanh_gaussian(self.actor(feature), noise)

    def least(self, heads: list[torch.nn.Sequential], feature: Tensor, action: Tensor) -> Tensor:
        return torch.stack([q(torch.cat((feature, action)))[0] for q in heads]).min()


def memories(agent: OffPolicy) -> dict[str, torch.nn.Module]:
    return {
        "actor": agent.policy.memory,
        "critic": agent.critic_memory,
        "slow": agent.target_critic_memory,
    }


def apart(agent: OffPolicy) -> OffPolicy:
    """Moves the slow copies away from their models, as a long training would."""
    for slow, _ in agent.target_pairs():
        for i, weight in enumerate(slow.parameters()):
            draw = torch.Generator().manual_seed(i)
            weight.data += torch.empty(weight.shape).normal_(0, 0.1, generator=draw)
    return agent


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("burn_in", [False, True])
def test_an_update_of_rsac_equals_a_slow_one(shared, burn_in) -> None:
    agent = apart(SAC(SPEC, **SMALL, shared=shared, critic_state=True, temperature=0.7, seed=4))
    batch = make_batch(
        LENGTHS, state_size=agent.state_size, burn_in=BURN_IN if burn_in else None, padding=1
    )
    actors, critics = batch.state, batch.state
    if not shared:
        actors, critics = batch.state.chunk(2, 1)
    slow = SlowRSAC(agent)
    losses = slow.losses(batch, {"actor": actors, "critic": critics, "slow": critics})
    slow_actor_gradients = torch.autograd.grad(
        losses["actor"], [*slow.actor.parameters()], retain_graph=True
    )
    own = [*chain.from_iterable(c.parameters() for c in slow.memory["actor"].cells)]
    if not shared:
        actor_memory = torch.autograd.grad(losses["actor"], own, retain_graph=True)
    losses["critic"].backward()

    metrics = agent.update(batch).metrics

    for name in ("critic", "actor"):
        torch.testing.assert_close(metrics[f"{name}_loss"], losses[name], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(metrics["target"], losses["target"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(agent.log_temperature.grad, losses["log_alpha"])
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-6)
    close([p.grad for p in agent.policy.actor.parameters()], [*slow_actor_gradients])
    critic = [p.grad for p in agent.critic_memory.parameters()]
    close(critic, slow.memory["critic"].gradients())
    if not shared:
        close([p.grad for p in agent.policy.memory.parameters()], [*actor_memory])
    for i, head in enumerate(slow.heads):
        linears = [layer for layer in head if isinstance(layer, torch.nn.Linear)]
        for k, linear in enumerate(linears):
            close(agent.critic.trunk.weights[k].grad[i], linear.weight.grad.T)
            close(agent.critic.trunk.biases[k].grad[i, 0], linear.bias.grad)


SETTINGS = [
    pytest.param(algorithm, shared, id=f"{algorithm.__name__}-{'shared' if shared else 'separate'}")
    for algorithm in (DDPG, TD3, SAC, TQC, REDQ)
    for shared in (False, True)
]


@pytest.fixture
def noise_by_place(monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Noise that depends on row and step alone, wherever it is drawn; rows may be reordered."""
    table = torch.randn(8, 16, SPEC.action, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch, "randn", lambda shape, **_: table[tuple(map(slice, shape))].clone())
    return table


def learned(algorithm: type[OffPolicy], batch: Batch, **settings: object) -> dict[str, Tensor]:
    """Every gradient of an update on a batch, and its losses."""
    agent = apart(algorithm(SPEC, **SMALL, critic_state=True, **settings))
    metrics = agent.update(batch).metrics
    return gradients(agent) | metrics


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert set(one) == set(other)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("noise_by_place")
@pytest.mark.parametrize(("algorithm", "shared"), SETTINGS)
def test_longer_padding_changes_no_gradient(algorithm, shared) -> None:
    size = algorithm(SPEC, **SMALL, critic_state=True, shared=shared).state_size
    short, long = (make_batch(LENGTHS, state_size=size, burn_in=BURN_IN, padding=n) for n in (0, 6))
    found = learned(algorithm, short, shared=shared)
    assert algorithm is not SAC or "log_temperature." in found
    same(found, learned(algorithm, long, shared=shared))


@pytest.mark.parametrize(("algorithm", "shared"), SETTINGS)
def test_the_order_of_the_rows_changes_no_gradient(algorithm, shared, noise_by_place) -> None:
    size = algorithm(SPEC, **SMALL, critic_state=True, shared=shared).state_size
    batch = make_batch(LENGTHS, state_size=size, burn_in=BURN_IN)
    found = learned(algorithm, batch, shared=shared)
    order = torch.tensor([2, 0, 3, 1])
    noise_by_place[: len(order)] = noise_by_place[order]
    moved = {k: v[order] for k, v in vars(batch).items() if isinstance(v, Tensor)}
    moved["observation"] = {k: v[order] for k, v in batch.observation.items()}
    same(found, learned(algorithm, replace(batch, **moved), shared=shared))


@pytest.mark.usefixtures("noise_by_place")
def test_steps_that_only_warm_the_memory_are_not_learned_from() -> None:
    agent = DDPG(SPEC, **SMALL)
    batch = make_batch((3, 3), state_size=agent.state_size, burn_in=(2, 2))
    metrics = agent.update(batch).metrics
    torch.testing.assert_close(metrics["q"], value_by_hand(DDPG(SPEC, **SMALL), batch))


def value_by_hand(agent: OffPolicy, batch: Batch) -> Tensor:
    """Mean value of the actions in the window, from one pass that begins at the first column."""
    whole = agent.critic_memory.unroll(batch.observation, torch.zeros_like(batch.state))[0]
    state = agent.critic_memory.unroll(
        {k: v[:, :2] for k, v in batch.observation.items()}, batch.state.new_zeros(2, 24)
    )[1]
    assert state.abs().max() > 0
    return agent.critic(whole[:, 2:-1], batch.action).mean().detach()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the summarizers' passes through a batch, and the gradients that go back through."""
    count = Counter[str]()
    plain = LSTM.unroll

    def unroll(self: LSTM, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        features, after = plain(self, inputs, state)
        count["forward"] += 1
        if features.requires_grad:
            features.register_hook(lambda _: count.update(backward=1))
        return features, after

    monkeypatch.setattr(LSTM, "unroll", unroll)
    return count


@pytest.mark.parametrize(
    ("algorithm", "shared", "forward", "backward"),
    [
        (SAC, False, 3, 2),  # actor, critic, slow critic; actor and critic
        (SAC, True, 2, 1),  # one and its slow copy
        (DDPG, False, 4, 2),  # and the slow actor
        (DDPG, True, 2, 1),
    ],
)
def test_each_memory_runs_once_an_update(algorithm, shared, forward, backward, passes) -> None:
    agent = algorithm(SPEC, **SMALL, shared=shared)
    agent.update(make_batch(LENGTHS, state_size=agent.state_size))
    assert passes == {"forward": forward, "backward": backward}


def test_an_actor_that_is_not_due_costs_no_pass_of_its_memory(passes) -> None:
    agent = TD3(SPEC, **SMALL)
    batch = make_batch(LENGTHS, state_size=agent.state_size)
    agent.update(batch)
    passes.clear()
    agent.update(batch)
    assert passes == {"forward": 3, "backward": 1}


def loud(algorithm: type[OffPolicy]) -> type[OffPolicy]:
    """The algorithm with an actor's loss 100 times as large."""

    class Loud(algorithm):
        def actor_loss(self, *inputs):
            loss, metrics = super().actor_loss(*inputs)
            return 100 * loss, metrics

    return Loud


@pytest.mark.parametrize(("algorithm", "shared"), SETTINGS)
def test_the_actors_loss_gives_the_critic_and_its_memory_no_gradient(algorithm, shared) -> None:
    found = []
    for kind in (algorithm, loud(algorithm)):
        agent = apart(kind(SPEC, **SMALL, shared=shared))
        agent.update(make_batch(LENGTHS, state_size=agent.state_size))
        found.append(gradients(agent))
    plain, louder = found
    critics = [k for k in plain if k.startswith("critic")]
    assert any("memory" in k for k in critics)
    torch.testing.assert_close(*({k: g[k] for k in critics} for g in found), rtol=0, atol=0)
    actors = [k for k in plain if k.startswith("policy.actor")]
    actors += [k for k in plain if k.startswith("policy.memory") and not shared]
    for name in actors:
        torch.testing.assert_close(100 * plain[name], louder[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("algorithm", "shared"), SETTINGS)
def test_slow_copies_move_by_polyak_alone(algorithm, shared) -> None:
    agent = apart(
        algorithm(
            SPEC, **SMALL, shared=shared, learning_rate=0.1, memory_learning_rate=0.1, tau=0.3
        )
    )
    names = [k for k, v in agent.parts().items() if k.startswith("target_")]
    before = weights(agent)
    agent.update(make_batch(LENGTHS, state_size=agent.state_size))
    after = weights(agent)
    assert not any(k.startswith("target_") for k in gradients(agent))
    models = {"target_critic": "critic", "target_critic_memory": "critic_memory"}
    models |= {"target_actor": "policy.actor", "target_actor_memory": "policy.memory"}
    for name in names:
        for key in (k for k in before if k.startswith(f"{name}.")):
            model = after[key.replace(name, models[name], 1)]
            torch.testing.assert_close(after[key], 0.7 * before[key] + 0.3 * model)


def test_the_slow_actor_sees_the_next_history_through_a_slow_memory() -> None:
    agent = apart(DDPG(SPEC, **SMALL))
    batch = make_batch((3, 3), state_size=agent.state_size)
    zeros = torch.zeros_like(batch.state)
    h_actor, h_critic = (
        m.unroll(batch.observation, zeros)[0][:, 1:]
        for m in (agent.target_actor_memory, agent.target_critic_memory)
    )
    value = agent.target_critic(h_critic, agent.target_actor(h_actor))[0, ..., 0]
    target = batch.reward + 0.9 * (1 - batch.terminated) * value
    metrics = agent.update(replace(batch, state=zeros)).metrics
    torch.testing.assert_close(metrics["target"], target.mean().detach())


@pytest.mark.parametrize("lengths", [(1, 1), (7, 2)])
@pytest.mark.parametrize("memory", [LSTM, GRU, RNN])
@pytest.mark.parametrize("algorithm", [DDPG, TD3, SAC, TQC, REDQ])
def test_every_weight_of_every_memory_learns(algorithm, memory, lengths) -> None:
    network = partial(memory, hidden_size=6)
    agent = algorithm(SPEC, summarizer=network, hidden_sizes=(8,), critic_state=True)
    before = weights(agent)
    metrics = agent.update(make_batch(lengths, state_size=agent.state_size)).metrics
    after = weights(agent)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert [k for k in before if "weight" in k and (after[k] == before[k]).all()] == []
