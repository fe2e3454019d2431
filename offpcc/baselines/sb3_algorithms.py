"""The Stable-Baselines3 algorithms, off-policy and on-policy, and their settings."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Any, ClassVar, Literal

from offpcc.baselines.baseline import Baseline
from offpcc.config.ranges import (
    Depth,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PositiveUnitFloat,
    Size,
    UnitFloat,
)

CRITIC = {
    "critic_loss": "half the squared errors to the target; of TQC, the quantiles' loss",
    "actor_loss": "what the actor minimises",
}
TEMPERATURE = {"temperature": "α, the price of an action's log-probability"}


@dataclass
class SB3OffPolicy(Baseline):
    """Those with a replay buffer."""

    _: KW_ONLY
    batch_size: PositiveInt = 256  # transitions
    buffer_size: PositiveInt = 1_000_000  # steps
    replay_ratio: NonNegativeFloat = 1.0  # updates an environment step
    tau: UnitFloat = 0.005  # τ
    n_step: PositiveInt = 1

    columns: ClassVar[dict[str, str]] = CRITIC
    logged: ClassVar[dict[str, tuple[str, float]]] = {
        "critic_loss": ("train/critic_loss", 1.0),
        "actor_loss": ("train/actor_loss", 1.0),
    }

    def build_model(self, kind: Any, **more: Any) -> Any:
        """A model of this kind, with the settings that all have."""
        return kind(
            self.kind_of_policy(),
            self.envs,
            learning_rate=self.schedule,
            gamma=self.discount,
            batch_size=self.batch_size,
            buffer_size=self.buffer_size,
            learning_starts=0,
            tau=self.tau,
            n_steps=self.n_step,
            policy_kwargs={"net_arch": list(self.hidden_sizes)},
            device=self.device,
            **more,
        )

    def collect(self, callback: Any, uniform: bool) -> None:
        """One step of every copy."""
        model = self.model
        model.collect_rollouts(
            model.env,
            callback,
            model.train_freq,
            model.replay_buffer,
            model.action_noise,
            learning_starts=inf if uniform else 0,
        )

    def learn(self) -> None:
        """One gradient step."""
        self.model.train(gradient_steps=1, batch_size=self.batch_size)

    def owed(self, steps: int) -> float:
        """See `Baseline`."""
        return self.replay_ratio * steps


@dataclass
class SB3TD3(SB3OffPolicy):
    """TD3."""

    _: KW_ONLY
    exploration_noise: NonNegativeFloat = 0.1  # σ of exploration
    noise_type: Literal["white", "ou"] = "white"  # ou: Ornstein-Uhlenbeck, which wanders
    ou_theta: PositiveUnitFloat = 0.15  # θ, how far Ornstein-Uhlenbeck noise returns to 0 in a step

    def make_model(self) -> Any:
        """See `Baseline`."""
        from stable_baselines3 import TD3

        return self.build_model(TD3, action_noise=self._noise())

    def _noise(self) -> Any:
        import numpy as np
        from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise

        mean, sigma = np.zeros(self.spec.action), np.full(self.spec.action, self.exploration_noise)
        if self.noise_type == "white":
            return NormalActionNoise(mean, sigma)
        return OrnsteinUhlenbeckActionNoise(mean, sigma, theta=self.ou_theta, dt=1.0)


@dataclass
class SB3DDPG(SB3TD3):
    """DDPG."""

    def make_model(self) -> Any:
        """See `Baseline`."""
        from stable_baselines3 import DDPG

        return self.build_model(DDPG, action_noise=self._noise())


@dataclass
class SB3SAC(SB3OffPolicy):
    """SAC with a learned temperature."""

    _: KW_ONLY
    temperature: PositiveFloat = 1.0  # α at the start

    columns: ClassVar[dict[str, str]] = CRITIC | TEMPERATURE
    logged: ClassVar[dict[str, tuple[str, float]]] = SB3OffPolicy.logged | {
        "temperature": ("train/ent_coef", 1.0)
    }

    def make_model(self) -> Any:
        """See `Baseline`."""
        from stable_baselines3 import SAC

        return self.build_model(SAC, ent_coef=f"auto_{self.temperature}")


@dataclass
class SB3TQC(SB3SAC):
    """TQC."""

    def make_model(self) -> Any:
        """See `Baseline`."""
        from sb3_contrib import TQC

        return self.build_model(TQC, ent_coef=f"auto_{self.temperature}")


@dataclass
class SB3PPO(Baseline):
    """PPO."""

    _: KW_ONLY
    rollout_steps: PositiveInt = 2_048  # steps of every copy
    batch_size: PositiveInt = 64  # steps in a minibatch
    num_epochs: PositiveInt = 10
    gae_lambda: UnitFloat = 0.95  # λ
    max_grad_norm: PositiveFloat | None = 0.5  # largest gradient norm
    clip_range: PositiveFloat = 0.2  # ε
    ent_coef: NonNegativeFloat = 0.0
    vf_coef: NonNegativeFloat = 0.5
    clip_range_vf: PositiveFloat | None = None
    target_kl: PositiveFloat | None = None  # nats

    columns: ClassVar[dict[str, str]] = {
        "surrogate": "what the actor climbs",
        "value_loss": "mean squared error of the values to the λ-returns",
        "entropy": "mean of the policy's entropy, in nats",
        "approx_kl": "mean of ρ - 1 - log ρ, in nats: how far the policy is from the rollout's",
        "explained_variance": "share of the λ-returns' variance that the rollout's values explain",
        "clip_fraction": "share of ratios beyond 1 ± ε",
    }
    logged: ClassVar[dict[str, tuple[str, float]]] = {
        "surrogate": ("train/policy_gradient_loss", -1.0),
        "value_loss": ("train/value_loss", 1.0),
        "entropy": ("train/entropy_loss", -1.0),
        "approx_kl": ("train/approx_kl", 1.0),
        "explained_variance": ("train/explained_variance", 1.0),
        "clip_fraction": ("train/clip_fraction", 1.0),
    }

    def make_model(self) -> Any:
        """See `Baseline`."""
        from stable_baselines3 import PPO

        return self.build_model(PPO, self.kind_of_policy(), self.batch_size, {})

    def build_model(self, kind: Any, policy: str, batch: int, networks: Mapping[str, Any]) -> Any:
        """A model of this kind, with the settings that all have."""
        return kind(
            policy,
            self.envs,
            learning_rate=self.schedule,
            gamma=self.discount,
            n_steps=self.rollout_steps,
            batch_size=batch,
            n_epochs=self.num_epochs,
            gae_lambda=self.gae_lambda,
            clip_range=self.clip_range,
            clip_range_vf=self.clip_range_vf,
            ent_coef=self.ent_coef,
            vf_coef=self.vf_coef,
            max_grad_norm=self.max_grad_norm,
            target_kl=self.target_kl,
            policy_kwargs={"net_arch": list(self.hidden_sizes), **networks},
            device=self.device,
        )

    def collect(self, callback: Any, uniform: bool) -> None:
        """A rollout."""
        model = self.model
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)

    def learn(self) -> None:
        """All epochs over the rollout."""
        self.model.train()

    def owed(self, steps: int) -> float:
        """See `Baseline`."""
        return 1.0


@dataclass
class SB3RecurrentPPO(SB3PPO):
    """PPO with an LSTM in actor and critic each, of sb3-contrib."""

    _: KW_ONLY
    sequence_length: PositiveInt = 64  # steps; a minibatch has `batch_size` times as many
    hidden_size: Size = 128
    num_layers: Depth = 1

    def make_model(self) -> Any:
        """See `Baseline`."""
        from sb3_contrib import RecurrentPPO

        networks = {"lstm_hidden_size": self.hidden_size, "n_lstm_layers": self.num_layers}
        return self.build_model(
            RecurrentPPO,
            self.kind_of_policy("Lstm"),
            self.batch_size * self.sequence_length,
            networks,
        )
