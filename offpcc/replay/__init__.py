"""Replay: experience, stored and sampled."""

from offpcc.replay.episodes import EpisodeReplay
from offpcc.replay.replay import Replay
from offpcc.replay.rollout import Rollout

__all__ = ["EpisodeReplay", "Replay", "Rollout"]
