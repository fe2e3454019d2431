"""Callbacks: when they are called, what they can stop, and what happens when they raise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_loop import made, rows

from offpcc.errors import CallbackError
from offpcc.training.callbacks import Callback, Prune, StopAtReturn, check_callbacks
from offpcc.training.evaluator import Score
from offpcc.training.loop import Training


class Diary(Callback):
    """Writes down what it sees."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.updates: list[int] = []
        self.scores: list[Score] = []
        self.rows: list[Mapping[str, float]] = []

    def on_step(self, training: Training) -> None:
        self.steps.append(training.collector.steps)
        self.updates.append(training.updates)

    def on_episode(self, training: Training, score: Score) -> None:
        self.scores.append(score)

    def on_evaluation(self, training: Training, row: Mapping[str, float]) -> None:
        self.rows.append(row)


def test_steps_episodes_and_evaluations_are_told_of_in_their_order(tmp_path) -> None:
    diary = Diary()
    training = made(tmp_path, callbacks=[diary])
    training.run()
    assert diary.steps == list(range(1, 61))
    assert diary.updates == [max(step - 15, 0) for step in diary.steps]  # a step's own are made
    assert len(diary.scores) == training.episodes > 0
    assert [row["env_steps"] for row in diary.rows] == [20, 40, 60]
    assert all("test_return" in row for row in diary.rows)


def test_a_callback_that_only_looks_changes_no_row(tmp_path) -> None:
    for name, callbacks in (("with", [Diary()]), ("without", [])):
        made(tmp_path / name, callbacks=callbacks).run()
    assert rows(tmp_path / "with") == rows(tmp_path / "without")


class StopAt(Callback):
    """Stops at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, training: Training) -> None:
        if training.collector.steps == self.step:
            training.stop("enough")


@pytest.mark.parametrize("step", [7, 25, 40])
def test_a_stopped_run_ends_after_the_step_with_a_row_of_its_own(tmp_path, step) -> None:
    training = made(tmp_path, callbacks=[StopAt(step)])
    training.run()  # at 7, without an update, which is no fault then
    assert training.collector.steps == step and training.stop_reason == "enough"
    assert [int(row["env_steps"]) for row in rows(tmp_path)] == [*range(20, step, 20), step]


def test_a_return_that_is_reached_so_many_times_in_a_row_stops_a_run() -> None:
    class Stopped:
        reason = ""

        def stop(self, reason: str) -> None:
            self.reason = reason

    training: Any = Stopped()
    callback = StopAtReturn(5.0, times=2)
    for found in (6.0, 4.0, 5.0):
        callback.on_evaluation(training, {"test_return": found, "train_return": 9.0})
        assert not training.reason
    callback.on_evaluation(training, {"train_return": 5.0})  # there was no evaluation
    assert training.reason == "return 5.0 has reached 5"
    with pytest.raises(ValueError, match="times is 0; it must be at least 1"):
        StopAtReturn(1.0, times=0)


class Search:
    """A search that prunes after its second report."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, int]] = []

    def report(self, value: float, step: int) -> None:
        self.reports.append((value, step))

    def should_prune(self) -> bool:
        return len(self.reports) == 2


def test_a_search_gets_each_evaluation_and_may_prune(tmp_path) -> None:
    search = Search()
    prune = Prune(search)
    made(tmp_path, callbacks=[prune]).run()
    assert prune.pruned
    assert search.reports == [
        (float(row["test_return"]), int(row["env_steps"])) for row in rows(tmp_path)
    ]
    assert [step for _, step in search.reports] == [20, 40]


@pytest.mark.parametrize("event", ["on_step", "on_episode", "on_evaluation"])
def test_a_callback_that_raises_ends_the_run_with_a_line_and_a_checkpoint(tmp_path, event) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("no\nluck")

    callback = type("Unlucky", (Callback,), {event: fail})()
    training = made(tmp_path, callbacks=[callback])
    saved: list[int] = []
    training.save = lambda: saved.append(training.collector.steps)  # type: ignore[method-assign]
    with pytest.raises(CallbackError, match=rf"^Unlucky.{event} raised RuntimeError: no luck$"):
        training.run()
    assert saved[-1] == training.collector.steps


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(TypeError, match="callbacks has 3; each is an instance of offpcc"):
        check_callbacks([Callback(), 3])


def test_a_callback_without_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match=r"it is a list, as \[Callback\(\)\]"):
        check_callbacks(Callback())  # type: ignore[arg-type]


def test_a_run_goes_on_after_a_callback_raised_as_if_it_had_not(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    whole.run()

    class Once(Callback):
        def on_episode(self, training: Training, score: Score) -> None:
            if training.collector.steps > 30:
                raise RuntimeError

    broken = made(tmp_path / "broken", callbacks=[Once()])
    with pytest.raises(CallbackError):
        broken.run()
    again = made(tmp_path / "broken")
    again.replay.extend(broken.replay.chunk(0))
    again.restore(broken.parts())
    again.run()
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
