"""Actor and critic updated apart: what they share, what each has of its own, and in which order."""

from typing import Any

import pytest
import torch
from test_on_policy import ALGORITHMS, MEMORIES, agent_with, flat, rollouts, windows_of
from toys import through_the_disk, weights

from offpcc.algorithms import PPG, PPO, OnPolicy
from offpcc.algorithms.core.epochs import minibatches

APART = {"separate_updates": True, "batch_size": 2, "num_epochs": 2, "critic_epochs": 3}


def apart(algorithm: type[OnPolicy] = PPO, memory: str = "LSTM", **settings: Any) -> OnPolicy:
    return agent_with(algorithm, memory, **APART | settings)


def state(agent: OnPolicy) -> list[torch.Tensor]:
    """All that a checkpoint would hold."""
    return flat(through_the_disk(agent.state_dict()))


def same(one: OnPolicy, other: OnPolicy) -> bool:
    return all(torch.equal(a, b) for a, b in zip(state(one), state(other), strict=True))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_is_all_one_whether_actor_or_critic_comes_first(algorithm, memory, monkeypatch) -> None:
    settings = {"normalize_observations": True, "normalize_rewards": True, "target_kl": 0.05}
    first, last = (apart(algorithm, memory, **settings) for _ in range(2))
    batches = rollouts(first, 3)
    found = [first.update(batch).metrics for batch in batches]
    epochs = algorithm.epochs
    monkeypatch.setattr(algorithm, "epochs", lambda self: epochs(self)[::-1])
    turned = [last.update(batch).metrics for batch in batches]
    assert same(first, last)
    for one, other in zip(found, turned, strict=True):
        alike = one.keys() - {"skipped"}  # a mean over both, whose sum has an order
        assert all(torch.equal(one[name], other[name]) for name in alike)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_step_on_all_windows_is_that_of_one_loss_with_a_norm_each(algorithm, memory) -> None:
    settings = {"batch_size": None, "num_epochs": 1, "ent_coef": 0.1, "clip_range_vf": 0.2}
    settings |= {"max_grad_norm": 0.01, "learning_rate": 0.01, "memory_learning_rate": 0.003}
    together = agent_with(algorithm, memory, clip_grad_jointly=False, **settings)
    separate = apart(algorithm, memory, **settings, critic_epochs=None)
    for batch in rollouts(together, 1):
        found = [agent.update(batch).metrics for agent in (together, separate)]
        assert found[0].keys() == found[1].keys()
        for name, value in found[0].items():
            torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-6)
    one, other = weights(together), weights(separate)
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-4, atol=1e-5)


def test_each_loss_reaches_its_own_networks_alone() -> None:
    agent = apart(ent_coef=0.1)
    scored, _ = agent.scored(windows_of(state_size=agent.state_size))
    mine = {"actor": [agent.policy], "critic": [agent.critic, agent.critic_memory]}
    for name, loss in (("actor", agent.actor_loss), ("critic", agent.critic_loss)):
        loss(scored)[0].backward()
        for owner, modules in mine.items():
            learned = [p for module in modules for p in module.parameters() if p.requires_grad]
            assert all((p.grad is not None) == (owner == name) for p in learned)
            for p in learned:
                p.grad = None


def test_the_two_losses_add_up_to_the_one() -> None:
    agent = apart(ent_coef=0.25, vf_coef=2.0)
    scored, _ = agent.scored(windows_of(state_size=agent.state_size))
    loss, metrics = agent.loss(scored)
    actor, critic = agent.actor_loss(scored), agent.critic_loss(scored)
    torch.testing.assert_close(actor[0] + critic[0], loss)
    torch.testing.assert_close(critic[0].detach(), 2 * critic[1]["value_loss"])
    expected = -actor[1]["surrogate"] - 0.25 * actor[1]["entropy"]
    torch.testing.assert_close(actor[0].detach(), expected)
    assert (actor[1] | critic[1]).keys() == metrics.keys()


def test_each_makes_its_own_passes_in_minibatches_of_its_own(monkeypatch) -> None:
    agent, learned = apart(), dict[str, list[float]]()
    for name in ("actor_loss", "critic_loss"):
        loss, seen = getattr(PPO, name), learned.setdefault(name, [])
        monkeypatch.setattr(
            PPO,
            name,
            lambda self, part, loss=loss, seen=seen: (
                seen.extend(part.reward[:, 0].tolist()),
                loss(self, part),
            )[1],
        )
    rollout = windows_of((4, 1, 3, 2, 2, 4, 1), state_size=agent.state_size)
    agent.update(rollout)
    assert agent.optimizer.steps == 2 * 4 and agent.critic_optimizer.steps == 3 * 4
    rewards = sorted(rollout.reward[:, 0].tolist())
    assert [sorted(learned["actor_loss"][at : at + 7]) for at in (0, 7)] == 2 * [rewards]
    assert [sorted(learned["critic_loss"][at : at + 7]) for at in (0, 7, 14)] == 3 * [rewards]
    assert learned["actor_loss"] != learned["critic_loss"][:14]


def test_the_critic_passes_as_often_as_the_actor_unless_it_is_said() -> None:
    agent = apart(critic_epochs=None)
    agent.update(windows_of(state_size=agent.state_size))
    assert agent.optimizer.steps == agent.critic_optimizer.steps == 2 * 2


def test_a_policy_that_has_moved_too_far_ends_its_own_epochs_alone() -> None:
    agent = apart(target_kl=1e-4, learning_rate=0.1, num_epochs=10)
    (batch,) = rollouts(agent)
    agent.update(batch)
    windows = len(batch.mask)
    assert 1 <= agent.optimizer.steps < 10 * -(-windows // 2)
    assert agent.critic_optimizer.steps == 3 * -(-windows // 2)


@pytest.mark.parametrize("joint", [True, False])
def test_each_has_a_gradient_norm_of_its_own(joint) -> None:
    agent = apart(clip_grad_jointly=joint)
    metrics = agent.update(windows_of(state_size=agent.state_size)).metrics
    names = {name for name in metrics if name.endswith("gradient")}
    assert names == {"actor_gradient", "critic_gradient"}
    assert metrics.keys() <= agent.columns.keys()


def test_a_critic_whose_loss_is_not_finite_does_not_stop_the_actor() -> None:
    agent = apart()
    agent.vf_coef = torch.inf
    before = weights(agent)
    metrics = agent.update(windows_of(state_size=agent.state_size)).metrics
    moved = {
        name for name, weight in weights(agent).items() if not torch.equal(weight, before[name])
    }
    assert moved and all(name.startswith("policy") for name in moved)
    assert metrics["skipped"].item() == pytest.approx(6 / 10)
    assert agent.consecutive_nonfinite == 6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_agent_learns_on_bit_for_bit(algorithm) -> None:
    one, two = apart(algorithm, normalize_rewards=True), apart(algorithm, seed=9)
    two.normalize_rewards = True
    first, second = rollouts(one, 2)
    one.update(first)
    two.load_state_dict(through_the_disk(one.state_dict()))
    for agent in (one, two):
        agent.update(second)
    assert same(one, two)


@pytest.mark.parametrize("part", ["optimizer", "generator", "critic_optimizer", "critic_generator"])
def test_a_restored_agent_without_one_of_its_parts_goes_another_way(part) -> None:
    saved, restored = (apart(seed=seed, learning_rate=0.01) for seed in (1, 2))
    first, second = rollouts(saved, 2)
    for agent in (saved, restored):
        agent.update(first)
    kept = through_the_disk(restored.state_dict())
    restored.load_state_dict(through_the_disk(saved.state_dict()) | {part: kept[part]})
    for agent in (saved, restored):
        agent.update(second)
    one, other = weights(saved), weights(restored)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_is_updated_together_saves_no_more_than_before() -> None:
    assert apart().parts().keys() - agent_with().parts().keys() == {
        "critic_optimizer",
        "critic_generator",
    }


def test_a_minibatch_of_everything_is_a_drawn_order_of_it() -> None:
    agent = agent_with()
    scored, _ = agent.scored(windows_of(state_size=agent.state_size))
    (part,) = minibatches(scored, None, agent.generator)
    assert sorted(part.reward[:, 0].tolist()) == sorted(scored.reward[:, 0].tolist())


@pytest.mark.parametrize(
    ("algorithm", "settings", "message"),
    [
        (PPO, {"shared": True}, "separate_updates needs a memory each; set shared = False"),
        (PPO, {"separate_updates": False}, "critic_epochs has no effect unless separate_updates"),
        (PPO, {"critic_epochs": 0}, "critic_epochs is 0; it must be at least 1"),
        (PPG, {}, "PPG trains both networks in one phase; set separate_updates = False"),
    ],
)
def test_settings_that_cannot_work_are_refused(algorithm, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        apart(algorithm, **settings)
