"""RAM limit: how much memory is free, on the machine and in the control group."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from offpcc.errors import ConfigError


def free_bytes(root: Path = Path("/")) -> int:
    """What is free on the machine, or in this process's control groups where that is less."""
    return max(0, min([psutil.virtual_memory().available, *_rooms(root)]))


def resident_bytes() -> int:
    """What this process holds of it."""
    return int(psutil.Process().memory_info().rss)


def refuse_too_large(steps: int, each: float, setting: str = "EpisodeReplay.buffer_size") -> None:
    """Raises ConfigError if a replay of this many steps, of so many bytes each, does not fit."""
    free = free_bytes()
    if steps * each > free:
        raise ConfigError(
            f"a replay of {steps:_} steps takes {_size(steps * each)} and {_size(free)} are "
            f"free; the largest {setting} that fits is {int(free // each):_}"
        )


def refuse_large_agent(size: int, free: int) -> None:
    """Raises ConfigError if an agent of so many bytes is larger than what is free."""
    if size > free:
        raise ConfigError(
            f"the networks with gradients, Adam's moments and slow copies take {_size(size)} and "
            f"{_size(free)} are free; lower hidden_sizes, memory_hidden_size, memory_num_layers or "
            "num_critics"
        )


def refuse_many_copies(count: int, each: float) -> None:
    """Raises ConfigError if so many more copies of an environment, of so many bytes, do not fit."""
    free = free_bytes()
    if count * each > free:
        raise ConfigError(
            f"{count:_} copies of the environment take {_size(count * each)} and {_size(free)} are "
            f"free; lower num_envs (--envs) to {int(free // each):_} or less"
        )


def _rooms(root: Path) -> Iterator[int]:
    """What is left in each control group that holds this process; version 1 or 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = base / path.lstrip("/")
        for folder in (own, *own.parents):
            yield from _left_in_cgroup(folder, names)
            if folder == base:
                break


def _left_in_cgroup(folder: Path, names: tuple[str, str, str]) -> Iterator[int]:
    """What is left of one group's limit; file pages that nobody uses are as good as free."""
    try:
        limit, used = ((folder / name).read_text().strip() for name in names[:2])
        statistics = (folder / "memory.stat").read_text().splitlines()
    except OSError:  # the group is none of ours to read, or its root, which has no limit
        return
    if limit != "max":
        pages = dict(line.split(" ", 1) for line in statistics if " " in line)
        yield int(limit) - int(used) + int(pages.get(names[2], 0))


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
