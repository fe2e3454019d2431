"""Algorithms, each on a page that reads like its paper."""

from offpcc.algorithms.a2c import A2C
from offpcc.algorithms.amp import AMP
from offpcc.algorithms.copg import COPG
from offpcc.algorithms.core.actor_critic import ActorCritic
from offpcc.algorithms.core.agent import Agent, Learner, Policy, PolicyWrapper
from offpcc.algorithms.core.off_policy import OffPolicy
from offpcc.algorithms.core.on_policy import OnPolicy
from offpcc.algorithms.ddpg import DDPG
from offpcc.algorithms.dsac import DSAC
from offpcc.algorithms.ppg import PPG
from offpcc.algorithms.ppo import PPO
from offpcc.algorithms.redq import REDQ
from offpcc.algorithms.sac import SAC
from offpcc.algorithms.td3 import TD3
from offpcc.algorithms.td3_bc import TD3BC
from offpcc.algorithms.tqc import TQC

__all__ = [
    "A2C",
    "AMP",
    "COPG",
    "DDPG",
    "DSAC",
    "PPG",
    "PPO",
    "REDQ",
    "SAC",
    "TD3",
    "TD3BC",
    "TQC",
    "ActorCritic",
    "Agent",
    "Learner",
    "OffPolicy",
    "OnPolicy",
    "Policy",
    "PolicyWrapper",
]
