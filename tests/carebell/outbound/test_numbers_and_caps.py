"""Numbers that are no use, opt-outs as they arrive, and which texts fall when a number has had its share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from notifier.gateway import DeliveryStatus
from notifier.reply_words import read_reply_words
from notifier.twilio.webhooks import SignedForm, read_inbound
from notifier.webhook import Unreadable
from scheduler.sms import SmsKind, SmsState
from simulator.faults import FaultPlan, ScriptedFault
from simulator.outcomes import CallbackMode, SimulatedOutcome
from store import optouts
from store.crypto import day_of
from store.tables import day_keys
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT = NOW + timedelta(days=10)
OTHER = "+12025550144"


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    sms = {"debounce": "0s", "caps": {"per_day": 1, "per_week": 9}, "reminders": [{"before": "48h"}, {"before": "24h"}]}
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms=sms) as made:
        twilio.now = made.clock.now
        yield made


def book(service: Pieces, reference: str, start: datetime = VISIT, phone: str = PHONE, event: str = "S12") -> None:
    status = "Cancelled" if event == "S15" else "Scheduled"
    service.hear(
        unsigned(
            event,
            f"{reference}-{event}-{phone[-2:]}",
            sent=service.now,
            start=start,
            reference=reference,
            phone=phone,
            status=status,
        )
    )
    assert service.refused == []


def reminders(service: Pieces, reference: str) -> dict[str, str]:
    """Rule -> reason, or the state where it left."""
    return {
        row.rule: row.reason.value if row.state is SmsState.SUPPRESSED else row.state.value
        for row in service.rows(reference)
        if row.kind.value == "reminder"
    }


def say(service: Pieces, words: str, number: int) -> None:
    """A patient's text; `number` tells one message from another."""
    form = {"From": PHONE, "To": "+14255550100", "Body": words, "MessageSid": f"SM{number:032x}"}
    reply = read_inbound(SignedForm(form, {}), read_reply_words())
    assert not isinstance(reply, Unreadable)
    asyncio.run(service.webhooks.on_inbound(reply))


# Numbers


@pytest.mark.parametrize(
    "outcome",
    [SimulatedOutcome(refuse=21614), SimulatedOutcome(final="failed", error_code=30005)],
    ids=["create", "delivery"],
)
def test_a_number_that_the_gateway_calls_unusable_is_dropped(
    service: Pieces, twilio: PocketTwilio, outcome: SimulatedOutcome
) -> None:
    twilio.account.script[PHONE] = outcome
    book(service, "one")
    service.tick()
    service.step(timedelta(seconds=10))
    for update in twilio.mail():
        service.webhooks._status(update)
    assert reminders(service, "one") == {"48h": "invalid_phone", "24h": "invalid_phone"}
    book(service, "one", phone=OTHER, event="S14")  # the hospital corrects it
    assert reminders(service, "one") == {"48h": "due", "24h": "due"}


def test_a_number_that_was_corrected_before_the_bad_news_stays(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(final="failed", error_code=30005)
    book(service, "one")
    service.tick()
    service.step(timedelta(seconds=10))
    book(service, "one", phone=OTHER, event="S14")
    for update in twilio.mail():
        service.webhooks._status(update)
    assert reminders(service, "one") == {"48h": "due", "24h": "due"}


# Caps

SOON = NOW + timedelta(hours=25)


def test_a_confirmation_that_a_cap_stops_does_not_silence_the_reminder(service: Pieces) -> None:
    """Its reminder was `too_close` to a text that never left; now it waits for its own time and decision."""
    book(service, "first")
    service.tick()
    book(service, "second", SOON)
    assert reminders(service, "second") == {"48h": "late_booking", "24h": "too_close"}
    service.tick()
    assert [text[1:] for text in service.texts("second") if text[0] == "booked"] == [("suppressed", "cap")]
    assert reminders(service, "second") == {"48h": "late_booking", "24h": "due"}


def test_a_confirmation_that_the_gateway_refuses_does_not_silence_the_reminder(
    service: Pieces, twilio: PocketTwilio
) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(refuse=30007)
    book(service, "one", SOON)
    assert reminders(service, "one")["24h"] == "too_close"
    service.tick()
    assert [text[1] for text in service.texts("one") if text[0] == "booked"] == ["failed"]
    assert reminders(service, "one")["24h"] == "due"


LATER = NOW + timedelta(hours=25, minutes=50)
"""Its reminder `24h` is due within `min_gap` of the booking, and after a status was asked for an hour later."""


def deliver(service: Pieces, twilio: PocketTwilio) -> None:
    """Hand over the status callbacks that are due."""
    for update in twilio.mail():
        service.webhooks._status(update)


def confirmation(service: Pieces) -> str:
    [row] = [row for row in service.rows("one") if row.kind is SmsKind.BOOKED]
    return row.state.value


@pytest.mark.parametrize("final", ["failed", "undelivered"])
@pytest.mark.parametrize("error_code", [30007, 30008, None], ids=["final", "retried_once", "no_code"])
def test_a_confirmation_reported_as_failed_does_not_silence_the_reminder(
    service: Pieces, twilio: PocketTwilio, final: str, error_code: int | None
) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(final=final, error_code=error_code)
    book(service, "one", LATER)
    attempts = 2 if error_code == 30008 else 1
    for _ in range(attempts):
        service.tick()
        assert confirmation(service) == "accepted"
        assert reminders(service, "one")["24h"] == "too_close"
        service.step(timedelta(seconds=10))
        deliver(service, twilio)
        if confirmation(service) == "due":  # it is tried again: it may still reach the patient
            assert reminders(service, "one")["24h"] == "too_close"
        service.step(timedelta(minutes=2))
    assert confirmation(service) == final
    assert reminders(service, "one") == {"48h": "late_booking", "24h": "due"}
    deliver(service, twilio)
    assert service.events("reminder_replanned", appointment="one", kind="reminder", rule="24h") == 1


def test_a_failure_found_by_asking_gives_the_reminder_its_place_back(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(
        final="undelivered", error_code=30007, callbacks=CallbackMode.DROPPED
    )
    book(service, "one", LATER)
    service.tick()
    service.step(timedelta(minutes=62))
    service.reconciliation.round()
    assert confirmation(service) == "undelivered"
    assert reminders(service, "one")["24h"] == "due"
    assert service.events("reminder_replanned", appointment="one") == 1


def test_a_failure_found_in_the_gateways_list_gives_the_reminder_its_place_back(
    service: Pieces, twilio: PocketTwilio
) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(final="failed", error_code=30007, callbacks=CallbackMode.DROPPED)
    twilio.account.faults = FaultPlan(by_recipient={PHONE: [ScriptedFault.ACCEPT_THEN_RESET]})
    book(service, "one", LATER)
    service.tick()
    assert confirmation(service) == "unknown"
    assert reminders(service, "one")["24h"] == "too_close"
    service.step(timedelta(minutes=2))
    service.reconciliation.round()
    assert confirmation(service) == "failed"
    assert reminders(service, "one")["24h"] == "due"
    assert service.events("reminder_replanned", appointment="one") == 1


def test_a_confirmation_that_arrived_after_all_keeps_the_reminder_away(service: Pieces, twilio: PocketTwilio) -> None:
    """`delivered` replaces a failure that was reported before."""
    twilio.account.script[PHONE] = SimulatedOutcome(final="undelivered", error_code=30007)
    book(service, "one", LATER)
    service.tick()
    service.step(timedelta(seconds=10))
    [*_, last] = twilio.mail()
    service.webhooks._status(last)
    assert reminders(service, "one")["24h"] == "due"
    service.webhooks._status(replace(last, status=DeliveryStatus.DELIVERED, failure=None))
    assert confirmation(service) == "delivered"
    assert reminders(service, "one")["24h"] == "too_close"
    assert service.events("sms_suppressed", rule="24h", reason="too_close", source="gateway") == 1


def test_a_number_that_does_not_open_keeps_no_status_from_being_recorded(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(final="undelivered", error_code=30007)
    book(service, "one", LATER)
    service.tick()
    with service.store.write() as conn:
        conn.execute(day_keys.update().values(wrapped=b"damaged"))
    service.vault._opened.clear()  # as after a restart
    service.step(timedelta(seconds=10))
    deliver(service, twilio)
    assert confirmation(service) == "undelivered"


def test_what_a_refusal_at_the_create_gives_back_is_logged(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(refuse=30007)
    book(service, "one", SOON)
    service.tick()
    assert service.events("reminder_replanned", appointment="one", rule="24h") == 1


def test_a_confirmation_that_left_keeps_the_reminder_away(service: Pieces) -> None:
    book(service, "one", SOON)
    service.tick()
    book(service, "one", SOON, event="S14")
    assert reminders(service, "one")["24h"] == "too_close"


def test_the_far_reminder_falls_first(service: Pieces, twilio: PocketTwilio) -> None:
    """One text a day: of two visits' reminders in one minute the nearer visit's goes."""
    service.step(to=NOW + timedelta(hours=1))
    book(service, "far", NOW + timedelta(hours=1 + 72))
    service.tick()
    book(service, "near", NOW + timedelta(hours=1 + 48))
    service.tick()  # the booking of the second visit is over the cap
    assert [row.reason.value for row in service.rows("near") if row.kind.value == "booked"] == ["cap"]
    assert service.events("sms_suppressed", appointment="near", reason="cap", cap="per_day", source="claim") == 1
    service.step(to=NOW + timedelta(hours=1 + 24))
    service.tick()
    assert reminders(service, "near")["24h"] == "accepted"
    assert reminders(service, "far")["48h"] == "cap"


def test_a_cancellation_goes_over_every_cap_and_before_others(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, "one")
    service.tick()
    book(service, "two")
    book(service, "one", event="S15")
    service.tick()
    assert [sms.kind for sms in twilio.asked] == ["booked", "canceled"]


# A number that cannot be read


def test_a_number_that_does_not_open_keeps_no_other_text_from_leaving(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, "one")
    book(service, "two", start=VISIT + timedelta(days=3), phone=OTHER)
    with service.store.write() as conn:
        of = day_keys.c.day == day_of(VISIT + timedelta(days=3))
        wrapped = conn.execute(select(day_keys.c.wrapped).where(of)).scalar_one()
        conn.execute(day_keys.update().where(of).values(wrapped=wrapped[:-1] + bytes([wrapped[-1] ^ 1])))
    service.vault._opened.clear()  # as after a restart
    assert service.tick() == 1
    assert service.events("number_unreadable", appointment="two", level="critical") == 1
    assert service.tick() == 0
    assert service.events("number_unreadable") == 1, "once for each time it is tried"
    with service.store.write() as conn:
        conn.execute(day_keys.update().where(of).values(wrapped=wrapped))
    service.step(timedelta(minutes=5))
    assert service.tick() == 1
    assert service.events("internal_error") == 0


# Opt-outs


def test_a_stop_is_heard_at_once_and_a_start_restores(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, "one")
    say(service, "Stop!", 1)
    service.tick()
    assert [row.reason.value for row in service.rows("one") if row.kind.value == "booked"] == ["opted_out"]
    service.step(timedelta(minutes=1))
    say(service, "start", 2)
    book(service, "two")
    assert service.tick() == 1


def test_a_start_played_again_after_a_stop_restores_nothing(service: Pieces, twilio: PocketTwilio) -> None:
    """Its signature is good for as long as the token: it carries no time."""
    for number, words in enumerate(("STOP", "START", "STOP")):
        say(service, words, number)
        service.step(timedelta(days=30))
    say(service, "START", 1)
    book(service, "one", service.now + timedelta(days=10))
    assert service.tick() == 0
    assert [row.reason.value for row in service.rows("one") if row.kind.value == "booked"] == ["opted_out"]
    assert (service.events("opt_out_restored"), service.events("reply_repeated", to="***0143")) == (1, 1)


def test_a_stop_played_again_after_a_start_silences_nobody(service: Pieces, twilio: PocketTwilio) -> None:
    for number, words in ((1, "STOP"), (2, "START"), (1, "STOP")):
        say(service, words, number)
        service.step(timedelta(minutes=1))
    book(service, "one")
    assert service.tick() == 1


def test_a_reply_whose_transaction_failed_counts_when_it_comes_again(
    service: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InterruptedError

    monkeypatch.setattr("store.audit.append", fail)
    with pytest.raises(InterruptedError):
        say(service, "STOP", 1)
    monkeypatch.undo()
    say(service, "STOP", 1)
    assert (service.events("opt_out_recorded"), service.events("reply_repeated")) == (1, 0)


@pytest.mark.parametrize(("words", "source"), [("Please stop", "webhook"), ("Stop, I moved away", "words")])
def test_an_opt_out_says_whether_it_was_heard_among_other_words(service: Pieces, words: str, source: str) -> None:
    say(service, words, 1)
    with service.store.read() as conn:
        assert [optout.source for optout in optouts.listed(conn)] == [source]
    assert service.events("opt_out_recorded", source=source, to="***0143") == 1
    assert service.metrics.registry.get_sample_value("carebell_opt_outs_total", {"source": source}) == 1


def test_a_text_that_may_be_a_stop_is_shown_to_staff_once_and_silences_nobody(service: Pieces) -> None:
    for _ in range(2):  # the gateway repeats what it believes was not heard
        say(service, "Shall I stop my zoloft before the visit on Monday, or only after it?", 1)
    assert service.events("reply_unclear", level="warning", to="***0143", sid=f"SM{1:032x}") == 1
    assert "zoloft" not in service.log.read_text("utf-8").casefold()
    book(service, "one")
    assert service.tick() == 1


def test_every_answer_is_counted_by_what_it_asks_for(service: Pieces) -> None:
    for number, words in enumerate(("stop", "Stop, I moved", "start", "help", "bus stop", "See you then")):
        say(service, words, number)
    shown = service.metrics.render().decode()
    for asked in ("stop", "stop_in_words", "start", "help", "unclear", "other"):
        assert f'carebell_replies_total{{intent="{asked}"}} 1.0' in shown


def test_a_refusal_for_an_opt_out_is_an_opt_out_that_outlives_the_phone(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.script[PHONE] = SimulatedOutcome(refuse=21610)
    book(service, "one", NOW + timedelta(days=3))
    service.tick()
    service.step(to=NOW + timedelta(days=4))
    service.retention.round()
    del twilio.account.script[PHONE]
    book(service, "two", NOW + timedelta(days=9))
    assert service.tick() == 0
    assert [row.reason.value for row in service.rows("two") if row.kind.value == "booked"] == ["opted_out"]
    assert service.events("opt_out_recorded", source="refusal") == 1
    assert service.metrics.registry.get_sample_value("carebell_opt_outs_total", {"source": "refusal"}) == 1
