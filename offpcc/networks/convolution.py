"""Convolution: from pictures to a few numbers."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from offpcc.config.ranges import PositiveInt, Size, checked
from offpcc.data import Field


class Convolution(nn.Module):
    """Pictures (R, *shape) in [0, 1] -> (R, width): layers of 3 × 3 filters, then a linear one.

    As in SAC+AE (Yarats et al., 2019, 1910.01741): ReLU between, the linear layer's output
    normalised and through a tanh. A picture is (C, H, W), (H, W, C) or (H, W), C being smallest.

    strides: of the layers, none if empty. Raises ValueError for a picture of which they leave
    nothing.
    """

    @checked
    def __init__(
        self,
        picture: Field,
        *,
        channels: Size = 32,
        strides: Sequence[PositiveInt] = (2, 1, 1, 1),
        width: Size = 50,
    ) -> None:
        super().__init__()
        self.plane = picture.plane
        sides = [picture.shape[axis] for axis in self.plane]
        depth = picture.size // (sides[0] * sides[1])
        layers: list[nn.Module] = []
        for stride in strides:
            layers += [nn.Conv2d(depth, channels, 3, stride), nn.ReLU(inplace=True)]
            depth, sides = channels, [(side - 3) // stride + 1 for side in sides]
        if min(sides) < 1:
            raise ValueError(f"pictures of {picture.shape} are too small for strides {strides}")
        self.filters = nn.Sequential(*layers)
        for weight in self.filters.parameters():  # on CPUs twice as fast
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        linear = nn.Linear(depth * sides[0] * sides[1], width)
        self.head = nn.Sequential(linear, nn.LayerNorm(width), nn.Tanh())

    def forward(self, pictures: Tensor) -> Tensor:
        """Numbers (R, width) in (-1, 1)."""
        planes = pictures.movedim(self.plane, (-2, -1))
        planes = planes.reshape(planes.shape[0], -1, *planes.shape[-2:])  # (R, C, H, W)
        planes = planes.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.head(self.filters(planes).flatten(1).float()))


def shifted(pictures: Tensor, move: Tensor, plane: tuple[int, int]) -> Tensor:
    """Row i's pictures (B, T, …), moved down and right by move[:, i] (2, B) pixels; edges repeat.

    plane: the axes of height and width. DrQ, section 3.1 (Kostrikov et al., 2020, 2004.13649), with
    one move for all of a window.
    """
    flat = pictures.movedim(plane, (1, 2))  # (B, H, W, …)
    row, column = (
        (torch.arange(side, device=move.device) - by.unsqueeze(1)).clamp(0, side - 1)
        for side, by in zip(flat.shape[1:3], move, strict=True)
    )
    owner = torch.arange(len(flat), device=move.device).view(-1, 1, 1)
    return flat[owner, row.unsqueeze(2), column.unsqueeze(1)].movedim((1, 2), plane)
