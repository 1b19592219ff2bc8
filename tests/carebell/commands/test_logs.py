"""`logs`: the log and its rotated files for people and for programs; that nothing matched is said."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

from tests.carebell.conftest import Carebell
from tests.story.folder import change, null


def _line(hour: int, event: str, level: str = "info", **fields: str) -> str:
    return json.dumps({"time": f"2026-03-09T{hour:02}:00:00.000Z", "level": level, "event": event, **fields}) + "\n"


@pytest.fixture
def log(configuration: Path) -> Path:
    """A log of three files: 17 o'clock packed, 18 o'clock rotated, 19 o'clock current."""
    log = configuration.with_name("carebell.log")
    log.with_name("carebell.log.2.gz").write_bytes(gzip.compress(_line(17, "sms_sent", appointment="A1").encode()))
    log.with_name("carebell.log.1").write_text(_line(18, "message_refused", "warning", control_id="C2"))
    log.write_text(_line(19, "sms_sent", appointment="A2"))
    return log


def test_rotated_files_are_read_too(carebell: Carebell, configuration: Path, log: Path) -> None:
    ended = carebell("-c", configuration, "logs", "--json")
    assert ended.err == ""
    assert [(row["time"][11:13], row["event"]) for row in ended.rows] == [
        ("17", "sms_sent"), ("18", "message_refused"), ("19", "sms_sent"),
    ]  # fmt: skip
    assert [
        row["time"][11:13] for row in carebell("-c", configuration, "logs", "--json", "--appointment", "A1").rows
    ] == ["17"]
    log.unlink()
    assert len(carebell("-c", configuration, "logs", "--json").rows) == 2


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    "words",
    [
        ("--appointment", "none"),
        ("--control-id", "none"),
        ("--since", "1h"),
        ("--level", "error"),
        ("--appointment", "A1\x1b[2J"),
    ],
)
@pytest.mark.usefixtures("log")
def test_that_nothing_matched_is_said(
    carebell: Carebell, configuration: Path, words: tuple[str, ...], as_json: tuple[str, ...]
) -> None:
    ended = carebell("-c", configuration, "logs", *words, *as_json)
    assert (ended.code, ended.out) == (0, "")
    assert ended.sentence.startswith("no line matches ")
    assert words[0] in ended.sentence
    assert ended.sentence.endswith("carebell.log and its 2 rotated files")
    assert ended.sentence.isprintable()


def test_following_says_that_it_waits_and_what_it_showed(
    carebell: Carebell, configuration: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated = log.with_name("carebell.log.3")

    def sleep(_: float) -> None:
        if rotated.exists():
            raise KeyboardInterrupt
        log.rename(rotated)
        log.write_text(_line(20, "sms_sent", appointment="A9") + _line(21, "sms_failed", appointment="A9"))

    monkeypatch.setattr(time, "sleep", sleep)
    ended = carebell("-c", configuration, "logs", "--follow", "--appointment", "A9", "--json")
    assert ended.code == 130
    assert [row["event"] for row in ended.rows] == ["sms_sent", "sms_failed"]
    waits, interrupted = ended.err.splitlines()
    assert waits.endswith("rotated files so far; waiting for lines, Ctrl-C ends")
    assert interrupted == f"carebell: interrupted: 2 lines of {log} were shown"


def test_a_rotated_file_that_cannot_be_read_hides_no_other(carebell: Carebell, configuration: Path, log: Path) -> None:
    log.with_name("carebell.log.2.gz").write_bytes(b"damaged")
    ended = carebell("-c", configuration, "logs", "--json")
    assert [row["time"][11:13] for row in ended.rows] == ["18", "19"]
    assert ended.sentence.startswith(f"warning: {log}.2.gz: ")
    assert ended.sentence.endswith("; the other lines are shown")


def test_where_there_is_no_log_it_is_said_what_to_look_at(carebell: Carebell, configuration: Path) -> None:
    assert "no log yet" in carebell("-c", configuration, "logs").sentence
    change(configuration, {"log": {"file": "/dev/null"}})
    assert "is not a regular file" in carebell("-c", configuration, "logs").sentence
    null(configuration, "log", "file")
    assert "writes no log file" in carebell("-c", configuration, "logs").sentence
