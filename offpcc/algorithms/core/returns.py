"""Returns and advantages, each from a named equation; nothing here holds state."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from offpcc.networks.scan import scan_back


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


def gae(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    last: Tensor,
    *,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """Â_t = δ_t + γ λ Â_{t+1} (N,), δ = r + γ (1 - d) V(h') - V(h): GAE, equation 16 (1506.02438).

    The steps of several segments, end to end; last is 1 at each one's last step, where the sum
    stops: after a true end nothing follows, after a time limit or a cut V(h') stands for the rest.
    """
    delta = td_target(reward, terminated, next_value, discount) - value
    return scan_back(delta, discount * gae_lambda * (1 - last))
