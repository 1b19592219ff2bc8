"""After the POST: what is unknown is looked up and never doubled, what is lost is polled, and the gateway forgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.gateway import DeliveryStatus, Resend
from notifier.webhook import StatusUpdate
from scheduler.sms import SmsState
from simulator.faults import FaultPlan, ScriptedFault
from simulator.outcomes import SimulatedOutcome
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT = NOW + timedelta(days=10)
MINUTE = timedelta(minutes=1)
LOST, TAKEN = ScriptedFault.RESET_BEFORE, ScriptedFault.ACCEPT_THEN_RESET


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s"}) as made:
        twilio.now = made.clock.now
        yield made


def say(service: Pieces, event: str, number: int, status: str = "Scheduled") -> None:
    service.hear(unsigned(event, f"c{number}", sent=service.now, start=VISIT, status=status))
    assert service.refused == []


def meets(twilio: PocketTwilio, *faults: ScriptedFault | None) -> None:
    twilio.account.faults = FaultPlan(by_recipient={PHONE: list(faults)})


def cancel(service: Pieces) -> None:
    """A visit that the patient knows of is cancelled, and the text is posted."""
    say(service, "S12", 1)
    service.tick()
    service.step(MINUTE)
    say(service, "S15", 2, status="Cancelled")
    service.tick()


def later(service: Pieces, minutes: float = 1.1) -> None:
    service.step(MINUTE * minutes)
    service.reconciliation.round()
    service.tick()


def of(twilio: PocketTwilio, kind: str) -> int:
    """How many texts of this kind Twilio took."""
    kinds = {sms.id: sms.kind for sms in twilio.asked}
    return sum(kinds[taken.marker or ""] == kind for taken in twilio.ledger.accepted)


def test_what_the_gateway_has_is_found_and_not_sent_again(service: Pieces, twilio: PocketTwilio) -> None:
    meets(twilio, None, TAKEN)
    cancel(service)
    assert service.count(SmsState.UNKNOWN) == 1
    later(service)
    assert service.count(SmsState.UNKNOWN) == 0
    assert of(twilio, "canceled") == 1
    assert service.events("alarm_raised") == 0


def test_a_cancellation_that_was_lost_is_sent_once_more(service: Pieces, twilio: PocketTwilio) -> None:
    meets(twilio, None, LOST)
    cancel(service)
    later(service)
    assert of(twilio, "canceled") == 1
    assert service.count(SmsState.UNKNOWN) == 0


def test_once_more_means_once(service: Pieces, twilio: PocketTwilio) -> None:
    meets(twilio, None, LOST, LOST, LOST)
    cancel(service)
    for _ in range(5):
        later(service)
    assert of(twilio, "canceled") == 0
    assert service.count(SmsState.UNKNOWN) == 1
    assert service.events("alarm_raised") == 1  # once, not every minute


def test_a_refusal_before_does_not_use_up_the_second_chance(service: Pieces, twilio: PocketTwilio) -> None:
    meets(twilio, None, ScriptedFault.TOO_MANY_REQUESTS, LOST)
    cancel(service)
    for _ in range(3):
        later(service)
    assert of(twilio, "canceled") == 1


def test_a_reminder_that_was_lost_stays_unknown_and_is_alarmed_once(service: Pieces, twilio: PocketTwilio) -> None:
    meets(twilio, LOST)
    say(service, "S12", 1)
    service.tick()
    for _ in range(4):
        later(service)
    assert service.count(SmsState.UNKNOWN) == 1
    assert len(twilio.ledger.received) == 1
    assert service.events("alarm_raised") == 1


def test_a_gateway_that_takes_a_text_once_gets_it_until_it_answers(service: Pieces, twilio: PocketTwilio) -> None:
    """Its list shows nothing, and what it has taken it does not take again: any text is posted again, as often as need be."""
    twilio.resends = Resend.ALWAYS
    meets(twilio, LOST, LOST, LOST)
    say(service, "S12", 1)
    service.tick()
    for _ in range(4):
        later(service)
    assert of(twilio, "booked") == 1
    assert service.count(SmsState.UNKNOWN) == 0


def test_a_text_is_posted_again_only_while_it_is_of_use(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.resends = Resend.ALWAYS
    meets(twilio, LOST)
    say(service, "S12", 1)
    service.tick()
    later(service, 60 * 12)  # a text is of use for two hours
    assert len(twilio.ledger.received) == 1
    assert service.count(SmsState.UNKNOWN) == 1


def test_a_gateway_that_may_never_get_a_text_twice_does_not(service: Pieces, twilio: PocketTwilio) -> None:
    """`on_ambiguous: never_retry`."""
    twilio.resends = Resend.NEVER
    meets(twilio, None, LOST)
    cancel(service)
    for _ in range(3):
        later(service)
    assert of(twilio, "canceled") == 0
    assert service.count(SmsState.UNKNOWN) == 1
    assert service.events("alarm_raised") == 1


def test_a_cancellation_is_not_repeated_while_a_text_with_other_words_is_unaccounted_for(
    service: Pieces, twilio: PocketTwilio
) -> None:
    """The templates or the appointment may have changed since: that text may be this one."""
    meets(twilio, None, TAKEN)
    cancel(service)
    twilio.account.messages[-1].body = "Lamna Healthcare: other words."
    for _ in range(3):
        later(service)
    assert of(twilio, "canceled") == 1
    assert service.count(SmsState.UNKNOWN) == 1


def test_a_text_of_another_row_is_not_taken_for_this_one(service: Pieces, twilio: PocketTwilio) -> None:
    """Two of a family have visits at one time: their texts read the same."""
    meets(twilio, None, LOST)
    for reference in ("one", "two"):
        service.hear(unsigned("S12", reference, sent=service.now, start=VISIT, reference=reference))
    service.tick()
    later(service)
    assert service.count(SmsState.UNKNOWN) == 1


def test_a_callback_that_comes_while_the_list_is_asked_wins(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    meets(twilio, None, LOST)
    cancel(service)
    [row] = [row for row in service.rows() if row.state is SmsState.UNKNOWN]
    find = PocketTwilio.find

    def slow(self: PocketTwilio, *asked: object) -> object:
        update = StatusUpdate(
            message_id="SM" + "7" * 32, status=DeliveryStatus.SENT, outbox_id=row.id, attempt=row.attempts
        )
        service.webhooks._status(update)
        return find(self, *asked)  # type: ignore[arg-type]

    monkeypatch.setattr(PocketTwilio, "find", slow)
    later(service)
    assert service.count(SmsState.UNKNOWN) == 0
    assert of(twilio, "canceled") == 0  # it is not sent again: Twilio has spoken


def test_old_unknown_texts_do_not_keep_new_ones_from_being_resolved(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.outbound.reconciliation.PAGE", 2)
    twilio.account.faults = FaultPlan(rates={LOST: 1.0})
    for number in range(3):
        phone = f"+120255501{number:02d}"
        service.hear(unsigned("S12", f"o{number}", sent=NOW, start=VISIT, reference=f"old{number}", phone=phone))
    service.tick()
    service.step(timedelta(hours=25))
    meets(twilio, TAKEN)
    say(service, "S12", 9)
    service.tick()
    later(service)
    assert service.texts("900100")[0] == ("booked", "delivered", "booked")


def test_an_answer_that_comes_after_its_callback_changes_nothing(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.before = lambda sms: service.webhooks._status(
        StatusUpdate(message_id="SM" + "7" * 32, status=DeliveryStatus.DELIVERED, outbox_id=sms.id, attempt=sms.attempt)
    )
    meets(twilio, ScriptedFault.HALF_RESPONSE)
    say(service, "S12", 1)
    service.tick()
    assert service.texts("900100")[0] == ("booked", "delivered", "booked")


def test_a_create_does_not_start_when_its_claim_has_aged(service: Pieces, twilio: PocketTwilio) -> None:
    """The machine was suspended between the claim and the POST; another node may have taken the row for lost."""
    claim = service.dispatcher._claim

    def suspended(limit: int) -> object:
        found = claim(limit)
        if found.claimed:
            service.step(timedelta(minutes=10))
        return found

    service.dispatcher._claim = suspended  # type: ignore[method-assign,assignment]
    say(service, "S12", 1)
    assert service.tick() == 0
    assert twilio.ledger.received == ()
    service.dispatcher._claim = claim  # type: ignore[method-assign]
    assert service.tick() == 1


def test_a_lost_final_status_is_asked_for_after_an_hour(service: Pieces, twilio: PocketTwilio) -> None:
    say(service, "S12", 1)
    service.tick()
    service.step(MINUTE)
    twilio.mail()  # lost on the way
    later(service, 61)
    assert service.texts("900100")[0] == ("booked", "delivered", "booked")


def test_the_gateways_copy_goes_after_the_end(service: Pieces, twilio: PocketTwilio) -> None:
    say(service, "S12", 1)
    service.tick()
    later(service, 61)
    later(service, 1)
    assert twilio.account.messages == ()


def test_the_gateways_copy_is_asked_to_go_also_when_no_end_was_ever_told(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = forgetting(monkeypatch)
    twilio.account.otherwise = SimulatedOutcome(final="sent")
    say(service, "S12", 1)
    service.tick()
    [taken] = twilio.ledger.accepted
    for days in (1, 1, 1.1):
        service.step(timedelta(days=days))
        service.retention.round()
        service.reconciliation.round()
    assert asked == [taken.sid]


def test_the_copy_of_an_earlier_attempt_is_deleted_there_too(
    service: Pieces, twilio: PocketTwilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = forgetting(monkeypatch)
    say(service, "S12", 1)
    service.tick()
    [row] = [row for row in service.rows() if row.kind.value == "booked"]
    stray = StatusUpdate(message_id="SM" + "7" * 32, status=DeliveryStatus.DELIVERED, outbox_id=row.id, attempt=7)
    service.webhooks._status(stray)
    assert service.texts("900100")[0] == ("booked", "accepted", "booked")
    later(service)
    assert asked == [stray.message_id]


def forgetting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the gateway is asked to delete."""
    asked: list[str] = []

    def forget(self: PocketTwilio, message_id: str) -> bool:
        asked.append(message_id)
        return True

    monkeypatch.setattr(PocketTwilio, "forget", forget)
    return asked
