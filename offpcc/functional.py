"""Pure tensor mathematics, each function from a named equation; nothing here holds state."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus


def td_target(reward: Tensor, terminated: Tensor, value: Tensor, discount: float) -> Tensor:
    """Y = r + γ (1 - d) V(h'), all (…); d is 1 at a true end only, so a time limit bootstraps."""
    return reward + discount * (1 - terminated) * value


def n_step_target(
    reward: Tensor, terminated: Tensor, value: Tensor, mask: Tensor, discount: float, steps: int
) -> Tensor:
    """Y = r_t + γ r_t+1 + … + γⁿ V(h_t+n) (B, T, K), n being `steps`, or what a row still has.

    reward, terminated (B, T, 1); value (B, T, K) of the next histories; mask (B, T). Nothing is
    added after a true end. Sutton & Barto (2018), equation 7.1.
    """
    target = td_target(reward, terminated, value, discount)
    goes_on = pad(mask[:, 1:], (0, 1)).bool().unsqueeze(-1)
    for _ in range(steps - 1):
        following = torch.cat((target[:, 1:], value[:, -1:]), 1)
        target = td_target(reward, terminated, torch.where(goes_on, following, value), discount)
    return target


def scan_back(values: Tensor, carry: Tensor) -> Tensor:
    """x_t = values_t + carry_t x_{t+1}, all (T, …), in log₂ T steps (Hillis & Steele, 1986)."""
    reach = 1
    while reach < len(values):
        nothing = torch.zeros_like(values[:reach])
        values = values + carry * torch.cat((values[reach:], nothing))
        carry = carry * torch.cat((carry[reach:], nothing))
        reach *= 2
    return values


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    last: Tensor,
    *,
    discount: float,
    trace: float,
) -> Tensor:
    """Â_t = δ_t + γ λ Â_{t+1} (N,), δ = r + γ (1 - d) V(h') - V(h): GAE, equation 16 (1506.02438).

    The steps of several stretches, end to end; last is 1 at each one's last step, where the sum
    stops: after a true end nothing follows, after a time limit or a cut V(h') stands for the rest.
    """
    delta = td_target(reward, terminated, next_value, discount) - value
    return scan_back(delta, discount * trace * (1 - last))


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


def squashed_log_prob(log_std: Tensor, noise: Tensor, raw: Tensor) -> Tensor:
    """log π(tanh u) (…, 1) of raw actions u = μ + σ ε (…, A): SAC, app. C (1812.05905).

    log N(u; μ, σ) - Σ log(1 - tanh² u), the last as 2 (ln 2 - u - softplus(-2u)), which is stable.
    """
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    squash = 2 * (math.log(2) - raw - softplus(-2 * raw))
    return (gaussian - squash).sum(-1, keepdim=True)


def saturation(raw: Tensor) -> Tensor:
    """Σ max(0, |u| - 3)² (…, 1) of actions u (…, A) before their tanh, where its slope is lost.

    tanh ±3 is ±0.995; a u far beyond gives a critic that has changed its mind no slope to climb.
    """
    return (raw.abs() - 3).clamp(min=0).square().sum(-1, keepdim=True)


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


@torch.no_grad()
def polyak(target: Iterable[Tensor], online: Iterable[Tensor], share: float) -> None:
    """θ' ← (1 - τ) θ' + τ θ, in place; share is τ."""
    torch._foreach_lerp_(list(target), list(online), share)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside, the module's weights take no gradient; what flows through to its inputs does."""
    learned = [weight for weight in module.parameters() if weight.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learned:
            weight.requires_grad_(True)
