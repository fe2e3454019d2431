"""Convolution: from pictures to a few numbers."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from offpcc.data import Field


class Convolution(nn.Module):
    """Pictures (R, *shape) in [0, 1] -> (R, width): layers of 3 × 3 filters, then a linear one.

    As in SAC+AE (Yarats et al., 2019, 1910.01741): ReLU between, the linear layer's output
    normalised and through a tanh. A picture is (C, H, W), (H, W, C) or (H, W), C being smallest.

    strides: of the layers, none if empty. Raises ValueError for a picture of which they leave
    nothing.
    """

    def __init__(
        self,
        picture: Field,
        *,
        channels: int = 32,
        strides: Sequence[int] = (2, 1, 1, 1),
        width: int = 50,
    ) -> None:
        super().__init__()
        if min(strides, default=1) < 1:
            raise ValueError(f"strides are {strides}; each must be at least 1")
        self.plane = len(picture.shape) == 2
        self.last = not self.plane and picture.shape[-1] < picture.shape[0]  # channels come last
        shape = (picture.shape[-1], *picture.shape[:-1]) if self.last else picture.shape
        depth, *sides = (1, *shape) if self.plane else shape
        layers: list[nn.Module] = []
        for stride in strides:
            layers += [nn.Conv2d(depth, channels, 3, stride), nn.ReLU(inplace=True)]
            depth, sides = channels, [(side - 3) // stride + 1 for side in sides]
        if min(sides) < 1:
            raise ValueError(f"pictures of {picture.shape} are too small for strides {strides}")
        self.filters = nn.Sequential(*layers)
        linear = nn.Linear(depth * sides[0] * sides[1], width)
        self.head = nn.Sequential(linear, nn.LayerNorm(width), nn.Tanh())

    def forward(self, pictures: Tensor) -> Tensor:
        """Numbers (R, width) in (-1, 1)."""
        pictures = pictures.unsqueeze(1) if self.plane else pictures
        pictures = pictures.movedim(-1, 1) if self.last else pictures
        return cast(Tensor, self.head(self.filters(pictures).flatten(1).float()))
