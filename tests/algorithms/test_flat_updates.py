"""With a memory of width 0 and windows of one step, an update is the paper's flat one."""

from collections.abc import Iterable
from itertools import chain

import pytest
import torch
from references import FlatDDPG, FlatSAC, FlatTD3, heads_of
from torch import Tensor
from toys import SPEC, make_batch

from offpcc.algorithms import DDPG, SAC, TD3

CASES = [(DDPG, FlatDDPG), (TD3, FlatTD3), (SAC, FlatSAC)]


def parameters(modules: Iterable[torch.nn.Module]) -> list[Tensor]:
    return [p.detach() for p in chain.from_iterable(m.parameters() for m in modules)]


@pytest.mark.parametrize(("algorithm", "flat"), CASES)
def test_a_memoryless_update_equals_an_independent_flat_one(algorithm, flat) -> None:
    priced = {} if algorithm is SAC else {"action_saturation_penalty": 0.1}
    agent = algorithm(
        SPEC, hidden_sizes=(16, 12), learning_rate=1e-3, tau=0.1, discount=0.9, seed=3, **priced
    )
    actors = [agent.policy.actor] + ([] if algorithm is SAC else [agent.target_actor])
    for actor in actors:  # some actions so far up their tanh that the actor pays for them
        [*actor.parameters()][-1].data[0] += 4.0
    plain = flat(agent)
    for i in range(6):
        batch = make_batch([1] * 32, seed=i)
        metrics, expected = agent.update(batch).metrics, plain.update(batch)
        assert set(expected) <= set(metrics)
        for name, value in expected.items():
            torch.testing.assert_close(metrics[name], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        [
            parameters([agent.policy.actor]),
            parameters(heads_of(agent.critic)),
            parameters(heads_of(agent.target_critic)),
        ],
        [parameters([plain.actor]), parameters(plain.heads), parameters(plain.slow_heads)],
        rtol=0,
        atol=1e-5,
    )
    if algorithm is SAC:
        torch.testing.assert_close(agent.log_temperature, plain.log_alpha, rtol=0, atol=1e-6)
    else:
        slow = parameters([agent.target_actor]), parameters([plain.slow_actor])
        torch.testing.assert_close(*slow, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("algorithm", "flat"), CASES)
def test_the_first_update_moves_every_network_that_learns(algorithm, flat) -> None:
    agent = algorithm(SPEC, hidden_sizes=(16, 12), learning_rate=1e-3, tau=0.1)
    before = [p.clone() for p in parameters([agent.policy.actor, agent.critic])]
    agent.update(make_batch([1] * 32))
    after = parameters([agent.policy.actor, agent.critic])
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(after, before, strict=True))
