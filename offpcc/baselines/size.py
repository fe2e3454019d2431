"""Size: the memory that a baseline takes at least, from its settings, before it is made."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from offpcc.data import AgentSpec

ADAM = 4  # numbers a weight: itself, its gradient and two moments
BESIDES = 3  # numbers a stored step beside observations and action: reward, end, time limit


def network_bytes(settings: Mapping[str, Any], spec: AgentSpec) -> int:
    """Bytes of the actor's layers, and of its LSTM's first one where it has a `hidden_size`."""
    size = sum(field.size for field in spec.observation.values())
    memory = settings.get("hidden_size", 0)
    sizes = [memory or size, *settings["hidden_sizes"], spec.action]
    weights = sum(before * after for before, after in pairwise(sizes))
    return 4 * ADAM * (weights + 4 * memory * (memory + size))


def step_bytes(spec: AgentSpec) -> int:
    """Bytes of a step in its replay buffer, which holds what was seen before and after it."""
    fields = spec.observation.values()
    seen = sum(field.size * np.dtype(field.dtype).itemsize for field in fields)
    return 2 * seen + 4 * (spec.action + BESIDES)
