"""Algorithms, each on a page that reads like its paper."""

from offpcc.algorithms.agent import Agent, Policy
from offpcc.algorithms.ddpg import DDPG
from offpcc.algorithms.off_policy import OffPolicy
from offpcc.algorithms.sac import SAC
from offpcc.algorithms.td3 import TD3

__all__ = ["DDPG", "SAC", "TD3", "Agent", "OffPolicy", "Policy"]
