"""What a run measured: rows in progress.csv, mirrored to TensorBoard and wandb."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offpcc.training.tracking.mirrors import Mirror, Row, TensorBoard, WandB, account
    from offpcc.training.tracking.recorder import Recorder

__all__ = ["Mirror", "Recorder", "Row", "TensorBoard", "WandB", "account"]


def __getattr__(name: str) -> Any:
    # Imported at first use: the status of runs and the time left need no torch.
    if name in __all__:
        module = "recorder" if name == "Recorder" else "mirrors"
        return getattr(import_module(f"offpcc.training.tracking.{module}"), name)
    raise AttributeError(f"module 'offpcc.training.tracking' has no attribute {name!r}")
