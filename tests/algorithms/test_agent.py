"""What an agent is to the rest: it acts with a memory that the caller holds, and can be saved."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import SPEC, act, make_batch, through_the_disk, weights

from offpcc.algorithms import DDPG, PPO, REDQ, SAC, TD3, TQC, Agent, OffPolicy
from offpcc.networks import GRU, LSTM, RNN, Identity

SMALL: dict[str, Any] = {"summarizer": partial(LSTM, hidden_size=6), "hidden_sizes": (10, 8)}
ALGORITHMS = [DDPG, TD3, SAC, TQC, REDQ]
MEMORIES = [Identity, *(partial(kind, hidden_size=6) for kind in (LSTM, GRU, RNN))]


def seen(rows: int, seed: int = 0) -> dict[str, Tensor]:
    return {"observation": torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))}


def explores(agent: Agent, steps: int = 4) -> list[Tensor]:
    """The actions of a few steps of two copies."""
    state, actions = torch.zeros(2, agent.state_size), []
    for t in range(steps):
        action, state, *_ = act(agent, seen(2, t), state)
        actions.append(action)
    return actions


def acts(agent: Agent, steps: int = 4) -> list[Tensor]:
    """The greedy actions of a few steps of two copies."""
    state, actions = agent.policy.initial_state(2), []
    for t in range(steps):
        action, state = agent.policy.act(seen(2, t), state)
        actions.append(action)
    return actions


def learn(agent: OffPolicy, updates: int = 3) -> None:
    for i in range(updates):
        agent.update(make_batch((4, 1, 3), state_size=agent.state_size, seed=i))


@pytest.mark.parametrize("critic_state", [False, True])
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_refreshing_a_memory_equals_acting_step_by_step(algorithm, memory, critic_state) -> None:
    agent = algorithm(SPEC, summarizer=memory, hidden_sizes=(8,), critic_state=critic_state)
    past = torch.stack([seen(3, t)["observation"] for t in range(5)], 1)
    state = torch.zeros(3, agent.state_size)
    for t in range(5):
        state = act(agent, {"observation": past[:, t]}, state).state
    torch.testing.assert_close(agent.refresh({"observation": past}), state, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_actions_are_in_bounds_and_states_have_their_size(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL)
    action, state, noise, log_prob = act(agent, seen(5), torch.zeros(5, agent.state_size))
    assert action.shape == (5, 2) and action.abs().max() <= 1
    assert state.shape == (5, agent.state_size) and agent.state_size == 12
    assert noise.shape == (5, 0) and log_prob is None


def test_a_state_of_zeros_forgets_a_row_and_leaves_the_others() -> None:
    agent = DDPG(SPEC, **SMALL)
    state = act(agent, seen(2), torch.zeros(2, agent.state_size)).state
    kept = state.clone()
    kept[0] = 0
    fresh = agent.policy.act(seen(2, 1), agent.policy.initial_state(2))[0]
    lasting = agent.policy.act(seen(2, 1), state)[0]
    mixed = agent.policy.act(seen(2, 1), kept)[0]
    assert torch.equal(mixed[0], fresh[0]) and torch.equal(mixed[1], lasting[1])
    assert not torch.equal(fresh[1], lasting[1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_policy_alone_remembers_as_its_agent_does(algorithm) -> None:
    agent = algorithm(SPEC, **SMALL, critic_state=True)
    learn(agent)
    state, own = torch.zeros(2, agent.state_size), agent.policy.initial_state(2)
    for t in range(4):
        state = act(agent, seen(2, t), state).state
        own = agent.policy.act(seen(2, t), own)[1]
        assert torch.equal(state[:, : own.shape[1]], own)


def test_a_stochastic_policy_draws_and_a_deterministic_one_does_not() -> None:
    states = torch.zeros(2, 12)
    stochastic, deterministic = SAC(SPEC, **SMALL).policy, TD3(SPEC, **SMALL).policy
    greedy = stochastic.act(seen(2), states)[0]
    assert not torch.equal(stochastic.act(seen(2), states, greedy=False)[0], greedy)
    greedy = deterministic.act(seen(2), states)[0]
    assert torch.equal(deterministic.act(seen(2), states, greedy=False)[0], greedy)


# The acting copy


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_acting_copy_keeps_its_weights_until_it_is_synced(algorithm, shared) -> None:
    learner = algorithm(SPEC, **SMALL, shared=shared, critic_state=True, learning_rate=0.01)
    actor = learner.acting_copy(seed=5)
    before, states = acts(actor), actor.refresh(sequence())
    learn(learner)
    assert all(map(torch.equal, acts(actor), before))
    assert torch.equal(actor.refresh(sequence()), states)
    assert not all(map(torch.equal, acts(learner), before))
    actor.sync(learner)
    assert all(map(torch.equal, acts(actor), acts(learner)))
    assert torch.equal(actor.refresh(sequence()), learner.refresh(sequence()))
    assert not torch.equal(actor.refresh(sequence()), states)


def sequence() -> dict[str, Tensor]:
    return {"observation": torch.stack([seen(2, t)["observation"] for t in range(5)], 1)}


def test_an_acting_copy_takes_no_gradient_and_draws_its_own_noise() -> None:
    learner = SAC(SPEC, **SMALL)
    actor, twin = learner.acting_copy(seed=5), learner.acting_copy(seed=5)
    assert not any(p.requires_grad for p in actor.policy.parameters())
    kept = learner.generator.get_state()
    noisy = explores(actor)
    assert torch.equal(learner.generator.get_state(), kept)
    assert all(map(torch.equal, explores(twin), noisy))
    other = learner.acting_copy(seed=6)
    assert not all(map(torch.equal, explores(other), noisy))


def test_statistics_reach_the_acting_copy_only_when_it_is_synced() -> None:
    learner = DDPG(SPEC, **SMALL, normalize_observations=True)
    actor = learner.acting_copy(seed=0)
    before = acts(actor)
    learner.observe({"observation": np.arange(30, dtype=np.float32).reshape(10, 3)})
    assert all(map(torch.equal, acts(actor), before))
    actor.sync(learner)
    assert all(map(torch.equal, acts(actor), acts(learner)))
    assert not all(map(torch.equal, acts(actor), before))


def test_neither_acting_nor_learning_moves_the_statistics() -> None:
    agent = SAC(SPEC, **SMALL, normalize_observations=True)
    agent.observe({"observation": np.arange(30, dtype=np.float32).reshape(10, 3)})
    before = {k: v.clone() for k, v in agent.policy.normalizer.state_dict().items()}
    explores(agent)
    learn(agent)
    after = agent.policy.normalizer.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in before) and before


# Saving


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_agent_continues_as_the_saved_one(algorithm, shared) -> None:
    settings = SMALL | {
        "shared": shared,
        "normalize_observations": True,
        "anneal_learning_rate": True,
        "policy_ema_tau": 0.1,
    }
    saved = algorithm(SPEC, **settings, seed=1)
    saved.observe({"observation": np.arange(30, dtype=np.float32).reshape(10, 3)})
    learn(saved)
    restored = algorithm(SPEC, **settings, seed=2)
    restored.load_state_dict(through_the_disk(saved.state_dict()))
    for agent in (saved, restored):
        learn(agent)
    one, other = weights(saved), weights(restored)
    assert all(torch.equal(one[k], other[k]) for k in one | other)
    assert all(map(torch.equal, explores(saved), explores(restored)))


@pytest.mark.parametrize("part", ["target_critic", "optimizer", "generator", "log_temperature"])
def test_a_restored_agent_without_one_of_its_parts_goes_another_way(part) -> None:
    saved, restored = (
        SAC(SPEC, **SMALL, seed=seed, learning_rate=0.01, tau=0.2) for seed in (1, 2)
    )
    learn(saved)
    learn(restored)
    kept = through_the_disk(restored.state_dict())
    restored.load_state_dict(through_the_disk(saved.state_dict()) | {part: kept[part]})
    learn(saved, 1)
    learn(restored, 1)
    one, other = weights(saved), weights(restored)
    assert not all(torch.equal(one[k], other[k]) for k in one)


def test_a_part_that_no_checkpoint_would_hold_is_refused() -> None:
    class Forgetful(SAC):
        def _build(self) -> None:
            super()._build()
            self.bonus = torch.zeros(3)

    with pytest.raises(TypeError, match=r"Forgetful.parts\(\) lacks bonus"):
        Forgetful(SPEC, **SMALL)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, PPO])
@pytest.mark.parametrize("name", ["elu", "silu", "gelu", "leaky_relu", "tanh", "relu"])
def test_an_activation_is_that_of_every_head(algorithm, name) -> None:
    kind = {"elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh, "relu": nn.ReLU}
    agent = algorithm(SPEC, **SMALL, activation=name)
    for head in (agent.policy.actor, agent.critic):
        found = [
            part for part in head.modules() if not [*part.parameters()] and not [*part.children()]
        ]
        assert found and all(type(part) is kind.get(name, nn.LeakyReLU) for part in found)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation is 'swish'; it must be"):
        SAC(SPEC, **SMALL, activation="swish")
