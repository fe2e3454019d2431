"""Uniform actions, by which an agent explores before it learns."""

from collections.abc import Sequence

import numpy as np

from offpcc.data import AgentSpec
from offpcc.envs.actions import one_hot
from offpcc.training.trajectory import Trajectory


def uniform_actions(
    random: np.random.Generator,
    spec: AgentSpec,
    trajectories: Sequence[Trajectory],
    legal: np.ndarray | None,
    repeat: int,
) -> np.ndarray:
    """Actions (n, A) in [-1, 1], or choices, for each copy's episode in progress.

    legal: which choices are (n, A); None: all. Each action is repeated for `repeat` steps of an
    episode, while it is legal.
    """
    actions = random.uniform(-1, 1, (len(trajectories), spec.action)).astype(np.float32)
    if spec.choices:
        actions = one_hot(actions, spec.choices, legal)
    for copy, trajectory in enumerate(trajectories):
        if len(trajectory) % repeat and trajectory.action:
            last = trajectory.action[-1]
            if legal is None or legal[copy][last > 0].all():
                actions[copy] = last
    return actions
