"""Reading the log for people."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from journal.read import Line, Wanted, follow, parse_line, read


def line(event: str, *, minute: int = 0, level: str = "info", **fields: object) -> str:
    return json.dumps({"time": f"2026-03-09T19:{minute:02}:00.000Z", "level": level, "event": event, **fields}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "carebell.log"
    path.write_text(
        line("message_accepted", minute=1, appointment="A1", control_id="C1")
        + line("message_refused", minute=2, level="warning", control_id="C2")
        + line("sms_sent", minute=3, appointment="A1")
        + line("sms_sent", minute=4, appointment="A2"),
        encoding="ascii",
    )
    return path


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        (Wanted(), ["message_accepted", "message_refused", "sms_sent", "sms_sent"]),
        (Wanted(appointment="A1"), ["message_accepted", "sms_sent"]),
        (Wanted(control_id="C2"), ["message_refused"]),
        (Wanted(level=logging.WARNING), ["message_refused"]),
        (Wanted(since=datetime(2026, 3, 9, 19, 3, tzinfo=UTC)), ["sms_sent", "sms_sent"]),
        (Wanted(appointment="A1", since=datetime(2026, 3, 9, 19, 2, tzinfo=UTC)), ["sms_sent"]),
    ],
)
def test_filters(wanted: Wanted, events: list[str], path: Path) -> None:
    assert [line.event for line in read(path, wanted)] == events


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("name", ["A1", 'A"1', "A\\1", "Å1", "A/1", "A\x7f1", "A 1"])
def test_what_matches_is_never_ruled_out_by_its_bytes(name: str, ascii_only: bool) -> None:
    """However the writer spells it: a name that JSON may write in two ways is looked for in the parsed line only."""
    values = {
        "time": "2026-03-09T19:00:00.000Z",
        "level": "info",
        "event": "sms_sent",
        "appointment": name,
        "control_id": name,
    }
    raw = json.dumps(values, ensure_ascii=ascii_only).encode("utf-8")
    parsed = parse_line(raw)
    assert parsed is not None
    for wanted in (
        Wanted(), Wanted(appointment=name), Wanted(control_id=name), Wanted(event="sms_sent"), Wanted(words=frozenset({name, "B"})),
        Wanted(event="sms_sent", appointment=name, words=frozenset({"sms_sent"})),
    ):  # fmt: skip
        assert wanted(parsed)
        assert not wanted.rules_out(raw)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(appointment="A2"),
        Wanted(control_id="A2"),
        Wanted(event="sms"),
        Wanted(words=frozenset({"A2", "A3"})),
        Wanted(event="sms_sent", appointment="A2"),
    ],
)
def test_most_lines_are_ruled_out_unparsed(wanted: Wanted) -> None:
    assert wanted.rules_out(line("sms_sent", appointment="A1", control_id="C1").encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"text\n",
        b"[1]\n",
        b'{"time":"2026-03-09T19:00:00Z","level":"info"}\n',
        b'{"time":"yesterday","level":"info","event":"x"}\n',
        b'{"time":"2026-03-09T19:00:00","level":"info","event":"x"}\n',
        b'{"time":1,"level":"info","event":"x"}\n',
        b"\xff\xfe\n",
        b"[" * 100_000,
        b'{"time":"2026-03-09T19:00:00Z","level":"info","event":"x"',
    ],
    ids=range(11),
)
def test_what_is_not_ours_is_skipped(raw: bytes) -> None:
    assert parse_line(raw) is None


def test_pretty() -> None:
    shown = Line(
        time="2026-03-09T19:00:00.000Z",
        level="warning",
        event="message_refused",
        fields={"code": "SIG01", "text": "no signature", "warnings": ["A", "B"], "x": None, "forged": "a\n\x1b[2Jb"},
    )

    assert shown.pretty(colour=False) == (
        '2026-03-09 19:00:00 WARNING  message refused        code=SIG01 text="no signature" warnings=A,B forged="a\\n\\x1b[2Jb"'
    ).replace('forged="a\\n\\x1b[2Jb"', "forged=a\\n\\x1b[2Jb")
    assert shown.pretty(colour=True).startswith("\x1b[2m2026-03-09 19:00:00\x1b[0m \x1b[33mWARNING ")


class Steps:
    """`idle` for a test: each call does the next step; after the last one it ends."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = iter(steps)

    def __call__(self) -> bool:
        for step in self._steps:
            step()
            return True
        return False


def events(lines: Iterator[Line]) -> list[str]:
    return [line.event for line in lines]


def append(path: Path, text: str) -> Callable[[], object]:
    def step() -> None:
        with path.open("a", encoding="ascii") as stream:
            stream.write(text)

    return step


def test_follow_sees_what_is_added_and_waits_for_whole_lines(path: Path) -> None:
    new = line("service_stopped")
    steps = Steps(append(path, new[:10]), append(path, new[10:]), append(path, line("service_started")))

    assert events(follow(path, Wanted(), steps, from_start=False)) == ["service_stopped", "service_started"]


def test_follow_goes_on_after_a_rotation_without_losing_a_line(path: Path) -> None:
    old = path.with_suffix(".1")

    def rotate() -> None:
        path.rename(old)
        append(old, line("late"))()

    steps = Steps(rotate, append(path, line("first")), append(path, line("second")))

    assert events(follow(path, Wanted(), steps, from_start=False)) == ["late", "first", "second"]


def test_follow_begins_anew_after_a_truncation(path: Path) -> None:
    steps = Steps(lambda: path.write_text(line("fresh"), encoding="ascii"))

    assert events(follow(path, Wanted(level=logging.INFO), steps))[-1] == "fresh"


def test_follow_waits_out_a_missing_file(path: Path) -> None:
    steps = Steps(path.unlink, lambda: None, append(path, line("back")))

    assert events(follow(path, Wanted(), steps, from_start=False)) == ["back"]


def test_a_file_that_was_never_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "none", Wanted()))


@pytest.mark.parametrize("piece", [1, 5, 64, 4096])
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(appointment="A1"),
        Wanted(words=frozenset({"A1", "sms_sent"})),
        Wanted(event="sms_sent", words=frozenset({"B2"})),
    ],
)
def test_lines_are_found_wherever_a_piece_of_the_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, piece: int
) -> None:
    """Words are searched for in pieces of the file; what is found is what looking at each line finds."""
    file = tmp_path / "carebell.log"
    written = [
        json.dumps({"time": f"2026-03-02T15:00:{number:02}.000Z", "level": "info",
                    "event": ("sms_sent", "message_accepted")[number % 2], "appointment": f"{'AB'[number % 3 % 2]}{number % 4}",
                    "note": "A1 sms_sent" * (number % 5)}).encode()
        for number in range(40)
    ]  # fmt: skip
    file.write_bytes(b"\n".join([b"cut by a full disk", *written[:20], b"", b'"A1" but no JSON', *written[20:]]))
    monkeypatch.setattr("journal.read._PIECE", piece)
    expected = [
        line for raw in written if (line := parse_line(raw)) is not None and not wanted.rules_out(raw) and wanted(line)
    ]
    assert list(read(file, wanted)) == expected
    assert expected
