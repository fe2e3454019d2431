"""TrainingConfig: the parts that a run is made of; a config binds it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from offpcc.algorithms import SAC, Learner
from offpcc.config.ranges import (
    Interval,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    check_fields,
)
from offpcc.data import AgentSpec
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
    # Processes that collect, on this machine or others, with num_envs copies each; 0: this one.
    num_workers: Annotated[int, Interval(0, 10_000)] = 0
    collect_steps: PositiveInt = 200  # steps of each copy that workers are asked for at once
    staleness: Literal[0, 1] = 0  # 1: workers play the next request while the learner learns
    worker_timeout: PositiveFloat = 600.0  # seconds after which a silent worker is lost

    def __post_init__(self) -> None:
        check_fields(self)

    def make_agent(self, spec: AgentSpec, seed: int, device: str) -> Learner:
        """The agent for environments of this spec."""
        keeps = {"critic_state": True} if self.store_states else {}
        return self.agent(spec, seed=seed, device=device, **keeps)
