"""AMP: adversarial motion priors (Peng et al., 2021, 2104.02180).

PPO on a mixture of the environment's reward and a style reward for moving like an expert, of whom
only the observations before and after each step are known. A discriminator tells the expert's
transitions from the policy's; the less it can, the larger the style reward.

Differences: the discriminator learns from the observation itself, scaled by the expert's moments,
and by its own optimizer; its steps follow each rollout.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from offpcc.algorithms.core.agent import Metrics, UpdateOutput
from offpcc.algorithms.core.epochs import means
from offpcc.algorithms.core.optimizer import Group, Optimizer
from offpcc.algorithms.ppo import PPO
from offpcc.config.ranges import LearningRate, NonNegativeFloat, PositiveFloat, PositiveInt, Size
from offpcc.data import ACTION_MASK, OWN_PAST
from offpcc.networks import MLP, Moments
from offpcc.replay.batch import RolloutBatch


@dataclass
class AMP(PPO):
    """PPO that is also paid for moving like an expert."""

    _: KW_ONLY
    expert: str = ""  # a folder of obs.npy and next_obs.npy, or the id of a Minari data set
    style_keys: Sequence[str] = ()  # of the observation; none: all that the environment shows
    task_reward_scale: PositiveFloat = (
        1.0  # brings the environment's rewards to the size of the style's, 0 to 1
    )
    task_weight: NonNegativeFloat = 0.5  # w_G
    style_weight: NonNegativeFloat = 0.5  # w_S
    style_hidden: Sequence[Size] = (128, 128)  # units of the discriminator's layers
    style_rate: LearningRate = 3e-4  # `anneal_learning_rate` leaves it as it is
    style_steps: PositiveInt = 20  # of the discriminator's optimizer, after each rollout
    style_batch: PositiveInt = 256  # transitions of each kind in one of them
    penalty: NonNegativeFloat = 10.0  # w_gp, the price of the discriminator's slope at the expert's
    past: PositiveInt = 100_000  # transitions of the policy that are kept

    columns: ClassVar[dict[str, str]] = PPO.columns | {
        "style_reward": "mean reward for moving like the expert, in [0, 1]",
        "style_loss": "the discriminator's squared errors: to 1 for the expert, -1 for the policy",
        "style_slope": "mean squared norm of its gradient at the expert's transitions",
        "style_gradient": "norm of its weights' gradient",
    }

    def _check(self) -> None:
        super()._check()
        if self.normalize_rewards:
            raise ValueError("AMP mixes rewards as they are; leave normalize_rewards False")

    def _build(self) -> None:
        super()._build()
        actors = self.spec.without_privileged().observation
        own = [key for key in actors if key not in (*OWN_PAST, ACTION_MASK)]
        self.seen = list(self.style_keys) or own
        size = 2 * sum(self.spec.observation[key].size for key in self.seen)
        self.discriminator = MLP(size, self.style_hidden, 1).to(self.device)
        learned = Group("style", [*self.discriminator.parameters()], self.style_rate)
        self.style_optimizer = Optimizer([learned])
        self.scale = Moments((size,)).to(self.device)
        self.transitions = torch.zeros(self.past, size, device=self.device)  # the policy's, a ring
        self.written = torch.zeros((), dtype=torch.int64)  # how many, ever

    def parts(self) -> dict[str, Any]:
        """With the discriminator, and the policy's transitions."""
        return super().parts() | {
            "discriminator": self.discriminator,
            "style_optimizer": self.style_optimizer,
            "scale": self.scale,
            "transitions": self.transitions,
            "written": self.written,
        }

    def prepare(self, read: Callable[[str], tuple[np.ndarray, np.ndarray]]) -> None:
        """Reads the expert's transitions; see `Agent`."""
        before, after = read(self.expert)
        wanted, found = self.transitions.shape[1] // 2, before.shape[1]
        if found != wanted:
            raise ValueError(
                f"{self.expert}: observations of {found} numbers; {self.seen} of this "
                f"environment are {wanted}"
            )
        self.scale.observe(np.concatenate((before, after), -1))
        self.expert_pairs = tuple(torch.from_numpy(x).to(self.device) for x in (before, after))

    def update(self, batch: RolloutBatch) -> UpdateOutput:  # type: ignore[override]
        """PPO's update on w_G r + w_S r_S, then the discriminator's steps."""
        batch = batch.to(self.device)
        pairs = self.pairs(batch)
        style = self.style(pairs)
        task = self.task_reward_scale * batch.reward
        mixed = self.task_weight * task + self.style_weight * style
        real = batch.mask.bool()
        metrics = super().update(replace(batch, reward=mixed)).metrics
        self.keep(pairs[real])
        style_metrics = means(self.style_step() for _ in range(self.style_steps))
        return UpdateOutput(style_metrics | metrics | {"style_reward": style[real].mean()})

    def pairs(self, batch: RolloutBatch) -> Tensor:
        """What was seen before and after each step (B, T, X)."""
        seen = torch.cat([batch.observation[key].flatten(2).float() for key in self.seen], -1)
        return torch.cat((seen[:, :-1], seen[:, 1:]), -1)

    @torch.no_grad()
    def style(self, pairs: Tensor) -> Tensor:
        """r_S = max(0, 1 - ¼ (D(s, s') - 1)²) of transitions (…, X): equation 7."""
        verdict = self.discriminator(self.scale(pairs)).squeeze(-1)
        return (1 - 0.25 * (verdict - 1).square()).clamp(min=0)

    def keep(self, pairs: Tensor) -> None:
        """Writes the policy's transitions (N, X) over the oldest ones."""
        place = (int(self.written) + torch.arange(len(pairs))) % self.past
        self.transitions[place.to(self.device)] = pairs
        self.written += len(pairs)

    def style_step(self) -> Metrics:
        """One step of the discriminator's optimizer on transitions drawn from both."""
        mine = self.transitions[: min(int(self.written), self.past)]
        loss, metrics = self.style_loss(self.drawn(*self.expert_pairs), self.drawn(mine))
        return metrics | self.style_optimizer.step(loss)

    def drawn(self, *parts: Tensor) -> Tensor:
        """Some of the transitions (N, X) that these are the columns of, with replacement."""
        size, count = len(parts[0]), (self.style_batch,)
        index = torch.randint(size, count, generator=self.generator, device=self.device)
        return torch.cat([part[index] for part in parts], -1)

    def style_loss(self, expert: Tensor, policy: Tensor) -> tuple[Tensor, Metrics]:
        """(D(e) - 1)² + (D(p) + 1)² + ½ w_gp ‖∇D(e)‖², the slope at scaled inputs: equation 8."""
        expert = self.scale(expert).requires_grad_()
        verdict = self.discriminator(expert)
        error = (verdict - 1).square().mean()
        error = error + (self.discriminator(self.scale(policy)) + 1).square().mean()
        (slope,) = torch.autograd.grad(verdict.sum(), expert, create_graph=True)
        steep = slope.square().sum(-1).mean()
        metrics = {"style_loss": error.detach(), "style_slope": steep.detach()}
        return error + 0.5 * self.penalty * steep, metrics
