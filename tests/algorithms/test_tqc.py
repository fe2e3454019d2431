import pytest
import torch
from toys import SPEC, constant_critic, make_batch

from offpcc.algorithms import TQC


def agent_with(**settings: float) -> TQC:
    return TQC(SPEC, hidden_sizes=(4,), discount=0.9, num_critics=2, **settings)


def tell(critic, *atoms: list[float]) -> None:
    """Makes head i give these atoms, whatever it reads."""
    constant_critic(critic, *[0.0] * len(atoms))
    with torch.no_grad():
        critic.trunk.biases[-1].copy_(torch.tensor(atoms).unsqueeze(1))


def test_the_target_leaves_the_highest_of_all_heads_atoms_out() -> None:
    agent = agent_with(num_quantiles=3, top_quantiles_to_drop=1, temperature=0.5)
    agent.sample = lambda h: (torch.zeros(*h.shape[:-1], 2), torch.full((*h.shape[:-1], 1), -2.0))
    tell(agent.target_critic, [9.0, 1.0, 8.0], [2.0, 0.0, 7.0])
    batch = make_batch([1, 1])  # the second row ends truly
    batch.reward[:] = 1.0
    h = batch.observation["observation"][:, 1:]
    target = agent.critic_target(batch, h, h)[:, 0]
    # 1 + 0.9 (z + 0.5 · 2) of z = 0, 1, 2, 7, and 1 alone
    assert target[0].tolist() == pytest.approx([1.9, 2.8, 3.7, 8.2])
    assert target[1].tolist() == pytest.approx([1.0] * 4)


def test_the_actor_maximizes_the_mean_of_all_quantiles() -> None:
    agent = agent_with(
        num_quantiles=3, top_quantiles_to_drop=1, temperature=0.5, fixed_temperature=True
    )
    agent.sample = lambda h: (torch.zeros(*h.shape[:-1], 2), torch.full((*h.shape[:-1], 1), -2.0))
    tell(agent.critic, [9.0, 1.0, 8.0], [2.0, 0.0, 7.0])
    batch = make_batch([2, 1])
    h = batch.observation["observation"][:, :-1]
    _, metrics = agent.actor_loss(batch, h, h)
    assert metrics["actor_loss"].item() == pytest.approx(-1 - 27 / 6)


def test_the_critics_loss_sums_over_heads_and_averages_over_real_steps() -> None:
    agent = agent_with(num_quantiles=2, top_quantiles_to_drop=0)
    values = torch.zeros(2, 1, 2, 2)
    values[1] = 4.0
    target = torch.tensor([[[3.0], [99.0]]])
    # Head 1: u = 3, (¼ + ¾) / 2 · 2.5. Head 2: u = -1, (¾ + ¼) / 2 · 0.5.
    loss = agent.critic_loss(values, target, torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(1.25 + 0.25)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"top_quantiles_to_drop": 25},
            "top_quantiles_to_drop is 25; it must be less than num_quantiles, 25",
        ),
        ({"top_quantiles_to_drop": -1}, "top_quantiles_to_drop"),
        ({"num_quantiles": 0}, "num_quantiles"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        agent_with(**settings)
