"""PPG's phases: when the auxiliary one runs, on what, and that it leaves the policy where it is."""

from typing import Any

import pytest
import torch
from test_on_policy import agent_with, flat, rollouts, windows_of
from toys import through_the_disk

from offpcc.algorithms import PPG


def phasic(**settings: Any) -> PPG:
    agent = agent_with(PPG, **{"phase_rollouts": 3, "batch_size": 2} | settings)
    assert isinstance(agent, PPG)
    return agent


def test_the_auxiliary_phase_runs_after_each_so_many_rollouts_over_all_of_them(monkeypatch) -> None:
    agent = phasic(auxiliary_epochs=2)
    learned: list[list[float]] = []
    loss = PPG.auxiliary_loss
    monkeypatch.setattr(
        PPG,
        "auxiliary_loss",
        lambda self, part: (learned.append(part.reward[:, 0].tolist()), loss(self, part))[1],
    )
    batches = rollouts(agent, 7)
    for number, batch in enumerate(batches, 1):
        before = len(learned)
        metrics = agent.update(batch).metrics
        ran = number in (3, 6)
        assert ("auxiliary_loss" in metrics) == ran == (len(learned) > before)
        if ran:
            windows = [r for part in learned[before:] for r in part]
            phase = [b.reward[:, 0].tolist() for b in batches[number - 3 : number]]
            assert sorted(windows) == sorted(2 * [r for rewards in phase for r in rewards])
    assert len(agent.rollouts) == 1


def test_the_auxiliary_loss_is_its_three_parts() -> None:
    agent = phasic(memory="Identity", clone_coef=2.0)
    scored, _ = agent.scored(windows_of())
    part = agent.with_old_policy(scored)
    agent.actor_head.log_std.data += 0.5  # so that the policy is not where it was
    loss, metrics = agent.auxiliary_loss(part)
    real, target = part.mask.bool(), part.value_target
    seen = part.observation["observation"]
    second = agent.auxiliary_head(agent.actor_head.trunk.inner(seen)).squeeze(-1)
    first = agent.critic(seen).squeeze(-1)
    # KL of N(μ, 1) from N(μ, e^½): Σ log σ + 1 / 2σ² - ½, of two actions
    cloned = 2 * (0.5 + 0.5 / 2.718281828 - 0.5)
    squares = [((v - target)[real] ** 2).mean() / 2 for v in (second, first)]
    assert metrics["cloned"] == pytest.approx(cloned, rel=1e-5)
    torch.testing.assert_close(loss, squares[0] + 2 * cloned + squares[1])
    torch.testing.assert_close(metrics["auxiliary_loss"], squares[0].detach())


def test_the_second_head_learns_the_values_and_the_policy_stays() -> None:
    agent = phasic(
        memory="Identity",
        phase_rollouts=1,
        auxiliary_epochs=200,
        learning_rate=3e-3,
        clone_coef=10.0,
    )
    (batch,) = rollouts(agent)
    scored, _ = agent.scored(batch)
    agent.rollouts = [scored]
    steps = list(agent.auxiliary_steps())
    loss = [step["auxiliary_loss"].item() for step in steps]
    assert sum(loss[-50:]) < 0.7 * sum(loss[:50])
    assert max(step["cloned"].item() for step in steps) < 0.01


def test_a_phase_under_way_goes_through_the_disk() -> None:
    one, two = phasic(), phasic(seed=9)
    batches = rollouts(one, 3)
    for batch in batches[:2]:
        one.update(batch)
    two.load_state_dict(through_the_disk(one.state_dict()))
    for agent in (one, two):
        assert "cloned" in agent.update(batches[2]).metrics
    found = [flat(through_the_disk(agent.state_dict())) for agent in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["phase_rollouts", "auxiliary_epochs"])
def test_a_phase_of_nothing_is_refused(name) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        phasic(**{name: 0})
