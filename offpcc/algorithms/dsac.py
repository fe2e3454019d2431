"""Discrete SAC (Christodoulou, 2019, 1910.07207).

Differences: the history h in place of the state; the target takes the slow critic's smaller head,
as SAC does; all losses take their gradients at the same parameters.
"""

import math
from dataclasses import dataclass
from typing import cast

from torch import Tensor
from torch.nn.functional import one_hot

from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.off_policy import Loss
from offpcc.algorithms.sac import SAC
from offpcc.data import Batch
from offpcc.networks import CategoricalActor, DiscreteCritic


@dataclass
class DSAC(SAC):
    """SAC for one choice among K: expectations over choices in place of samples."""

    def _check_actions(self) -> None:
        if len(self.spec.choices) != 1:
            found = f"choices among {self.spec.choices}" if self.spec.choices else "continuous"
            raise ValueError(
                f"DSAC serves one choice (a Discrete space); these actions are {found}"
            )

    def make_actor(self, inputs: int) -> CategoricalActor:  # type: ignore[override]
        """π."""
        return CategoricalActor(inputs, self.spec.choices, self.hidden_sizes)

    def make_critic(self, inputs: int) -> DiscreteCritic:
        """Q."""
        width = self.spec.action
        return DiscreteCritic(
            inputs, width, self.hidden_sizes, heads=self.num_critics, norm=self.layer_norm
        )

    @property
    def actor(self) -> CategoricalActor:
        """π's head."""
        return cast(CategoricalActor, self.policy.actor)

    def weighed(self, h_actor: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Σ_a π(a|h) (min_i Q_i - α log π) (B, T, 1) of values (N, B, T, K), and H(π) (B, T)."""
        log_prob = self.actor.describe(h_actor)
        share, temperature = log_prob.exp(), self.log_temperature.detach().exp()
        soft = value.amin(0) - temperature * log_prob
        return (share * soft).sum(-1, keepdim=True), -(share * log_prob).sum(-1).detach()

    def critic_target(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Tensor:
        """R + γ (1 - d) Σ_a π(a|h') [min_i Q'_i(h', a) - α log π(a|h')]: equation 10."""
        value, _ = self.weighed(h_actor, self.target_critic.every(h_critic))
        return self.bootstrap(batch, value)

    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """Σ_a π(a|h) [α log π(a|h) - min_i Q_i(sg h, a)], equation 12, and the temperature's."""
        value = cast(DiscreteCritic, self.critic).every(h_critic)
        climbed, entropies = self.weighed(h_actor, value)
        loss, entropy = (masked_mean(x, batch.mask) for x in (-climbed.squeeze(-1), entropies))
        return self.with_temperature(loss, entropy)

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform choices (n, K), one-hot."""
        return one_hot(super().uniform(like).argmax(-1), like.shape[-1]).to(like)

    def usual_entropy(self) -> float:
        """0.98 log K: the paper's table of settings."""
        return 0.98 * math.log(self.spec.action)
