"""Experience: a model's own collector and buffer, behind the interfaces of the training loop."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor

from offpcc.baselines.baseline import Baseline
from offpcc.data import Episode
from offpcc.envs.vector import VectorEnvAdapter
from offpcc.replay import Replay
from offpcc.replay.batch import Batch
from offpcc.training.experience_source import ExperienceSource

STORED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class SB3Collector(ExperienceSource):
    """Steps as many as the model plays before it learns: one of each copy, or a rollout.

    A resumed one begins new episodes, for models have no way back into those under way.
    """

    def __init__(self, baseline: Baseline, envs: VectorEnvAdapter, seed: int) -> None:
        self.baseline, self.vec_env, self.envs = baseline, baseline.vec_env, envs
        self.vec_env.envs, self.vec_env.seed_of_run = envs, seed
        self._callback: Any = None
        model = baseline.model
        model.set_logger(Logger(None, []))
        model.set_random_seed(seed % 2**32)

    def step(self, uniform: bool = False) -> list[Episode]:
        """See `ExperienceSource`."""
        model = self.baseline.model
        if self._callback is None:
            _, self._callback = model._setup_learn(1)
            model.num_timesteps = self.steps
        with self.baseline.watched():
            self.baseline.collect(self._callback, uniform)
        self.reward_terms = self.reward_terms if self.steps else self.vec_env.reward_terms
        self.steps = int(model.num_timesteps)
        finished, self.vec_env.finished = self.vec_env.finished, []
        return finished

    def state_dict(self) -> dict[str, Any]:
        """Counters."""
        return {
            "steps": self.steps,
            "numbers": list(self.vec_env.numbers),
            "reward_terms": self.reward_terms,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`; episodes under way are lost."""
        self.steps, self.reward_terms = state["steps"], tuple(state["reward_terms"])
        self.vec_env.numbers = list(state["numbers"])
        self.exact = not self.steps
        self.baseline.model.num_timesteps = self.steps


class SB3Buffer(Replay):
    """The model's replay buffer, if it has one; a batch stands for an update that is owed.

    Its rows, of one step of all copies each, take the place of episodes in checkpoints.
    """

    def __init__(self, baseline: Baseline) -> None:
        self.baseline, self.written, self._owed = baseline, 0, 0.0

    @property
    def _buffer(self) -> Any:
        """None for a rollout, which is forgotten once it is learned from."""
        return getattr(self.baseline.model, "replay_buffer", None)

    def add(self, episode: Episode) -> None:
        """Nothing: the model has stored its steps."""

    def batches(self, steps: int) -> Iterator[Batch]:
        """Empty ones: the model draws its own."""
        self._owed += self.baseline.owed(steps)
        while self._owed >= 1:
            self._owed -= 1
            nothing = torch.empty(0)
            yield Batch({}, nothing, nothing, nothing, nothing, nothing, nothing)

    @property
    def lack(self) -> str:
        """See `Replay`."""
        return "the baseline's rollout_steps are more, or its replay_ratio is 0"

    @property
    def nbytes(self) -> int:
        """See `Replay`."""
        held = vars(self._buffer or self.baseline.model.rollout_buffer).values()
        arrays = [a for part in held for a in (part.values() if isinstance(part, dict) else [part])]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    @property
    def episodes(self) -> range:
        """The rows that there are."""
        if self._buffer is None:
            return range(0)
        written = self.baseline.model.num_timesteps // self.baseline.num_envs
        return range(max(0, written - self._buffer.buffer_size), written)

    def chunk(self, since: int) -> dict[str, Tensor]:
        """See `Replay`."""
        rows = np.arange(since - self.episodes.stop, 0) + self._buffer.pos  # the next one's place
        return {k: torch.from_numpy(v[rows]) for k, v in self._arrays().items()}

    def extend(self, chunk: dict[str, Tensor]) -> None:
        """See `Replay`."""
        buffer, count = self._buffer, len(chunk["rewards"])
        rows = (buffer.pos + np.arange(count)) % buffer.buffer_size
        for name, array in self._arrays().items():
            array[rows] = chunk[name].numpy()
        buffer.full = buffer.full or buffer.pos + count >= buffer.buffer_size
        buffer.pos = (buffer.pos + count) % buffer.buffer_size

    def _arrays(self) -> dict[str, np.ndarray]:
        """The buffer's arrays (rows, n, …) by name, an observation's keys each for itself."""
        found: dict[str, np.ndarray] = {}
        for name in STORED if self._buffer is not None else ():
            values = getattr(self._buffer, name)
            keyed = isinstance(values, dict)
            found |= {f"{name}/{k}": v for k, v in values.items()} if keyed else {name: values}
        return found

    def state_dict(self) -> dict[str, Any]:
        """What is owed."""
        return {"owed": self._owed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._owed = state["owed"]


def experience_of(
    baseline: Baseline, envs: VectorEnvAdapter, seed: int
) -> tuple[Replay, ExperienceSource]:
    """A baseline's own replay and its own play in these environments, in the places of ours."""
    return SB3Buffer(baseline), SB3Collector(baseline, envs, seed)
