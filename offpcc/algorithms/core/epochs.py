"""Epochs: passes over a rollout in minibatches, with a step of an optimizer for each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from offpcc.algorithms.core.agent import Metrics
from offpcc.algorithms.core.optimizer import Optimizer
from offpcc.replay.batch import RolloutBatch


@dataclass(frozen=True, kw_only=True)
class ScoredRollout(RolloutBatch):
    """A rollout with the estimates that its epochs learn towards; all (B, T).

    Its observations are o_0 … o_T-1, without the last.
    """

    advantage: Tensor  # Â
    value: Tensor  # V, by the critic before the update
    value_target: Tensor  # Â + V

    @property
    def share(self) -> Tensor:
        """Of each of the N steps in a mean over the real ones (N,)."""
        return self.mask.flatten() / self.mask.sum()


Scored = TypeVar("Scored", bound=ScoredRollout)


@dataclass(frozen=True)
class Epochs:
    """Passes over a rollout that lower one loss; several of these may learn from one rollout."""

    loss: Callable[[ScoredRollout], tuple[Tensor, Metrics]]  # of a minibatch, and metrics beside it
    optimizer: Optimizer
    generator: torch.Generator  # draws the order of the windows
    num_epochs: int
    batch_size: int | None  # windows in a minibatch; None: all
    target_kl: float | None = None  # nats; beyond 1.5 times this, the passes end

    def steps(self, batch: ScoredRollout, learning_rate_scale: float) -> Iterator[Metrics]:
        """One step of the optimizer for each minibatch of each epoch; gives its metrics."""
        for _ in range(self.num_epochs):
            for part in minibatches(batch, self.batch_size, self.generator):
                loss, metrics = self.loss(part)
                if self.target_kl is not None and metrics["approx_kl"] > 1.5 * self.target_kl:
                    return
                yield metrics | self.optimizer.step(loss, learning_rate_scale)


def minibatches(
    batch: Scored, batch_size: int | None, generator: torch.Generator
) -> Iterator[Scored]:
    """All windows once, in a drawn order, `batch_size` at a time; None: all at a time."""
    windows = len(batch.mask)
    order = torch.randperm(windows, generator=generator, device=generator.device)
    return batch.rows(order).split(batch_size or windows)


def means(steps: Iterable[Metrics]) -> Metrics:
    """The mean of each metric over the steps that have it."""
    found: dict[str, list[Tensor]] = {}
    for step in steps:
        for name, value in step.items():
            found.setdefault(name, []).append(value)
    return {name: torch.stack(values).mean() for name, values in found.items()}
