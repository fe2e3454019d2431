"""Offpcc: reinforcement learning for agents that must remember, off-policy first."""

from typing import Any

__all__ = ["load", "run", "world_of"]


def __getattr__(name: str) -> Any:
    # Importing offpcc starts nothing and needs no gin; its front door opens when first used.
    if name in __all__:
        from offpcc import experiment

        return getattr(experiment, name)
    raise AttributeError(f"module 'offpcc' has no attribute {name!r}")
