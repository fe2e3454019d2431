"""What a person sees of a run: one line an epoch, or a bar on a terminal."""

import io
import sys

import pytest

from offpcc.training.tracking.progress import Progress

ROW = {
    "env_steps": 3000,
    "updates": 3000,
    "steps_per_second": 100.0,
    "train_return": -1.25,
    "train_return_se": 0.5,
    "test_return": 10.0,
    "test_return_se": 2.0,
    "test_success": 0.75,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_epoch_is_a_line_with_scores_rate_and_time_left(capsys):
    Progress(9000).write(ROW)
    assert capsys.readouterr().out == (
        "3000 / 9000 steps, train return -1.2 ± 0.5, test return 10.0 ± 2.0, success 0.75, "
        "100 steps/s, 60 s left\n"
    )


@pytest.mark.parametrize(
    ("steps", "result"), [(3000, "0 s"), (2000, "0 s"), (30_000, "4.5 min"), (1_003_000, "2.8 h")]
)
def test_time_left_is_in_the_unit_that_suits_it(capsys, steps, result):
    Progress(steps).write(ROW)
    assert capsys.readouterr().out.endswith(f"100 steps/s, {result} left\n")


def test_a_finished_run_that_is_resumed_has_made_its_updates(capsys):
    Progress(2000, start=2000).write(ROW | {"env_steps": 2000, "updates": 1000})
    assert capsys.readouterr().out.endswith(", 0 s left\n")


def test_no_time_left_is_told_before_the_first_update(capsys):
    progress = Progress(100_000, learning_starts=1000)
    progress.write(ROW | {"env_steps": 1000, "updates": 0, "steps_per_second": 6000.0})
    assert capsys.readouterr().out.endswith(", 6000 steps/s, no update yet\n")
    progress.write(ROW | {"env_steps": 2000, "updates": 0, "steps_per_second": 6000.0})
    assert capsys.readouterr().out.endswith("no update yet\n")  # the first episode is not over
    progress.write(ROW | {"env_steps": 3000, "updates": 1000})
    assert capsys.readouterr().out.endswith(", 100 steps/s, 16.2 min left\n")


def test_a_row_that_is_partly_warm_up_counts_the_steps_behind_it_alone(capsys):
    # 2,000 steps in 20 s, of which 500 came with updates: 7,000 more take 20 × 14 s.
    Progress(9000, start=0, learning_starts=1500).write(ROW | {"env_steps": 2000, "updates": 500})
    assert capsys.readouterr().out.endswith(", 100 steps/s, 4.7 min left\n")


def test_a_resumed_run_counts_from_where_it_goes_on(capsys):
    Progress(9000, start=2500, learning_starts=1500).write(ROW | {"env_steps": 3000})
    assert capsys.readouterr().out.endswith(", 100 steps/s, 60 s left\n")


def test_a_row_without_scores_is_told_too(capsys):
    Progress(6000).write({"env_steps": 3000, "updates": 1, "steps_per_second": 0.0})
    assert capsys.readouterr().out.startswith("3000 / 6000 steps, 0 steps/s, ")


def test_a_terminal_has_a_bar_that_begins_where_a_resumed_run_does(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress(4000, start=2000)
    progress.advance(1000)
    progress.write(ROW)
    progress.close()
    shown = sys.stderr.getvalue()
    assert "50%" in shown and "3000/4000" in shown and "test return 10.0 ± 2.0" in shown
    assert "10 s left" in shown and "<" not in shown  # the rows' own, and not tqdm's
    assert capsys.readouterr().out == ""


def test_without_a_terminal_there_is_no_bar(capsys):
    progress = Progress(4000)
    progress.advance(1000)
    progress.close()
    assert capsys.readouterr() == ("", "")
