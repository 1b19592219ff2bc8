"""`--json` on every command: rows alone on standard output, whatever becomes of the command; prose goes to standard error."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from carebell.bootstrap.service import Service
from carebell.bootstrap.signals import ServeSignals
from tests.carebell.command_table import LEAVES
from tests.carebell.commands.test_operate import PATIENT, book_visits
from tests.carebell.conftest import Carebell, HungUp
from tests.story.clinic import opened
from tests.story.folder import VECTORS, make

MESSAGE: Final = VECTORS / "messages/accept/m01-rs256-s12.hl7"
CERTIFICATE: Final = VECTORS / "certs/accept/01-prod-rsa3072.cer"
KEY: Final = VECTORS / "keys/prod-rsa3072.key.pem"
UNSIGNED: Final = Path(__file__).parents[2] / "samples/written/batch-fhs-bhs.hl7"
AT: Final = f"--at {(VECTORS / 'CLOCK').read_text().strip()}"
NUMBER: Final = "+14255550100"

CALLS: Final[dict[str, tuple[str, set[str] | None]]] = {
    "init": ("{folder}/new", {"file", "secret"}),
    "init --demo": ("{folder}/new", {"file", "secret"}),
    "demo": ("", None),
    "serve": ("", {"listening", "health", "portal", "rehearsal"}),
    "check-config": ("", None),
    "cert show": (str(CERTIFICATE), {"file", "verdict"}),
    "sign": (f"{UNSIGNED} --key {KEY} --cert {CERTIFICATE}", None),
    "sign -o": (f"{MESSAGE} --key {KEY} --cert {CERTIFICATE} -o {{folder}}/signed.hl7", None),
    "verify": (f"{MESSAGE} -e production {AT}", {"file", "answer", "code", "err3", "text"}),
    "send": (f"{MESSAGE} --to 127.0.0.1:1", None),
    "explain": (f"{MESSAGE} -e production", {"file", "name", "value", "field", "candidates"}),
    "explain folder": (f"{MESSAGE.parent} -e production", {"messages", "rejected", "unreadable", "warnings", "fields"}),
    "plan": (f"{MESSAGE} -e production {AT}", {"appointment", "kind", "rule", "due", "status", "reason", "to"}),
    "rehearse": (f"{MESSAGE} --days 2", None),
    "rehearse --simulate": ("--simulate 1 --days 1", None),
    "config preview": ("", {"restart", "approval", "switched_off", "at_once", "certificates"}),
    "install": ("--root {folder}/absent", None),
    "outbox": ("", {"id", "environment", "appointment", "state", "reason", "to"}),
    "outbox --appointment": ("--appointment A1", {"id", "state"}),
    "appointments": ("", {"environment", "appointment", "start", "phone"}),
    "trace": (
        "--appointment A1",
        {"time", "what", "appointment", "kind", "rule", "state", "reason", "code", "detail"},
    ),
    "logs": ("", {"time", "level", "event"}),
    "logs --appointment": ("--appointment none", None),
    "status": ("", {"configuration", "portal", "queue"}),
    "report sms": ("", None),
    "report visits": ("", None),
    "hold": ("", {"environment", "held", "changed"}),
    "hold -e": ("-e production", {"environment", "held", "changed"}),
    "release": ("", {"environment", "held", "changed"}),
    "purge": ("", {"appointments", "messages", "day_keys", "suppressed", "files_settled"}),
    "purge --verify": (f"--verify {PATIENT}", None),
    "optout list": ("", None),
    "optout add": (PATIENT, {"phone", "sender", "opted_out"}),
    "optout remove": (PATIENT, {"phone", "sender", "opted_out", "changed"}),
    "reply list": ("", None),
    "reply done": ("none", None),
    "writeback list": ("", None),
    "writeback show": ("none", None),
    "writeback retry": ("none", None),
    "keys rotate": ("", {"key", "moved", "unreadable", "copy_key_file"}),
    "keys drop-unreadable": ("", {"day_keys", "appointments", "done"}),
    "db upgrade": ("", {"version", "was", "changed"}),
    "db backup": ("{folder}/copy.db", {"file", "bytes", "time"}),
    "db downgrade": ("none", None),
    "doctor": ("", None),
    "config history": ("", {"version", "time", "who", "from", "source", "base", "comment", "changes"}),
    "config show": ("none", None),
    "config set": ("http.port 8091 --dry-run", None),
    "config restore": ("none", None),
    "audit": ("", {"seq", "time", "who", "from", "what", "environment", "before", "after", "hash"}),
    "audit verify": ("", {"intact", "entries", "broken_at", "head"}),
    "audit export": ("", {"seq", "hash", "previous", "hashed"}),
    "visit list": ("", None),
    "visit show": ("none", None),
    "visit link": ("none --for guest", None),
    "visit revoke": ("none 00", None),
    "numbers list": ("", None),
    "numbers search": ("", None),
    "numbers buy": (f"{NUMBER} --dry-run", None),
    "numbers link": (f"{NUMBER} --dry-run", None),
    "portal user add": ("{folder.name} --role administrator", {"login", "link", "until", "role", "environments"}),
    "portal user invite": ("nobody", None),
    "portal user list": ("", None),
    "portal user disable": ("nobody", None),
    "portal user enable": ("nobody", None),
    "portal unlock": ("nobody", None),
    "simulator twilio": ("--port 1 --host 203.0.113.1", None),
    "simulator fhir": ("--host 203.0.113.1", None),
    "simulator ehr --inbound": ("--inbound --host 203.0.113.1", None),
    "simulator ehr": ("--to 127.0.0.1:1 --count 1", None),
}
"""Command (and what tells two calls of it apart), further words, the keys of each row (None: it may have none, or others)."""


def test_every_command_is_called_here() -> None:
    called = {
        " ".join(word for word in call.split() if word not in ("folder",) and not word.startswith("-"))
        for call in CALLS
    }
    assert called == {words for words, _ in LEAVES}


def test_every_command_has_json() -> None:
    lack = [words for words, command in LEAVES if not any("--json" in option.opts for option in command.params)]
    assert lack == []


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration on whose service two visits were booked."""
    configuration = make(tmp_path_factory.mktemp("lived") / "clinic")
    at = datetime.now(UTC) - timedelta(hours=1)

    async def live() -> None:
        async with opened(configuration, at=at) as clinic:
            await book_visits(clinic, at)

    asyncio.run(live())
    return configuration


def _words(call: str, folder: Path) -> list[str]:
    command = [word for word in call.split() if word != "folder" and not word.startswith("-")]
    options = [word for word in call.split() if word == "--demo"]
    return [*command, *options, *CALLS[call][0].format(folder=folder).split()]


@pytest.mark.parametrize("call", CALLS)
def test_rows_alone(
    call: str, carebell: Carebell, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve_once(monkeypatch)
    ended = carebell("-c", lived, "--json", *_words(call, tmp_path))
    keys = CALLS[call][1]
    assert "Traceback" not in ended.err
    assert "a bug" not in ended.err
    assert ended.code in (0, 1, 75, 77, 78)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert all(isinstance(row, dict) for row in rows)
    if keys is not None:
        assert rows
        assert all(keys <= row.keys() for row in rows)
    assert PATIENT[2:] not in ended.out + ended.err
    assert not re.search(r"\b5550188\b", ended.out + ended.err)


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["for people", "JSON"])
@pytest.mark.parametrize("call", CALLS)
def test_a_closed_pipe_is_no_fault_of_any_command(
    call: str,
    as_json: tuple[str, ...],
    carebell: Carebell,
    lived: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _serve_once(monkeypatch)
    (tmp_path / "heard").mkdir()
    printed = carebell("-c", lived, *as_json, *_words(call, tmp_path / "heard")).out
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", HungUp())
        ended = carebell("-c", lived, *as_json, *_words(call, tmp_path))
    assert "Traceback" not in ended.err
    assert "a bug" not in ended.err
    if printed and call != "serve":  # which serves on
        assert ended.code == 141


def _serve_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` ends as soon as it has started, and leaves this process's signals alone."""
    start = Service.start

    async def start_and_end(service: Service) -> None:
        await start(service)
        service.asked_to_end("SIGTERM")

    monkeypatch.setattr(Service, "start", start_and_end)
    monkeypatch.setattr(ServeSignals, "install", lambda _: None)
    monkeypatch.setattr(ServeSignals, "limit_end", lambda _: None)


@pytest.mark.parametrize(
    "call", sorted(CALLS.keys() - {"status", "init", "init --demo", "install", "demo", "serve", "check-config"})
)
def test_a_narrow_terminal_tears_nothing(
    call: str, carebell: Carebell, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than 60 columns unless a word in it is too long to be broken."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("carebell.commands.output.terminal_columns", lambda: 60)
    monkeypatch.setattr("carebell.commands.logs.terminal_columns", lambda: 60)
    ended = carebell("-c", lived, *_words(call, tmp_path))
    wide = [line for line in ended.out.splitlines() if len(line) > 60]
    assert [line for line in wide if max(map(len, line.split())) < 45] == []
