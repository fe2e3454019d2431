"""TrainingConfig: the parts that a run is made of; a config binds it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from offpcc.algorithms import SAC, Learner
from offpcc.config.ranges import Interval, NonNegativeInt, PositiveInt, check_fields
from offpcc.replay import EpisodeReplay, Replay


@dataclass(kw_only=True)
class TrainingConfig:
    """The choices that no single part can make.

    agent, replay: what makes them, given a spec and the run's seed; a baseline has its own replay.
    Raises ValueError for numbers out of their range.
    """

    agent: Callable[..., Learner] = SAC
    replay: Callable[..., Replay] | None = EpisodeReplay
    dataset: str | None = None  # what to learn from offline; None: what the agent plays
    num_envs: Annotated[int, Interval(1, 10_000)] = 1  # environments stepped side by side
    async_envs: bool = False  # whether each of them has a process of its own
    store_states: NonNegativeInt = 0  # keeps both memories' states of every k-th step; 0: none
    device: str = "auto"  # auto: a GPU if there is one
    num_threads: Annotated[int, Interval(1, 1_024)] | None = (
        None  # of torch on a CPU; None: as many as it likes
    )
    num_checkpoints: PositiveInt = 2  # how many are kept

    def __post_init__(self) -> None:
        check_fields(self)
