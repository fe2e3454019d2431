"""Baselines: Stable-Baselines3's algorithms, trained and scored as our own are.

Their replay, rollouts and updates are theirs, untouched; environments, starts, evaluation, rows and
checkpoints are ours. Needs the extra `sb3`, which is imported when a baseline is made.
"""

from offpcc.baselines.baseline import Baseline
from offpcc.baselines.sb3_algorithms import (
    SB3DDPG,
    SB3PPO,
    SB3SAC,
    SB3TD3,
    SB3TQC,
    SB3OffPolicy,
    SB3RecurrentPPO,
)

__all__ = [
    "SB3DDPG",
    "SB3PPO",
    "SB3SAC",
    "SB3TD3",
    "SB3TQC",
    "Baseline",
    "SB3OffPolicy",
    "SB3RecurrentPPO",
]
