"""What a run measured: rows in progress.csv, mirrored to TensorBoard and wandb."""

from offpcc.tracking.mirrors import Mirror, Row, TensorBoard, WandB, account
from offpcc.tracking.recorder import Recorder

__all__ = ["Mirror", "Recorder", "Row", "TensorBoard", "WandB", "account"]
