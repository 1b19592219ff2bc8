"""A text that was claimed and did not leave: what came meanwhile counts, and the patient is told once, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.outbound import posting
from carebell.outbound.delivery import Settled
from carebell.outbound.posting import Posted
from carebell.outbound.render import claimed_sms
from notifier.gateway import Receipt, Sms
from scheduler.sms import SmsKind, SmsState
from simulator.faults import FaultPlan, ScriptedFault
from simulator.outcomes import SimulatedOutcome
from store.claims import Claimed, Round
from store.faults import StoreFault
from store.last_look import LastLook
from store.outbox_row import OutboxRow
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)  # 10:00 in Los Angeles
VISIT = NOW + timedelta(days=10)
MOVED = VISIT + timedelta(days=2)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio) as made:
        twilio.now = made.clock.now
        yield made


def say(service: Pieces, event: str, number: int, start: datetime = VISIT, status: str = "Scheduled") -> None:
    service.hear(unsigned(event, f"c{number}", sent=service.now, start=start, status=status))
    assert service.refused == []


def after_the_claim(service: Pieces, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something once, when the next claim has committed and nothing was posted yet."""
    claim = service.dispatcher._claim

    def claimed(limit: int) -> Round:
        round_of_claims = claim(limit)
        if round_of_claims.claimed:
            monkeypatch.undo()
            act()
        return round_of_claims

    monkeypatch.setattr(service.dispatcher, "_claim", claimed)


def kinds(twilio: PocketTwilio) -> list[tuple[str, str]]:
    """Kind and day of each text that Twilio took."""
    kind = {sms.id: sms.kind for sms in twilio.asked}
    return [(kind[one.marker or ""], "12" if "Mar 12" in one.body else "14") for one in twilio.ledger.accepted]


def test_a_visit_cancelled_between_claim_and_post_is_never_spoken_of(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    after_the_claim(service, monkeypatch, lambda: say(service, "S15", 2, status="Cancelled"))
    assert service.tick() == 0
    service.step(timedelta(hours=1))
    assert service.tick() == 0
    assert twilio.ledger.received == ()
    assert {row.reason.value for row in service.rows() if row.kind.value in ("booked", "canceled")} == {"canceled"}
    assert service.count(SmsState.DUE) == 0


def test_a_visit_moved_between_claim_and_post_is_booked_once_with_its_final_time(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    after_the_claim(service, monkeypatch, lambda: say(service, "S13", 2, MOVED))
    assert service.tick() == 0  # its debounce runs anew
    service.step(MINUTE)
    assert service.tick() == 1
    assert kinds(twilio) == [("booked", "14")]
    assert service.texts()[0] == ("booked", "accepted", "booked")


def test_a_change_taken_back_between_claim_and_post_is_no_news(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    assert service.tick() == 1
    service.step(timedelta(hours=3))
    say(service, "S13", 2, MOVED)
    service.step(MINUTE)
    after_the_claim(service, monkeypatch, lambda: say(service, "S13", 3, VISIT))
    assert service.tick() == 0
    service.step(timedelta(hours=1))
    assert service.tick() == 0
    assert kinds(twilio) == [("booked", "12")]
    assert ("updated", "suppressed", "no_visible_change") in service.texts()
    assert service.events("sms_suppressed", reason="no_visible_change", source="given_back") == 2  # both windows


def test_what_was_claimed_when_the_service_ends_is_due_again_untried(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    after_the_claim(service, monkeypatch, service.dispatcher.end)
    assert service.tick() == 0
    [booked] = [row for row in service.rows() if row.kind is SmsKind.BOOKED]
    assert (booked.state, booked.attempts, twilio.asked) == (SmsState.DUE, 0, [])
    assert service.tick() == 0, "it claims no more"


def test_a_worker_that_breaks_keeps_no_other_text_from_being_recorded(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_due(service)

    def break_once(claim: Claimed, now: datetime) -> Sms | None:
        if claim.row.reference == "other":
            raise RuntimeError("nobody foresaw this")
        return claimed_sms(claim, now)

    monkeypatch.setattr(posting, "claimed_sms", break_once)
    assert service.tick() == 1
    assert booked(service) == {"900100": SmsState.ACCEPTED, "other": SmsState.UNKNOWN}
    assert service.events("internal_error", where="dispatcher") == 1


def two_due(service: Pieces) -> None:
    say(service, "S12", 1)
    service.hear(unsigned("S12", "other", sent=service.now, start=VISIT, reference="other"))
    service.step(MINUTE)


def post_all(service: Pieces) -> list[Posted]:
    """Claim and post what is due, and record nothing."""
    posted: list[Posted] = []
    with LastLook(service.store) as look:
        poster = service.dispatcher._poster(look)
        poster.post(service.dispatcher._claim(50).claimed, service.runtime_config)
        while poster.open:
            posted += poster.gather()
    return posted


def booked(service: Pieces) -> dict[str, SmsState]:
    return {row.reference: row.state for row in service.rows() if row.kind is SmsKind.BOOKED}


def test_an_answer_that_cannot_be_recorded_keeps_no_other_from_being_recorded(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_due(service)
    settle = service.delivery.settle

    def refuse_other(conn: Any, answers: Sequence[tuple[OutboxRow, Receipt]], now: datetime) -> Settled:
        settled = settle(conn, answers, now)
        if any(row.reference == "other" for row, _ in answers):
            raise ValueError("this row cannot be written")
        return settled

    monkeypatch.setattr(service.delivery, "settle", refuse_other)
    posted = post_all(service)
    assert len(posted) == 2
    assert [type(failure) for failure in service.dispatcher._record_all(posted)] == [ValueError]
    assert booked(service) == {
        "900100": SmsState.ACCEPTED,
        "other": SmsState.SENDING,
    }  # the latter `unknown` after its lease


def test_answers_that_met_a_deadlock_are_recorded_all_the_same(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_due(service)
    settle = service.delivery.settle
    met: list[Any] = []

    def deadlock_once(conn: Any, answers: Sequence[tuple[OutboxRow, Receipt]], now: datetime) -> Settled:
        settled = settle(conn, answers, now)
        if not met:
            met.append(answers)
            raise StoreFault("STORE_LOCKED")
        return settled

    monkeypatch.setattr(service.delivery, "settle", deadlock_once)
    assert (service.tick(), len(met)) == (2, 1)
    assert booked(service) == {"900100": SmsState.ACCEPTED, "other": SmsState.ACCEPTED}


def test_an_unseen_edit_between_claim_and_post_only_delays(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    after_the_claim(service, monkeypatch, lambda: say(service, "S14", 2))
    assert service.tick() == 0
    assert service.tick() == 1
    assert kinds(twilio) == [("booked", "12")]
    assert twilio.asked[0].attempt == 1


def test_a_reminder_of_the_old_time_is_not_sent_when_the_visit_moved_after_its_claim(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, "S12", 1)
    service.step(to=VISIT - timedelta(days=7))
    service.tick()
    service.step(to=VISIT - timedelta(hours=24))
    after_the_claim(service, monkeypatch, lambda: say(service, "S13", 2, MOVED))
    before = len(twilio.ledger.received)
    assert service.tick() == 0
    assert service.tick() == 0
    assert len(twilio.ledger.received) == before
    assert ("reminder", "suppressed", "superseded") in service.texts()


@pytest.mark.parametrize("event", ["S13", "S15", "S14"])
def test_what_comes_while_a_refused_booking_waits_counts(service: Pieces, twilio: PocketTwilio, event: str) -> None:
    """429: nothing was taken, so the patient was not told."""
    twilio.account.faults = FaultPlan(by_recipient={PHONE: [ScriptedFault.TOO_MANY_REQUESTS]})
    say(service, "S12", 1)
    service.step(MINUTE)
    assert service.tick() == 0
    moved = MOVED if event == "S13" else VISIT
    say(service, event, 2, moved, status="Cancelled" if event == "S15" else "Scheduled")
    for _ in range(4):
        service.step(MINUTE)
        service.tick()
    assert kinds(twilio) == {"S13": [("booked", "14")], "S14": [("booked", "12")], "S15": []}[event]


def test_a_cancellation_names_the_time_that_was_told_also_when_it_is_tried_again(
    service: Pieces, twilio: PocketTwilio
) -> None:
    say(service, "S12", 1)
    service.step(MINUTE)
    service.tick()
    say(service, "S13", 2, MOVED)
    say(service, "S15", 3, MOVED, status="Cancelled")
    twilio.account.faults = FaultPlan(by_recipient={PHONE: [ScriptedFault.TOO_MANY_REQUESTS]})
    for _ in range(3):
        service.step(MINUTE)
        service.tick()
    assert kinds(twilio) == [("booked", "12"), ("canceled", "12")]


@pytest.mark.parametrize("edit", ["S14", "configuration"])
def test_a_delivery_that_is_tried_again_is_not_taken_back_as_no_news(
    service: Pieces, twilio: PocketTwilio, edit: str
) -> None:
    """30003, handset off: it is tried again in a minute, and an edit that the patient does not see does not end that."""
    from carebell.outbound.replan import replan_environment

    twilio.account.otherwise = SimulatedOutcome(final="undelivered", error_code=30003)
    say(service, "S12", 1)
    service.step(MINUTE)
    service.tick()
    service.step(timedelta(seconds=10))
    for update in twilio.mail():
        service.webhooks._status(update)
    assert service.texts()[0] == ("booked", "due", "booked")
    if edit == "S14":
        say(service, "S14", 2)
    else:
        policy = service.runtime_config.policies["production"]
        replan_environment(service.store, service.vault, service.clock, policy, service.delivery._journal)
    service.step(MINUTE)
    assert service.tick() == 1
    assert kinds(twilio) == [("booked", "12"), ("booked", "12")]
