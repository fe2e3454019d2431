"""Precision: whether the device computes an agent's update in bf16, and how fast.

Copies of the agent are updated, so that the agent and its generators stay as they are.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Literal

import torch

from offpcc.algorithms.core.agent import Learner
from offpcc.replay.batch import Batch

PASSES: tuple[Literal["fp32"], Literal["bf16"]] = ("fp32", "bf16")
SHARES = (64, 8, 1)  # of a batch, in turn: where bf16 is emulated, a whole one takes minutes
HOPELESS = 1.5  # times as long as in fp32: no larger share will mend that
NOISE = 1.05  # two timings of the same differ by as much
ROUNDS = 2


def resolve_precision(agent: Learner, batch: Batch, before: str | None = None) -> str:
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
    why = f"an update in bf16 takes {times} as long as in fp32 on {_device(agent)}"
    return f"{agent.precision} ({why})"


def bf16_slowdown(agent: Learner, batch: Batch) -> float:
    """How many times longer an update with such a batch takes in bf16 than in fp32.

    Raises RuntimeError, as torch does, where there is no bf16 for one of the agent's layers.
    """
    plain, rough = (_twin(agent, precision) for precision in PASSES)
    order = batch.burn_in.argsort(descending=True)  # any share has the longest in it
    slowdown = 1.0
    with _one_thread():
        for rows in sorted({-(-len(order) // share) for share in SHARES}):
            part = batch.rows(order[:rows])
            for twin in (plain, rough):
                _seconds(twin, part)  # the first time, kernels are built
            rounds = [(_seconds(plain, part), _seconds(rough, part)) for _ in range(ROUNDS)]
            fastest = [min(times) for times in zip(*rounds, strict=True)]
            slowdown = fastest[1] / fastest[0]
            if slowdown > HOPELESS:
                break
    return slowdown


def _twin(agent: Learner, precision: Literal["fp32", "bf16"]) -> Learner:
    twin = copy.deepcopy(agent)
    twin.precision = precision
    return twin


@contextmanager
def _one_thread() -> Iterator[None]:
    """Inside, torch has one thread on the CPU: several wait for each other where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _seconds(agent: Learner, batch: Batch) -> float:
    """What an update takes; of a CPU's time, which other processes do not stretch."""
    device = torch.get_device_module(agent.policy.device.type)
    clock = process_time if agent.policy.device.type == "cpu" else perf_counter
    begun = clock()
    agent.update(batch)
    device.synchronize()
    return clock() - begun


def _device(agent: Learner) -> str:
    device = agent.policy.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})"
