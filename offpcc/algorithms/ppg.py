"""PPG: phasic policy gradient (Cobbe et al., 2020, 2009.04416).

Phases of PPO with one epoch a rollout, each followed by an auxiliary phase that teaches the
policy's network the values of all the phase's rollouts and holds the policy where it is.

Differences: the history h in place of the state; a memory starts from the states that were stored
when the rollouts were played; an auxiliary minibatch is of one rollout.
"""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.on_policy import Metrics, means
from offpcc.algorithms.core.optimizer import Group
from offpcc.algorithms.ppo import PPO
from offpcc.config.ranges import NonNegativeFloat, PositiveInt
from offpcc.data import Batch


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

    def _build(self) -> None:
        super()._build()
        last = cast(nn.Linear, self.actor.trunk[-1])
        self.auxiliary_head = nn.Linear(last.in_features, 1).to(self.device)
        self.kept: list[Batch] = []  # the phase's rollouts, scored

    def groups(self) -> list[Group]:
        """With the second head, a part of the actor."""
        network = "joint" if self.clip_grad_jointly else "actor"
        return [
            *super().groups(),
            Group(network, [*self.auxiliary_head.parameters()], self.learning_rate),
        ]

    def learn(self, batch: Batch) -> Metrics:
        """Algorithm 1: the policy phase's step, and the auxiliary phase when its turn has come."""
        metrics = super().learn(batch)
        self.kept.append(batch)
        if len(self.kept) == self.phase_rollouts:
            metrics |= means(self.auxiliary_steps())
            self.kept = []
        return metrics

    def auxiliary_steps(self) -> Iterator[Metrics]:
        """One step of the optimizer for each minibatch of the phase's rollouts, E_aux times."""
        rollouts = [self.described(batch) for batch in self.kept]
        for _ in range(self.auxiliary_epochs):
            for i in torch.randperm(len(rollouts), generator=self.generator, device=self.device):
                for part in self.minibatches(rollouts[i]):
                    loss, metrics = self.auxiliary_loss(part)
                    self.optimizer.step(loss, self.learning_rate_scale())
                    yield metrics

    @torch.no_grad()
    def described(self, batch: Batch) -> Batch:
        """The rollout with today's policy, π_old, in its notes."""
        before = self.actor.describe(self.features(batch)[0])
        return replace(batch, notes=batch.notes | {"before": before})

    def auxiliary_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """½ (V_π - V_targ)² + β KL(π_old ‖ π), and ½ (V - V_targ)²: L^joint and L^value."""
        target, mask = batch.notes["target"], batch.mask
        h_actor, h_critic = self.features(batch)
        second = self.auxiliary_head(self.actor.trunk.inner(h_actor)).squeeze(-1)
        auxiliary = masked_mean(0.5 * (second - target).square(), mask)
        described = self.actor.describe(h_actor)
        cloned = masked_mean(self.actor.divergence(batch.notes["before"], described), mask)
        error = self.critic(h_critic).squeeze(-1) - target
        loss = auxiliary + self.clone_coef * cloned + masked_mean(0.5 * error.square(), mask)
        return loss, {"auxiliary_loss": auxiliary.detach(), "cloned": cloned.detach()}

    def state_dict(self) -> dict[str, Any]:
        """With the phase's rollouts."""
        return super().state_dict() | {"kept": [dict(vars(batch)) for batch in self.kept]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        super().load_state_dict(state)
        self.kept = [Batch(**parts).to(self.device) for parts in state["kept"]]
