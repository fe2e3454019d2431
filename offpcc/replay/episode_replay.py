"""Episode replay: episodes in rings of steps, learned from whole or as windows."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from offpcc.config.limits import LONG_EPISODE
from offpcc.config.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    UnitFloat,
    check_fields,
)
from offpcc.data import AgentSpec, Episode, Field
from offpcc.replay.base import Replay
from offpcc.replay.batch import Batch
from offpcc.replay.episode_filter import FilteredEpisodes
from offpcc.replay.index import Table
from offpcc.replay.priorities import Priorities
from offpcc.replay.ring import Ring


@dataclass
class EpisodeReplay(Replay):
    """Stores the newest `buffer_size` steps by episode; yields `replay_ratio` batches a step.

    An episode in progress grows in place, and is learned from as it grows; it is split at 2,000
    steps, or an eighth of the buffer, so that its beginning can be saved and dropped.

    A whole episode is drawn uniformly; a window is drawn by its first learned step s in
    -(T-1) … L-1, and learns the steps s … s+T-1 that exist, so that every stored step is learned
    from equally often, unless draws go by `priority_alpha`.

    With an `episode_filter`, an episode in progress waits until it is over.

    Raises ValueError for settings that cannot work, and for an episode longer than the buffer.
    """

    spec: AgentSpec
    state_size: int = 0  # S of the states that episodes bring along
    _: KW_ONLY
    buffer_size: PositiveInt = 1_000_000  # steps
    batch_size: PositiveInt = 256  # B
    sequence_length: PositiveInt | None = 1  # T, steps a window learns from; None: whole episodes
    burn_in: NonNegativeInt = 0  # steps before the window that warm the memory, without gradient
    store_states: NonNegativeInt = (
        0  # keeps the acting state of every k-th step; 0: none, rows begin at zero
    )
    replay_ratio: NonNegativeFloat = 1.0  # batches a new environment step
    priority_alpha: NonNegativeFloat = (
        0.0  # α: draws go by the critic's errors to this power; 0: all alike
    )
    priority_beta: NonNegativeFloat = 0.6  # β: how far the losses' weights make up for that
    priority_eta: UnitFloat = (
        0.9  # η: of a window's largest error in its priority, beside their mean
    )
    episode_filter: Callable[[Episode], bool] | None = None  # whether one that is over is stored
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.state_size:  # without memory there is nothing to warm
            self.burn_in = self.store_states = 0
        self._every = self.store_states or self.buffer_size  # steps a stored state
        size = self.state_size if self.store_states else 0
        states = self.buffer_size // self._every + 1
        numbers = {"action": Field((self.spec.action,)), "reward": Field(())}
        self._observations = Ring(self.spec.observation, self.buffer_size + self.buffer_size // 8)
        self._steps = Ring(numbers, self.buffer_size)
        self._states = Ring({"state": Field((size,))}, states)
        self._table = Table("length", "terminated", "observation", "step", "state", "weight")
        self._open: tuple[int, int] | None = None  # copy and step at which the newest goes on
        self._priorities: Priorities | None = None
        if self.priority_alpha:
            self._priorities = Priorities(
                self.priority_alpha, self.priority_beta, self.priority_eta
            )
        self._drawn = np.zeros(0, np.int64)  # places of the last batch
        self._random = np.random.default_rng(self.seed)
        self._owed = 0.0
        self._filtered = FilteredEpisodes(self.episode_filter) if self.episode_filter else None

    def __len__(self) -> int:
        """How many steps are stored."""
        return self._steps.live

    @property
    def nbytes(self) -> int:
        """Memory of its steps once it is full, bytes; some more a stored episode is not counted."""
        rings = (self._observations, self._steps, self._states)
        return sum(array.nbytes for ring in rings for array in ring.arrays.values())

    @property
    def episodes(self) -> range:
        """The numbers of the stored episodes that are over, counted from the run's first."""
        live = self._table.live
        return live[:-1] if self._open else live

    def add(self, episode: Episode) -> None:
        """Stores L steps, an episode or its next segment; the oldest ones make room."""
        for each in self._filtered.add(episode) if self._filtered else [episode]:
            self._append(each)

    def _append(self, episode: Episode) -> None:
        goes_on = self._open == (episode.env_index, episode.steps_before)
        before = int(self._table["length"][-1]) if goes_on else 0
        if before + len(episode) > min(self.buffer_size // 8, LONG_EPISODE):
            before = 0
        kept = episode.state[-before % self._every :: self._every]
        states = {"state": kept[:, : self._states.arrays["state"].shape[1]]}
        steps = {"action": episode.action, "reward": episode.reward}
        self._store(episode.observation, steps, states, episode.terminated, goes_on=before > 0)
        reached = episode.env_index, episode.steps_before + len(episode)
        self._open = None if episode.ended else reached

    def _store(
        self,
        observation: dict[str, np.ndarray],
        steps: dict[str, np.ndarray],
        states: dict[str, np.ndarray],
        terminated: bool,
        goes_on: bool = False,
    ) -> None:
        """Adds L steps as an episode, or to the newest, where their first observation is its last.

        Raises ValueError where they do not fit.
        """
        length, known = len(steps["reward"]), int(goes_on)
        if length > self.buffer_size:
            raise ValueError(
                f"an episode of {length} steps does not fit a buffer of {self.buffer_size} steps; "
                "raise EpisodeReplay.buffer_size"
            )
        while len(self) + length > self.buffer_size:
            self._drop_oldest()
        seen = {key: values[known:] for key, values in observation.items()}
        begins = {
            "observation": self._observations.append(seen, length + 1 - known),
            "step": self._steps.append(steps, length),
            "state": self._states.append(states, len(states["state"])),
        }
        if goes_on:
            weight = 0 if self.sequence_length is None else length
            self._table.add_to_newest(terminated=terminated, length=length, weight=weight)
        else:
            weight = 1 if self.sequence_length is None else length + self.sequence_length - 1
            self._table.append(terminated=terminated, length=length, weight=weight, **begins)
        if self._priorities is not None:
            self._priorities.append(weight)

    def _drop_oldest(self) -> None:
        length = int(self._table["length"][0])
        self._observations.free(length + 1)
        self._steps.free(length)
        self._states.free(-(-length // self._every))
        if self._priorities is not None:
            self._priorities.drop(int(self._table["weight"][0]))
        self._table.drop_oldest()

    def batches(self, steps: int) -> Iterator[Batch]:
        """`replay_ratio` batches a step; a fraction is owed later, all while nothing is stored.

        With an `episode_filter`, what falls due while nothing is stored is not made up.
        """
        self._owed += self.replay_ratio * steps
        if self._filtered and not len(self):
            self._owed = 0.0
        while self._owed >= 1 and len(self):
            self._owed -= 1
            yield self.sample()

    @property
    def lack(self) -> str:
        """See `Replay`."""
        if len(self):
            return f"replay_ratio is {self.replay_ratio}"
        if self._filtered and self._filtered.refused:
            return f"the episode_filter has refused all of {self._filtered.refused:_} episodes"
        return "no episode has ended"

    def sample(self) -> Batch:
        """B draws, as one batch; the cost hardly depends on the buffer's size.

        By priority, the batch has a weight for each step's loss.
        """
        drawn = self._table if self._priorities is None else self._priorities
        self._drawn = drawn.draw(self._random, self.batch_size)
        row, offset = self._table.rows(self._drawn)
        length = self._table["length"][row]
        if self.sequence_length is None:
            first, last = np.zeros_like(length), length
        else:
            start = offset - (self.sequence_length - 1)  # s
            first, last = np.maximum(start, 0), np.minimum(start + self.sequence_length, length)
        batch = self._gather(row, first, last)
        if self._priorities is not None:
            weight = torch.from_numpy(self._priorities.weights(self._drawn))
            batch = replace(batch, weight=weight.unsqueeze(1).expand_as(batch.mask))
        return batch

    def update_priorities(self, batch: Batch, td_error: Tensor) -> None:
        """Draws the windows of the last batch by these errors (B, T) from now on."""
        if self._priorities is not None:
            self._priorities.update(self._drawn, td_error.cpu().numpy(), batch.mask.cpu().numpy())

    def _gather(self, row: np.ndarray, first: np.ndarray, last: np.ndarray) -> Batch:
        """Windows over the steps first … last-1 of the episodes in these rows of the table."""
        table = self._table
        begin = np.maximum(first - self.burn_in, 0)
        if self.store_states:
            begin -= begin % self._every
        burn_in = first - begin
        before = begin[:, None] + np.arange(burn_in.max())
        window = first[:, None] + np.arange((last - first).max() + 1)
        columns = np.minimum(np.concatenate((before, window), 1), last[:, None])
        step = np.minimum(window[:, :-1], last[:, None] - 1)
        observation = self._observations.take(table["observation"][row, None] + columns)
        numbers = self._steps.take(table["step"][row, None] + step)
        mask = window[:, :-1] < last[:, None]
        ends = table["terminated"][row, None] & (step == table["length"][row, None] - 1) & mask
        state = np.zeros((len(row), self.state_size), np.float32)
        if self.store_states:
            state = self._states.take(table["state"][row] + begin // self._every)["state"]
        return Batch(
            observation={k: torch.from_numpy(v) for k, v in observation.items()},
            action=torch.from_numpy(numbers["action"]),
            reward=torch.from_numpy(numbers["reward"]),
            terminated=torch.from_numpy(ends.astype(np.float32)),
            mask=torch.from_numpy(mask.astype(np.float32)),
            state=torch.from_numpy(state),
            burn_in=torch.from_numpy(burn_in),
        )

    def state_dict(self) -> dict[str, Any]:
        """The sampling generator, what is owed, the oldest's number, the episode under way."""
        random = self._random.bit_generator.state
        state = {"random": random, "owed": self._owed, "first": self.episodes.start}
        if self._open:
            state |= {"open": self._open, "growing": self._packed(self._table.live[-1:])}
        if self._priorities is not None:
            state["priorities"] = self._priorities.state_dict()
        if self._filtered is not None:
            state["filtered"] = self._filtered.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._random.bit_generator.state, self._owed = state["random"], state["owed"]
        if "open" in state:
            self.extend(state["growing"])
            self._open = state["open"]
        self._table.number_from(state["first"])  # what grows may have driven out the oldest
        if self._priorities is not None:
            self._priorities.load_state_dict(state["priorities"])
        if self._filtered is not None:
            self._filtered.load_state_dict(state["filtered"])

    def chunk(self, since: int) -> dict[str, Tensor]:
        """Episodes `since` and later that are over."""
        over = self.episodes
        return self._packed(over[max(since - over.start, 0) :])

    def _packed(self, numbers: range) -> dict[str, Tensor]:
        """The lengths and ends of the episodes with these numbers, then their rows, end to end."""
        live, table = self._table.live, self._table
        rows = slice(numbers.start - live.start, numbers.stop - live.start)
        parts = {name: table[name][rows] for name in ("length", "terminated")}
        rings = (
            ("observation", self._observations),
            ("step", self._steps),
            ("state", self._states),
        )
        for column, ring in rings:
            bounds = np.append(table[column], ring.written)
            taken = ring.take(np.arange(bounds[rows.start], bounds[rows.stop]))
            parts |= {f"{column}/{name}": values for name, values in taken.items()}
        return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in parts.items()}

    def extend(self, chunk: dict[str, Tensor]) -> None:
        """Stores the episodes of a chunk."""
        length = chunk["length"].numpy()
        rows = {"observation": length + 1, "step": length, "state": -(-length // self._every)}
        pieces: dict[str, dict[str, list[np.ndarray]]] = {column: {} for column in rows}
        for name, values in chunk.items():
            column, _, key = name.partition("/")
            if key:
                pieces[column][key] = np.split(values.numpy(), np.cumsum(rows[column])[:-1])
        for i, ended in enumerate(chunk["terminated"].tolist()):
            observation, steps, states = (
                {key: parts[i] for key, parts in pieces[column].items()} for column in rows
            )
            self._store(observation, steps, states, bool(ended))
