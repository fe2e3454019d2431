"""The update that all on-policy algorithms share; each fills in its surrogate.

Advantages: GAE (Schulman et al., 2015, 1506.02438). That they are normalised in each minibatch, and
the value's loss, are as in PPO's published code (1707.06347).
"""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, replace
from itertools import chain
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from offpcc.algorithms.core.actor_critic import ActorCritic
from offpcc.algorithms.core.agent import Metrics, UpdateOutput
from offpcc.algorithms.core.epochs import Epochs, ScoredRollout, means
from offpcc.algorithms.core.optimizer import Group, Optimizer
from offpcc.algorithms.core.returns import gae
from offpcc.config.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, UnitFloat
from offpcc.networks import MLP, DistributionActor, Moments, distribution_actor
from offpcc.replay.batch import RolloutBatch


@dataclass
class OnPolicy(ActorCritic):
    """A likelihood actor and a state value; learns from each rollout for a few epochs.

    With `shared`, both losses train the one memory. With `separate_updates`, actor and critic learn
    from a scored rollout apart, each with an optimizer, minibatches and epochs of its own.
    """

    _: KW_ONLY
    gae_lambda: UnitFloat = 0.95  # λ
    num_epochs: PositiveInt = 10  # passes over a rollout
    batch_size: PositiveInt | None = 64  # windows in a step of the optimizer; None: all
    ent_coef: NonNegativeFloat = 0.0
    vf_coef: NonNegativeFloat = 0.5
    clip_range_vf: PositiveFloat | None = None  # how far a value may move from the rollout's
    target_kl: PositiveFloat | None = None  # nats; beyond 1.5 times this, a rollout's epochs end
    max_grad_norm: PositiveFloat | None = 0.5
    adam_epsilon: PositiveFloat = 1e-5
    clip_grad_jointly: bool = True  # one gradient norm for actor and critic, if updated together
    separate_updates: bool = False  # actor and critic are updated apart
    critic_epochs: PositiveInt | None = None  # the critic's passes then; None: num_epochs
    normalize_rewards: bool = False  # by the running deviation of their discounted sums
    critic_state: bool = True

    observe_after_update: ClassVar[bool] = True  # or the first ratios of a rollout were not 1
    actor_methods: ClassVar[tuple[str, ...]] = (
        "describe", "mode", "sample", "log_prob", "entropy", "divergence",
    )  # fmt: skip
    columns: ClassVar[dict[str, str]] = {
        "surrogate": "mean of what the actor climbs, of normalised advantages",
        "value_loss": "mean squared error of the values to the λ-returns",
        "entropy": "mean of the policy's entropy, in nats",
        "approx_kl": "mean of ρ - 1 - log ρ, in nats: how far the policy is from the rollout's",
        "value": "mean value of the rollout's histories",
        "explained_variance": "share of the λ-returns' variance that the rollout's values explain",
        "joint_gradient": "norm of the gradient of actor and critic, where they share one norm",
        "actor_gradient": "norm of the actor's gradient, where it has its own",
        "critic_gradient": "norm of the critic's gradient, where it has its own",
        "skipped": "share of steps left out because a loss or a gradient was not finite",
    }

    def _check(self) -> None:
        super()._check()
        if self.separate_updates and self.shared:
            raise ValueError("separate_updates needs a memory each; set shared = False")
        if self.critic_epochs and not self.separate_updates:
            raise ValueError("critic_epochs has no effect unless separate_updates = True")

    def _build(self) -> None:
        super()._build()
        self.sums = Moments(()).to(self.device)  # of the discounted sums of rewards

    def _build_optimizers(self) -> None:
        super()._build_optimizers()
        if self.separate_updates:
            self.optimizer, self.critic_optimizer = (
                Optimizer(
                    [group for group in self.groups() if group.network == network],
                    self.max_grad_norm,
                    self.adam_epsilon,
                )
                for network in ("actor", "critic")
            )
            seed = np.random.SeedSequence([self.seed, 1]).generate_state(1)[0]
            self.critic_generator = torch.Generator(self.generator.device).manual_seed(int(seed))

    def parts(self) -> dict[str, Any]:
        """With the moments that rewards are scaled by, and what only the critic's updates use."""
        parts = super().parts() | {"sums": self.sums}
        if self.separate_updates:
            parts["critic_optimizer"] = self.critic_optimizer
            parts["critic_generator"] = self.critic_generator
        return parts

    def make_actor(self, inputs: int) -> DistributionActor:
        """π."""
        return distribution_actor(self.spec, inputs, self.hidden_sizes, self.activation or "tanh")

    def make_critic(self, inputs: int) -> nn.Module:
        """V."""
        return MLP(inputs, self.hidden_sizes, 1, self.activation or "tanh").orthogonal(1.0)

    # What an algorithm fills in.

    @abstractmethod
    def surrogate(
        self, log_prob: Tensor, before: Tensor, advantage: Tensor
    ) -> tuple[Tensor, Metrics]:
        """What the actor climbs, of log π, log π_old and Â, and metrics beside it; all (N,)."""

    # What is the same for all.

    @property
    def actor_head(self) -> DistributionActor:
        """π's head."""
        return cast(DistributionActor, self.policy.actor)

    def groups(self) -> list[Group]:
        """See `ActorCritic`; one network where the gradient's norm is joint."""
        groups = super().groups()
        if self.separate_updates or not self.clip_grad_jointly:
            return groups
        return [replace(group, network="joint") for group in groups]

    def sample_action(
        self, feature: Tensor, noise: Tensor, action_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """a ~ π(·|h), with its log π."""
        described = self.actor_head.describe(feature, action_mask)
        action = self.actor_head.sample(described, self.generator)
        return action, noise, self.actor_head.log_prob(described, action)

    def update(self, batch: RolloutBatch) -> UpdateOutput:  # type: ignore[override]
        """Learns from a rollout, `num_epochs` times over; gives means of `columns`' metrics."""
        scored, metrics = self.scored(batch.to(self.device))
        return UpdateOutput(metrics | self.learn(scored))

    def learn(self, batch: ScoredRollout) -> Metrics:
        """All epochs over a scored rollout; gives means of metrics."""
        scale = self.learning_rate_scale()
        return means(chain.from_iterable(each.steps(batch, scale) for each in self.epochs()))

    def epochs(self) -> list[Epochs]:
        """What learns from a scored rollout: both losses as one, or each by itself.

        Those of actor and critic share nothing that learning changes, so their order is free.
        """
        given = (self.num_epochs, self.batch_size, self.target_kl)
        both = Epochs(self.loss, self.optimizer, self.generator, *given)
        if not self.separate_updates:
            return [both]
        actor = replace(both, loss=self.actor_loss)
        own = (self.critic_optimizer, self.critic_generator, self.critic_epochs or self.num_epochs)
        return [actor, Epochs(self.critic_loss, *own, self.batch_size)]

    @property
    def consecutive_nonfinite(self) -> Tensor:
        """See `Learner`; of the optimizer that has left out more."""
        left_out = [each.optimizer.consecutive_nonfinite for each in self.epochs()]
        return torch.stack(left_out).max()

    @torch.no_grad()
    def scored(self, batch: RolloutBatch) -> tuple[ScoredRollout, Metrics]:
        """A rollout with Â, V and Â + V, and metrics."""
        real = batch.mask.bool()
        if self.normalize_rewards:
            self.sums.observe(batch.discounted_return[real].cpu().numpy())
            batch = replace(batch, reward=batch.reward / self.sums.std.float())
        value = self.critic(self.critic_features(batch)).squeeze(-1)  # (B, T+1)
        value, following = value[:, :-1], value[:, 1:]
        parts = (batch.reward, value, following, batch.terminated, batch.segment_end)
        flat = gae(
            *(part[real] for part in parts), discount=self.discount, gae_lambda=self.gae_lambda
        )
        advantage = torch.zeros_like(value).masked_scatter_(real, flat)
        value_target = advantage + value
        spread = value_target[real].var(correction=0).clamp(min=1e-12)
        explained = 1 - flat.var(correction=0) / spread
        now = {key: values[:, :-1] for key, values in batch.observation.items()}
        scored = ScoredRollout(
            **vars(replace(batch, observation=now)),
            advantage=advantage,
            value=value,
            value_target=value_target,
        )
        return scored, {"value": value[real].mean(), "explained_variance": explained}

    def features(self, batch: RolloutBatch) -> tuple[Tensor, Tensor]:
        """The actor's and the critic's features (B, T, F) of the observations: one pass each."""
        observation, (actor_state, critic_state) = self.inputs(batch)
        h_critic = self.critic_memory.unroll(observation, critic_state)[0]
        if self.shared:
            return h_critic, h_critic
        return self.policy.memory.unroll(observation, actor_state)[0], h_critic

    def actor_features(self, batch: RolloutBatch) -> Tensor:
        """The actor's alone."""
        observation, (state, _) = self.inputs(batch)
        return self.policy.memory.unroll(observation, state)[0]

    def critic_features(self, batch: RolloutBatch) -> Tensor:
        """The critic's alone."""
        observation, (_, state) = self.inputs(batch)
        return self.critic_memory.unroll(observation, state)[0]

    def inputs(self, batch: RolloutBatch) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Observations as networks read them, and the actor's and the critic's states (B, ·)."""
        observation = self.policy.normalizer(batch.observation)
        return observation, self.actor_and_critic_state(batch.state)

    def loss(self, batch: ScoredRollout) -> tuple[Tensor, Metrics]:
        """-surrogate - entropy + value's loss, weighted, of a scored minibatch; and metrics."""
        h_actor, h_critic = self.features(batch)
        actor, watched = self.actor_terms(batch, h_actor)
        loss, metrics = self.weighted(batch, actor | self.critic_terms(batch, h_critic))
        return loss, metrics | watched

    def actor_loss(self, batch: ScoredRollout) -> tuple[Tensor, Metrics]:
        """-surrogate - entropy, weighted as in `loss`, and metrics."""
        terms, watched = self.actor_terms(batch, self.actor_features(batch))
        loss, metrics = self.weighted(batch, terms)
        return loss, metrics | watched

    def critic_loss(self, batch: ScoredRollout) -> tuple[Tensor, Metrics]:
        """The value's loss, weighted as in `loss`, and metrics."""
        return self.weighted(batch, self.critic_terms(batch, self.critic_features(batch)))

    def actor_terms(self, batch: ScoredRollout, feature: Tensor) -> tuple[Metrics, Metrics]:
        """Surrogate and entropy of each step (N,), and means () of what else is worth seeing."""
        share, before = batch.share, batch.log_prob.flatten()
        mask = batch.action_mask
        described = self.actor_head.describe(
            feature.flatten(0, 1), mask if mask is None else mask.flatten(0, 1)
        )
        log_prob = self.actor_head.log_prob(described, batch.action.flatten(0, 1))
        gain, extra = self.surrogate(log_prob, before, normalized(batch.advantage.flatten(), share))
        log_ratio = (log_prob - before).detach()
        watched = {"approx_kl": log_ratio.exp() - 1 - log_ratio} | extra
        found = torch.stack([*watched.values()]) @ share
        terms = {"surrogate": gain, "entropy": self.actor_head.entropy(described)}
        return terms, dict(zip(watched, found.unbind(), strict=True))

    def critic_terms(self, batch: ScoredRollout, feature: Tensor) -> Metrics:
        """The value's loss of each step (N,)."""
        value = self.critic(feature.flatten(0, 1)).squeeze(-1)
        error = self.value_error(value, batch.value.flatten(), batch.value_target.flatten())
        return {"value_loss": error}

    def weighted(self, batch: ScoredRollout, terms: Metrics) -> tuple[Tensor, Metrics]:
        """The weighted sum () of the terms' means over all real steps, and these means."""
        weights = {"surrogate": -1.0, "value_loss": self.vf_coef, "entropy": -self.ent_coef}
        names = [name for name in weights if name in terms]
        found = torch.stack([terms[name] for name in names]) @ batch.share
        loss = found @ found.new_tensor([weights[name] for name in names])
        return loss, dict(zip(names, found.detach().unbind(), strict=True))

    def value_error(self, value: Tensor, before: Tensor, target: Tensor) -> Tensor:
        """(V - V_targ)² (N,); with a clip, the larger of that and of the clipped value's."""
        error = (value - target).square()
        if self.clip_range_vf is None:
            return error
        near = before + (value - before).clamp(-self.clip_range_vf, self.clip_range_vf)
        return torch.maximum(error, (near - target).square())


def normalized(values: Tensor, share: Tensor) -> Tensor:
    """Values (N,) shifted and scaled to mean 0 and deviation 1; share (N,): of each in the mean."""
    gap = values - values @ share
    return gap / ((gap.square() @ share).sqrt() + 1e-8)
