import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from toys import act, make_batch

from offpcc.algorithms import DSAC
from offpcc.data import AgentSpec, Field
from offpcc.networks import LSTM, DiscreteCritic
from offpcc.replay.batch import Batch

SPEC = AgentSpec({"observation": Field((3,))}, 2, (2,))
ALPHA = 0.5


def agent_with(**settings: Any) -> DSAC:
    return DSAC(SPEC, hidden_sizes=(4,), discount=0.9, temperature=ALPHA, **settings)


def batch_of(*lengths: int, **settings: Any) -> Batch:
    batch = make_batch(lengths, **settings)
    chosen = torch.nn.functional.one_hot(batch.action.argmax(-1), 2).float()
    return replace(batch, action=chosen)


def tell(critic: DiscreteCritic, *values: list[float]) -> None:
    """Makes head i give values[i] for the choices, whatever it reads."""
    with torch.no_grad():
        critic.trunk.weights[-1].zero_()
        critic.trunk.biases[-1].copy_(torch.tensor(values).unsqueeze(1))


def choose(agent: DSAC, *shares: float) -> None:
    """Makes the policy choose with these probabilities, whatever it sees."""
    with torch.no_grad():
        agent.actor_head.trunk[-1].weight.zero_()
        agent.actor_head.trunk[-1].bias.copy_(torch.tensor(shares).log())


@pytest.fixture
def agent() -> DSAC:
    agent = agent_with()
    choose(agent, 0.2, 0.8)
    tell(agent.critic, [5.0, 1.0], [3.0, 2.0])
    tell(agent.target_critic, [5.0, 1.0], [3.0, 2.0])
    return agent


ENTROPY = -0.2 * math.log(0.2) - 0.8 * math.log(0.8)


def test_random_choices_are_all_alike_and_one_hot() -> None:
    agent = agent_with(random_action_prob=0.5)
    choose(agent, 1e-9, 1.0)
    action = act(agent, {"observation": torch.zeros(20_000, 3)}, torch.zeros(20_000, 0)).action
    assert set(action.unique().tolist()) == {0, 1} and (action.sum(-1) == 1).all()
    assert action[:, 0].mean().item() == pytest.approx(0.25, abs=0.01)


def test_the_target_is_expected_over_choices_of_the_smaller_heads(agent) -> None:
    batch = batch_of(1, 1)  # the second row ends truly
    batch.reward[:] = 1.0
    h = batch.observation["observation"][:, 1:]
    expected = 1 + 0.9 * (0.2 * 3 + 0.8 * 1 + ALPHA * ENTROPY)
    found = agent.critic_target(batch, h, h).flatten().tolist()
    assert found == pytest.approx([expected, 1.0])


def test_the_actors_loss_is_expected_over_choices(agent) -> None:
    batch = batch_of(2, 1)
    h = batch.observation["observation"][:, :-1]
    loss, metrics = agent.actor_loss(batch, h, h)
    assert metrics["actor_loss"].item() == pytest.approx(-1.4 - ALPHA * ENTROPY)
    assert metrics["entropy"].item() == pytest.approx(ENTROPY)
    log_alpha = torch.autograd.grad(loss, agent.log_temperature)[0].item()
    assert log_alpha == pytest.approx(ENTROPY - 0.98 * math.log(2))


def test_the_policy_moves_towards_the_better_choice(agent) -> None:
    batch = batch_of(2, 1)
    h = batch.observation["observation"][:, :-1]
    loss, _ = agent.actor_loss(batch, h, h)
    slope = torch.autograd.grad(loss, agent.actor_head.trunk[-1].bias)[0]
    # d/du_0 Σ π (α log π - Q) = π_0 π_1 [(α log π_0 - Q_0) - (α log π_1 - Q_1)]
    expected = 0.2 * 0.8 * (ALPHA * math.log(0.2 / 0.8) - (3 - 1))
    assert slope.tolist() == pytest.approx([expected, -expected])


def test_the_critic_learns_the_taken_choices_value(agent) -> None:
    batch = batch_of(3, 2)
    h = batch.observation["observation"][:, :-1]
    found = agent.critic(h, batch.action)
    values = torch.tensor([[5.0, 1.0], [3.0, 2.0]])
    taken = values[:, batch.action.argmax(-1)].unsqueeze(-1)
    assert torch.equal(found, taken)


@pytest.mark.parametrize("summarizer", [None, partial(LSTM, hidden_size=6)])
def test_an_update_moves_everything_and_tells_of_it(summarizer) -> None:
    agent = agent_with(**({"summarizer": summarizer} if summarizer else {}), learning_rate=0.01)
    before = {k: v.clone() for k, v in agent.policy.state_dict().items()}
    metrics = agent.update(batch_of(4, 1, 3, state_size=agent.state_size)).metrics
    assert metrics.keys() <= agent.columns.keys() and metrics["skipped"] == 0
    after = agent.policy.state_dict()
    assert all(not torch.equal(before[k], after[k]) for k in before if k.endswith("weight"))


# Action masks


def masked_batch(before: list[list[int]], after: list[list[int]]) -> Batch:
    """A row of one step for each pair of masks."""
    batch = batch_of(*[1] * len(before))
    mask = torch.stack([torch.tensor(before), torch.tensor(after)], 1).bool()
    return replace(batch, observation=batch.observation | {"action_mask": mask})


def test_the_target_is_expected_over_the_next_steps_legal_choices(agent) -> None:
    batch = masked_batch(3 * [[0, 1]], [[1, 0], [0, 1], [1, 1]])
    batch.reward[:] = 1.0
    batch.terminated[:] = 0
    h = batch.observation["observation"][:, 1:]
    every = 0.2 * 3 + 0.8 * 1 + ALPHA * ENTROPY
    expected = [1 + 0.9 * value for value in (3, 1, every)]
    assert agent.critic_target(batch, h, h).flatten().tolist() == pytest.approx(expected)


def test_the_actors_loss_and_the_entropys_goal_are_of_this_steps_legal_choices(agent) -> None:
    batch = masked_batch([[1, 0], [0, 1], [1, 1]], 3 * [[1, 1]])
    h = batch.observation["observation"][:, :-1]
    loss, metrics = agent.actor_loss(batch, h, h)
    expected = -(3 + 1 + 1.4 + ALPHA * ENTROPY) / 3
    assert metrics["actor_loss"].item() == pytest.approx(expected)
    assert metrics["entropy"].item() == pytest.approx(ENTROPY / 3)
    log_alpha = torch.autograd.grad(loss, agent.log_temperature, retain_graph=True)[0].item()
    assert log_alpha == pytest.approx((ENTROPY - 0.98 * math.log(2)) / 3)
    alone = agent.actor_loss(masked_batch([[1, 0]], [[1, 1]]), h[:1], h[:1])[0]
    slope = torch.autograd.grad(alone, agent.actor_head.trunk[-1].bias)[0]
    assert torch.equal(slope, torch.zeros(2)), "of one choice there is nothing to learn"


def test_a_window_behind_a_burn_in_has_its_own_masks() -> None:
    batch = batch_of(2, 1, burn_in=[3, 1])
    mask = torch.zeros(2, 3 + 2 + 1, 2, dtype=torch.bool)
    mask[:, 3:] = True
    masked = replace(batch, observation=batch.observation | {"action_mask": mask})
    assert batch.action_mask is None and masked.action_mask is not None
    assert masked.action_mask.shape == (2, 3, 2) and masked.action_mask.all()


def test_random_choices_are_all_alike_among_the_legal() -> None:
    spec = AgentSpec({"observation": Field((3,)), "action_mask": Field((4,), "bool")}, 4, (4,))
    agent = DSAC(spec, hidden_sizes=(4,), random_action_prob=1.0)
    legal = torch.tensor([[False, True, False, True]]).expand(20_000, 4)
    seen = {"observation": torch.zeros(20_000, 3), "action_mask": legal}
    action = act(agent, seen, torch.zeros(20_000, 0)).action
    assert not action[~legal].any()
    assert action[:, 1].mean().item() == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("choices", [(), (2, 3)])
def test_other_actions_are_refused(choices) -> None:
    with pytest.raises(ValueError, match="DSAC serves one choice"):
        DSAC(AgentSpec({"observation": Field((3,))}, 5, choices))
