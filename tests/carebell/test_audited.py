"""Every command that changes or shows something is in the audit log, and the table of commands says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from carebell.cli import app
from carebell.cli.audited import COMMANDS
from store.audit import AuditAction
from store.faults import StoreFault
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.ehr import signed

NUMBER: Final = "+12025550143"


def _walk(group: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        members = getattr(command, "commands", None)
        if members is None or command.invoke_without_command:
            yield " ".join((*path, name))
        if members is not None:
            yield from _walk(command, (*path, name))


def test_every_command_says_what_it_records() -> None:
    """A new command needs a line in `carebell/cli/audited.py`: its actions, or why it has none."""
    assert set(COMMANDS) == set(_walk(typer.main.get_command(app)))


def test_a_reason_is_a_sentence() -> None:
    assert all(len(why.split()) >= 5 for why in COMMANDS.values() if isinstance(why, str))


def test_every_action_has_its_command() -> None:
    written = {action for actions in COMMANDS.values() if not isinstance(actions, str) for action in actions}
    assert written == set(AuditAction)


@pytest.fixture
def stored(configuration: Path) -> Path:
    """A configuration with one booked visit."""
    now = datetime.now(UTC)

    async def book() -> None:
        async with opened(configuration, at=now) as clinic:
            visit = now + timedelta(days=18)
            await clinic.send(signed("S12", "1", sent=now, start=visit, reference="A1", phone=NUMBER))

    asyncio.run(book())
    return configuration


CALLS: Final[dict[str, str]] = {
    "outbox": "outbox --appointment A1",
    "appointments": "appointments -e production",
    "trace": "trace --appointment A1",
    "report sms": "report sms",
    "report visits": "report visits",
    "hold": "hold -e production --reason drill",
    "release": "release -e production",
    "purge": f"purge --verify {NUMBER}",
    "optout add": f"optout add {NUMBER}",
    "optout remove": f"optout remove {NUMBER}",
    "keys rotate": "keys rotate",
    "audit export": "audit export",
    "db backup": "db backup --noted",
    "portal user add": "portal user add sam --role support",
    "portal user invite": "portal user invite sam",
    "portal user disable": "portal user disable sam",
    "portal user enable": "portal user enable sam",
    "config set": "config set environments.production.sms.min_gap 3h",
}
"""A call of each command that records. The others need a damaged key file, an old database, failed sign-ins or Twilio, and are
tested with them."""
ELSEWHERE: Final = {
    "serve",
    "config restore",
    "keys drop-unreadable",
    "db upgrade",
    "db downgrade",
    "numbers buy",
    "numbers link",
    "portal unlock",
    "visit link",
    "visit revoke",
    "writeback retry",
    "reply done",
}


def test_each_command_records_what_the_table_says(carebell: Carebell, stored: Path) -> None:
    recorded = {name for name, actions in COMMANDS.items() if not isinstance(actions, str)}
    assert set(CALLS) | ELSEWHERE == recorded
    for name, words in CALLS.items():
        before = carebell("-c", stored, "audit", "--json").rows[-1]["seq"]
        assert carebell("-c", stored, *words.split()).code in (0, 1)
        entries = [row for row in carebell("-c", stored, "audit", "--json").rows if row["seq"] > before]
        actions = COMMANDS[name]
        assert not isinstance(actions, str)
        assert {row["what"] for row in entries} == set(actions) - {AuditAction.BREAKER_CLOSE}, name
        for row in entries:
            assert row["who"].startswith("cli:")
            assert "uid=" in row["from"]
            assert NUMBER[2:] not in str(row)
    assert carebell("-c", stored, "audit", "verify").code == 0


def test_what_only_shows_records_nothing(carebell: Carebell, stored: Path) -> None:
    before = carebell("-c", stored, "audit", "--json").rows[-1]["seq"]
    for words in ("status", "logs", "optout list", "audit", "audit verify", "check-config"):
        assert carebell("-c", stored, *words.split()).code in (0, 1)
    assert carebell("-c", stored, "audit", "--json").rows[-1]["seq"] == before


def test_the_service_records_its_start_and_its_end(carebell: Carebell, stored: Path) -> None:
    rows = carebell("-c", stored, "audit", "--who", "service", "--json").rows
    started, stopped = [row for row in rows if row["what"].startswith("service.")]
    assert (started["what"], stopped["what"], stopped["after"]) == ("service.start", "service.stop", "asked")
    assert started["subject"] == stopped["subject"]
    assert started["from"].startswith(f"node={started['subject']} ")
    assert "roles dispatcher,housekeeping,listener,portal" in started["after"]


def test_a_look_is_shown_also_where_it_cannot_be_recorded(
    carebell: Carebell, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreFault("STORE_FULL")

    monkeypatch.setattr("store.audit.append", full)
    ended = carebell("-c", stored, "outbox", "--appointment", "A1", "--json")
    assert (ended.code, len(ended.rows) > 0) == (0, True)
    assert "could not be recorded in the audit log" in ended.err
