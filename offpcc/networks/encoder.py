"""Encoder: from the observation's named keys to one input vector."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from offpcc.config.ranges import Interval, PositiveInt, Size, checked
from offpcc.data import AgentSpec
from offpcc.networks.convolution import Convolution


class Encoder(nn.Module):
    """Concatenates the keys that it reads, in order: {key: (B, T, …)} -> inputs (B, T, X).

    keys: which keys, all but an action mask if empty; a critic that reads more keys than its actor
    is asymmetric.
    embedding_size: a linear layer with ReLU to this many numbers; 0 leaves the concatenation as it
    is. Pictures come first through a `Convolution` each, of these channels and strides, to
    `picture_features`
    numbers.

    Raises ValueError for a key that the observation does not have, and for pixels that are no
    picture.
    """

    @checked
    def __init__(
        self,
        spec: AgentSpec,
        *,
        keys: Sequence[str] = (),
        embedding_size: Annotated[int, Interval(0, 1_000_000)] = 0,
        channels: Size = 32,
        strides: Sequence[PositiveInt] = (2, 1, 1, 1),
        picture_features: Size = 50,
    ) -> None:
        super().__init__()
        unknown = [key for key in keys if key not in spec.observation]
        if unknown:
            raise ValueError(
                f"Encoder.keys names {unknown}, which the observation does not have; "
                f"it has {list(spec.observation)}"
            )
        numbers = [key for key, field in spec.observation.items() if field.dtype != "bool"]
        self.keys = tuple(keys) or tuple(numbers)
        if not self.keys:
            raise ValueError(
                f"there is nothing to read in the observation but {list(spec.observation)}; "
                "name it in Encoder.keys (actor_keys and critic_keys)"
            )
        fields = {key: spec.observation[key] for key in self.keys}
        deep = [k for k, f in fields.items() if f.dtype == "uint8" and not f.is_picture]
        if deep:
            raise ValueError(
                f"{deep} are pixels of more than three axes; put stacked frames into the channels"
            )
        self.eyes = nn.ModuleDict(  # by place: a key's name may hold anything
            {
                str(place): Convolution(
                    field, channels=channels, strides=strides, width=picture_features
                )
                for place, field in enumerate(fields.values())
                if field.is_picture
            }
        )
        size = sum(
            picture_features if field.is_picture else field.size for field in fields.values()
        )
        self.embed = (
            nn.Sequential(nn.Linear(size, embedding_size), nn.ReLU())
            if embedding_size
            else nn.Identity()
        )
        self.size = embedding_size or size

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Inputs (B, T, X)."""
        parts = [self._read(place, observation[key]) for place, key in enumerate(self.keys)]
        return self.embed(parts[0] if len(parts) == 1 else torch.cat(parts, -1))

    def _read(self, place: int, values: Tensor) -> Tensor:
        """One key as numbers (B, T, ·)."""
        if str(place) not in self.eyes:
            return values.flatten(2).float()  # an action mask is bool
        return self.eyes[str(place)](values.flatten(0, 1)).unflatten(0, values.shape[:2])
