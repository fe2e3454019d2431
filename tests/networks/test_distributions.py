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


LEGAL = torch.tensor([[1, 0, 1, 0, 1], [0, 0, 1, 1, 1], [1, 1, 1, 1, 0]], dtype=torch.bool)


def masked(seed: int) -> tuple[CategoricalActor, torch.Tensor, torch.Tensor]:
    """An actor, its logits at three features, and what it says where choices are masked."""
    actor, _, _ = categorical(seed)
    feature = torch.randn(3, 3, generator=generator())
    return actor, actor.trunk(feature), actor.describe(feature, LEGAL)


def test_a_masked_actor_is_torchs_distribution_over_the_legal_choices_alone() -> None:
    (actor, logits, described), (_, before, old) = masked(1), masked(2)
    action = actor.sample(described, generator())
    for row in range(3):
        log_prob = entropy = divergence = torch.zeros(())
        for part in (slice(0, 3), slice(3, 5)):
            legal = LEGAL[row, part]
            theirs = OneHotCategorical(logits=logits[row, part][legal])
            log_prob = log_prob + theirs.log_prob(action[row, part][legal])
            entropy = entropy + theirs.entropy()
            base = OneHotCategorical(logits=before[row, part][legal])
            divergence = divergence + kl_divergence(base, theirs)
            mode = actor.mode(described)[row, part][legal]
            assert torch.equal(mode, theirs.mode)
        torch.testing.assert_close(actor.log_prob(described, action)[row], log_prob)
        torch.testing.assert_close(actor.entropy(described)[row], entropy)
        torch.testing.assert_close(actor.divergence(old, described)[row], divergence)


def test_what_is_illegal_is_never_drawn_nor_the_likeliest() -> None:
    actor, _, _ = masked(3)
    with torch.no_grad():
        actor.trunk[-1].bias.copy_(torch.tensor([0.0, 50, 0, 50, 0]))  # of the illegal, mostly
    feature, legal = torch.randn(10_000, 3), LEGAL[:1].expand(10_000, 5)
    for action in (actor.draw(feature, generator(), legal), actor(feature, legal)):
        assert not action[~legal].any() and (action.sum(-1) == 2).all()


def test_the_logits_of_illegal_choices_have_no_gradient() -> None:
    actor, _, _ = masked(4)
    feature = torch.randn(3, 3, generator=generator())
    described = actor.describe(feature, LEGAL)
    action = actor.sample(described, generator())
    old = masked(5)[2].detach()
    said = (actor.log_prob(described, action), actor.entropy(described))
    for value in (*said, actor.divergence(old, described)):
        logits = torch.autograd.grad(value[0], actor.trunk[-1].bias, retain_graph=True)[0]
        assert torch.equal(logits[~LEGAL[0]], torch.zeros(2)) and logits.isfinite().all()
        assert logits[:3].abs().sum() > 0


def test_where_all_is_legal_not_a_bit_is_different() -> None:
    actor, _, _ = categorical(6)
    feature = torch.randn(50, 3)
    every = torch.ones(50, 5, dtype=torch.bool)
    assert torch.equal(actor.describe(feature, every), actor.describe(feature))
    drawn = [actor.draw(feature, generator(), mask) for mask in (None, every)]
    assert torch.equal(*drawn)


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
