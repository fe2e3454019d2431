"""Precision: whether the device computes an agent's update in bf16, and how fast.

Copies of the agent are updated, so that the agent and its generators stay as they are.
"""

import copy
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from offpcc.data import Batch

if TYPE_CHECKING:
    from offpcc.algorithms.off_policy import OffPolicy

PRECISIONS = ("fp32", "bf16", "auto")
SHARES = (64, 8, 1)  # of a batch, in turn: where bf16 is emulated, a whole one takes minutes
HOPELESS = 2.0  # times as long as in fp32: no larger share will mend that
NOISE = 1.05  # two timings of the same differ by as much
ROUNDS = 3


def resolve_precision(agent: "OffPolicy", batch: Batch, before: str | None = None) -> str:
    """Makes an agent's `auto` definite, checks its `bf16`, and gives a line that says why.

    batch: like those of the training. before: the precision that a resumed run has had; auto keeps
    it, unless bf16 is hopeless here. Raises ValueError for a bf16 that the device does not have.
    """
    asked = agent.precision
    if asked == "fp32" or (asked == "auto" and before == "fp32"):
        agent.precision = "fp32"
        return "fp32"
    try:
        slowdown = bf16_slowdown(agent, batch)
    except RuntimeError as error:
        why = f"bf16 is not available on {_device(agent)}: {str(error).partition('. ')[0]}"
        if asked == "bf16":
            raise ValueError(f"precision is 'bf16', but {why}; use fp32 or auto") from error
        agent.precision = "fp32"
        return f"fp32 ({why})"
    limit = HOPELESS if before == "bf16" else NOISE
    agent.precision = "bf16" if asked == "bf16" or slowdown <= limit else "fp32"
    times = f"{'over ' if slowdown > HOPELESS else ''}{slowdown:.2g} times"
    told = f"an update in bf16 takes {times} as long as in fp32 on {_device(agent)}"
    return f"{agent.precision} ({told})"


def bf16_slowdown(agent: "OffPolicy", batch: Batch) -> float:
    """How many times longer an update with such a batch takes in bf16 than in fp32.

    Raises RuntimeError, as torch does, where there is no bf16 for one of the agent's layers.
    """
    plain, rough = (_twin(agent, precision) for precision in ("fp32", "bf16"))
    order = batch.burn_in.argsort(descending=True)  # any share has the longest in it
    slowdown = 1.0
    for share in SHARES:
        part = batch.rows(order[: -(-len(order) // share)])
        for twin in (plain, rough):
            _seconds(twin, part)  # the first time, kernels are built
        rounds = [(_seconds(plain, part), _seconds(rough, part)) for _ in range(ROUNDS)]
        fastest = [min(times) for times in zip(*rounds, strict=True)]
        slowdown = fastest[1] / fastest[0]
        if slowdown > HOPELESS:
            break
    return slowdown


def _twin(agent: "OffPolicy", precision: str) -> "OffPolicy":
    twin = copy.deepcopy(agent)
    twin.precision = precision
    return twin


def _seconds(agent: "OffPolicy", batch: Batch) -> float:
    """What an update takes."""
    device = torch.get_device_module(agent.policy.device.type)
    begun = perf_counter()
    agent.update(batch)
    device.synchronize()
    return perf_counter() - begun


def _device(agent: "OffPolicy") -> str:
    device = agent.policy.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})"
