"""Running normalisation of observations, kept inside the agent and its checkpoint."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from offpcc.data import AgentSpec, Observation


class Moments(nn.Module):
    """Running mean and standard deviation of a stream of arrays of one shape."""

    mean: Tensor
    std: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("std", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor) -> Tensor:
        """Values (…, *shape) shifted and scaled to mean 0 and deviation 1, clipped to ±10."""
        return ((values - self.mean.float()) / self.std.float()).clamp(-10, 10)

    @torch.no_grad()
    def observe(self, values: np.ndarray) -> None:
        """Takes values (L, *shape) in: Chan's merge of two samples' moments."""
        fresh = torch.as_tensor(values.astype(np.float64), device=self.mean.device)
        total = self.count + len(fresh)
        gap = fresh.mean(0) - self.mean
        self.square += (fresh - fresh.mean(0)).square().sum(0)
        self.square += gap.square() * self.count * len(fresh) / total
        self.mean += gap * len(fresh) / total
        self.count.copy_(total)
        std = (self.square / total).sqrt()
        self.std.copy_(torch.where(std < 1e-6, 1.0, std))  # what never changed is not scaled


class Normalizer(nn.Module):
    """Observations as networks like them: floats by running moments, pixels (uint8) in [0, 1].

    The moments move only in `observe`, which the training loop calls: when an episode or a segment
    is handed over or, for on-policy agents, after a rollout's update. Floats pass unchanged where
    `enabled` is false. An action mask (bool) passes unchanged.
    """

    def __init__(self, spec: AgentSpec, *, enabled: bool = False) -> None:
        super().__init__()
        self.pixels = tuple(k for k, f in spec.observation.items() if f.dtype == "uint8")
        floats = [k for k, f in spec.observation.items() if f.dtype == "float32"]
        self.keys = tuple(floats) if enabled else ()
        self.moments = nn.ModuleList(Moments(spec.observation[k].shape) for k in self.keys)

    def forward(self, observation: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same keys and shapes, ready for an encoder."""
        ready = dict(observation)  # a policy alone may be given less than its critic was
        for key in self.pixels:
            if key in ready:
                ready[key] = observation[key].float() / 255
        for key, moments in zip(self.keys, self.moments, strict=True):
            if key in ready:
                ready[key] = moments(observation[key])
        return ready

    def observe(self, observation: Observation) -> None:
        """Takes observations {key: (L, …)} into the moments."""
        for key, moments in zip(self.keys, self.moments, strict=True):
            cast(Moments, moments).observe(observation[key])
