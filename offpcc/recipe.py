"""Recipe: which parts a run is made of; a config binds it."""

from collections.abc import Callable
from dataclasses import dataclass

from offpcc.algorithms import SAC, Learner
from offpcc.replay import EpisodeReplay, Replay


@dataclass(kw_only=True)
class Recipe:
    """The choices that no single part can make.

    agent, replay: what makes them, given a spec and the run's seed; a baseline has its own replay.
    Raises ValueError for numbers that cannot work.
    """

    agent: Callable[..., Learner] = SAC
    replay: Callable[..., Replay] | None = EpisodeReplay
    dataset: str | None = None  # what to learn from offline; None: what the agent plays
    copies: int = 1  # worlds stepped side by side
    store_states: int = 0  # keeps both memories' states of every k-th step; 0: none
    device: str = "auto"  # auto: a GPU if there is one
    threads: int | None = None  # of torch on a CPU; None: as many as it likes
    checkpoints: int = 2  # how many are kept

    def __post_init__(self) -> None:
        for name, least in (("copies", 1), ("store_states", 0), ("threads", 1), ("checkpoints", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"Recipe.{name} is {value}; it must be at least {least}")
