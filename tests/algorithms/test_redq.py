from collections import Counter

import pytest
import torch
from toys import SPEC, constant_critic, make_batch

from offpcc.algorithms import REDQ


def agent_with(**settings: int) -> REDQ:
    return REDQ(SPEC, hidden_sizes=(4,), discount=0.9, **settings)


def test_the_target_takes_the_smaller_of_two_heads_drawn_anew() -> None:
    agent = agent_with(num_critics=4)
    values = torch.arange(4.0).view(4, 1, 1, 1)
    found = Counter(agent.min_q(values).item() for _ in range(3_000))
    # Of the six pairs, three hold head 0, two more head 1, one more head 2.
    shares = [found[head] / 3_000 for head in (0.0, 1.0, 2.0, 3.0)]
    assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0], abs=0.03)


def test_all_steps_of_an_update_take_the_same_heads() -> None:
    agent = agent_with(num_critics=10)
    values = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 5, 7, 1)
    assert len(agent.min_q(values).unique()) == 1


def test_the_actor_maximizes_the_mean_of_the_heads() -> None:
    agent = agent_with(num_critics=4, temperature=0.5, fixed_temperature=True)
    agent.sample = lambda h: (torch.zeros(*h.shape[:-1], 2), torch.full((*h.shape[:-1], 1), -2.0))
    constant_critic(agent.critic, 5.0, 3.0, 1.0, -1.0)
    batch = make_batch([2, 1])
    h = batch.observation["observation"][:, :-1]
    _, metrics = agent.actor_loss(batch, h, h)
    assert metrics["actor_loss"].item() == pytest.approx(-1 - 2)


@pytest.mark.parametrize("subset", [0, 11])
def test_a_subset_that_there_is_not_is_refused(subset) -> None:
    with pytest.raises(
        ValueError,
        match=f"target_subset_size is {subset}; it (must be at least 1|is at most num_critics, 10)",
    ):
        agent_with(target_subset_size=subset)
