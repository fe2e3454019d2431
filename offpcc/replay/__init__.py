"""Replay: experience, stored and sampled."""

from offpcc.replay.episodes import EpisodeReplay
from offpcc.replay.replay import Replay

__all__ = ["EpisodeReplay", "Replay"]
