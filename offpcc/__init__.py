"""Offpcc: reinforcement learning for agents that must remember, off-policy first."""

from importlib import import_module
from typing import Any

from offpcc.config import locations

_MODULES = {
    "run": "deploy.trained_run",
    "Callback": "training.callbacks",
    "Prune": "training.callbacks",
    "StopAtReturn": "training.callbacks",
    "load": "deploy.loaded_policy",
    "export": "deploy.export.export",
    "env_of": "deploy.loaded_policy",
    "make_env": "envs.make_env",
}

__all__ = [
    "Callback",
    "Prune",
    "StopAtReturn",
    "__version__",
    "env_of",
    "export",
    "load",
    "make_env",
    "run",
]

locations.make_domains_known()


def __getattr__(name: str) -> Any:
    # Importing offpcc starts nothing and needs no gin; its functions are imported at first use.
    if name in _MODULES:
        return getattr(import_module(f"offpcc.{_MODULES[name]}"), name)
    if name == "__version__":
        return locations.version()
    raise AttributeError(f"module 'offpcc' has no attribute {name!r}")
