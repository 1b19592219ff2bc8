"""Tables for people: nothing that is copied is ever broken, however narrow the terminal."""

from __future__ import annotations

import pytest

from carebell.commands import output
from carebell.commands.output import print_table

LONG_ID = "0b6f3c0e-9f0e-4c55-8d0b-5f3a2f6f7a10/appointments/2026-000000900100"
HEADINGS = ["Start", "Environment", "Appointment", "Why"]
ROWS = [
    ("2026-03-02 08:00", "production", "900100", "booked"),
    ("2026-03-03 08:00", "production", LONG_ID, "held since 2026-03-02 08:00: the words of the template were wrong"),
    ("-", "production", "900101", None),
]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int | None:
    width: int | None = request.param
    monkeypatch.setattr(output, "terminal_columns", lambda: width)
    return width


@pytest.mark.parametrize("columns", [20, 60, 80, 120, None], indirect=True)
def test_ids_stay_whole(columns: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS, ROWS, empty="none", first="Appointment")
    lines = capsys.readouterr().out.splitlines()
    for row in ROWS:
        assert [line for line in lines if row[2] in line.split()]
    wordy = max(len(LONG_ID), columns or 1000)
    assert [line for line in lines if len(line) > wordy] == []


@pytest.mark.parametrize("columns", [80], indirect=True)
@pytest.mark.usefixtures("columns")
def test_a_row_is_a_block_where_the_table_is_too_wide(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS, ROWS, empty="none", first="Appointment")
    assert capsys.readouterr().out.splitlines() == [
        "All: environment production",
        "900100",
        "    start 2026-03-02 08:00; why booked",
        LONG_ID,
        "    start 2026-03-03 08:00; why held since 2026-03-02 08:00: the words of the",
        "    template were wrong",
        "900101",
    ]


@pytest.mark.parametrize("columns", [34], indirect=True)
@pytest.mark.usefixtures("columns")
def test_what_all_rows_share_is_told_once_before_that(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS[:3], [row[:3] for row in (ROWS[0], ROWS[2])], empty="none", first="Appointment")
    assert capsys.readouterr().out.splitlines() == [
        "All: environment production",
        "Start             Appointment",
        "────────────────  ───────────",
        "2026-03-02 08:00  900100",
        "-                 900101",
    ]


@pytest.mark.parametrize("columns", [None], indirect=True)
@pytest.mark.usefixtures("columns")
def test_a_pipe_gets_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADINGS, ROWS, empty="none", first="Appointment")
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(ROWS)
    print_table(HEADINGS, [], empty="nothing is known")
    assert capsys.readouterr().out == "nothing is known\n"


@pytest.mark.parametrize("columns", [80], indirect=True)
@pytest.mark.usefixtures("columns")
def test_wide_characters_keep_the_columns_and_controls_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["Name", "Then"], [("診療所", "a"), ("x\x1b[2J", "b")], empty="none")
    assert capsys.readouterr().out.splitlines() == [
        "Name      Then",
        "────────  ────",
        "診療所    a",
        "x\\x1b[2J  b",
    ]
