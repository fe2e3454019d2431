"""Discrete SAC (Christodoulou, 2019, 1910.07207).

Differences: the history h in place of the state; the target takes the slow critic's smaller head,
as SAC does; all losses take their gradients at the same parameters. With an action mask, π has the
legal choices of each history alone (as in policy gradients: Huang & Ontañón, 2020, 2006.14171), and
K in the entropy's goal is how many these are.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor
from torch.nn.functional import one_hot

from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.off_policy import Loss
from offpcc.algorithms.sac import SAC
from offpcc.networks import CategoricalActor, DiscreteCritic
from offpcc.replay.batch import Batch


@dataclass
class DSAC(SAC):
    """SAC for one choice among K: expectations over choices in place of samples."""

    actor_methods: ClassVar[tuple[str, ...]] = ("describe", "draw")

    def _check_actions(self) -> None:
        if len(self.spec.choices) != 1:
            found = f"choices among {self.spec.choices}" if self.spec.choices else "continuous"
            raise ValueError(
                f"DSAC serves one choice (a Discrete space); these actions are {found}; "
                "on-policy algorithms serve any"
            )

    def make_actor(self, inputs: int) -> CategoricalActor:  # type: ignore[override]
        """π."""
        return CategoricalActor(
            inputs, self.spec.choices, self.hidden_sizes, self.activation or "tanh"
        )

    def make_critic(self, inputs: int) -> DiscreteCritic:
        """Q."""
        choices = self.spec.action
        return DiscreteCritic(inputs, choices, self.hidden_sizes, **self.critic_settings())

    @property
    def actor_head(self) -> CategoricalActor:
        """π's head."""
        return cast(CategoricalActor, self.policy.actor)

    def weighed(
        self, h_actor: Tensor, value: Tensor, action_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Σ_a π(a|h) (min_i Q_i - α log π) (B, T, 1) of values (N, B, T, K), and H(π) (B, T).

        action_mask: the legal choices (B, T, K) that are summed over; None: all.
        """
        log_prob = self.actor_head.describe(h_actor, action_mask)
        share, temperature = log_prob.exp(), self.log_temperature.detach().exp()
        soft = value.amin(0) - temperature * log_prob
        return (share * soft).sum(-1, keepdim=True), -(share * log_prob).sum(-1).detach()

    def critic_target(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Tensor:
        """R + γ (1 - d) Σ_a π(a|h') [min_i Q'_i(h', a) - α log π(a|h')]: equation 10."""
        _, legal = legal_choices(batch)
        value, _ = self.weighed(h_actor, self.target_critic.every(h_critic), legal)
        return self.bootstrap(batch, value)

    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """Σ_a π(a|h) [α log π(a|h) - min_i Q_i(sg h, a)], equation 12, and the temperature's."""
        value = cast(DiscreteCritic, self.critic).every(h_critic)
        legal, _ = legal_choices(batch)
        climbed, entropies = self.weighed(h_actor, value, legal)
        loss, entropy = (masked_mean(x, batch.mask) for x in (-climbed.squeeze(-1), entropies))
        return self.with_temperature(loss, entropy, batch)

    def sample_action(
        self, feature: Tensor, noise: Tensor, action_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, None]:
        """See `OffPolicy`; a ~ π(·|h), of the legal choices."""
        action = self.actor_head.draw(feature, self.generator, action_mask)
        return self.or_uniform(action, action_mask), noise, None

    def uniform(self, like: Tensor, action_mask: Tensor | None) -> Tensor:
        """Uniform choices (n, K) among the legal ones, one-hot."""
        drawn = super().uniform(like, action_mask)
        if action_mask is not None:
            drawn = drawn.masked_fill(~action_mask, -math.inf)
        return one_hot(drawn.argmax(-1), like.shape[-1]).to(like)

    def usual_entropy(self, batch: Batch) -> float | Tensor:
        """0.98 log K: the paper's table of settings; K: how many choices are legal."""
        legal, _ = legal_choices(batch)
        if legal is None:
            return 0.98 * math.log(self.spec.action)
        return 0.98 * masked_mean(legal.sum(-1).log(), batch.mask)


def legal_choices(batch: Batch) -> tuple[Tensor | None, Tensor | None]:
    """The action masks (B, T, K) before and after each step of the window; None: all are legal."""
    mask = batch.action_mask
    return (None, None) if mask is None else (mask[:, :-1], mask[:, 1:])
