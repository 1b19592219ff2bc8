"""Which silences of a plan are news for the log, and that each stands there once with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.outbound.replan import replan_environment
from carebell.outbound.silences import events_of, silences_of
from journal.logs import setup
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from simulator.outcomes import SimulatedOutcome
from store.appointment_repository import load
from store.engine import Transaction
from store.faults import StoreFault
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT = NOW + timedelta(days=10)
SILENT = PlannedRow(
    kind=SmsKind.REMINDER,
    rule="24h",
    revision=3,
    due=VISIT,
    expires=None,
    state=SmsState.SUPPRESSED,
    reason=Reason.NO_PHONE,
)
WAITING = replace(SILENT, state=SmsState.DUE, reason=Reason.REMINDER, expires=VISIT)


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    sms = {"debounce": "0s", "reminders": [{"before": "48h"}, {"before": "24h"}]}
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms=sms) as made:
        twilio.now = made.clock.now
        yield made


def book(service: Pieces, **values: Any) -> None:
    service.hear(unsigned("S12", "1", sent=service.now, start=VISIT, reference="A1", **values))
    assert service.refused == []


@pytest.mark.parametrize(
    ("before", "change", "is_news"),
    [
        (None, SILENT, True),
        (None, WAITING, False),
        (SILENT, WAITING, False),
        (WAITING, SILENT, True),
        (SILENT, replace(SILENT, reason=Reason.LANDLINE), True),
        (SILENT, replace(SILENT, due=VISIT + timedelta(hours=1)), False),
        (replace(SILENT, revision=2), SILENT, True),
        (replace(SILENT, rule="48h"), SILENT, True),
        (replace(SILENT, kind=SmsKind.BOOKED), SILENT, True),
    ],
    ids=[
        "new",
        "due",
        "now due",
        "withdrawn",
        "other reason",
        "other time",
        "other revision",
        "other rule",
        "other kind",
    ],
)
def test_a_silence_is_news_once(before: PlannedRow | None, change: PlannedRow, is_news: bool, service: Pieces) -> None:
    book(service)
    with service.store.read() as conn:
        row = service.rows("A1")[0]
        appointment = load(conn, service.vault, {row.appointment}, NOW, lock=False)[row.appointment].appointment
    silences = silences_of(appointment, [] if before is None else [before], [change])
    assert [silence.row for silence in silences] == ([change] if is_news else [])
    for event in events_of(silences, "message"):
        identity = event.identity
        assert (identity.environment, identity.appointment, identity.sms) == ("production", "A1", None)
        assert (identity.kind, identity.rule, event.revision) == (change.kind, change.rule, change.revision)
        assert (event.reason, event.due, event.source) == (change.reason, change.due, "message")


def test_the_texts_of_a_number_found_unusable_are_logged_once(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(final="failed", error_code=30005)
    book(service)
    service.tick()
    service.step(timedelta(seconds=10))
    for update in twilio.mail():
        service.webhooks._status(update)
        service.webhooks._status(update)
    for rule in ("48h", "24h"):
        assert service.events("sms_suppressed", rule=rule, reason="invalid_phone", source="invalid_number") == 1
    assert service.events("sms_suppressed") == 2


def test_what_a_transaction_did_that_was_undone_is_logged_once(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(refuse=21610)  # the number has opted out
    book(service)
    settle, deadlocks = service.delivery.settle, [StoreFault("STORE_LOCKED")]

    def deadlock_once(conn: Transaction, answers: Any, now: datetime) -> Any:
        settled = settle(conn, answers, now)
        if deadlocks:
            raise deadlocks.pop()
        return settled

    monkeypatch.setattr(service.delivery, "settle", deadlock_once)
    service.tick()
    assert not deadlocks
    assert service.events("opt_out_recorded", source="refusal") == 1


def test_a_text_found_not_to_leave_at_its_time_has_its_id(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    [row] = [row for row in service.rows("A1") if row.kind is SmsKind.BOOKED]
    service.step(timedelta(days=3))
    service.tick()
    assert service.events("sms_suppressed", sms=row.id, reason="expired", source="claim") == 1


def test_a_changed_configuration_logs_what_it_takes_back(service: Pieces, tmp_path: Path) -> None:
    book(service)
    policy = service.runtime_config.policies["production"]
    sms = policy.planning.sms.model_copy(update={"reminders": policy.planning.sms.reminders[1:]})
    fewer = replace(policy, planning=replace(policy.planning, sms=sms))
    with setup(now=service.clock.now, file=service.log) as journal:
        for _ in range(2):
            replan_environment(service.store, service.vault, service.clock, fewer, journal)
    assert service.events("sms_suppressed", rule="48h", reason="no_rule", source="configuration") == 1
    assert service.events("sms_suppressed") == 1
