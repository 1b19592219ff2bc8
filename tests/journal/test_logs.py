"""One event is one safe line; what is not documented, and what libraries say, cannot carry a patient's data."""

from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from journal.events import ENTRIES
from journal.events.connections import ConnectionProbed, ListenerDraining
from journal.events.messages import MessageAccepted, MessageRefused
from journal.events.service import AlarmRaised, ServiceStarted
from journal.events.sms import SmsSent
from journal.logs import Journal, setup
from journal.traces import Hooks, trace
from tests.journal.conftest import NOW, Written, some

CANARIES = (
    "DOE^JANE",
    "Jane Doe",
    "+12025550143",
    "2025550143",
    "(202) 555-0143",
    "202-555-0143",
    "PID|1||",
    "Your visit is",
)
"""What must never come out, in the forms it comes in."""

LOGGERS = ("twilio.http_client", "uvicorn.error", "sqlalchemy.engine", "watchfiles", "someone.else", "root")

FORGERIES = (
    '\n{"time":"2026-03-09T19:00:00.000Z","level":"info","event":"message_accepted"}',
    "\r\nINFO message accepted",
    "\x1b[2J\x1b[1;1H",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\x00b",
    "\x7f\x08\x08",
    "\u2028line\u2029paragraph\x85next\x0bdown\x0cfeed",
    "\u202egnp.exe",
    "\ufeff\u200b\u2066",
    '"} {"',
    "\\",
    "\ud800",
)


class Wrapped(Enum):
    AA = "AA"


def test_an_event_is_one_json_line_with_its_fields(journal: Journal, written: Written) -> None:
    journal.emit(
        some(MessageAccepted, environment="test", control_id="1", answer=Wrapped.AA, planned=3, milliseconds=1.23456)
    )

    assert written.lines() == [
        {
            "time": "2026-03-09T19:00:00.123Z",
            "level": "info",
            "event": "message_accepted",
            "environment": "test",
            "control_id": "1",
            "answer": "AA",
            "planned": 3,
            "milliseconds": 1.235,
        }
    ]
    assert written.terminal.getvalue() == (
        "2026-03-09 19:00:00Z INFO     message accepted       "
        "environment=test control_id=1 answer=AA planned=3 milliseconds=1.235\n"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 3, 9, 12, 0, tzinfo=timezone(timedelta(hours=-7))), "2026-03-09T19:00:00.000Z"),
        (date(2026, 3, 9), "2026-03-09"),
        (timedelta(seconds=1.5), 1.5),
        (True, True),
        (float("nan"), None),
        (("A", "B"), ["A", "B"]),
        (frozenset("BA"), ["A", "B"]),
        ("é", "é"),
        ("x" * 400, "x" * 300 + "..."),
    ],
)
def test_values(value: Any, expected: Any, journal: Journal, written: Written) -> None:
    journal.emit(some(AlarmRaised, value=value))

    assert written.lines()[0]["value"] == expected


def test_none_is_left_out(journal: Journal, written: Written) -> None:
    journal.emit(some(MessageRefused, environment=None, code="SIG01"))

    assert list(written.lines()[0]) == ["time", "level", "event", "code"]
    assert journal.dropped == {}


@pytest.mark.parametrize("canary", CANARIES, ids=range(len(CANARIES)))
@pytest.mark.parametrize("name", ["patient", "phone", "payload"])
def test_an_event_takes_no_undocumented_field(canary: str, name: str) -> None:
    with pytest.raises(TypeError) as refused:
        ListenerDraining(listener="127.0.0.1:2575", connections=1, **{name: canary})

    assert canary not in str(refused.value)


def test_every_field_left_out_is_counted(make: Callable[..., Journal], written: Written) -> None:
    dropped: list[None] = []
    journal = make(on_dropped=lambda: dropped.append(None))

    journal.emit(some(MessageAccepted, environment="test", control_id=b"Jane Doe", peer={"Jane": "Doe"}))

    assert "Jane" not in written.everything()
    assert journal.dropped == {("message_accepted", "control_id"): 1, ("message_accepted", "peer"): 1}
    assert len(dropped) == 2
    assert written.lines()[0]["environment"] == "test"


@pytest.mark.parametrize(
    "value", [ValueError("Jane Doe"), b"Jane Doe", {"a": "Jane Doe"}, [ValueError("Jane Doe")], object()], ids=type
)
def test_a_value_that_could_carry_a_payload_is_dropped(value: object, journal: Journal, written: Written) -> None:
    journal.emit(some(MessageRefused, text=value, code="SIG01"))

    assert "Jane Doe" not in written.everything()
    assert journal.dropped == {("message_refused", "text"): 1}


@pytest.mark.parametrize("given", ["+12025550143", "2025550143", "***0143 x", "***01433"], ids=range(4))
def test_a_whole_number_is_never_logged_as_the_receiver(given: str, journal: Journal, written: Written) -> None:
    journal.emit(some(SmsSent, to=given))
    journal.emit(some(SmsSent, to="***0143"))

    assert [line["to"] for line in written.lines()] == ["***", "***0143"]
    assert "555" not in written.everything()


@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
def test_no_value_can_forge_a_line_or_reach_the_terminal(forgery: str, journal: Journal, written: Written) -> None:
    journal.emit(some(MessageRefused, control_id=forgery, text=f"before{forgery}after"))

    lines, shown = written.lines(), written.terminal.getvalue()
    assert [line["event"] for line in lines] == ["message_refused"]
    assert lines[0]["control_id"] == forgery
    assert written.file.read_bytes().count(b"\n") == 1
    assert shown.endswith("\n")
    assert shown[:-1].isprintable()


def test_levels_below_the_chosen_one_are_left_out(make: Callable[..., Journal], written: Written) -> None:
    journal = make(level=logging.WARNING)
    journal.emit(some(ConnectionProbed, peer="127.0.0.1"))
    journal.emit(some(MessageAccepted))
    journal.emit(some(MessageRefused))

    assert [line["event"] for line in written.lines()] == ["message_refused"]


def test_threads_do_not_mix_lines(journal: Journal, written: Written) -> None:
    def work(name: str) -> None:
        for number in range(200):
            journal.emit(some(MessageAccepted, environment=name, control_id=str(number)))

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(written.lines()) == 800


class TestLibraries:
    """Records of the standard library's logging."""

    @pytest.mark.parametrize("canary", CANARIES, ids=range(len(CANARIES)))
    @pytest.mark.parametrize("name", LOGGERS)
    def test_no_value_comes_out_however_it_is_logged(
        self, canary: str, name: str, journal: Journal, written: Written
    ) -> None:
        logger = logging.getLogger(None if name == "root" else name)
        logger.warning("sending %s", canary)
        logger.error("to %(to)s failed", {"to": canary})
        logger.warning("body: %r and %s", canary, [canary])
        logger.error("Task failed\nfuture: <Task exception=ValueError('%s')>" % canary)  # noqa: UP031
        try:
            secret = canary
            raise ValueError(f"cannot take {secret}")
        except ValueError:
            logger.exception("handling failed")

        assert canary not in written.everything()
        assert [line["event"] for line in written.lines()] == ["library"] * 5
        assert written.lines()[-1]["exception"] == "ValueError"

    def test_words_put_together_before_they_are_logged_are_swept(self, journal: Journal, written: Written) -> None:
        for canary in CANARIES:
            logging.getLogger("twilio").warning(f"could not send '{canary}' for MSH|^~\\&|{canary}|x|y")
        logging.getLogger("uvicorn.error").warning("GET /status?To=%2B12025550143&Body=Jane failed for +1 202 555 0143")

        assert not [canary for canary in (*CANARIES, "Jane", "0143") if canary in written.everything()]
        assert written.lines()[-1]["text"] == "GET /status?... failed for #"

    def test_a_logger_nobody_knows_gives_its_place_alone(self, journal: Journal, written: Written) -> None:
        logging.getLogger("someone.else").warning("Jane Doe came")

        (line,) = written.lines()
        assert "text" not in line
        assert line["where"].startswith("journal/test_logs.py:")

    def test_a_known_librarys_own_words_and_numbers_stay(self, journal: Journal, written: Written) -> None:
        logging.getLogger("watchfiles.main").warning("Run time of job %s was missed by %d s (%.1f %%)", "tick", 7, 0.5)

        (line,) = written.lines()
        assert line["text"] == "Run time of job ... was missed by 7 s (0.5 %)"
        assert (line["level"], line["logger"]) == ("warning", "watchfiles.main")

    def test_below_warning_they_are_silent(self, journal: Journal, written: Written) -> None:
        logging.getLogger("twilio.http_client").info("POST Request: https://api.twilio.com")

        assert written.lines() == []

    def test_python_warnings_give_category_and_place(self, journal: Journal, written: Written) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=False)
            logging.captureWarnings(capture=True)
            warnings.warn("Jane Doe is deprecated", DeprecationWarning, stacklevel=1)

        (line,) = written.lines()
        assert line["text"] == "DeprecationWarning"
        assert line["where"].startswith("journal/test_logs.py:")
        assert "Jane" not in written.everything()

    def test_a_record_that_cannot_be_rendered_does_not_hurt_its_logger(
        self, journal: Journal, written: Written
    ) -> None:
        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError("Jane Doe")

        logging.getLogger("twilio").warning(Hostile())
        logging.getLogger("twilio").warning("fine")

        assert written.lines()[-1]["text"] == "fine"
        assert journal.failures > 0
        assert "Jane" not in written.everything()


class TestTraces:
    def test_types_and_places_without_texts_or_locals(self) -> None:
        def inner() -> None:
            patient = "Jane Doe"
            raise KeyError(patient)

        try:
            try:
                inner()
            except KeyError as error:
                raise RuntimeError("Jane Doe failed") from error
        except RuntimeError as error:
            shown = trace(error)

        assert shown.exception == "RuntimeError < KeyError"
        frames = shown.frames or ""
        assert frames.startswith("journal/test_logs.py:")
        assert " in inner < journal/test_logs.py:" in frames
        assert "Jane" not in str(shown)

    def test_a_ring_and_a_deep_stack_are_bounded(self) -> None:
        def deep(level: int) -> None:
            if level == 0:
                raise ValueError
            deep(level - 1)

        try:
            deep(100)
        except ValueError as error:
            error.__context__ = RuntimeError()
            error.__context__.__context__ = error
            shown = trace(error)

        assert shown.exception == "ValueError < RuntimeError"

    def test_nobody_caught_it(self, journal: Journal, written: Written, capsys: pytest.CaptureFixture[str]) -> None:
        def fail() -> None:
            raise ValueError("Jane Doe")

        with Hooks(journal) as hooks:
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
            hooks.loop_handler(None, {"message": "Jane Doe", "exception": ValueError("Jane Doe")})

        assert [(line["where"], line["exception"]) for line in written.lines()] == [
            ("thread", "ValueError"),
            ("asyncio", "ValueError"),
        ]
        assert "Jane" not in written.everything() + capsys.readouterr().err


class TestSetup:
    def test_without_any_output_libraries_do_not_reach_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        with setup(now=lambda: NOW) as journal:
            logging.getLogger("someone").error("Jane Doe")
            journal.emit(some(ServiceStarted, version="1"))

        assert capsys.readouterr().err == ""

    def test_close_leaves_logging_as_it_was(self, tmp_path: Path) -> None:
        root = logging.getLogger()
        before = (root.level, list(root.handlers), logging.raiseExceptions)
        journal = setup(now=lambda: NOW, file=tmp_path / "log")
        journal.close()
        journal.close()

        assert (root.level, list(root.handlers), logging.raiseExceptions) == before

    def test_a_file_that_cannot_be_opened_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            setup(now=lambda: NOW, file=tmp_path / "none" / "log")

    def test_colours_are_for_the_terminal_alone(self, make: Callable[..., Journal], written: Written) -> None:
        make(colour=True).emit(some(MessageRefused, code="SIG01"))

        assert written.terminal.getvalue().count("\x1b[") == 8
        assert "\\u001b" not in written.file.read_text(encoding="ascii")

    def test_a_closed_terminal_is_counted(self, make: Callable[..., Journal]) -> None:
        stream = io.StringIO()
        stream.close()
        journal = make(terminal=stream)
        journal.emit(some(ServiceStarted))

        assert journal.failures == 1


def test_every_line_is_json_whatever_an_event_is_given(journal: Journal, written: Written) -> None:
    for event, entry in ENTRIES.items():
        journal.emit(some(event, **{field.name: "\x1b[0m\n" for field in entry.fields}))

    lines = [json.loads(line) for line in written.file.read_text(encoding="ascii").splitlines()]
    assert [line["event"] for line in lines] == [entry.name for entry in ENTRIES.values()]
    assert [list(line)[3:] for line in lines] == [[field.name for field in entry.fields] for entry in ENTRIES.values()]
    assert journal.dropped == {}
