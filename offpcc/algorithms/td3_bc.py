"""TD3+BC (Fujimoto & Gu, 2021, 2106.06860): TD3 whose actor stays near the data's actions.

Differences: the history h in place of the state; the price of TD3 on actions so far up their tanh
that its slope is gone; states are standardised by `normalize_observations`, as all that enters
replay; λ's mean is over the actor's own actions.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, cast

from torch import Tensor

from offpcc.algorithms.core.losses import masked_mean, saturation
from offpcc.algorithms.core.off_policy import Loss, OffPolicy
from offpcc.algorithms.td3 import TD3
from offpcc.config.ranges import NonNegativeFloat
from offpcc.networks import SquashedActor
from offpcc.replay.batch import Batch


@dataclass
class TD3BC(TD3):
    """TD3 that also imitates; with a `q_weight` of 0 it does nothing else."""

    _: KW_ONLY
    q_weight: NonNegativeFloat = 2.5  # α, how much the critic counts; 0: behaviour cloning

    columns: ClassVar[dict[str, str]] = OffPolicy.columns | {
        "distance": "mean squared distance of the actor's actions to the data's",
    }

    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """(μ(h) - a)² - λ Q_1(sg h, μ(h)), λ = α / mean |Q_1|: equations 3 and 5."""
        raw = cast(SquashedActor, self.policy.actor).raw(h_actor)
        action = raw.tanh()
        value = self.critic(h_critic, action, heads=1)[0].squeeze(-1)
        scale = self.q_weight / masked_mean(value.detach().abs(), batch.mask).clamp(min=1e-6)
        distance = (action - batch.action).square().mean(-1)
        price = self.action_saturation_penalty * saturation(raw).squeeze(-1)
        loss = masked_mean(distance + price - scale * value, batch.mask)
        return loss, {"distance": masked_mean(distance.detach(), batch.mask)}
