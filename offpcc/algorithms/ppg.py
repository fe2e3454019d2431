"""PPG: phasic policy gradient (Cobbe et al., 2020, 2009.04416).

Phases of PPO with one epoch a rollout, each followed by an auxiliary phase that teaches the
policy's network the values of all the phase's rollouts and holds the policy where it is.

Differences: the history h in place of the state; a memory starts from the states that were stored
when the rollouts were played; an auxiliary minibatch is of one rollout.
"""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from offpcc.algorithms.core.agent import Metrics
from offpcc.algorithms.core.epochs import ScoredRollout, means, minibatches
from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.optimizer import Group
from offpcc.algorithms.ppo import PPO
from offpcc.config.ranges import NonNegativeFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class AuxiliaryRollout(ScoredRollout):
    """A rollout of the phase that is over, with π_old, today's policy, as (B, T, ·)."""

    old_policy: Tensor


@dataclass
class PPG(PPO):
    """PPO whose policy network has a second head for values, learned between its phases."""

    _: KW_ONLY
    num_epochs: PositiveInt = 1  # E_π and E_V
    phase_rollouts: PositiveInt = 32  # N_π, rollouts from one auxiliary phase to the next
    auxiliary_epochs: PositiveInt = 6  # E_aux
    clone_coef: NonNegativeFloat = 1.0  # β, the price of moving the policy meanwhile

    columns: ClassVar[dict[str, str]] = PPO.columns | {
        "auxiliary_loss": "half the squared error of the policy network's values to the λ-returns",
        "cloned": "mean of KL(π_old ‖ π) in the auxiliary phase, in nats",
    }

    def _check(self) -> None:
        super()._check()
        if self.actor is not None:
            raise ValueError("PPG has a second head on its actor's layers; leave actor None")
        if self.separate_updates:
            raise ValueError("PPG trains both networks in one phase; set separate_updates = False")

    def _build(self) -> None:
        super()._build()
        last = cast(nn.Linear, self.actor_head.trunk[-1])
        self.auxiliary_head = nn.Linear(last.in_features, 1).to(self.device)
        self.rollouts: list[ScoredRollout] = []  # the phase's

    def parts(self) -> dict[str, Any]:
        """With the second head; `state_dict` adds the phase's rollouts."""
        return super().parts() | {"auxiliary_head": self.auxiliary_head}

    def groups(self) -> list[Group]:
        """With the second head, a part of the actor."""
        network = "joint" if self.clip_grad_jointly else "actor"
        return [
            *super().groups(),
            Group(network, [*self.auxiliary_head.parameters()], self.learning_rate),
        ]

    def learn(self, batch: ScoredRollout) -> Metrics:
        """Algorithm 1: the policy phase's step, and the auxiliary phase when its turn has come."""
        metrics = super().learn(batch)
        self.rollouts.append(batch)
        if len(self.rollouts) == self.phase_rollouts:
            metrics |= means(self.auxiliary_steps())
            self.rollouts = []
        return metrics

    def auxiliary_steps(self) -> Iterator[Metrics]:
        """One step of the optimizer for each minibatch of the phase's rollouts, E_aux times."""
        rollouts = [self.with_old_policy(batch) for batch in self.rollouts]
        for _ in range(self.auxiliary_epochs):
            for i in torch.randperm(len(rollouts), generator=self.generator, device=self.device):
                for part in minibatches(rollouts[i], self.batch_size, self.generator):
                    loss, metrics = self.auxiliary_loss(part)
                    self.optimizer.step(loss, self.learning_rate_scale())
                    yield metrics

    @torch.no_grad()
    def with_old_policy(self, batch: ScoredRollout) -> AuxiliaryRollout:
        """The rollout with today's policy as π_old."""
        return AuxiliaryRollout(
            **vars(batch),
            old_policy=self.actor_head.describe(self.features(batch)[0], batch.action_mask),
        )

    def auxiliary_loss(self, batch: AuxiliaryRollout) -> tuple[Tensor, Metrics]:
        """½ (V_π - V_targ)² + β KL(π_old ‖ π), and ½ (V - V_targ)²: L^joint and L^value."""
        target, mask = batch.value_target, batch.mask
        h_actor, h_critic = self.features(batch)
        second = self.auxiliary_head(self.actor_head.trunk.inner(h_actor)).squeeze(-1)
        auxiliary = masked_mean(0.5 * (second - target).square(), mask)
        described = self.actor_head.describe(h_actor, batch.action_mask)
        cloned = masked_mean(self.actor_head.divergence(batch.old_policy, described), mask)
        error = self.critic(h_critic).squeeze(-1) - target
        loss = auxiliary + self.clone_coef * cloned + masked_mean(0.5 * error.square(), mask)
        return loss, {"auxiliary_loss": auxiliary.detach(), "cloned": cloned.detach()}

    def state_dict(self) -> dict[str, Any]:
        """With the phase's rollouts."""
        return super().state_dict() | {"rollouts": [dict(vars(batch)) for batch in self.rollouts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        super().load_state_dict(state)
        kept = [ScoredRollout(**parts) for parts in state["rollouts"]]
        self.rollouts = [rollout.to(self.device) for rollout in kept]
