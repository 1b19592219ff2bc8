"""Where the page Overview leads from a matter that needs somebody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.inquiries.overview import OverviewReader
from carebell.staff.overview import StaffOverview
from scheduler.clock import SteppingClock
from scheduler.sms import HoldScope
from store import holds, schema
from store.engine import open_in_memory
from store.holds import Hold
from tests.carebell.inquiries.test_overview import Source
from tests.story.folder import load, make

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    store = open_in_memory()
    schema.upgrade(store)
    yield Source(store=store, loaded=load(make(tmp_path / "clinic")), log_file=None, clock=SteppingClock(NOW))
    store.close()


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
