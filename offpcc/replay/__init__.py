"""Replay: experience, stored and sampled."""

from offpcc.replay.base import Replay
from offpcc.replay.episode_filter import threshold_filter
from offpcc.replay.episode_replay import EpisodeReplay
from offpcc.replay.rollout import Rollout

__all__ = ["EpisodeReplay", "Replay", "Rollout", "threshold_filter"]
