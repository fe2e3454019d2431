"""Baseline: a Stable-Baselines3 model in the place of an algorithm of ours."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from offpcc.algorithms import Learner, Policy
from offpcc.algorithms.core.agent import UpdateOutput
from offpcc.config.ranges import (
    LearningRate,
    PositiveFloat,
    PositiveInt,
    Size,
    UnitFloat,
    check_fields,
)
from offpcc.data import AgentSpec, Observation
from offpcc.errors import ConfigError, DivergedError
from offpcc.replay.batch import Batch

MOMENTS = ("mean", "var", "count")


@dataclass
class Baseline(Learner):
    """Settings that mean the same have the names that they have in our own algorithms.

    Raises ConfigError where Stable-Baselines3 is not installed, ValueError for what it does not
    serve.
    """

    spec: AgentSpec
    _: KW_ONLY
    seed: int = 0
    device: str = "cpu"
    num_envs: PositiveInt = 1  # environments stepped side by side
    keys: Sequence[str] = ()  # which of the observation it reads; none: all
    hidden_sizes: Sequence[Size] = (256, 256)
    discount: UnitFloat = 0.99  # γ
    learning_rate: LearningRate = 3e-4
    anneal_learning_rate: bool = False  # the rate falls to zero, linearly, by the training's end
    reward_scale: PositiveFloat = 1.0  # it learns from rewards times this; scores stay as they are
    normalize_observations: bool = False  # observations, by its VecNormalize
    normalize_rewards: bool = (
        False  # by the running deviation of their discounted sums, by the same
    )

    packages: ClassVar[tuple[str, ...]] = ("stable-baselines3", "sb3-contrib")
    logged: ClassVar[dict[str, tuple[str, float]]] = {}  # column: its name there, a factor

    def __post_init__(self) -> None:
        check_fields(self)
        try:
            from offpcc.baselines.sb3_policy import SB3Normalizer, policy_of
            from offpcc.baselines.sb3_vec_env import SB3VecEnv
        except ImportError as error:
            raise ConfigError(
                f"baselines need Stable-Baselines3, and {error.name} is not installed: "
                "pip install stable-baselines3 sb3-contrib"
            ) from error
        self.spec = self._read()
        self.vec_env = SB3VecEnv(self.spec, self.num_envs, self.reward_scale)
        self.envs = self._normalised()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.model = self.make_model()
        self._normalizer = SB3Normalizer(self.spec, self.normalize_observations)
        self._policy = policy_of(self.model, self._normalizer, self.spec.choices)
        self._bad = torch.zeros((), dtype=torch.int64)

    def _read(self) -> AgentSpec:
        """The spec with the keys that it reads alone; the models know no action mask."""
        known = self.spec.without_privileged().without_action_mask()
        if unknown := [key for key in self.keys if key not in known.observation]:
            raise ValueError(f"keys names {unknown}; an actor may read {list(known.observation)}")
        kept = self.keys or known.observation
        return replace(known, observation={key: known.observation[key] for key in kept})

    def _normalised(self) -> Any:
        """What the model steps: the vec_env, behind a VecNormalize if that is asked for."""
        if not (self.normalize_observations or self.normalize_rewards):
            return self.vec_env
        from stable_baselines3.common.vec_env import VecNormalize

        if self.normalize_observations and any(
            f.is_picture for f in self.spec.observation.values()
        ):
            raise ValueError(
                "normalize_observations is for numbers; a baseline that sees pictures has none"
            )
        return VecNormalize(
            self.vec_env,
            norm_obs=self.normalize_observations,
            norm_reward=self.normalize_rewards,
            gamma=self.discount,
        )

    def kind_of_policy(self, memory: str = "") -> str:
        """What Stable-Baselines3 calls a policy that reads what the vec_env shows."""
        plain = self.vec_env.observation_space.shape is not None
        return f"{'Mlp' if plain else 'MultiInput'}{memory}Policy"

    @property
    def _moments(self) -> Any:
        """The VecNormalize, or None."""
        return None if self.envs is self.vec_env else self.envs

    @abstractmethod
    def make_model(self) -> Any:
        """Stable-Baselines3's own, on `environments`."""

    @abstractmethod
    def collect(self, callback: Any, uniform: bool) -> None:
        """Lets the model play as long as it does before it learns."""

    @abstractmethod
    def learn(self) -> None:
        """Lets the model learn, once."""

    @abstractmethod
    def owed(self, steps: int) -> float:
        """How often it learns for so many new steps."""

    def schedule(self, left: float) -> float:
        """The rate, by the share of the training that is left."""
        return self.learning_rate * left if self.anneal_learning_rate else self.learning_rate

    @property
    def policy(self) -> Policy:  # type: ignore[override]
        """The acting network, with the moments as they are now."""
        if self.normalize_observations:
            moments = self._moments.obs_rms
            self._normalizer.scale(moments.mean, moments.var)
        return self._policy

    @property
    def consecutive_nonfinite(self) -> Tensor:
        """See `Learner`; it does not leave them out."""
        return self._bad

    def update(self, batch: Batch) -> UpdateOutput:
        """Learns from what the model has kept itself."""
        self.model._current_progress_remaining = 1 - self.progress
        values = self.model.logger.name_to_value
        values.clear()
        with self.watched():
            self.learn()
        found = {
            column: torch.tensor(factor * float(values[name]))
            for column, (name, factor) in self.logged.items()
            if name in values
        }
        sound = all(value.isfinite() for value in found.values())
        self._bad = torch.zeros_like(self._bad) if sound else self._bad + 1
        return UpdateOutput(found)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, what a model complains of once it is no longer finite is a DivergedError."""
        try:
            yield
        except ValueError as error:
            parts = [part for part in self.parts().values() if isinstance(part, nn.Module)]
            if all(weight.isfinite().all() for part in parts for weight in part.parameters()):
                raise
            name = type(self).__name__
            raise DivergedError(
                f"{name} has weights that are not finite; lower learning_rate"
            ) from error

    def observe(self, observation: Observation) -> None:
        """Nothing: a VecNormalize looks for itself."""

    def parts(self) -> dict[str, Any]:
        """The model's networks and optimisers, by its own names."""
        return {name: attrgetter(name)(self.model) for name in self._names()[0]}

    def _names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Its modules and optimisers, and its tensors beside them."""
        modules, tensors = self.model._get_torch_save_params()
        return modules, tensors

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers, moments and the global generators, which the model draws from."""
        kind, keys, *rest = np.random.get_state()
        moments = self._moments
        running = {n: getattr(moments, f"{n}_rms", None) for n in ("obs", "ret")}
        return {
            "modules": {name: part.state_dict() for name, part in self.parts().items()},
            "tensors": {n: attrgetter(n)(self.model).detach().clone() for n in self._names()[1]},
            "updates": int(self.model._n_updates),
            "moments": {
                f"{name}/{what}": torch.as_tensor(np.asarray(getattr(each, what)))
                for name, each in running.items()
                for what in MOMENTS
                if each is not None
            },
            "torch": torch.get_rng_state(),
            "numpy": (str(kind), torch.from_numpy(np.array(keys, np.int64)), *map(_plain, rest)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        for name, part in self.parts().items():
            part.load_state_dict(state["modules"][name])
        for name, value in state["tensors"].items():
            attrgetter(name)(self.model).data.copy_(value)
        self.model._n_updates = state["updates"]
        self._load_moments(state["moments"])
        torch.set_rng_state(state["torch"])
        kind, keys, *rest = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))

    def _load_moments(self, kept: Mapping[str, Tensor]) -> None:
        for name, value in kept.items():
            each, what = name.split("/")
            setattr(getattr(self._moments, f"{each}_rms"), what, value.numpy()[()])


def _plain(number: Any) -> float | int:
    return number.item() if isinstance(number, np.generic) else number
