"""Target networks: slow copies that follow by Polyak averaging, and networks held still."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def target_copy(module: nn.Module) -> Any:
    """A copy that follows by Polyak averaging and never takes a gradient."""
    return copy.deepcopy(module).requires_grad_(False)


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
