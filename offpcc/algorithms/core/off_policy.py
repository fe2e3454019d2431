"""The update that all off-policy algorithms share; each fills in three equations."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from offpcc.algorithms.core.actor_critic import ActorCritic
from offpcc.algorithms.core.agent import Metrics, Policy, UpdateOutput
from offpcc.algorithms.core.losses import masked_mean
from offpcc.algorithms.core.precision import resolve_precision
from offpcc.algorithms.core.returns import n_step_target
from offpcc.config.ranges import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PositiveUnitFloat,
    Size,
    UnitFloat,
)
from offpcc.networks import Critic, Memory
from offpcc.networks.convolution import shifted
from offpcc.networks.target import frozen, polyak, target_copy
from offpcc.replay.batch import Batch

Loss = tuple[Tensor, Metrics]


@dataclass
class OffPolicy(ActorCritic):
    """Actor, critic and slow copies of them.

    All losses take their gradients at the same parameters, in one backward pass and one step of
    the optimizer; the actor's loss sees the critic's features detached and its heads frozen. With
    `shared`, only the critic trains the one memory.
    """

    _: KW_ONLY
    num_critics: Size = 2  # N
    layer_norm: bool = False  # in the critic's heads, before each activation
    reward_scale: PositiveFloat = 1.0  # the critic learns from rewards times this
    tau: UnitFloat = 0.005  # τ
    policy_delay: PositiveInt = 1  # the actor and all slow copies move once in so many updates
    n_step: PositiveInt = 1  # n, rewards in a target before it bootstraps; fewer at a window's end
    policy_ema_tau: PositiveUnitFloat = 1.0  # share of the newest weights in the deployed ones
    random_shift: NonNegativeInt = 0  # most pixels by which a window's pictures are moved at random
    random_action_prob: UnitFloat = 0.0  # ε, share of actions that are uniform instead
    anneal_exploration: bool = (
        False  # ε and noise fall to zero, linearly, by the end of the training
    )
    # Of the passes in an update; bf16 by autocast; auto: the faster.
    precision: Literal["fp32", "bf16", "auto"] = "fp32"

    columns: ClassVar[dict[str, str]] = {
        "critic_loss": "half the squared error to the target, summed over the heads",
        "actor_loss": "what the actor minimises",
        "q": "mean value of the replayed actions, over all heads",
        "target": "mean of the critic's target",
        "critic_gradient": "norm of the critic's gradient, its memory's included",
        "actor_gradient": "norm of the actor's gradient, its memory's included",
        "feature_norm": "mean norm of the critic's features",
        "skipped": "share of updates left out because a loss or a gradient was not finite",
    }

    def _check(self) -> None:
        """Raises ValueError for settings that do not go together."""
        super()._check()
        self._check_actions()

    def _check_actions(self) -> None:
        """Raises ValueError for actions that the algorithm does not serve."""
        if self.spec.choices:
            raise ValueError(
                f"{type(self).__name__} serves continuous actions (a Box) only, these are choices "
                f"among {', '.join(map(str, self.spec.choices))}; dsac and drsac serve one "
                "choice, on-policy algorithms any"
            )

    def _build(self) -> None:
        super()._build()
        self.target_critic = target_copy(self.critic)
        self.target_critic_memory = target_copy(self.critic_memory)
        if self.policy_ema_tau < 1:
            memory, actor = target_copy(self.policy.memory), target_copy(self.policy.actor)
            self.average_policy = Policy(self.policy.normalizer, memory, actor)

    def parts(self) -> dict[str, Any]:
        """With the slow copies, and the moving average of the policies."""
        slow = {
            "target_critic": self.target_critic,
            "target_critic_memory": self.target_critic_memory,
        }
        average = {"average_policy": self.average_policy} if self.policy_ema_tau < 1 else {}
        return super().parts() | slow | average

    def reset_slow_copies(self) -> None:
        """See `Learner`."""
        for slow, online in self.target_pairs():
            slow.load_state_dict(online.state_dict())
        if self.policy_ema_tau < 1:
            self.average_policy.load_state_dict(self.policy.state_dict())

    @property
    def deployed(self) -> Policy:
        """See `Learner`; a moving average of the policies so far, where one is asked for."""
        return self.average_policy if self.policy_ema_tau < 1 else self.policy

    def make_critic(self, inputs: int) -> nn.Module:
        """Q."""
        return Critic(inputs, self.spec.action, self.hidden_sizes, **self.critic_settings())

    def critic_settings(self) -> dict[str, Any]:
        """How many heads a critic has, and what their layers are like."""
        activation = self.activation or "relu"
        return {"heads": self.num_critics, "activation": activation, "norm": self.layer_norm}

    # What an algorithm fills in. Features h are (B, T, F), values (…, B, T, K).

    @abstractmethod
    def explore(self, feature: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (n, A) to try, from features (n, F), and the next noise (n, E)."""

    @abstractmethod
    def critic_target(self, batch: Batch, next_h_actor: Tensor, next_h_critic: Tensor) -> Tensor:
        """y (B, T, K) from features of the next step: for a', and of the slow critic."""

    @abstractmethod
    def actor_loss(self, batch: Batch, h_actor: Tensor, h_critic: Tensor) -> Loss:
        """A number to minimise, from this step's features, and metrics beside it."""

    def critic_loss(self, value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """½ Σ_i (Q_i(h, a) - y)²: values (N, B, T, K), target (B, T, K), mask (B, T)."""
        return masked_mean(0.5 * (value - target).square().sum(0).mean(-1), mask)

    def next_actor_memory(self) -> Memory:
        """The memory from which a' is drawn: the online actor's, or the slow one if shared."""
        return self.target_critic_memory if self.shared else self.policy.memory

    def target_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each slow copy with the module that it follows."""
        return [
            (self.target_critic, self.critic),
            (self.target_critic_memory, self.critic_memory),
        ]

    # What is the same for all.

    def sample_action(
        self, feature: Tensor, noise: Tensor, action_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, None]:
        """See `ActorCritic`; each action is a uniform one with probability ε."""
        action, noise = self.explore(feature, noise)
        return self.or_uniform(action, action_mask), noise, None

    def or_uniform(self, action: Tensor, action_mask: Tensor | None) -> Tensor:
        """Actions (n, A), each replaced by a uniform one with probability ε."""
        if not self.random_action_prob:
            return action
        drawn = torch.rand(len(action), 1, generator=self.generator, device=action.device)
        chosen = drawn < self.random_action_prob * self.exploration_left()
        return torch.where(chosen, self.uniform(action, action_mask), action)

    def exploration_left(self) -> float:
        """The share of ε and of noise that is used at this point of the training."""
        return 1 - self.progress if self.anneal_exploration else 1.0

    def uniform(self, like: Tensor, action_mask: Tensor | None) -> Tensor:
        """Uniform actions (n, A) in [-1, 1]; action_mask: the legal choices, where there are."""
        return 2 * torch.rand(like.shape, generator=self.generator, device=like.device) - 1

    def gaussian(self, like: Tensor) -> Tensor:
        """Standard normal noise of the same shape, from the agent's own generator."""
        return torch.randn(like.shape, generator=self.generator, device=like.device)

    def bootstrap(self, batch: Batch, value: Tensor) -> Tensor:
        """y = r + γ (1 - d) V(h') (B, T, K) of the next values (B, T, K), r being scaled.

        With more steps than one, the n-step return, which takes the replayed actions for π's; what
        V adds for their entropy is left out.
        """
        reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)
        reward = self.reward_scale * reward
        return n_step_target(reward, terminated, value, batch.mask, self.discount, self.n_step)

    def update(self, batch: Batch) -> UpdateOutput:
        """One step on every network whose turn it is."""
        if self.precision == "auto":
            resolve_precision(self, batch)
        batch = self.augmented(batch.to(self.device))
        update_actor = self.optimizer.steps % self.policy_delay == 0
        with torch.autocast(
            torch.device(self.device).type, torch.bfloat16, self.precision == "bf16"
        ):
            loss, metrics, td_error = self.loss(batch, update_actor)
        metrics |= self.optimizer.step(loss, self.learning_rate_scale())
        if update_actor:
            slow, online = zip(*self.target_pairs(), strict=True)
            polyak(_weights(slow), _weights(online), self.tau)
        if self.policy_ema_tau < 1:
            polyak(self.average_policy.parameters(), self.policy.parameters(), self.policy_ema_tau)
        return UpdateOutput(metrics, td_error)

    def augmented(self, batch: Batch) -> Batch:
        """The batch with each window's pictures moved by up to `random_shift` pixels either way."""
        planes = {k: f.plane for k, f in self.spec.observation.items() if f.is_picture}
        if not (self.random_shift and planes):
            return batch
        size = (2, len(batch.mask))
        move = torch.randint(
            -self.random_shift,
            self.random_shift + 1,
            size,
            generator=self.generator,
            device=self.device,
        )
        moved = {k: shifted(batch.observation[k], move, plane) for k, plane in planes.items()}
        return replace(batch, observation=batch.observation | moved)

    def loss(self, batch: Batch, update_actor: bool) -> tuple[Tensor, Metrics, Tensor | None]:
        """All losses as one number, the actor's only on its turn; metrics; |δ| (B, T).

        Only a batch that was drawn by priority has its errors |δ| given, and its losses weighted.
        """
        unroll = self._unroller(batch)
        with torch.no_grad():
            h_next = unroll(self.next_actor_memory())[:, 1:]
            target = self.critic_target(batch, h_next, unroll(self.target_critic_memory)[:, 1:])
        h_critic = unroll(self.critic_memory)[:, :-1]
        value = self.critic(h_critic, batch.action)
        loss = self.critic_loss(value, target, batch.mask)
        td_error = None
        if batch.weight is not None:
            share = batch.mask * batch.weight
            loss = self.critic_loss(value, target, share) * share.sum() / batch.mask.sum()
            td_error = (value.detach().mean(-1) - target.mean(-1)).abs().mean(0)
        metrics = {
            "critic_loss": loss.detach(),
            "q": masked_mean(value.detach().mean(-1), batch.mask),
            "target": masked_mean(target.mean(-1), batch.mask),
            "feature_norm": masked_mean(h_critic.detach().float().norm(dim=-1), batch.mask),
        }
        if update_actor:
            h_actor = unroll(self.policy.memory)[:, :-1]
            h_actor = h_actor.detach() if self.shared else h_actor
            with frozen(self.critic):
                actor_loss, extra = self.actor_loss(batch, h_actor, h_critic.detach())
            metrics |= {"actor_loss": actor_loss.detach()} | extra
            loss = loss + actor_loss
        return loss, metrics, td_error

    def _unroller(self, batch: Batch) -> Callable[[Memory], Tensor]:
        """A function from a memory to its features (B, T+1, F) of the batch: one pass each."""
        observation = self.policy.normalizer(batch.observation)
        actor_state, critic_state = self.actor_and_critic_state(batch.state)
        features: dict[int, Tensor] = {}

        def unroll(memory: Memory) -> Tensor:
            if id(memory) not in features:
                critics = memory in (self.critic_memory, self.target_critic_memory)
                state = critic_state if critics else actor_state
                with torch.enable_grad():
                    features[id(memory)] = memory.unroll(observation, state, batch.burn_in)[0]
            return features[id(memory)]

        return unroll


def _weights(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [weight for module in modules for weight in module.parameters()]
