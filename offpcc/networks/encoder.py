"""Encoder: from the observation's named keys to one input vector."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from offpcc.data import Spec


class Encoder(nn.Module):
    """Concatenates the keys that it reads, in order: {key: (B, T, …)} -> inputs (B, T, X).

    keys: which keys, all if empty; a critic that reads more keys than its actor is asymmetric.
    width: a linear layer with ReLU to this many numbers; 0 leaves the concatenation as it is.

    Raises ValueError for a key that the observation does not have.
    """

    def __init__(self, spec: Spec, *, keys: Sequence[str] = (), width: int = 0) -> None:
        super().__init__()
        unknown = [key for key in keys if key not in spec.observation]
        if unknown:
            raise ValueError(
                f"Encoder.keys names {unknown}, which the observation does not have; "
                f"it has {list(spec.observation)}"
            )
        self.keys = tuple(keys) or tuple(spec.observation)
        size = sum(spec.observation[key].size for key in self.keys)
        self.embed = nn.Sequential(nn.Linear(size, width), nn.ReLU()) if width else nn.Identity()
        self.size = width or size

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Inputs (B, T, X)."""
        parts = [observation[key].flatten(2) for key in self.keys]
        return self.embed(parts[0] if len(parts) == 1 else torch.cat(parts, -1))
