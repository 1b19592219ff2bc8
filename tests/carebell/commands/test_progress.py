"""Progress is for people at a terminal: on standard error, and nowhere else."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

from carebell.commands.progress import progress, with_progress, working
from tests.carebell.conftest import Carebell
from tests.story.folder import make


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal. Called in the test itself: pytest puts its own stream there before each."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return shown


def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = at_terminal(monkeypatch)
    assert list(with_progress("Reading", "abc", 3)) == ["a", "b", "c"]
    assert "Reading" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_what_is_printed_meanwhile_goes_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = at_terminal(monkeypatch)
    with progress("Reading", None) as step:
        step(1)
        print("a row")  # noqa: T201
    assert capsys.readouterr().out == "a row\n"
    assert "a row" not in terminal.getvalue()


def test_work_without_an_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    with working("Upgrading the database"):
        pass
    assert "Upgrading the database" in terminal.getvalue()


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    assert list(with_progress("Reading", "ab", 2)) == ["a", "b"]
    with working("Upgrading"), progress("Reading", 2) as step:
        step(1)
    assert pipe.getvalue() == ""


def test_a_closed_standard_error_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with working("Upgrading"), progress("Reading", 2) as step:
        step(1)


@pytest.mark.parametrize("words", ["rehearse --simulate 1 --days 1", "db upgrade"])
def test_json_has_no_progress(words: str, carebell: Carebell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = make(tmp_path / "clinic")
    terminal = at_terminal(monkeypatch)
    ended = carebell("-c", configuration, "--json", *words.split())
    assert ended.rows
    assert terminal.getvalue()
