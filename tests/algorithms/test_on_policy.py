"""What the on-policy update promises: whose likelihoods it starts from, and what it climbs."""

import copy
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import SPEC, Walk, act, make_batch, through_the_disk, weights

from offpcc.algorithms import A2C, COPG, PPO, OnPolicy
from offpcc.algorithms.core.on_policy import normalized
from offpcc.data import AgentSpec, Field
from offpcc.envs.adapter import EnvAdapter
from offpcc.networks import GRU, LSTM, Encoder, Identity
from offpcc.replay import Rollout
from offpcc.replay.batch import RolloutBatch
from offpcc.training.collector import Collector

ALGORITHMS = [A2C, PPO, COPG]
MEMORIES = {
    "Identity": Identity,
    "LSTM": partial(LSTM, hidden_size=6),
    "GRU": partial(GRU, hidden_size=5),
}
CHOICES = AgentSpec(SPEC.observation, 5, (3, 2))


def agent_with(algorithm: type[OnPolicy] = PPO, memory: str = "LSTM", **settings: Any) -> OnPolicy:
    given = {
        "summarizer": MEMORIES[memory],
        "hidden_sizes": (8,),
        "seed": 1,
        "spec": SPEC,
    } | settings
    return algorithm(**given)


def rollouts(
    agent: OnPolicy, count: int = 1, *, sequence_length: int | None = 3
) -> list[RolloutBatch]:
    """What the agent plays, learning from none of it, in three copies of a walk."""
    rollout = Rollout(
        SPEC, agent.state_size, rollout_steps=10, num_envs=3, sequence_length=sequence_length
    )
    collector = Collector(agent, [EnvAdapter(Walk()) for _ in range(3)], seed=2, rollout_steps=10)
    found: list[RolloutBatch] = []
    while len(found) < count:
        for segment in collector.step():
            rollout.add(segment)
        found += rollout.batches(3)
    return found


def windows_of(
    lengths: tuple[int, ...] = (4, 1, 3), *, state_size: int = 0, padding: int = 0
) -> RolloutBatch:
    """A rollout of made-up windows, each a segment of its own."""
    batch = make_batch(lengths, state_size=state_size, padding=padding)
    last = torch.zeros_like(batch.mask)
    for row, length in enumerate(lengths):
        last[row, length - 1] = 1
    before = torch.full_like(batch.mask, -2.0)
    return RolloutBatch(
        **vars(batch), segment_end=last, log_prob=before, discounted_return=batch.reward
    )


# Likelihoods


@pytest.mark.parametrize("sequence_length", [1, 3, None])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("memory", MEMORIES)
def test_the_first_recomputed_likelihood_is_the_noted_one(memory, shared, sequence_length) -> None:
    agent = agent_with(memory=memory, shared=shared, normalize_observations=True)
    agent.policy.normalizer.observe({"observation": torch.randn(50, 3).numpy() * 3 + 1})
    for batch in rollouts(
        agent, 3, sequence_length=sequence_length
    ):  # later ones begin within episodes
        scored, _ = agent.scored(batch)
        described = agent.actor_head.describe(agent.features(scored)[0])
        found = agent.actor_head.log_prob(described, scored.action)
        real = scored.mask.bool()
        torch.testing.assert_close(found[real], batch.log_prob[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_rollouts_first_step_diverges_from_nothing(algorithm) -> None:
    agent = agent_with(algorithm, batch_size=None, num_epochs=1, normalize_observations=True)
    for batch in rollouts(agent, 2):
        metrics = agent.update(copy.deepcopy(batch)).metrics
        assert abs(metrics["approx_kl"]) < 1e-6
        agent = agent_with(algorithm, batch_size=None, num_epochs=1, normalize_observations=True)


def test_statistics_of_a_rollout_are_those_of_its_real_steps() -> None:
    agent = agent_with(normalize_observations=True)
    (batch,) = rollouts(agent)
    moments = agent.policy.normalizer.moments[0]
    agent.update(batch)
    assert moments.count == 0 and agent.observe_after_update
    agent.observe(batch.real_observation(agent.policy.normalizer.keys))
    real = batch.mask.bool()
    seen = batch.observation["observation"][:, :-1][real].double()
    assert moments.count == real.sum() == 30
    torch.testing.assert_close(moments.mean, seen.mean(0))


# What is climbed: log π, log π_old, Â and the surrogate, by hand


E = 2.718281828459045


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.5, 2.0, 2.4), (1.5, -2.0, -3.0), (0.5, 2.0, 1.0), (0.5, -2.0, -1.6), (1.1, 2.0, 2.2)],
)
def test_ppo_gains_no_more_than_its_clip_allows(ratio, advantage, expected) -> None:
    log_prob = torch.tensor([[ratio]]).log() - 1
    gain, extra = agent_with(PPO).surrogate(
        log_prob, torch.tensor([[-1.0]]), torch.tensor([[advantage]])
    )
    assert gain.item() == pytest.approx(expected)
    assert extra["clip_fraction"].item() == (abs(ratio - 1) > 0.2)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (E, 2.0, 2 * (0.18232156 - 1)),  # log 1.2 + log π_old
        (E, -2.0, 0.0),  # -2 · (1 - 1)
        (1 / E, 2.0, -4.0),  # 2 · (-1 - 1)
        (1 / E, -2.0, -2 * (-0.22314355 - 1)),  # log 0.8 + log π_old
    ],
)
def test_copg_maximizes_the_likelihood_itself_within_the_same_clip(
    ratio, advantage, expected
) -> None:
    log_prob = torch.tensor([[ratio]]).log() - 1
    before, gained = torch.tensor([[-1.0]]), torch.tensor([[advantage]])
    gain, _ = agent_with(COPG).surrogate(log_prob, before, gained)
    assert gain.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("algorithm", [PPO, COPG])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
@pytest.mark.parametrize("log_ratio", [-1.0, -0.1, 0.1, 1.0])
def test_the_slope_ends_where_the_clip_cuts(algorithm, advantage, log_ratio) -> None:
    log_prob = torch.tensor([[log_ratio - 2]], requires_grad=True)
    gain, _ = agent_with(algorithm).surrogate(
        log_prob, torch.tensor([[-2.0]]), torch.tensor([[advantage]])
    )
    gain.sum().backward()
    ratio = 1.0 if algorithm is COPG else log_prob.detach().add(2).exp().item()
    cut = log_ratio * advantage > 0.5  # beyond the clip, on the side where there is more to gain
    assert log_prob.grad.item() == pytest.approx(0.0 if cut else ratio * advantage)


def test_a2c_maximizes_the_likelihood_of_what_was_better_than_expected() -> None:
    gain, extra = agent_with(A2C).surrogate(
        torch.tensor(-3.0), torch.tensor(7.0), torch.tensor(2.0)
    )
    assert gain == -6 and not extra


# Scores


def test_advantages_are_of_the_agents_own_values_and_stop_where_segments_do() -> None:
    agent = agent_with(memory="Identity", discount=0.5, gae_lambda=0.5)
    batch = windows_of((2, 2), padding=1)
    scored, metrics = agent.scored(batch)
    value = agent.critic(batch.observation["observation"]).squeeze(-1).detach()
    r, v = batch.reward, value
    # Row 0 is cut by a time limit, row 1 comes to a true end.
    last0 = r[0, 1] + 0.5 * v[0, 2] - v[0, 1]
    first0 = r[0, 0] + 0.5 * v[0, 1] - v[0, 0] + 0.25 * last0
    last1 = r[1, 1] - v[1, 1]
    first1 = r[1, 0] + 0.5 * v[1, 1] - v[1, 0] + 0.25 * last1
    expected = torch.stack((first0, last0, first1, last1)).view(2, 2)
    torch.testing.assert_close(scored.advantage[:, :2], expected)
    torch.testing.assert_close(scored.value_target[:, :2], expected + v[:, :2])
    assert metrics["value"] == pytest.approx(v[:, :2].mean().item())


def test_padding_and_the_order_of_windows_change_no_loss() -> None:
    agent = agent_with()
    loss = [
        agent.loss(agent.scored(windows_of(state_size=agent.state_size, padding=padding))[0])[0]
        for padding in (0, 3)
    ]
    torch.testing.assert_close(*loss)
    scored, _ = agent.scored(windows_of(state_size=agent.state_size))
    turned = agent.loss(scored.rows(torch.tensor([2, 0, 1])))[0]
    torch.testing.assert_close(turned, loss[0])


def test_rewards_are_scaled_by_the_deviation_of_their_discounted_sums() -> None:
    agent = agent_with(memory="Identity", normalize_rewards=True)
    batch = windows_of()
    scored, _ = agent.scored(batch)
    std = batch.reward[batch.mask.bool()].std(correction=0)  # the sums are made to be the rewards
    torch.testing.assert_close(scored.reward, batch.reward / std)
    assert agent.sums.count == 8


def test_a_clipped_values_error_is_the_larger_one() -> None:
    agent = agent_with(clip_range_vf=0.5)
    before, target = torch.tensor([1.0, 1.0, 1.0]), torch.tensor([3.0, 0.0, 1.2])
    value = torch.tensor([2.5, 2.0, 1.1])
    # (1.5 - 3)² over (2.5 - 3)²; (2 - 0)² over (1.5 - 0)²; (1.1 - 1.2)² twice
    assert agent.value_error(value, before, target).tolist() == pytest.approx([2.25, 4.0, 0.01])
    assert agent_with().value_error(value, before, target).tolist() == pytest.approx(
        [0.25, 4.0, 0.01]
    )


def test_the_loss_is_its_three_parts_weighted() -> None:
    agent = agent_with(ent_coef=0.25, vf_coef=2.0)
    scored, _ = agent.scored(windows_of(state_size=agent.state_size))
    loss, metrics = agent.loss(scored)
    expected = 2 * metrics["value_loss"] - metrics["surrogate"] - 0.25 * metrics["entropy"]
    torch.testing.assert_close(loss.detach(), expected)


def test_advantages_are_normalised_over_real_steps() -> None:
    found = normalized(torch.tensor([1.0, 2.0, 3.0, 99.0]), torch.tensor([1.0, 1.0, 1.0, 0.0]) / 3)
    assert found[:3].tolist() == pytest.approx(
        [-1.2247449, 0.0, 1.2247449]
    )  # mean 2, deviation √(2/3)


def test_approx_kl_is_that_of_the_ratios() -> None:
    agent = agent_with(memory="Identity")
    scored, _ = agent.scored(windows_of())
    described = agent.actor_head.describe(agent.features(scored)[0])
    before = agent.actor_head.log_prob(described, scored.action).detach() - 0.5
    metrics = agent.loss(replace(scored, log_prob=before))[1]
    assert metrics["approx_kl"].item() == pytest.approx(E**0.5 - 1 - 0.5, rel=1e-5)
    assert metrics["clip_fraction"] == 1


def test_values_of_nothing_explain_nothing() -> None:
    agent = agent_with(memory="Identity")
    with torch.no_grad():
        agent.critic[-1].weight.zero_()
    assert agent.scored(windows_of())[1]["explained_variance"].item() == pytest.approx(0.0)


# Steps of the optimizer


@pytest.mark.parametrize(("batch", "steps"), [(None, 3), (2, 6), (3, 3), (1, 9)])
def test_every_window_is_learned_from_once_an_epoch(batch, steps, monkeypatch) -> None:
    agent, learned = agent_with(num_epochs=3, batch_size=batch), []
    loss = PPO.loss
    monkeypatch.setattr(
        PPO,
        "loss",
        lambda self, part: (learned.append(part.reward[:, 0].tolist()), loss(self, part))[1],
    )
    rollout = windows_of(state_size=agent.state_size)
    agent.update(rollout)
    assert agent.optimizer.steps == len(learned) == steps
    per_epoch = steps // 3
    for epoch in range(3):
        parts = learned[per_epoch * epoch : per_epoch * (epoch + 1)]
        rewards = [reward for part in parts for reward in part]
        assert sorted(rewards) == sorted(rollout.reward[:, 0].tolist())
    assert batch is None or learned[:per_epoch] != learned[per_epoch : 2 * per_epoch]


def test_epochs_end_once_the_policy_has_moved_too_far() -> None:
    far, near = (agent_with(target_kl=most, learning_rate=0.1) for most in (1e-4, None))
    (batch,) = rollouts(far)
    for agent in (far, near):
        agent.update(batch)
    assert 1 <= far.optimizer.steps < near.optimizer.steps


@pytest.mark.parametrize("joint", [True, False])
def test_one_norm_or_two_limit_the_gradients(joint) -> None:
    agent = agent_with(clip_grad_jointly=joint, batch_size=None, num_epochs=1)
    metrics = agent.update(windows_of(state_size=agent.state_size)).metrics
    names = {"joint_gradient"} if joint else {"actor_gradient", "critic_gradient"}
    assert {name for name in metrics if name.endswith("gradient")} == names
    assert metrics.keys() <= agent.columns.keys()


def test_one_memory_learns_from_both_losses_and_two_each_from_their_own() -> None:
    def slope(agent: OnPolicy, weight: float) -> Tensor:
        """The gradient at the critic's memory when only the actor climbs, or both."""
        agent.vf_coef = weight
        loss, _ = agent.loss(agent.scored(windows_of(state_size=agent.state_size))[0])
        loss.backward()
        grads = [p.grad for p in agent.critic_memory.parameters() if p.grad is not None]
        return torch.stack([g.norm() for g in grads]).norm()

    assert slope(agent_with(shared=True), 0.0) > 0
    assert slope(agent_with(), 0.0) == 0
    assert slope(agent_with(), 1.0) > 0


def test_a_critic_may_see_more_than_its_actor() -> None:
    spec = AgentSpec({"observation": Field((3,)), "hidden_sizes": Field((2,))}, 2)
    eyes = partial(Encoder, keys=["observation"])
    agent = agent_with(spec=spec, encoder=eyes, critic_encoder=Encoder)
    seen = torch.randn(1, 3)
    both = [
        {"observation": seen, "hidden_sizes": torch.full((1, 2), value)} for value in (0.0, 1.0)
    ]
    states = torch.zeros(1, agent.state_size)
    one, two = (act(agent.acting_copy(0), each, states) for each in both)
    assert torch.equal(one.action, two.action)
    assert not torch.equal(one.state, two.state)  # the critic's memory differs


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_choices_are_learned_from_like_numbers(algorithm) -> None:
    agent = agent_with(algorithm, spec=CHOICES)
    batch = windows_of(state_size=agent.state_size)
    choice = torch.nn.functional.one_hot(torch.arange(12).view(3, 4) % 3, 3)
    other = torch.nn.functional.one_hot(torch.arange(12).view(3, 4) % 2, 2)
    batch = replace(batch, action=torch.cat((choice, other), -1).float())
    before = weights(agent)
    metrics = agent.update(batch).metrics
    assert metrics["skipped"] == 0
    assert any(not torch.equal(v, before[k]) for k, v in weights(agent).items())
    output = act(agent, {"observation": torch.zeros(4, 3)}, torch.zeros(4, agent.state_size))
    assert output.action.split([3, 2], -1)[0].sum(-1).tolist() == [1, 1, 1, 1]
    assert output.log_prob.shape == (4,)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_agent_learns_on_bit_for_bit(algorithm) -> None:
    one, two = (
        agent_with(algorithm, normalize_observations=True, normalize_rewards=True, seed=s)
        for s in (1, 9)
    )
    first, second = rollouts(one, 2)
    one.update(first)
    two.load_state_dict(through_the_disk(one.state_dict()))
    for agent in (one, two):
        agent.update(second)
    found = [through_the_disk(agent.state_dict()) for agent in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*(flat(f) for f in found), strict=True))


def flat(state: Any) -> list[Tensor]:
    if isinstance(state, dict):
        return [tensor for part in state.values() for tensor in flat(part)]
    if isinstance(state, (list, tuple)):
        return [tensor for part in state for tensor in flat(part)]
    return [state] if isinstance(state, Tensor) else []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gae_lambda": 1.1}, r"gae_lambda is 1.1; it must lie in \[0, 1\]"),
        ({"num_epochs": 0}, "num_epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"discount": -1.0}, r"discount is -1.0; it must lie in \[0, 1\]"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        agent_with(**settings)
