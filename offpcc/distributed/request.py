"""What a learner asks of its workers, and what they answer."""

from dataclasses import dataclass, field
from typing import Any

from offpcc.data import Episode

Weights = dict[str, dict[str, Any]]  # state_dict of each part that acts, tensors on the CPU


@dataclass(frozen=True)
class CollectRequest:
    """Asks every copy to go on until it has made so many steps since the run's start.

    A worker takes the weights over once for each version, and its open episodes' memories are
    unrolled again. One that has made the steps already answers at once.
    """

    version: int  # counts requests
    weights: Weights
    progress: float  # share of the training that is done
    until: int  # steps of each copy
    uniform: bool  # whether actions are uniform


@dataclass(frozen=True)
class CollectResult:
    """What one worker has collected."""

    version: int  # of the request
    episodes: list[Episode]  # in the order in which they were handed over
    steps: int  # made for it, over all copies
    numbers: list[int]  # of each copy's episode under way
    reward_terms: tuple[str, ...]
    seconds: float  # that it took
    fault: str = ""  # an EnvironmentFault's text; all before the step that failed stands
    notices: list[tuple[str, str]] = field(default_factory=list)  # arguments of `say_once`


@dataclass(frozen=True)
class WorkerLost:
    """Why there is no answer from a worker, and never will be."""

    reason: str
