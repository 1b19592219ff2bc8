"""A text of a video visit names Carebell's own link: one for a visit, whatever happens to its time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.visit_life import VisitState
from store import visit_links, visits
from store.visits import VideoVisit
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT = NOW + timedelta(days=10)
DAY = timedelta(days=1)
LINK = re.compile(r"https://visit\.example/j/([1-9A-HJ-NP-Za-km-z]{17})(?= |$)")
CHANGES = {
    "join": {"enabled": True, "public_url": "https://visit.example"},
    "environments": {
        "production": {
            "visits": {
                "join": "ours",
                "meeting": {"url": "https://meet.example/{visit_code}"},
                "allowed_hosts": ["meet.example"],
            }
        }
    },
}


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    sms = {"debounce": "0s", "min_gap": "0s", "caps": {"per_day": 20, "per_week": 20}, "reminders": [{"before": "24h"}]}
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms=sms, changes=CHANGES) as made:
        twilio.now = made.clock.now
        yield made


def _hear(service: Pieces, event: str, start: datetime = VISIT, mode: str = "VIDEO", reference: str = "900100") -> None:
    service.step(timedelta(minutes=1))
    status = "Cancelled" if event == "S15" else "Scheduled"
    content = unsigned(
        event,
        f"{event}{service.now:%d%H%M}",
        sent=service.now,
        start=start,
        visit=mode,
        status=status,
        reference=reference,
    )
    service.hear(content)
    assert service.refused == []


def _bodies(service: Pieces, twilio: PocketTwilio) -> list[str]:
    before = len(twilio.asked)
    service.tick()
    return [sms.body for sms in twilio.asked[before:]]


def _token(body: str) -> str:
    found = LINK.search(body)
    assert found is not None
    return found[1]


def _visit(service: Pieces) -> VideoVisit:
    [row, *_] = service.rows("900100")
    with service.store.read() as conn:
        visit = visits.named(conn, row.appointment)
    assert visit is not None
    return visit


def test_every_text_of_a_visit_names_its_one_link(service: Pieces, twilio: PocketTwilio) -> None:
    _hear(service, "S12")
    tokens = {_token(body) for body in _bodies(service, twilio)}
    _hear(service, "S13", VISIT + 5 * DAY)
    tokens |= {_token(body) for body in _bodies(service, twilio)}
    service.step(to=VISIT + 4 * DAY + timedelta(seconds=1))
    tokens |= {_token(body) for body in _bodies(service, twilio)}
    assert len(tokens) == 1
    assert len(twilio.asked) == 3
    visit = _visit(service)
    assert visit.window.opens_at == VISIT + 5 * DAY - timedelta(hours=1)
    assert visit.window.ends_at == VISIT + 5 * DAY + timedelta(hours=2, minutes=30)
    assert tokens.isdisjoint(service.log.read_text("utf-8").split('"'))
    with service.store.read() as conn:
        assert [event.what.value for event in visits.events(conn, [visit.id])] == ["planned", "moved"]


def test_a_cancellation_ends_the_visit(service: Pieces, twilio: PocketTwilio) -> None:
    _hear(service, "S12")
    [body] = _bodies(service, twilio)
    _hear(service, "S15")
    [canceled] = _bodies(service, twilio)
    assert LINK.search(canceled) is None
    assert _visit(service).state is VisitState.CANCELED
    with service.store.read() as conn:
        assert visit_links.find(conn, service.vault.ring, _token(body), service.now) is not None


def test_a_visit_in_person_has_no_link(service: Pieces, twilio: PocketTwilio) -> None:
    _hear(service, "S12", mode="OFFICE")
    [body] = _bodies(service, twilio)
    assert "/j/" not in body
    with service.store.read() as conn:
        assert visits.between(conn, NOW, VISIT + DAY) == []
    _hear(service, "S14")
    [changed] = _bodies(service, twilio)
    token = _token(changed)
    _hear(service, "S14", mode="OFFICE")
    assert _visit(service).state is VisitState.CANCELED
    assert not any(LINK.search(body) for body in _bodies(service, twilio))
    _hear(service, "S14")
    [again] = [body for body in _bodies(service, twilio) if LINK.search(body)]
    assert _token(again) == token, "the same visit, by video again"


def test_a_visit_that_goes_on_under_another_id_keeps_its_link(service: Pieces, twilio: PocketTwilio) -> None:
    _hear(service, "S12")
    [body] = _bodies(service, twilio)
    service.step(timedelta(minutes=1))
    again = unsigned("S13", "MOVED", sent=service.now, start=VISIT + DAY, visit="VIDEO").replace(
        b"SCH|900100^EPIC|900100^EPIC", b"SCH|900100^EPIC|900777^EPIC"
    )
    service.hear(again)
    assert service.refused == []
    [moved] = _bodies(service, twilio)
    assert _token(moved) == _token(body)
    with service.store.read() as conn:
        [visit] = visits.between(conn, NOW, VISIT + 2 * DAY)
    assert visit.reference == "900777"


def test_without_links_of_our_own_nothing_changes(tmp_path: Path, twilio: PocketTwilio) -> None:
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s"}) as made:
        twilio.now = made.clock.now
        _hear(made, "S12")
        [body] = _bodies(made, twilio)
        assert "/j/" not in body
        with made.store.read() as conn:
            assert visits.between(conn, NOW, VISIT + DAY) == []
