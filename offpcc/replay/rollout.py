"""Rollout: the newest stretches, learned from by the policy that played them, then forgotten."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.config.ranges import PositiveInt, UnitFloat, check_fields
from offpcc.data import AgentSpec, Batch, Episode
from offpcc.replay.base import Replay


@dataclass
class Rollout(Replay):
    """Collects `rollout_steps` steps of every copy, and yields all of them as one batch of windows.

    A window starts from the acting state that was stored there, and a stretch's windows follow
    each other. Beside what the agent noted, the batch's notes have `last`, 1 at the last step of
    a stretch, and `discounted`, the sum Σ γ^k r_{t-k} of the episode so far.

    Raises ValueError for settings that cannot work.
    """

    spec: AgentSpec
    state_size: int = 0  # S of the states that stretches bring along
    _: KW_ONLY
    rollout_steps: PositiveInt = 2_048  # of every copy, in a rollout
    num_envs: PositiveInt = 1
    sequence_length: PositiveInt | None = 1  # T, steps of a window; None: whole stretches
    discount: UnitFloat = 0.99  # γ of the sums
    shortest: PositiveInt = 1  # steps; a shorter episode is left out
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        self._held: list[Episode] = []
        self._earned = [0.0] * self.num_envs  # each copy's discounted sum so far

    def add(self, episode: Episode) -> None:
        """Takes one stretch in, or the rest of an episode."""
        self._held.append(episode)

    def batches(self, steps: int) -> Iterator[Batch]:
        """One batch when the rollout is complete."""
        if sum(map(len, self._held)) < self.rollout_steps * self.num_envs:
            return
        stretches, self._held = self._held, []
        sums = [self._discounted(stretch) for stretch in stretches]
        long = [
            (stretch, sum_)
            for stretch, sum_ in zip(stretches, sums, strict=True)
            if not stretch.ended or stretch.steps_before + len(stretch) >= self.shortest
        ]
        if long:
            yield self._windows(*zip(*long, strict=True))

    @property
    def lack(self) -> str:
        """See `Replay`."""
        return f"a rollout is {self.rollout_steps:_} steps of each copy (rollout_steps)"

    def _discounted(self, stretch: Episode) -> np.ndarray:
        """Σ γ^k r_{t-k} (L,) of an episode so far, going on where the copy's last stretch ended."""
        total = self._earned[stretch.copy] if stretch.steps_before else 0.0
        sums = np.empty(len(stretch), np.float32)
        for step, reward in enumerate(stretch.reward.tolist()):
            sums[step] = total = self.discount * total + reward
        self._earned[stretch.copy] = total
        return sums

    def _windows(self, stretches: Sequence[Episode], sums: Sequence[np.ndarray]) -> Batch:
        """All windows of the stretches, in the order of their steps."""
        lengths = np.array([len(stretch) for stretch in stretches])
        width = min(self.sequence_length or lengths.max(), lengths.max())
        windows = -(-lengths // width)  # of each stretch
        owner = np.repeat(np.arange(len(stretches)), windows)
        first = width * (np.arange(len(owner)) - np.repeat(windows.cumsum() - windows, windows))
        length, start = lengths[owner, None], (lengths.cumsum() - lengths)[owner, None]
        column = first[:, None] + np.arange(width + 1)
        step = start + np.minimum(column[:, :-1], length - 1)
        seen = start + owner[:, None] + np.minimum(column, length)  # one more a stretch before it
        mask = column[:, :-1] < length
        last = (column[:, :-1] == length - 1).astype(np.float32)
        ended = np.array([stretch.terminated for stretch in stretches], np.float32)

        def joined(values: Sequence[np.ndarray], index: np.ndarray) -> Tensor:
            return torch.from_numpy(np.concatenate(values)[index])

        noted = {name: [s.notes[name] for s in stretches] for name in stretches[0].notes}
        notes = {name: joined(v, step) for name, v in (noted | {"discounted": sums}).items()}
        return Batch(
            observation={
                key: joined([stretch.observation[key] for stretch in stretches], seen)
                for key in self.spec.observation
            },
            action=joined([stretch.action for stretch in stretches], step),
            reward=joined([stretch.reward for stretch in stretches], step),
            terminated=torch.from_numpy(last * ended[owner, None]),
            mask=torch.from_numpy(mask.astype(np.float32)),
            state=joined([stretch.state for stretch in stretches], step[:, 0]),
            burn_in=torch.zeros(len(owner), dtype=torch.int64),
            notes=notes | {"last": torch.from_numpy(last)},
        )

    @property
    def nbytes(self) -> int:
        """Memory of a complete rollout, bytes."""
        seen = sum(f.size * np.dtype(f.dtype).itemsize for f in self.spec.observation.values())
        return (
            self.rollout_steps
            * self.num_envs
            * (seen + 4 * (self.spec.action + self.state_size + 4))
        )

    @property
    def episodes(self) -> range:
        """None are kept beyond the rollout under way, which `state_dict` holds."""
        return range(0)

    def chunk(self, since: int) -> dict[str, Tensor]:
        """Nothing: see `episodes`."""
        return {}

    def extend(self, chunk: dict[str, Tensor]) -> None:
        """Nothing: see `episodes`."""

    def state_dict(self) -> dict[str, Any]:
        """The rollout under way."""
        return {"held": [_plain(stretch) for stretch in self._held], "earned": list(self._earned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._held = [_episode(plain) for plain in state["held"]]
        self._earned = list(state["earned"])


def _plain(stretch: Episode) -> dict[str, Any]:
    """A stretch as tensors and plain numbers."""
    return {f.name: _tensors(getattr(stretch, f.name)) for f in fields(stretch)}


def _tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: torch.from_numpy(part) for name, part in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _episode(plain: dict[str, Any]) -> Episode:
    """The way back."""
    return Episode(**{name: _arrays(value) for name, value in plain.items()})


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: part.numpy() for name, part in value.items()}
    return value.numpy() if isinstance(value, Tensor) else value
