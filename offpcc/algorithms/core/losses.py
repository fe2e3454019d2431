"""Losses: tensors to numbers, each from a named equation; nothing here holds state."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (…, B, T) over the real steps of mask (B, T) and all leading dimensions."""
    repeats = values.numel() // mask.numel()
    return (values * mask).sum() / (mask.sum() * repeats).clamp(min=1)


def quantile_huber(value: Tensor, target: Tensor, level: Tensor) -> Tensor:
    """Mean of |τ_m - 1{u < 0}| L(u) over all pairs, u = y_j - θ_m, L being Huber's with κ = 1.

    Values θ (N, B, T, M) at levels τ (M,), targets y (B, T, J) -> (N, B, T). QR-DQN, equations 9
    and 10 (1710.10044). The pairs are not written out: among sorted targets, sums over those in
    reach of a value are differences of running sums. That takes M log J steps in place of M J.
    """
    heads = len(value)
    values = value.movedim(0, -2).flatten(-2)  # (B, T, N M)
    with torch.no_grad():
        sums, slopes = _pairs_of_huber(values.double(), target.double(), level.repeat(heads))
    loss = sums.to(value) + (values - values.detach()) * slopes.to(value)
    return loss.unflatten(-1, (heads, -1)).mean(-1).movedim(-1, 0) / target.shape[-1]


def _pairs_of_huber(value: Tensor, target: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Each value's (…, V) sum over the targets (…, J) of its pairs' losses, and their slopes."""
    y = target.sort(-1).values
    running = [pad(power.cumsum(-1), (1, 0)) for power in (torch.ones_like(y), y, y.square())]
    edges = [torch.searchsorted(y, value + reach) for reach in (-1.0, 0.0, 1.0)]
    at = [[sums.gather(-1, edge) for sums in running] for edge in edges]
    ends = [[sums[..., :1] for sums in running], *at, [sums[..., -1:] for sums in running]]
    # The count, Σ y and Σ y² of the targets far below, near below, near above and far above.
    (n0, s0, _), (n1, s1, q1), (n2, s2, q2), (n3, s3, _) = (
        [after - before for before, after in zip(*pair, strict=True)] for pair in pairwise(ends)
    )
    near_below = 0.5 * (n1 * value.square() - 2 * s1 * value + q1)
    near_above = 0.5 * (n2 * value.square() - 2 * s2 * value + q2)
    below = n0 * (value - 0.5) - s0 + near_below
    above = s3 - n3 * (value + 0.5) + near_above
    slope = (1 - level) * (n0 + n1 * value - s1) - level * (n3 + s2 - n2 * value)
    return (1 - level) * below + level * above, slope


def saturation(raw: Tensor) -> Tensor:
    """Σ max(0, |u| - 3)² (…, 1) of actions u (…, A) before their tanh, where its slope is lost.

    tanh ±3 is ±0.995; a u far beyond gives a critic that has changed its mind no slope to climb.
    """
    return (raw.abs() - 3).clamp(min=0).square().sum(-1, keepdim=True)
