"""Where the page Overview leads from a matter that needs somebody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.inquiries.overview import OverviewReader
from carebell.staff.overview import StaffOverview
from scheduler.clock import SteppingClock
from scheduler.sms import HoldScope
from store import holds, schema
from store.appointment_repository import MessageKey
from store.engine import open_in_memory
from store.holds import Hold
from store.keys import KeyRing
from store.vault import Vault
from tests.carebell.inquiries.test_overview import Source
from tests.store.samples import appointment, first, memory, put
from tests.story.folder import load, make

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    store = open_in_memory()
    schema.upgrade(store)
    yield Source(store=store, loaded=load(make(tmp_path / "clinic")), log_file=None, clock=SteppingClock(NOW))
    store.close()


def _refuse(source: Source, count: int, *, code: str = "SIG07") -> None:
    assert source.log_file is not None
    lines = [
        {
            "time": f"{NOW - timedelta(minutes=count - number):%Y-%m-%dT%H:%M:%S}.000Z",
            "level": "warning", "event": "message_refused", "environment": "production", "answer": "AR", "code": code,
        }
        for number in range(count)
    ]  # fmt: skip
    source.log_file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _sentences(source: Source, scope: frozenset[str] | None = None) -> list[str]:
    needs = StaffOverview(reader=OverviewReader(source), approvals=dict).overview(scope).needs
    return [need.sentence for need in needs if "because of their signature" in need.sentence]


def test_refusals_in_a_row_are_said_before_they_are_an_alarm(source: Source, tmp_path: Path) -> None:
    source.log_file = tmp_path / "carebell.log"
    _refuse(source, 2)
    assert _sentences(source) == []
    _refuse(source, 3)
    [sentence] = _sentences(source)
    assert (
        "The last 3 messages of production were refused because of their signature, the newest with SIG07" in sentence
    )
    assert _sentences(source, frozenset({"test"})) == []
    _refuse(source, 3, code="SEG01")
    assert _sentences(source) == []


def test_refusals_before_an_accepted_message_need_nobody(source: Source, tmp_path: Path) -> None:
    source.log_file = tmp_path / "carebell.log"
    _refuse(source, 4)
    vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
    accepted = memory(1, key=MessageKey("production", "EPIC", "LAMNA", "M1"), received_at=NOW - timedelta(minutes=2))
    put(source.store, vault, [first(appointment())], [accepted], now=NOW)
    assert _sentences(source) == []


def test_refusals_of_yesterday_need_nobody(source: Source, tmp_path: Path) -> None:
    source.log_file = tmp_path / "carebell.log"
    _refuse(source, 4)
    source.clock.move_to(NOW + timedelta(days=1))
    assert _sentences(source) == []


@pytest.mark.parametrize(
    ("scope", "path", "advice"),
    [
        (HoldScope.ENVIRONMENT, "/holds", "run `carebell release`"),
        (HoldScope.APPROVAL, "/environments/test/approval", "An approver looks at"),
    ],
)
def test_a_hold_leads_to_whoever_can_end_it(source: Source, scope: HoldScope, path: str, advice: str) -> None:
    with source.store.write() as conn:
        holds.hold(conn, Hold(scope=scope, name="test", reason="a drill", actor="kim", since=NOW))
    overview = StaffOverview(reader=OverviewReader(source), approvals=dict).overview(None)
    [need] = [need for need in overview.needs if need.environment == "test"]
    assert need.path == path
    assert advice in need.advice
