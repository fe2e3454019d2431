"""Guard: the context of every call into an environment; what fails there names the place."""

from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from offpcc.envs.values import SpaceError, shortened
from offpcc.errors import CallTimeout, EnvironmentFault
from offpcc.processes import heartbeat
from offpcc.processes.notices import say_once

CALLS = ("constructor", "reset", "step", "render", "close")
UNKNOWN = -1  # to the heartbeat
LAST = 3  # actions that a fault tells of
Value = TypeVar("Value")


class Guard:
    """Calls into n copies of an environment: `with guard.step:` around each, one call at a time.

    It knows of each copy which episode it plays, from which seed, at which step and after which
    actions, so that a fault says how to bring it about again. Inside a call whatever is raised,
    SystemExit too, becomes an EnvironmentFault.
    """

    def __init__(self, copies: int = 1, first: int = 0) -> None:
        """first: the number of the first copy."""
        self.first = first
        self.seeds: list[int | None] = [None] * copies
        self.episodes = [-1] * copies  # the number of the one under way, counted from 0
        self.steps = [0] * copies  # of the episode under way
        self.actions: deque[Sequence[Any] | np.ndarray] = deque(
            maxlen=LAST
        )  # (n, …) each, the latest
        self.closed = False
        self.constructor, self.reset, self.step, self.render, self.close = (
            Call(self, name) for name in CALLS
        )

    def begin(self, copy: int, seed: int | None, episode: int | None = None) -> None:
        """An episode begins; episode: its number, the next one if it is left out."""
        self.seeds[copy], self.steps[copy] = seed, 0
        self.episodes[copy] = self.episodes[copy] + 1 if episode is None else episode

    def take(self, actions: Sequence[Any] | np.ndarray) -> None:
        """A step begins, with these actions (n, …) in the environment's own units."""
        self.actions.append(actions)
        self.steps = [step + 1 for step in self.steps]

    def read(self, how: Callable[..., Value], *value: Any) -> Value:
        """What `how` makes of a value. Raises EnvironmentFault for a SpaceError."""
        try:
            return how(*value)
        except SpaceError as error:
            raise self.fault(str(error), error.row) from error

    def close_quietly(self, close: Callable[[], object]) -> None:
        """Closes the environment, once. A fault costs a line and nothing else: all is done."""
        if self.closed:
            return
        self.closed = True
        try:
            with self.close:
                close()
        except EnvironmentFault as fault:
            say_once("close", f"{fault}; nothing is lost")

    def fault(self, text: str, copy: int | None = 0) -> EnvironmentFault:
        """The fault of one copy, or of all of them together (None), and where it came up."""
        if copy is None and len(self.seeds) > 1:
            last = self.first + len(self.seeds) - 1
            return EnvironmentFault(f"{text}; copies {self.first} to {last} together")
        copy = copy or 0
        where = f"copy {self.first + copy}"
        if self.episodes[copy] >= 0:
            where += f", episode {self.episodes[copy]} (seed {self.seeds[copy]})"
            where += f", step {self.steps[copy]}, last actions {self._last(copy)}"
        return EnvironmentFault(f"{text}; {where}")

    def _last(self, copy: int) -> str:
        """The latest actions of a copy's episode, the newest last."""
        count = min(self.steps[copy], len(self.actions))
        latest = list(self.actions)[len(self.actions) - count :]
        rounded = (np.round(np.asarray(actions[copy], float), 4).tolist() for actions in latest)
        return ", ".join(map(str, rounded)) or "none"


class Call:
    """A context in which one kind of call is made."""

    def __init__(self, guard: Guard, name: str) -> None:
        self.guard, self.name = guard, name

    def __enter__(self) -> None:
        guard = self.guard
        one = len(guard.seeds) == 1  # else it is all of them at once
        copy, seed = (guard.first, guard.seeds[0]) if one else (UNKNOWN, None)
        seed = UNKNOWN if seed is None else seed
        heartbeat.begin(self.name, copy, seed, guard.episodes[0], guard.steps[0])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        heartbeat.end()
        if isinstance(error, CallTimeout):
            raise self.guard.fault(str(error), copy=None) from error
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, EnvironmentFault):
            raised = shortened(repr(error))
            text = f"the environment raised {raised} in {self.name}"
            raise self.guard.fault(text, copy=None) from error
