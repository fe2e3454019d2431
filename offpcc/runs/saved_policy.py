"""SavedPolicy: the acting network of a run on the disk, as one of its checkpoints has it."""

from typing import Any, NamedTuple

from offpcc.algorithms import Policy
from offpcc.config import bindings
from offpcc.config.bindings import configured
from offpcc.data import AgentSpec
from offpcc.runs.training_config import TrainingConfig
from offpcc.storage.checkpoint import Checkpoints
from offpcc.storage.run_folder import RunFolder


class SavedPolicy(NamedTuple):
    """A policy with its weights, on the CPU; what it acts in; the manifest of its checkpoint."""

    policy: Policy
    spec: AgentSpec
    manifest: dict[str, Any]


def saved_policy(folder: RunFolder, best: bool = False) -> SavedPolicy:
    """The newest valid policy of a run, or the best one; the run's config stays with gin.

    Raises RunMissingError, NoCheckpointError, and ValueError for a damaged run.json.
    """
    description = folder.read()
    try:
        spec = AgentSpec.from_dict(description["spec"])
    except ValueError as error:
        raise ValueError(f"{folder / 'run.json'}: {error}") from error
    weights, manifest = Checkpoints(folder / "checkpoints").load_policy(best)
    bindings.give(bindings.compose([folder / "config.gin"]))
    policy = configured(TrainingConfig)().make_agent(spec, 0, "cpu").policy
    policy.load_state_dict(weights)
    return SavedPolicy(policy, spec, manifest)
