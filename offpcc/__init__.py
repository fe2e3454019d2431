"""Offpcc: reinforcement learning for agents that must remember, off-policy first."""

from importlib import import_module
from typing import Any

_MODULES = {
    "run": "runs.experiment",
    "load": "deploy.loaded_policy",
    "env_of": "deploy.loaded_policy",
}

__all__ = ["env_of", "load", "run"]


def __getattr__(name: str) -> Any:
    # Importing offpcc starts nothing and needs no gin; its functions are imported at first use.
    if name in _MODULES:
        return getattr(import_module(f"offpcc.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'offpcc' has no attribute {name!r}")
