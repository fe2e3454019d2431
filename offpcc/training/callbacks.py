"""Callbacks: code of the user's that looks at a training as it goes on, and may stop it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from offpcc.errors import CallbackError

if TYPE_CHECKING:
    from offpcc.training.evaluator import Score
    from offpcc.training.loop import Training


class Callback:
    """Is called after each step, episode and evaluation; override what you need.

    `training.stop(reason)` ends the run after the step, with a checkpoint and a last row. A
    callback draws no random numbers from torch's or numpy's global generators if the run is to be
    repeatable, and has no state in a checkpoint.
    """

    def on_step(self, training: Training) -> None:
        """After one step of every copy, and the updates that it is worth."""

    def on_episode(self, training: Training, score: Score) -> None:
        """After an episode of training; score: its return, length, success and reward terms."""

    def on_evaluation(self, training: Training, row: Mapping[str, float]) -> None:
        """After a row of progress.csv is written; row: its values by column."""


class StopAtReturn(Callback):
    """Stops once the mean return of an evaluation has reached a threshold, so many times in a row.

    Where there is no evaluation, the mean return of the training episodes since the last row
    counts. Raises ValueError for less than one time.
    """

    def __init__(self, threshold: float, times: int = 1) -> None:
        if times < 1:
            raise ValueError(f"StopAtReturn: times is {times}; it must be at least 1")
        self.threshold, self.times = threshold, times
        self._reached = 0

    def on_evaluation(self, training: Training, row: Mapping[str, float]) -> None:
        """See `Callback`."""
        found = row.get("test_return", row.get("train_return", float("-inf")))
        self._reached = self._reached + 1 if found >= self.threshold else 0
        if self._reached >= self.times:
            training.stop(f"return {found:.1f} has reached {self.threshold:g}")


class Trial(Protocol):
    """What a search tells a run, such as an `optuna.Trial`."""

    def report(self, value: float, step: int) -> None:
        """Takes a return at so many environment steps."""

    def should_prune(self) -> bool:
        """Whether the run is not worth going on."""


class Prune(Callback):
    """Reports each evaluation's mean return to a search, and stops when it says so.

    `pruned` then is true.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial, self.pruned = trial, False

    def on_evaluation(self, training: Training, row: Mapping[str, float]) -> None:
        """See `Callback`."""
        if "test_return" not in row:
            return
        self.trial.report(row["test_return"], int(row["env_steps"]))
        if self.trial.should_prune():
            self.pruned = True
            training.stop("pruned by the search")


def notify(callbacks: Iterable[Callback], event: str, *arguments: Any) -> None:
    """Calls a method of each. Raises CallbackError for whatever one of them raises."""
    for callback in callbacks:
        try:
            getattr(callback, event)(*arguments)
        except Exception as error:  # other people's code may raise anything
            line = " ".join(f"{type(error).__name__}: {error}".split())
            raise CallbackError(f"{type(callback).__name__}.{event} raised {line}") from error


def check_callbacks(callbacks: Iterable[Any]) -> tuple[Callback, ...]:
    """The callbacks. Raises TypeError for what is none, and for a single one without a list."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"callbacks is {callbacks!r}; it is a list, as [{type(callbacks).__name__}()]"
        )
    found = tuple(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks has {callback!r}; each is an instance of offpcc.Callback")
    return found
