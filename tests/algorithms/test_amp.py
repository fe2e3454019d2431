"""AMP's discriminator: its rewards, its loss against finite differences, and what it reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_on_policy import agent_with, flat, rollouts, windows_of
from toys import through_the_disk

from offpcc.algorithms import AMP
from offpcc.data import AgentSpec, Field
from offpcc.training.dataset_io import read_transitions


@pytest.fixture
def expert(tmp_path) -> Path:
    """A folder of 300 transitions of an expert who always moves by (1, 1, 1)."""
    before = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    np.save(tmp_path / "obs.npy", before)
    np.save(tmp_path / "next_obs.npy", before + 1)
    return tmp_path


def amp(expert: Path, **settings: Any) -> AMP:
    agent = agent_with(AMP, **{"expert": str(expert), "style_hidden": (8,)} | settings)
    assert isinstance(agent, AMP)
    agent.prepare(read_transitions)
    return agent


def says(agent: AMP, verdict: float) -> None:
    """Makes the discriminator say this of everything."""
    with torch.no_grad():
        agent.discriminator[-1].weight.zero_()
        agent.discriminator[-1].bias.fill_(verdict)


@pytest.mark.parametrize(("verdict", "reward"), [(1, 1), (0, 0.75), (-1, 0), (2, 0.75), (5, 0)])
def test_the_style_pays_most_where_the_expert_is_recognised(expert, verdict, reward) -> None:
    agent = amp(expert)
    says(agent, verdict)
    assert agent.style(torch.randn(4, 5, 6)).unique().tolist() == [reward]


def test_a_rollout_is_learned_from_with_both_rewards_weighted(expert, monkeypatch) -> None:
    agent = amp(expert, task_weight=0.25, style_weight=2.0, task_reward_scale=0.1)
    says(agent, 0.0)
    learned = []
    scored = AMP.scored
    monkeypatch.setattr(
        AMP, "scored", lambda self, batch: (learned.append(batch.reward), scored(self, batch))[1]
    )
    batch = windows_of(state_size=agent.state_size)
    metrics = agent.update(batch).metrics
    torch.testing.assert_close(learned[0], 0.025 * batch.reward + 1.5)
    assert metrics["style_reward"] == 0.75


def made_up(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Transitions of the expert and of the policy."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(7, 6, generator=draw), torch.randn(7, 6, generator=draw)


def test_the_loss_is_of_both_verdicts_and_of_the_slope_at_the_experts(expert) -> None:
    agent, (theirs, mine) = amp(expert, penalty=6.0), made_up(1)
    loss, metrics = agent.style_loss(theirs, mine)
    scaled = agent.scale(theirs)

    def verdict(at: torch.Tensor) -> torch.Tensor:
        return agent.discriminator(at).squeeze(-1).detach()

    squares = torch.zeros(7)
    for axis in range(6):
        nudge = 1e-3 * torch.eye(6)[axis]
        squares += ((verdict(scaled + nudge) - verdict(scaled - nudge)) / 2e-3) ** 2
    errors = (verdict(scaled) - 1) ** 2 + (verdict(agent.scale(mine)) + 1) ** 2
    assert metrics["style_slope"].item() == pytest.approx(squares.mean().item(), rel=1e-2)
    assert metrics["style_loss"].item() == pytest.approx(errors.mean().item(), rel=1e-5)
    assert loss.item() == pytest.approx((errors + 3 * squares).mean().item(), rel=1e-2)


def test_the_weights_feel_the_price_of_the_slope(expert) -> None:
    agent, (theirs, mine) = amp(expert, penalty=50.0), made_up(2)
    weight = agent.discriminator[-1].weight

    def loss() -> torch.Tensor:
        return agent.style_loss(theirs, mine)[0]

    loss().backward()
    slope = weight.grad[0, 3].item()
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[0, 3] += sign * 1e-3
        found.append(loss().item())
        with torch.no_grad():
            weight[0, 3] -= sign * 1e-3
    assert slope == pytest.approx((found[0] - found[1]) / 2e-3, rel=1e-2)
    agent.penalty = 0.0
    weight.grad = None
    loss().backward()
    assert weight.grad[0, 3].item() != pytest.approx(slope, rel=0.1)


def test_the_discriminator_learns_to_tell_them_apart(expert) -> None:
    agent = amp(expert, style_steps=150, style_rate=3e-3, penalty=0.1)
    (batch,) = rollouts(agent)
    agent.update(batch)
    real = batch.mask.bool()
    theirs = agent.style(torch.cat(agent.expert_pairs, -1)).mean()
    assert theirs > 0.8 > 0.3 > agent.style(agent.pairs(batch)[real]).mean()


def test_pairs_are_what_was_seen_before_and_after_each_step(expert) -> None:
    spec = AgentSpec({"observation": Field((3,)), "previous_action": Field((2,))}, 2)
    agent = amp(expert, spec=spec, summarizer=agent_with(memory="Identity").summarizer)
    seen = torch.randn(4, 6, 3)
    batch = windows_of()
    batch.observation.clear()
    batch.observation.update(observation=seen, previous_action=torch.randn(4, 6, 2))
    assert torch.equal(agent.pairs(batch), torch.cat((seen[:, :-1], seen[:, 1:]), -1))


def test_the_policys_newest_transitions_are_kept(expert) -> None:
    agent = amp(expert, past=5)
    for first in (0, 3, 6):
        agent.keep(torch.arange(first, first + 3.0)[:, None].expand(3, 6))
    assert sorted(agent.transitions[:, 0].tolist()) == [4, 5, 6, 7, 8]
    assert agent.written == 9


def test_a_restored_agent_learns_the_style_on_bit_for_bit(expert) -> None:
    one, two = amp(expert), amp(expert, seed=9)
    first, second = rollouts(one, 2)
    one.update(first)
    two.load_state_dict(through_the_disk(one.state_dict()))
    for agent in (one, two):
        agent.update(second)
    found = [flat(through_the_disk(agent.state_dict())) for agent in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_actor_critic_and_discriminator_learn_apart_and_are_restored(expert) -> None:
    one, two = (amp(expert, separate_updates=True, seed=seed) for seed in (1, 9))
    first, second = rollouts(one, 2)
    one.update(first)
    two.load_state_dict(through_the_disk(one.state_dict()))
    for agent in (one, two):
        found = agent.update(second).metrics
        assert found.keys() == agent.columns.keys() - {"joint_gradient"}
    states = [flat(through_the_disk(agent.state_dict())) for agent in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_the_experts_data_are_no_part_of_a_checkpoint(expert) -> None:
    assert "expert_pairs" not in amp(expert).state_dict()


def test_skipped_counts_steps_of_actor_and_critic(expert) -> None:
    agent = amp(expert)
    agent.expert_pairs = tuple(torch.full_like(part, torch.nan) for part in agent.expert_pairs)
    metrics = agent.update(windows_of(state_size=agent.state_size)).metrics
    assert metrics["skipped"] == 0  # the discriminator's were


def test_a_policy_is_made_without_the_experts_data_and_a_training_is_not() -> None:
    agent = agent_with(AMP)
    action, _ = agent.policy.act({"observation": torch.zeros(1, 3)}, agent.policy.initial_state())
    assert action.shape == (1, 2)
    with pytest.raises(ValueError, match=r"^AMP\.expert is not set"):
        agent.prepare(read_transitions)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"normalize_rewards": True}, "leave normalize_rewards False"),
        ({"style_steps": 0}, "style_steps is 0; it must be at least 1"),
        ({"past": 0}, "past is 0; it must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said) -> None:
    with pytest.raises(ValueError, match=said):
        agent_with(AMP, **settings)


def test_an_expert_of_another_environment_is_refused(expert) -> None:
    np.save(expert / "obs.npy", np.zeros((9, 2)))
    np.save(expert / "next_obs.npy", np.zeros((9, 2)))
    with pytest.raises(ValueError, match=r"observations of 2 numbers; \['observation'\] .* are 3"):
        amp(expert)


def test_the_discriminator_sees_what_actors_may_see() -> None:
    spec = AgentSpec(
        {"observation": Field((3,)), "privileged": Field((9,)), "previous_action": Field((2,))}, 2
    )
    assert AMP(spec, expert="").seen == ["observation"]
