"""SAC: soft actor-critic (Haarnoja et al., 2018, 1812.05905).

Differences: the history h in place of the state; all losses take their gradients at the same
parameters; the temperature's loss has log α where the paper has α.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.off_policy import Loss, OffPolicy
from offpcc.algorithms.core.optimizer import Group
from offpcc.config.ranges import PositiveFloat
from offpcc.networks import GaussianActor
from offpcc.replay.batch import Batch


@dataclass
class SAC(OffPolicy):
    """A stochastic actor rewarded for its entropy, at a temperature that is learned or fixed."""

    _: KW_ONLY
    temperature: PositiveFloat = 1.0  # α at the start
    fixed_temperature: bool = False  # α stays where it starts
    target_entropy: float | None = None  # H̄ in nats; None: the algorithm's own

    actor_methods: ClassVar[tuple[str, ...]] = ("draw", "sample")
    columns: ClassVar[dict[str, str]] = OffPolicy.columns | {
        "temperature": "α, the price of an action's log-probability",
        "temperature_gradient": "how far the entropy is from its goal, in nats",
        "entropy": "mean of -log π at replayed histories, in nats",
    }

    def _build(self) -> None:
        super()._build()
        log_temperature = torch.tensor(self.temperature, device=self.device).log()
        self.log_temperature = log_temperature.requires_grad_(not self.fixed_temperature)

    def parts(self) -> dict[str, Any]:
        """With log α."""
        return super().parts() | {"log_temperature": self.log_temperature}

    def make_actor(self, inputs: int) -> GaussianActor:
        """π."""
        return GaussianActor(inputs, self.spec.action, self.hidden_sizes, self.activation or "relu")

    def sample(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """a ~ π(·|h) (…, A) and log π(a|h) (…, 1)."""
        return cast(GaussianActor, self.policy.actor).sample(feature, self.generator)

    def explore(self, feature: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """a ~ π(·|h)."""
        return self.policy.actor.draw(feature, self.generator), noise

    def critic_target(self, batch: Batch, next_h_actor: Tensor, next_h_critic: Tensor) -> Tensor:
        """R + γ (1 - d) [min_i Q'_i(h', a') - α log π(a'|h')]: equations 2 and 3."""
        action, log_prob = self.sample(next_h_actor)
        value = self.min_q(self.target_critic(next_h_critic, action))
        return self.bootstrap(batch, value - self.log_temperature.exp() * log_prob)

    def min_q(self, value: Tensor) -> Tensor:
        """What the target takes of the slow critic's values (N, B, T, K): the smallest head's."""
        return value.amin(0)

    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """α log π(a|h) - min_i Q_i(sg h, a), equation 7, and the temperature's."""
        action, log_prob = self.sample(h_actor)
        value = self.actor_value(self.critic(h_critic, action))
        temperature = self.log_temperature.detach().exp()
        loss = masked_mean((temperature * log_prob - value).squeeze(-1), batch.mask)
        entropy = -masked_mean(log_prob.detach().squeeze(-1), batch.mask)
        return self.with_temperature(loss, entropy, batch)

    def with_temperature(self, loss: Tensor, entropy: Tensor, batch: Batch) -> Loss:
        """The actor's loss and log α (H - H̄), equation 18; and metrics."""
        goal = self.usual_entropy(batch) if self.target_entropy is None else self.target_entropy
        temperature = self.log_temperature.detach().exp()
        metrics = {"actor_loss": loss.detach(), "temperature": temperature, "entropy": entropy}
        return loss + self.log_temperature * (entropy - goal), metrics

    def usual_entropy(self, batch: Batch) -> float | Tensor:
        """H̄ of a batch where none is set: -A."""
        return -self.spec.action

    def actor_value(self, value: Tensor) -> Tensor:
        """What the actor climbs (B, T, 1) of the critic's values (N, B, T, K)."""
        return value.amin(0)

    def groups(self) -> list[Group]:
        """With log α, where it is learned."""
        learned = [] if self.fixed_temperature else [self.log_temperature]
        return [*super().groups(), Group("temperature", learned, self.learning_rate)]
