"""The update that all on-policy algorithms share; each fills in its surrogate.

Advantages: GAE (Schulman et al., 2015, 1506.02438). That they are normalised in each minibatch, and
the value's loss, are as in PPO's published code (1707.06347).
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from offpcc.algorithms.core.actor_critic import ActorCritic
from offpcc.algorithms.core.agent import Metrics, UpdateOutput
from offpcc.algorithms.core.optimizer import Group
from offpcc.algorithms.core.returns import gae
from offpcc.config.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, UnitFloat
from offpcc.networks import MLP, DistributionActor, Moments, distribution_actor
from offpcc.replay.batch import RolloutBatch


@dataclass(frozen=True, kw_only=True)
class ScoredRollout(RolloutBatch):
    """A rollout with the estimates that its epochs learn towards; all (B, T).

    Its observations are o_0 … o_T-1, without the last.
    """

    advantage: Tensor  # Â
    value: Tensor  # V, by the critic before the update
    value_target: Tensor  # Â + V


Scored = TypeVar("Scored", bound=ScoredRollout)


@dataclass
class OnPolicy(ActorCritic):
    """A likelihood actor and a state value; learns from each rollout for a few epochs.

    With `shared`, both losses train the one memory.
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
    clip_grad_jointly: bool = True  # one gradient norm for actor and critic
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

    def _build(self) -> None:
        super()._build()
        self.sums = Moments(()).to(self.device)  # of the discounted sums of rewards

    def parts(self) -> dict[str, Any]:
        """With the moments that rewards are scaled by."""
        return super().parts() | {"sums": self.sums}

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
        return (
            [replace(group, network="joint") for group in groups]
            if self.clip_grad_jointly
            else groups
        )

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
        return means(self.steps(batch))

    def steps(self, batch: ScoredRollout) -> Iterator[Metrics]:
        """One step of the optimizer for each minibatch of each epoch; gives its metrics."""
        for _ in range(self.num_epochs):
            for part in self.minibatches(batch):
                loss, metrics = self.loss(part)
                if self.kl_exceeded(metrics["approx_kl"]):
                    return
                yield metrics | self.optimizer.step(loss, self.learning_rate_scale())

    def minibatches(self, batch: Scored) -> Iterator[Scored]:
        """All windows once, in a drawn order, `batch_size` at a time."""
        windows = len(batch.mask)
        order = torch.randperm(windows, generator=self.generator, device=self.device)
        return batch.rows(order).split(self.batch_size or windows)

    def kl_exceeded(self, divergence: Tensor) -> bool:
        """Whether a rollout's epochs end here."""
        return self.target_kl is not None and bool(divergence > 1.5 * self.target_kl)

    @torch.no_grad()
    def scored(self, batch: RolloutBatch) -> tuple[ScoredRollout, Metrics]:
        """A rollout with Â, V and Â + V, and metrics."""
        real = batch.mask.bool()
        if self.normalize_rewards:
            self.sums.observe(batch.discounted_return[real].cpu().numpy())
            batch = replace(batch, reward=batch.reward / self.sums.std.float())
        value = self.critic(self.features(batch)[1]).squeeze(-1)  # (B, T+1)
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
        observation = self.policy.normalizer(batch.observation)
        actor_state, critic_state = self.actor_and_critic_state(batch.state)
        h_critic = self.critic_memory.unroll(observation, critic_state)[0]
        if self.shared:
            return h_critic, h_critic
        return self.policy.memory.unroll(observation, actor_state)[0], h_critic

    def loss(self, batch: ScoredRollout) -> tuple[Tensor, Metrics]:
        """-surrogate - entropy + value's loss, weighted, of a scored minibatch; and metrics."""
        share = batch.mask.flatten() / batch.mask.sum()  # of each of the N steps in a mean
        before, estimate = batch.log_prob.flatten(), batch.advantage.flatten()
        h_actor, h_critic = (feature.flatten(0, 1) for feature in self.features(batch))
        mask = batch.action_mask
        described = self.actor_head.describe(h_actor, mask if mask is None else mask.flatten(0, 1))
        log_prob = self.actor_head.log_prob(described, batch.action.flatten(0, 1))
        gain, extra = self.surrogate(log_prob, before, normalized(estimate, share))
        error = self.value_error(
            self.critic(h_critic).squeeze(-1), batch.value.flatten(), batch.value_target.flatten()
        )
        learned = {
            "surrogate": gain,
            "value_loss": error,
            "entropy": self.actor_head.entropy(described),
        }
        log_ratio = (log_prob - before).detach()
        watched = {"approx_kl": log_ratio.exp() - 1 - log_ratio} | extra
        means = torch.stack([*learned.values()]) @ share
        weights = means.new_tensor([-1.0, self.vf_coef, -self.ent_coef])
        metrics = torch.cat((means.detach(), torch.stack([*watched.values()]) @ share))
        return means @ weights, dict(zip((*learned, *watched), metrics.unbind(), strict=True))

    def value_error(self, value: Tensor, before: Tensor, target: Tensor) -> Tensor:
        """(V - V_targ)² (N,); with a clip, the larger of that and of the clipped value's."""
        error = (value - target).square()
        if self.clip_range_vf is None:
            return error
        near = before + (value - before).clamp(-self.clip_range_vf, self.clip_range_vf)
        return torch.maximum(error, (near - target).square())


def means(steps: Iterable[Metrics]) -> Metrics:
    """The mean of each metric over the steps that have it."""
    found: dict[str, list[Tensor]] = {}
    for step in steps:
        for name, value in step.items():
            found.setdefault(name, []).append(value)
    return {name: torch.stack(values).mean() for name, values in found.items()}


def normalized(values: Tensor, share: Tensor) -> Tensor:
    """Values (N,) shifted and scaled to mean 0 and deviation 1; share (N,): of each in the mean."""
    gap = values - values @ share
    return gap / ((gap.square() @ share).sqrt() + 1e-8)
