"""The states of an agent's parts, as a checkpoint holds them."""

import zlib
from typing import Any

import torch
from torch import Tensor


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Takes a saved state over; one from another kind of device can only be the seed of a new one.

    A run may go on on another device: not bit for bit, but with numbers that are its own.
    """
    state = state.cpu()
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(zlib.crc32(bytes(state.tolist())))


def part_state(part: Any) -> Any:
    """The state of a module, an optimizer, a tensor or a generator."""
    if isinstance(part, torch.Generator):
        return part.get_state()
    return part.detach().clone() if isinstance(part, Tensor) else part.state_dict()


def restore_part(part: Any, state: Any) -> None:
    """Restores `part_state` in place."""
    if isinstance(part, torch.Generator):
        restore_generator(part, state)
    elif isinstance(part, Tensor):
        part.data.copy_(state)
    else:
        part.load_state_dict(state)
