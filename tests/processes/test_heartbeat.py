"""The heartbeat's page, and how long a call may be under way."""

import os

import pytest

from offpcc.processes import heartbeat
from offpcc.processes.heartbeat import (
    ANSWER,
    CLOSE,
    EXIT,
    HURRIED_ANSWER,
    HURRY,
    SIZE,
    TIMEOUT,
    Watch,
)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """A page that this process writes to."""
    page = bytearray(SIZE)
    monkeypatch.setattr(heartbeat, "_page", page)
    heartbeat.configure(TIMEOUT)
    return page


def verdicts(watch: Watch, seconds: float) -> list[tuple[int, str]]:
    """What is said in so many seconds, and after how many."""
    result = [(second, watch.observe(1.0)) for second in range(int(seconds) + 1)]
    return [(second, verdict) for second, verdict in result if verdict]


def overdue(call: str, watch: Watch) -> tuple[int, int]:
    """After how many seconds of a call the worker is asked, and how many more it is given."""
    heartbeat.begin(call, 0, 1, 2, 3)
    (asked, ask), (killed, kill), *_ = verdicts(watch, 100)
    assert (ask, kill) == ("ask", "kill")
    return asked, killed - asked


def test_a_call_is_read_as_it_was_noted_until_it_is_over(page):
    assert heartbeat.read(page) is None
    heartbeat.begin("reset", 3, 2**63 - 1, 2**40, 17)
    call = heartbeat.read(page)
    assert call and call.name == "reset"
    assert call.place == f"; copy 3, seed {2**63 - 1}, episode {2**40}, step 17"
    heartbeat.end()
    assert heartbeat.read(page) is None


def test_what_is_not_known_of_a_call_is_not_said(page):
    heartbeat.begin("constructor", -1, -1, -1, -1)
    call = heartbeat.read(page)
    assert call and call.place == ""
    heartbeat.begin("close", 0, -1, -1, -1)
    call = heartbeat.read(page)
    assert call and call.place == "; copy 0"


def test_the_end_is_marked_with_its_exit_code(page):
    assert heartbeat.finished(page) is None
    heartbeat.finish(0)
    assert heartbeat.finished(page) == 0


def test_a_new_page_has_the_time_out_that_is_documented():
    descriptor = heartbeat.create()
    page = bytearray(os.pread(descriptor, SIZE, 0))
    os.close(descriptor)
    assert len(page) == SIZE and heartbeat.finished(page) is None and not heartbeat.read(page)
    assert Watch(page)._limit_of(heartbeat.Call(1, 0, 0, 0, 0, heartbeat.CALLS.index("step"))) == 60


@pytest.mark.parametrize("call", ["constructor", "reset", "step", "render"])
def test_a_call_that_does_not_answer_is_overdue(page, call):
    watch = Watch(page)
    assert overdue(call, watch) == (TIMEOUT, ANSWER)
    said = f"the environment's {call} has not answered for 60 s; copy 0, seed 1, episode 2, step 3"
    assert watch.complaint == said


def test_close_and_the_end_of_the_process_have_limits_of_their_own(page):
    assert overdue("close", Watch(page)) == (CLOSE, ANSWER)
    assert overdue("exit", Watch(page)) == (EXIT, ANSWER)


def test_the_time_out_can_be_set_and_switched_off(page):
    heartbeat.configure(7)
    assert overdue("step", Watch(page)) == (7, ANSWER)
    heartbeat.configure(3)
    assert overdue("close", Watch(page)) == (3, ANSWER), "if it is shorter than close's own"
    for off in (None, 0):
        heartbeat.configure(off)
        for call in ("step", "close"):
            heartbeat.begin(call, 0, 1, 2, 3)
            assert verdicts(Watch(page), 1000) == []


def test_time_is_counted_for_one_and_the_same_call(page):
    watch = Watch(page)
    for step in range(5):
        heartbeat.begin("step", 0, 1, 2, step)
        assert verdicts(watch, TIMEOUT - 1) == []
    heartbeat.end()
    assert verdicts(watch, 1000) == [], "between calls an update may take its time"


def test_a_call_after_one_that_was_overdue_has_the_whole_time_again(page):
    watch = Watch(page)
    heartbeat.begin("step", 0, 1, 2, 3)
    assert verdicts(watch, TIMEOUT + 2) == [(TIMEOUT, "ask")]
    assert overdue("reset", watch) == (TIMEOUT, ANSWER)


def test_once_a_run_is_to_stop_calls_have_little_time(page):
    watch = Watch(page)
    heartbeat.configure(None)
    heartbeat.begin("step", 0, 1, 2, 3)
    assert verdicts(watch, 1000) == []
    watch.hurry(15)
    assert verdicts(watch, 20)[:2] == [(HURRY - 1, "ask"), (HURRY + HURRIED_ANSWER - 1, "kill")]
    assert watch.complaint.startswith("the environment's step has not answered for 5 s after SIGT")
    assert overdue("reset", watch) == (HURRY, HURRIED_ANSWER)
    assert HURRY + HURRIED_ANSWER < 9, "10 s after the signal all has ended"


def test_an_overdue_call_is_left_no_more_time_by_a_signal(page):
    watch = Watch(page)
    heartbeat.begin("step", 0, 1, 2, 3)
    assert verdicts(watch, TIMEOUT - 2) == []
    watch.hurry(15)
    assert verdicts(watch, 10)[0] == (1, "ask")


def test_a_fork_of_the_worker_writes_to_a_page_of_its_own(page, monkeypatch):
    monkeypatch.setattr(heartbeat, "_attached", True)
    heartbeat._detach()
    heartbeat.finish(0)
    assert heartbeat.finished(page) is None and not heartbeat.attached()
