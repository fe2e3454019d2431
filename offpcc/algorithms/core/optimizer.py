"""Optimizer: Adam over several networks, with what every algorithm wants around it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Group:
    """Parameters that move at one rate; a network's groups share one gradient norm."""

    network: str
    parameters: Sequence[Tensor]
    learning_rate: float


class Optimizer:
    """Adam (Kingma & Ba, 2014, 1412.6980), in one fused step for all groups.

    max_grad_norm: largest gradient norm of a network; None: any. adam_epsilon: ε of Adam.

    A step whose loss or gradient is not finite is left out: weights and moments stay as they were.
    """

    def __init__(
        self,
        groups: Iterable[Group],
        max_grad_norm: float | None = None,
        adam_epsilon: float = 1e-8,
    ) -> None:
        self.groups = [group for group in groups if group.parameters]
        self.max_grad_norm = max_grad_norm
        self.adam = torch.optim.Adam(
            [{"params": list(g.parameters), "lr": g.learning_rate} for g in self.groups],
            eps=adam_epsilon,
            fused=True,
        )
        device = self.groups[0].parameters[0].device
        self.steps = 0
        self.consecutive_nonfinite = torch.zeros((), dtype=torch.int64, device=device)

    def step(self, loss: Tensor, learning_rate_scale: float = 1.0) -> dict[str, Tensor]:
        """Goes down the gradient of a loss (); gives each network's norm, and what was skipped.

        learning_rate_scale: the share of each group's rate that is used.
        """
        self.adam.zero_grad()
        loss.backward()
        norms = self._clipped_norms()
        bad = ~torch.isfinite(torch.stack((loss.detach(), *norms.values()))).all()
        # The fused step does nothing where this is 1; gradient scalers set it the same way.
        self.adam.found_inf = bad.float()  # type: ignore[attr-defined]
        for group, held in zip(self.groups, self.adam.param_groups, strict=True):
            held["lr"] = group.learning_rate * learning_rate_scale
        self.adam.step()
        self.steps += 1
        self.consecutive_nonfinite.add_(1).mul_(bad)
        return norms | {"skipped": bad.float()}

    def _clipped_norms(self) -> dict[str, Tensor]:
        """Each network's gradient norm, {network}_gradient, before it is clipped."""
        gradients: dict[str, list[Tensor]] = {}
        for group in self.groups:
            found = [p.grad for p in group.parameters if p.grad is not None]
            gradients.setdefault(group.network, []).extend(found)
        norms = {}
        for network, parts in gradients.items():
            if not parts:
                continue
            norm = torch.stack(torch._foreach_norm(parts)).norm()
            if self.max_grad_norm is not None:
                torch._foreach_mul_(parts, (self.max_grad_norm / (norm + 1e-6)).clamp(max=1))
            norms[f"{network}_gradient"] = norm
        return norms

    def state_dict(self) -> dict[str, Any]:
        """Adam's moments and the counters."""
        counters = {
            "steps": self.steps,
            "consecutive_nonfinite": self.consecutive_nonfinite.clone(),
        }
        return {"adam": self.adam.state_dict()} | counters

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self.adam.load_state_dict(state["adam"])
        self.steps = state["steps"]
        self.consecutive_nonfinite.copy_(state["consecutive_nonfinite"])
