"""Linear recurrences h_t = a_t h_{t-1} + b_t over whole windows, and their gradients."""

from typing import Any, cast

import torch
from torch import Tensor


def linear_recurrence(carry: Tensor, values: Tensor, start: Tensor) -> Tensor:
    """h_1 … h_T (T, …) of h_t = a_t h_{t-1} + b_t: carry a and values b are (T, …), start h_0 (…).

    Only h is kept for the backward pass, which is a recurrence of the same kind.
    """
    return cast(Tensor, _Recurrence.apply(carry, values, start))


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, carry: Tensor, values: Tensor, start: Tensor) -> Tensor:
        first = torch.addcmul(values[:1], carry[:1], start)
        states = _onward(carry, torch.cat((first, values[1:])))
        context.save_for_backward(carry, states, start)
        return states

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With g_t = dL/dh_t + a_{t+1} g_{t+1}: da_t = g_t h_{t-1}, db_t = g_t, dh_0 = a_1 g_1."""
        carry, states, start = context.saved_tensors
        inner = _back(torch.cat((carry[1:], torch.zeros_like(carry[:1]))), gradient)
        before = torch.cat((start.unsqueeze(0), states[:-1]))
        return inner * before, inner, carry[0] * inner[0]


# On a CPU, T steps in place are several times faster than the log₂ T passes that suit a GPU.


def _onward(carry: Tensor, values: Tensor) -> Tensor:
    """x_t = values_t + carry_t x_{t-1}, x_0 being 0."""
    if values.device.type != "cpu":
        return scan_back(values.flip(0), carry.flip(0)).flip(0)
    return _in_place(carry, values, 1)


def _back(carry: Tensor, values: Tensor) -> Tensor:
    """x_t = values_t + carry_t x_{t+1}, x_{T+1} being 0."""
    if values.device.type != "cpu":
        return scan_back(values, carry)
    return _in_place(carry, values, -1)


def _in_place(carry: Tensor, values: Tensor, direction: int) -> Tensor:
    found = values.clone(memory_format=torch.contiguous_format)
    rows, factors = (part.unbind(0)[::direction] for part in (found, carry))
    for before, row, factor in zip(rows, rows[1:], factors[1:], strict=False):
        row.addcmul_(factor, before)
    return found


def scan_back(values: Tensor, carry: Tensor) -> Tensor:
    """x_t = values_t + carry_t x_{t+1}, all (T, …), in log₂ T steps (Hillis & Steele, 1986)."""
    reach = 1
    while reach < len(values):
        nothing = torch.zeros_like(values[:reach])
        values = values + carry * torch.cat((values[reach:], nothing))
        carry = carry * torch.cat((carry[reach:], nothing))
        reach *= 2
    return values
