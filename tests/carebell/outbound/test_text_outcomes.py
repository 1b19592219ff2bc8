"""carebell/outbound/text_outcomes.py: what became of a text goes back once, and only if its environment says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from carebell import authors
from carebell.outbound import manual_opt_outs
from notifier.failures import Failure
from notifier.gateway import DeliveryStatus
from notifier.gateways import failure_of
from parser.phone_number import PhoneNumber
from store import writeback_rows
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

AT: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
START: Final = AT + timedelta(days=9)
HL7: Final = {
    "host": "e.example", "port": 6661, "sending_facility": "A", "receiving_application": "B", "receiving_facility": "C",
}  # fmt: skip
EVERYTHING: Final = {"text_delivered": "hl7", "text_failed": "hl7", "opted_out": "hl7"}


@contextmanager
def _clinic(folder: Path, events: dict[str, str]) -> Iterator[Pieces]:
    writeback: dict[str, Any] = {"events": events, "hl7": HL7}
    twilio = PocketTwilio(now=lambda: AT)
    changes = {"environments": {"production": {"writeback": writeback}}}
    with pieces(folder, at=AT, gateway=twilio, sms={"debounce": "0s", "reminders": []}, changes=changes) as service:
        twilio.now = service.clock.now
        yield service


def _report(service: Pieces, status: DeliveryStatus, failure: Failure | None = None) -> None:
    [row] = service.rows("A1")
    with service.store.write() as conn:
        service.delivery.report(conn, row, status, failure, row.sid, service.now)()


def _told(service: Pieces) -> list[tuple[str, object]]:
    with service.store.read() as conn:
        return [(row.event.value, row.facts.get("code")) for row in writeback_rows.rows(conn)]


def _book(service: Pieces) -> None:
    service.hear(unsigned("S12", "booked", sent=AT, start=START, reference="A1", phone=PHONE))
    service.step(timedelta(minutes=5))
    service.tick()


def test_a_delivered_text_goes_back_once(tmp_path: Path) -> None:
    with _clinic(tmp_path / "clinic", EVERYTHING) as service:
        _book(service)
        assert _told(service) == []
        _report(service, DeliveryStatus.DELIVERED)
        _report(service, DeliveryStatus.DELIVERED)
        assert _told(service) == [("text_delivered", None)]


def test_a_text_that_failed_goes_back_with_its_code(tmp_path: Path) -> None:
    with _clinic(tmp_path / "clinic", EVERYTHING) as service:
        _book(service)
        _report(service, DeliveryStatus.UNDELIVERED, failure_of(30006))
        assert _told(service) == [("text_failed", 30006)]


def test_an_opt_out_goes_back_once_for_each_visit(tmp_path: Path) -> None:
    with _clinic(tmp_path / "clinic", EVERYTHING) as service:
        with service.store.write() as conn:
            author = authors.service("n1")
            senders = ["+14255550100"]
            ring = service.vault.ring
            manual_opt_outs.add(conn, author, PhoneNumber(PHONE), senders, ring, source="cli", at=AT)
        _book(service)
        moved = START + timedelta(days=1)
        service.hear(unsigned("S13", "moved", sent=service.now, start=moved, reference="A1", phone=PHONE))
        service.step(timedelta(minutes=5))
        service.tick()
        assert {text[1:] for text in service.texts()} == {("suppressed", "opted_out")}
        assert _told(service) == [("opted_out", None)]


def test_without_a_word_in_the_configuration_nothing_goes_back(tmp_path: Path) -> None:
    with _clinic(tmp_path / "clinic", {"confirmed": "hl7"}) as service:
        _book(service)
        _report(service, DeliveryStatus.DELIVERED)
        assert _told(service) == []
