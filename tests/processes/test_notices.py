"""Notices are said once, here or by a parent process."""

import pytest

from offpcc.processes import notices
from offpcc.processes.notices import collect, say_once, take


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", set())
    monkeypatch.setattr(notices, "_collected", None)


def test_a_line_about_the_same_is_said_once(capsys):
    assert take() == []  # which changes nothing
    for about, line in (("a", "one"), ("a", "two"), ("b", "three")):
        say_once(about, line)
    assert capsys.readouterr().err == "one\nthree\n" and take() == []


def test_lines_that_are_collected_are_given_once_and_not_printed(capsys):
    collect()
    for about, line in (("a", "one"), ("a", "two"), ("b", "three")):
        say_once(about, line)
    assert take() == [("a", "one"), ("b", "three")] and take() == []
    assert capsys.readouterr().err == ""
