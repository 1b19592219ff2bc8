"""What a patient answers to a text that asked: whose question it is, what is recorded, what is said, and what goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from notifier.reply_words import read_reply_words
from notifier.twilio.webhooks import SignedForm, read_inbound
from notifier.webhook import Unreadable
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackPolicy, WritebackState
from store import writeback_rows
from store.tables import outbox, patient_replies
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)  # 10:00 in Los Angeles
VISIT = NOW + timedelta(days=10)
NEXT_DAY = VISIT + timedelta(days=1)
SECOND = timedelta(seconds=1)
SMS: Mapping[str, Any] = {
    "debounce": "0s",
    "caps": {"per_day": 3, "per_week": 9},
    "reminders": [{"before": "48h"}, {"before": "24h"}],
    "replies": {"enabled": True},
}


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    with opened(tmp_path, twilio, SMS) as made:
        yield made


@contextmanager
def opened(folder: Path, twilio: PocketTwilio, sms: Mapping[str, Any]) -> Iterator[Pieces]:
    with pieces(folder / "clinic", at=NOW, gateway=twilio, sms=dict(sms)) as made:
        twilio.now = made.clock.now
        yield made


def book(service: Pieces, reference: str = "one", start: datetime = VISIT, event: str = "S12", **others: Any) -> None:
    status = "Cancelled" if event == "S15" else "Scheduled"
    control_id = f"{reference}-{event}-{service.now:%d%H%M%S}"
    service.hear(
        unsigned(event, control_id, sent=service.now, start=start, reference=reference, status=status, **others)
    )
    assert service.refused == []


def say(service: Pieces, words: str, number: int = 1, **fields: str) -> None:
    """A patient's text, a second later; `number` tells one message from another."""
    service.step(SECOND)
    form = {"From": PHONE, "To": "+14255550100", "Body": words, "MessageSid": f"SM{number:032x}"} | fields
    reply = read_inbound(SignedForm(form, {}), read_reply_words())
    assert not isinstance(reply, Unreadable)
    asyncio.run(service.webhooks.on_inbound(reply))


def replies(service: Pieces) -> list[tuple[str, str | None]]:
    """(kind, why it changed nothing) of every reply."""
    with service.store.read() as conn:
        of = patient_replies.c
        return [(row.kind, row.reason) for row in conn.execute(select(of.kind, of.reason).order_by(of.at, of.id))]


def bodies(twilio: PocketTwilio) -> list[str]:
    return [sms.body for sms in twilio.asked]


def write_back(service: Pieces, **channels: WritebackChannel) -> None:
    """Let these events go back to the EHR."""
    given = {WritebackEvent(name): channel for name, channel in channels.items()}
    policy = service.runtime_config.policies["production"]
    changed = replace(policy, writeback=WritebackPolicy(channels=given))
    service.runtime_config = replace(
        service.runtime_config, policies={**service.runtime_config.policies, "production": changed}
    )


def went_back(service: Pieces) -> list[tuple[str, object]]:
    with service.store.read() as conn:
        return [(row.event.value, row.facts["ask"]) for row in reversed(writeback_rows.rows(conn))]


def test_a_confirmed_visit_is_thanked_for_and_not_asked_about_again(service: Pieces, twilio: PocketTwilio) -> None:
    write_back(service, confirmed=WritebackChannel.HL7)
    book(service)
    service.tick()
    assert "Reply C to confirm. Questions" in bodies(twilio)[0]
    say(service, "c.")
    assert replies(service) == [("confirm", None)]
    assert went_back(service) == [("confirmed", False)]
    service.tick()
    assert "thank you. Your visit on Thu, Mar 12 at 11:00 AM is confirmed" in bodies(twilio)[1]
    service.step(to=VISIT - timedelta(hours=48))
    service.tick()
    assert "a reminder" in bodies(twilio)[2]
    assert "Reply C" not in bodies(twilio)[2]
    assert service.events("patient_replied", reply="confirm", appointment="one") == 1


def test_without_the_switch_nothing_is_asked_and_nothing_heard(tmp_path: Path, twilio: PocketTwilio) -> None:
    with opened(tmp_path, twilio, {**SMS, "replies": {"enabled": False}}) as service:
        book(service)
        service.tick()
        say(service, "C")
        service.tick()
        assert len(bodies(twilio)) == 1
        assert "Reply C" not in bodies(twilio)[0]
        assert replies(service) == []


def test_a_visit_that_cannot_be_come_to_is_reported_and_reminded_of_all_the_same(
    service: Pieces, twilio: PocketTwilio
) -> None:
    write_back(service, cannot_come=WritebackChannel.HL7, confirmed=WritebackChannel.HL7)
    book(service)
    service.tick()
    say(service, "N")
    service.tick()
    assert "we have told the clinic that you cannot come" in bodies(twilio)[1]
    say(service, "C", 2)  # the patient comes after all
    service.tick()
    assert replies(service) == [("cannot_come", None), ("confirm", None)]
    assert went_back(service) == [("cannot_come", False), ("confirmed", False)]
    service.step(to=VISIT - timedelta(hours=48))
    service.tick()
    assert "a reminder" in bodies(twilio)[-1]


def test_the_ehr_is_asked_to_cancel_where_the_configuration_says_so(tmp_path: Path, twilio: PocketTwilio) -> None:
    asks = {**SMS, "replies": {"enabled": True, "cannot_come": "ask_ehr"}}
    with opened(tmp_path, twilio, asks) as service:
        write_back(service, cannot_come=WritebackChannel.HL7)
        book(service)
        service.tick()
        say(service, "No")
        assert went_back(service) == [("cannot_come", True)]


@pytest.mark.parametrize("confirmed", [{}, {"confirmed": WritebackChannel.HL7}])
def test_who_confirms_after_all_takes_the_question_back_whatever_goes_back_of_it(
    tmp_path: Path, twilio: PocketTwilio, confirmed: Mapping[str, WritebackChannel]
) -> None:
    asks = {**SMS, "replies": {"enabled": True, "cannot_come": "ask_ehr"}}
    with opened(tmp_path, twilio, asks) as service:
        write_back(service, cannot_come=WritebackChannel.HL7, **confirmed)
        for reference, start in (("one", VISIT), ("two", NEXT_DAY)):
            book(service, reference, start)
            service.tick()
        say(service, "N1")
        say(service, "N2", 2)
        say(service, "C1", 3)
        with service.store.read() as conn:
            asked = [row.state for row in reversed(writeback_rows.rows(conn)) if row.facts["ask"]]
        assert asked == [WritebackState.SUPERSEDED, WritebackState.DUE]


def test_a_second_confirmation_is_recorded_and_has_no_second_effect(service: Pieces, twilio: PocketTwilio) -> None:
    write_back(service, confirmed=WritebackChannel.HL7)
    book(service)
    service.tick()
    say(service, "C", 1)
    say(service, "C", 1)  # the gateway repeats it
    say(service, "👍", 2)  # and the patient says it once more
    service.tick()
    assert replies(service) == [("confirm", None), ("confirm", None)]
    assert went_back(service) == [("confirmed", False)]
    assert len(bodies(twilio)) == 2
    assert service.events("reply_repeated") == 1


def test_of_several_visits_a_bare_word_is_answered_with_the_list(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, "one")
    service.tick()
    book(service, "two", NEXT_DAY)
    service.tick()
    assert "Reply C2 to confirm" in bodies(twilio)[1]
    say(service, "C", 1)
    service.tick()
    assert "2 visits: C1 for Thu, Mar 12, 11:00 AM. C2 for Fri, Mar 13, 11:00 AM." in bodies(twilio)[2]
    say(service, "C2", 2)
    service.tick()
    assert "Fri, Mar 13 at 11:00 AM is confirmed" in bodies(twilio)[3]
    assert replies(service) == [("confirm", "which_visit"), ("confirm", None)]
    with service.store.read() as conn:
        [sms] = conn.execute(select(patient_replies.c.question).where(patient_replies.c.reason.is_(None))).scalars()
        assert conn.execute(select(outbox.c.reference).where(outbox.c.id == sms)).scalar_one() == "two"


def test_a_list_offers_the_word_that_was_sent(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, "one")
    book(service, "two", NEXT_DAY)
    service.tick()
    assert sorted(body.split("Reply ")[1].split()[0] for body in bodies(twilio)) == ["C", "C2"]
    say(service, "N")
    service.tick()
    assert "2 visits: N1 for" in bodies(twilio)[2]


def test_a_moved_visit_is_answered_with_its_time_and_asked_about_again(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    service.step(SECOND)
    book(service, start=NEXT_DAY, event="S13")  # its text has not left yet
    say(service, "C", 1)
    assert replies(service) == [("confirm", "moved")]
    service.tick()
    answer = next(body for body in bodies(twilio) if "has moved" in body)
    assert "It is now on Fri, Mar 13 at 11:00 AM. Reply C to confirm." in answer
    say(service, "C", 2)
    assert replies(service) == [("confirm", "moved"), ("confirm", None)]


def test_a_move_after_the_confirmation_is_asked_about_again(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    say(service, "C", 1)
    service.tick()
    book(service, start=NEXT_DAY, event="S13")
    service.step(timedelta(minutes=1))
    service.tick()
    assert "has changed" in bodies(twilio)[2]
    assert "Reply C to confirm" in bodies(twilio)[2]


@pytest.mark.parametrize("over", ["cancelled", "begun", "corrected"])
def test_without_an_open_question_a_word_is_not_understood(service: Pieces, twilio: PocketTwilio, over: str) -> None:
    book(service)
    service.tick()
    service.step(SECOND)
    if over == "cancelled":
        book(service, event="S15")
    elif over == "corrected":
        book(service, event="S14", phone="+12025550144")
    else:
        service.step(to=VISIT)
    service.tick()
    before = len(bodies(twilio))
    say(service, "C")
    service.tick()
    assert replies(service) == [("confirm", "no_question")]
    assert len(bodies(twilio)) == before  # there is no visit to come of which this number may hear
    assert service.events("reply_not_understood", reason="no_question") == 1


def test_what_is_no_word_is_answered_once_a_day(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    say(service, "Can I bring my dog?", 1)
    service.tick()
    say(service, "Liked “Lamna Healthcare: your visit is on”", 2)
    service.tick()
    assert replies(service) == [("unknown", "no_word")] * 2
    assert [body for body in bodies(twilio) if "cannot read messages" in body] == [bodies(twilio)[1]]
    assert "Reply STOP to opt out" in bodies(twilio)[1]


def test_yes_confirms_unless_the_number_has_opted_out(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    say(service, "STOP", 1)
    say(service, "yes", 2)
    assert replies(service) == []  # it is a START
    assert service.events("opt_out_restored") == 1
    say(service, "Yes!", 3)
    assert replies(service) == [("confirm", None)]
    say(service, "STOP", 4)
    say(service, "Yes!", 3)  # replayed: it is no START either
    with service.store.read() as conn:
        assert len(conn.execute(select(patient_replies.c.id)).all()) == 1
    assert service.events("opt_out_restored") == 1


def test_a_number_that_has_opted_out_may_confirm_and_gets_no_text(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    say(service, "STOP", 1)
    say(service, "C", 2)
    service.tick()
    assert replies(service) == [("confirm", None)]
    assert len(bodies(twilio)) == 1
    assert ("answer", "suppressed", "opted_out") in service.texts("one")


def test_an_answer_leaves_in_quiet_hours_and_counts_for_no_cap(tmp_path: Path, twilio: PocketTwilio) -> None:
    tight = {**SMS, "caps": {"per_day": 1, "per_week": 1}}
    with opened(tmp_path, twilio, tight) as service:
        book(service)
        service.tick()
        service.step(to=NOW + timedelta(hours=12))  # 22:00
        say(service, "C")
        service.tick()
        assert len(bodies(twilio)) == 2
        book(service, event="S13", start=NEXT_DAY)
        service.step(timedelta(hours=12, minutes=1))
        service.tick()
        assert len(bodies(twilio)) == 2  # the week's one is the booking


def test_an_answer_that_waits_survives_a_new_plan(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()
    say(service, "C")
    book(service, event="S14")
    service.tick()
    assert any("is confirmed" in body for body in bodies(twilio))


def test_a_question_stays_open_longer_than_the_hash_is_kept_for_caps(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, start=NOW + timedelta(days=30))
    service.tick()
    service.step(timedelta(days=20))
    service.retention.round()
    say(service, "C")
    assert replies(service) == [("confirm", None)]
    service.step(to=NOW + timedelta(days=30))
    service.retention.round()
    with service.store.read() as conn:
        assert conn.execute(select(outbox.c.phone_key).where(outbox.c.kind == "booked")).scalar_one() is None


def test_the_hash_of_a_cancelled_visit_goes_in_its_time(service: Pieces, twilio: PocketTwilio) -> None:
    book(service, start=NOW + timedelta(days=30))
    service.tick()
    service.step(timedelta(days=1))
    book(service, start=NOW + timedelta(days=30), event="S15")
    service.step(timedelta(minutes=1))
    service.tick()
    for update in twilio.mail():
        service.webhooks._status(update)
    service.step(timedelta(days=9))
    service.retention.round()
    with service.store.read() as conn:
        assert set(conn.execute(select(outbox.c.phone_key)).scalars()) == {None}


def test_nothing_of_the_words_is_in_any_file(service: Pieces, twilio: PocketTwilio, tmp_path: Path) -> None:
    book(service)
    service.tick()
    said = ("zebrawordone", "please call my zebrasister", "C zebra", "👍 zebra")
    for number, words in enumerate(said):
        say(service, words, number)
    say(service, "C", 99)
    service.tick()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in files)
    assert [file.name for file in files if b"zebra" in file.read_bytes().lower()] == []


@pytest.mark.parametrize("words", ["C", "N"])
def test_thanks_for_a_time_that_is_over_do_not_leave(service: Pieces, twilio: PocketTwilio, words: str) -> None:
    book(service)
    service.tick()
    say(service, words)
    book(service, start=NEXT_DAY, event="S13")  # before the answer leaves
    service.step(timedelta(minutes=1))
    service.tick()
    assert not any("thank you" in body for body in bodies(twilio))
    assert any("has changed. It is now on Fri, Mar 13" in body and "Reply C" in body for body in bodies(twilio))
    assert ("answer", "suppressed", "superseded") in service.texts("one")
