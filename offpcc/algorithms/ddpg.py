"""DDPG: deep deterministic policy gradient (Lillicrap et al., 2015, 1509.02971).

Differences: white exploration noise unless `noise_type` is 'ou', the paper's (θ 0.15, σ 0.2); no
weight decay; a mild price on actions so far up their tanh that its slope is gone; the history h in
place of the state.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from offpcc.algorithms.core.losses import masked_mean, saturation
from offpcc.algorithms.core.off_policy import Loss, OffPolicy
from offpcc.config.ranges import NonNegativeFloat, PositiveUnitFloat, Size
from offpcc.networks import Actor, DeterministicActor, Memory, SquashedActor
from offpcc.networks.target import target_copy
from offpcc.replay.batch import Batch


@dataclass
class DDPG(OffPolicy):
    """A deterministic actor that climbs its critic's slope; slow copies of both."""

    _: KW_ONLY
    num_critics: Size = 1  # N
    exploration_noise: NonNegativeFloat = 0.1  # σ of exploration, in actions of [-1, 1]
    noise_type: Literal["white", "ou"] = "white"  # ou: Ornstein-Uhlenbeck, which wanders
    ou_theta: PositiveUnitFloat = 0.15  # θ, how far Ornstein-Uhlenbeck noise returns to 0 in a step
    action_saturation_penalty: NonNegativeFloat = (
        0.001  # c, the price of losing the tanh's slope; 0: the paper's
    )

    actor_methods: ClassVar[tuple[str, ...]] = ("raw",)

    def _build(self) -> None:
        super()._build()
        self.target_actor = target_copy(self.policy.actor)
        self.target_actor_memory = self.target_critic_memory
        if not self.shared:
            self.target_actor_memory = target_copy(self.policy.memory)
        self.noise_size = self.spec.action if self.noise_type == "ou" else 0

    def parts(self) -> dict[str, Any]:
        """With the slow actor."""
        slow = {
            "target_actor": self.target_actor,
            "target_actor_memory": self.target_actor_memory,
        }
        return super().parts() | slow

    def make_actor(self, inputs: int) -> Actor:
        """μ."""
        return DeterministicActor(
            inputs, self.spec.action, self.hidden_sizes, self.activation or "relu"
        )

    def explore(self, feature: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """clip(μ(h) + n, ±1): section 7. White noise n is σ N; else n' = (1 - θ) n + σ N.

        Uhlenbeck & Ornstein (1930).
        """
        action = self.policy.actor(feature)
        drawn = self.exploration_noise * self.exploration_left() * self.gaussian(action)
        if self.noise_type == "ou":
            noise = drawn = (1 - self.ou_theta) * noise + drawn
        return (action + drawn).clamp(-1, 1), noise

    def critic_target(self, batch: Batch, next_h_actor: Tensor, next_h_critic: Tensor) -> Tensor:
        """R + γ (1 - d) Q'(h', μ'(h')): algorithm 1."""
        action = self.target_actor(next_h_actor)
        return self.bootstrap(batch, self.target_critic(next_h_critic, action, heads=1)[0])

    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """c Σ max(0, |u| - 3)² - Q_1(sg h, tanh u), u being μ(h) before its tanh: equation 6."""
        raw = cast(SquashedActor, self.policy.actor).raw(h_actor)
        value = self.critic(h_critic, raw.tanh(), heads=1)
        price = self.action_saturation_penalty * saturation(raw)
        return masked_mean((price - value).squeeze(-1), batch.mask), {}

    def next_actor_memory(self) -> Memory:
        """The slow actor's."""
        return self.target_actor_memory

    def target_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """The critic's, the actor's, and the actor's memory's where it has its own."""
        pairs = [*super().target_pairs(), (self.target_actor, self.policy.actor)]
        return pairs if self.shared else [*pairs, (self.target_actor_memory, self.policy.memory)]
