"""Lines to systemd's journal, over a socket that the test reads."""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal.events.certificates import CertificateLoaded
from journal.events.messages import MessageRefused
from journal.events.service import ServiceStopped
from journal.journald import PRIORITIES, datagram, leads_to_journal
from journal.lines import LEVELS
from journal.logs import Journal, setup
from tests.journal.conftest import NOW, some


class FakeJournal:
    """The journal's end of the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def entry(self) -> dict[str, str]:
        return parsed(self._socket.recv(65536))

    def close(self) -> None:
        self._socket.close()
        self.path.unlink()


def parsed(content: bytes) -> dict[str, str]:
    """Read one datagram as the protocol's page says, independently of the code that writes it."""
    fields = {}
    while content:
        line, _, content = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            [size] = struct.unpack("<Q", content[:8])
            value, content = content[8 : 8 + size], content[8 + size + 1 :]
        assert name.decode() not in fields
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeJournal]:
    fake = FakeJournal(tmp_path / "socket")
    yield fake
    if fake.path.exists():
        fake.close()


@pytest.fixture
def journal(fake: FakeJournal, tmp_path: Path) -> Iterator[Journal]:
    with setup(now=lambda: NOW, file=tmp_path / "carebell.log", journald=fake.path) as journal:
        yield journal


def test_an_event_has_its_fields(fake: FakeJournal, journal: Journal) -> None:
    journal.emit(
        some(MessageRefused, environment="production", code="SIG07", err3="207", text="a | b", milliseconds=1.25)
    )
    assert fake.entry() == {
        "MESSAGE": 'message refused environment=production code=SIG07 err3=207 text="a | b" milliseconds=1.25',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "carebell",
        "CAREBELL_EVENT": "message_refused",
        "CAREBELL_LEVEL": "warning",
        "CAREBELL_TIME": "2026-03-09T19:00:00.123Z",
        "CAREBELL_ENVIRONMENT": "production",
        "CAREBELL_CODE": "SIG07",
        "CAREBELL_ERR3": "207",
        "CAREBELL_TEXT": "a | b",
        "CAREBELL_MILLISECONDS": "1.25",
    }


def test_the_file_has_the_line_too(fake: FakeJournal, journal: Journal, tmp_path: Path) -> None:
    journal.emit(ServiceStopped(reason="asked", seconds=0.5))
    fake.entry()
    assert '"event":"service_stopped"' in (tmp_path / "carebell.log").read_text("ascii")


@pytest.mark.parametrize(
    "value",
    ["two\nlines", "PRIORITY=0\nMESSAGE=forged", "\x1b[2J", "ö\u202e"],
    ids=["lines", "forged", "escape", "bidi"],
)
def test_no_value_can_forge_a_field(fake: FakeJournal, journal: Journal, value: str) -> None:
    journal.emit(ServiceStopped(reason=value, seconds=0.5))
    entry = fake.entry()
    assert entry["PRIORITY"] == "6"
    assert entry["CAREBELL_REASON"] == value
    assert entry["MESSAGE"].isprintable()


def test_a_library_and_a_number_to_hide(fake: FakeJournal, journal: Journal) -> None:
    logging.getLogger("twilio").warning("to %s in %d s", "+12025550143", 3)
    entry = fake.entry()
    assert (entry["CAREBELL_EVENT"], entry["PRIORITY"]) == ("library", "4")
    assert "0143" not in "".join(entry.values())
    assert entry["CAREBELL_LOGGER"] == "twilio"


def test_a_journal_that_went_away_loses_lines_and_is_used_again(fake: FakeJournal, tmp_path: Path) -> None:
    lost = []
    with setup(now=lambda: NOW, journald=fake.path, on_failure=lambda: lost.append(1)) as journal:
        journal.emit(ServiceStopped(reason="one", seconds=0.5))
        fake.entry()
        fake.close()
        journal.emit(ServiceStopped(reason="two", seconds=0.5))
        journal.emit(ServiceStopped(reason="three", seconds=0.5))
        assert (len(lost), journal.failures) == (2, 2)
        again = FakeJournal(fake.path)
        journal.emit(ServiceStopped(reason="four", seconds=0.5))
        assert again.entry()["CAREBELL_REASON"] == "four"
        again.close()


def test_a_journal_that_stands_still_delays_one_line_and_no_other(
    fake: FakeJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    stands = True

    class Standing(socket.socket):
        def send(self, content: bytes) -> int:  # type: ignore[override]
            waits.append(self.gettimeout())
            if stands:
                raise TimeoutError if waits[-1] else BlockingIOError
            return super().send(content)

    monkeypatch.setattr("journal.journald.socket.socket", Standing)
    with setup(now=lambda: NOW, journald=fake.path) as journal:
        for _ in range(4):
            journal.emit(ServiceStopped(reason="one", seconds=0.5))
        assert (journal.failures, waits) == (4, [1.0, 0.0, 0.0, 0.0])
        stands = False
        journal.emit(ServiceStopped(reason="two", seconds=0.5))
        journal.emit(ServiceStopped(reason="three", seconds=0.5))
        assert (journal.failures, waits[4:]) == (4, [0.0, 1.0]), "it is waited for again"
        assert [fake.entry()["CAREBELL_REASON"] for _ in range(2)] == ["two", "three"]


def test_a_value_of_many_lines_is_written_with_its_length() -> None:
    assert parsed(datagram({"A": "x", "B": "1\n2=3\n", "C": ""})) == {"A": "x", "B": "1\n2=3\n", "C": ""}


def test_every_level_has_its_priority() -> None:
    assert set(PRIORITIES) == set(LEVELS.values())


def test_every_name_is_one_that_the_journal_takes(fake: FakeJournal, journal: Journal) -> None:
    """It drops fields with other characters, and those that begin with `_`."""
    journal.emit(some(CertificateLoaded, environment="production", days_left=3, not_after=NOW))
    entry = fake.entry()
    assert entry["CAREBELL_NOT_AFTER"] == "2026-03-09T19:00:00.123Z"
    assert all(name.replace("_", "").isalnum() and name.upper() == name and name[0] != "_" for name in entry)


def test_the_journal_is_known_by_its_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert leads_to_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not leads_to_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        for written in ({}, {"JOURNAL_STREAM": ""}, {"JOURNAL_STREAM": "x:y"}):
            assert not leads_to_journal(stream, written)
