"""TD3: twin delayed deep deterministic policy gradient (Fujimoto et al., 2018, 1802.09477).

Differences: a mild price on actions so far up their tanh that its slope is gone; the history h in
place of the state.
"""

from dataclasses import KW_ONLY, dataclass

from torch import Tensor

from offpcc.algorithms.ddpg import DDPG
from offpcc.config.ranges import NonNegativeFloat, PositiveInt, Size
from offpcc.replay.batch import Batch


@dataclass
class TD3(DDPG):
    """DDPG with two critics, a smoothed target and an actor that moves every other update."""

    _: KW_ONLY
    num_critics: Size = 2
    policy_delay: PositiveInt = 2  # the actor and all targets move once in so many updates
    target_policy_noise: NonNegativeFloat = 0.2  # σ̃ of the noise on the target's action
    target_noise_clip: NonNegativeFloat = 0.5  # b, its largest size

    def critic_target(self, batch: Batch, next_h_actor: Tensor, next_h_critic: Tensor) -> Tensor:
        """y = R + γ (1 - d) min_i Q'_i(h', ã): algorithm 1; `OffPolicy.bootstrap` adds R and γ."""
        value = self.target_critic(next_h_critic, self.target_action(next_h_actor))  # (N, B, T, 1)
        return self.bootstrap(batch, value.amin(0))

    def target_action(self, h_actor: Tensor) -> Tensor:
        """ã = clip(μ'(h') + clip(σ̃ ε, ±b), ±1): target policy smoothing, equation 14."""
        action = self.target_actor(h_actor)
        noise = self.target_policy_noise * self.gaussian(action)
        noise = noise.clamp(-self.target_noise_clip, self.target_noise_clip)
        return (action + noise).clamp(-1, 1)
