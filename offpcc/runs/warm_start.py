"""WarmStart: a new run's acting network starts from that of an older run, of any algorithm."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from torch import nn

from offpcc.algorithms import Learner, Policy
from offpcc.data import AgentSpec
from offpcc.errors import ConfigError
from offpcc.networks import Memory, Moments
from offpcc.networks.kind import difference
from offpcc.runs.saved_policy import saved_policy
from offpcc.storage.run_folder import RunFolder


class WarmStart:
    """An older run's acting network, and what a new run takes over of it.

    An acting network is a chain: statistics of the observations, encoder, memory, actor. A part is
    taken if it is of the same kind in both runs and all in front of it is, too. So every part that
    is taken gives what it gave in the older run. Critics, optimizers and replay stay behind.

    taken, left: what was copied, and why the rest was not, by part; empty until an agent starts.

    Raises RunMissingError, NoCheckpointError, and ValueError for a run of a baseline.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.policy, self.spec, self.manifest = saved_policy(RunFolder(path))
        _refuse_baseline(self.policy, str(path))
        self.taken: dict[str, str] = {}
        self.left: dict[str, str] = {}

    def apply(self, agent: Learner) -> None:
        """Copies what fits into a new agent, before anything copies the agent.

        Raises ConfigError for a baseline, and where nothing fits.
        """
        _refuse_baseline(agent.policy, "this run")
        self._take_statistics(agent.policy)
        why = self._other_inputs(agent)
        for name, old, new in _chain(self.policy, agent.policy):
            if why := why or difference(old, new):
                self.left[name] = why
                why = f"it reads what the {name} gives, which is another one"
            elif size := sum(weight.numel() for weight in old.state_dict().values()):
                new.load_state_dict(old.state_dict())
                self.taken[name] = f"{type(old).__name__}, {size:,} weights"
        if not self.taken:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left.items())
            raise ConfigError(f"nothing of {self.path} fits this run: {reasons}")
        agent.reset_slow_copies()

    def _take_statistics(self, new: Policy) -> None:
        """Copies the moments of every key that both runs normalize."""
        theirs, mine = _moments(self.policy), _moments(new)
        for key in theirs | mine:
            name = f"statistics of {key}"
            if key not in theirs or key not in mine:
                self.left[name] = f"normalized in {'this' if key in mine else 'that'} run alone"
            elif why := difference(theirs[key], mine[key]):
                self.left[name] = why
            else:
                mine[key].load_state_dict(theirs[key].state_dict())
                self.taken[name] = f"{int(theirs[key].count):,} steps"

    def _other_inputs(self, agent: Learner) -> str:
        """How what the two actors read differs; empty if it does not."""
        there, here = _reads(self.policy, self.spec), _reads(agent.policy, agent.spec)
        return "" if there == here else f"it reads {there} in that run, {here} in this one"

    def as_dict(self) -> dict[str, Any]:
        """What run.json says of it; sha256: of the file with the older run's weights."""
        return {
            "path": str(self.path),
            "algo": self.manifest["algo"],
            "step": self.manifest["step"],
            "sha256": self.manifest["files"]["policy.pt"]["sha256"],
            "taken": self.taken,
            "left": self.left,
        }

    def lines(self) -> Iterator[str]:
        """The same for a reader, without the hash."""
        yield f"starts from {self.path}, {self.manifest['algo']} at step {self.manifest['step']}"
        yield from (f"  takes {name}: {what}" for name, what in self.taken.items())
        yield from (f"  leaves {name}: {why}" for name, why in self.left.items())
        yield "  leaves critics, optimizers and replay: a new run has its own"


def _chain(old: Policy, new: Policy) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """The parts of two acting networks behind their inputs; each reads the one before it."""
    yield "encoder", old.memory.encoder, new.memory.encoder
    yield "memory", old.memory.summarizer, new.memory.summarizer
    yield "actor", old.actor, new.actor


def _moments(policy: Policy) -> dict[str, Moments]:
    """The running moments of each key that is normalized."""
    normalizer = policy.normalizer
    moments = cast(list[Moments], list(normalizer.moments))
    return dict(zip(normalizer.keys, moments, strict=True))


def _reads(policy: Policy, spec: AgentSpec) -> str:
    """The keys that an actor reads, in order, with their shapes, and how they come."""
    words = []
    for key in policy.memory.encoder.keys:
        field = spec.observation[key]
        kind = "" if field.dtype == "float32" else f" {field.dtype}"
        scaled = " normalized" if key in policy.normalizer.keys else ""
        words.append(f"{key} {field.shape}{kind}{scaled}")
    return " and ".join(words)


def _refuse_baseline(policy: Policy, owner: str) -> None:
    """Raises ConfigError for networks that are not made of an encoder, a memory and an actor."""
    if not isinstance(policy.memory, Memory):
        raise ConfigError(
            f"--init-from is not for baselines: the networks of {owner} are another library's"
        )
