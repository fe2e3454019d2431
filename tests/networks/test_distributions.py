"""Likelihood actors, held against torch's own distributions."""

import pytest
import torch
from torch.distributions import Independent, Normal, OneHotCategorical, kl_divergence
from toys import SPEC

from offpcc.data import AgentSpec, Field
from offpcc.networks import CategoricalActor, DistributionActor, NormalActor, distribution_actor

CHOICES = (3, 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int) -> tuple[NormalActor, Independent, torch.Tensor]:
    """An actor, torch's distribution of the same, and what the actor says of 7 x 4 features."""
    torch.manual_seed(seed)
    actor = NormalActor(3, 2, (5,))
    actor.log_std.data.normal_()
    described = actor.describe(torch.randn(7, 4, 3, generator=generator()))
    mean, log_std = described.chunk(2, -1)
    return actor, Independent(Normal(mean, log_std.exp()), 1), described


def categorical(seed: int) -> tuple[CategoricalActor, list[OneHotCategorical], torch.Tensor]:
    torch.manual_seed(seed)
    actor = CategoricalActor(3, CHOICES, (5,))
    actor.trunk[-1].weight.data.normal_()
    logits = actor.trunk(torch.randn(7, 4, 3, generator=generator())).split(CHOICES, -1)
    described = actor.describe(torch.randn(7, 4, 3, generator=generator()))
    return actor, [OneHotCategorical(logits=part) for part in logits], described


def test_a_normal_actor_is_torchs_normal_distribution() -> None:
    (actor, theirs, described), (_, before, old) = normal(1), normal(2)
    action = actor.sample(described, generator())
    torch.testing.assert_close(actor.log_prob(described, action), theirs.log_prob(action))
    torch.testing.assert_close(actor.entropy(described), theirs.entropy())
    torch.testing.assert_close(actor.divergence(old, described), kl_divergence(before, theirs))
    torch.testing.assert_close(actor.mode(described), theirs.mean.clamp(-1, 1))
    assert actor.mode(torch.tensor([[3.0, -3.0, 0.0, 0.0]])).tolist() == [[1, -1]]


def test_a_categorical_actor_is_torchs_in_each_part() -> None:
    (actor, theirs, described), (_, before, old) = categorical(1), categorical(2)
    action = actor.sample(described, generator())
    parts = action.split(CHOICES, -1)
    log_prob = sum(d.log_prob(part) for d, part in zip(theirs, parts, strict=True))
    torch.testing.assert_close(actor.log_prob(described, action), log_prob)
    torch.testing.assert_close(actor.entropy(described), sum(d.entropy() for d in theirs))
    divergence = sum(kl_divergence(a, b) for a, b in zip(before, theirs, strict=True))
    torch.testing.assert_close(actor.divergence(old, described), divergence)
    modes = torch.cat([d.mode for d in theirs], -1)
    torch.testing.assert_close(actor.mode(described), modes)


def test_what_a_normal_actor_draws_has_its_mean_and_deviation() -> None:
    actor, _, _ = normal(3)
    feature = torch.ones(20_000, 3)
    drawn, mean = actor.draw(feature, generator()), actor(feature)[0]
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), actor.log_std.exp().detach(), atol=0, rtol=0.03)


def test_what_a_categorical_actor_draws_has_its_probabilities() -> None:
    actor, _, _ = categorical(3)
    feature = torch.ones(20_000, 3)
    drawn = actor.draw(feature, generator())
    for part in drawn.split(CHOICES, -1):
        assert torch.equal(part.sum(-1), torch.ones(20_000))  # one-hot
    probability = actor.describe(feature[:1])[0].exp()
    torch.testing.assert_close(drawn.mean(0), probability, atol=0.015, rtol=0)


def test_a_seed_repeats_what_is_drawn() -> None:
    for actor, _, described in (normal(1), categorical(1)):
        drawn = [actor.sample(described, generator(seed)) for seed in (4, 4, 5)]
        assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_first_policy_hardly_depends_on_what_it_sees() -> None:
    for actor in (NormalActor(3, 2, (64, 64)), CategoricalActor(3, CHOICES, (64, 64))):
        described = actor.describe(torch.randn(100, 3))
        assert described.std(0).max() < 0.02


@pytest.mark.parametrize(
    ("spec", "kind"),
    [(SPEC, NormalActor), (AgentSpec({"observation": Field((3,))}, 5, CHOICES), CategoricalActor)],
)
def test_the_actor_is_of_the_environments_kind_of_actions(spec, kind) -> None:
    actor: DistributionActor = distribution_actor(spec, 3, (4,))
    assert type(actor) is kind
    assert actor(torch.zeros(6, 3)).shape == (6, spec.action)
