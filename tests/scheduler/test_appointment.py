"""Order and identity (hl7.md): the final state is the newest event's in any order of delivery; what is forgotten stays so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from parser.event import FORGET, Action, BadPhone, SchedulingEvent, Start, Status, UnreadablePhone
from parser.phone_number import PhoneNumber
from scheduler.apply_event import apply, create
from scheduler.appointment import Appointment, AppointmentStatus, same_visit
from scheduler.confirmation_window import close_window
from tests.scheduler.stories import NEW_YORK, event, local, policy

SHOWN = policy(shown=("facility", "provider"))
VISIT = "2026-06-20 14:00"
SENT = local("2026-06-01 09:00")
HEARD = local("2026-06-02 09:00")
ENDINGS = {
    Action.CANCEL: AppointmentStatus.CANCELED,
    Action.DELETE: AppointmentStatus.DELETED,
    Action.NO_SHOW: AppointmentStatus.ENDED,
    Status.CANCELED: AppointmentStatus.CANCELED,
    Status.ARRIVED: AppointmentStatus.ENDED,
    Status.COMPLETED: AppointmentStatus.ENDED,
}
JUNK = BadPhone(reason="invalid_phone")
KEPT = ("duration", "language", "consent", "visit_mode", "facility", "provider", "conference")


def told_in(order: list[SchedulingEvent]) -> Appointment:
    """One appointment after these deliveries, a second apart."""
    state: Appointment | None = None
    for number, each in enumerate(order):
        heard = replace(each, received_at=HEARD + timedelta(seconds=number))
        state = create(heard, SHOWN, id="1", zone=NEW_YORK) if state is None else apply(state, heard, SHOWN) or state
    assert state is not None
    return state


# The model: thirty lines that know nothing of delivery, only of MSH-7.


def life_in(each: SchedulingEvent) -> AppointmentStatus | None:
    if each.action is Action.RESOURCE:
        return None
    if each.action in ENDINGS:
        return ENDINGS[each.action]
    if each.status is Status.UNKNOWN and each.action is Action.MODIFY:
        return None
    return ENDINGS.get(each.status, AppointmentStatus.ACTIVE)


def final(events: list[SchedulingEvent]) -> dict[str, Any]:
    newest: dict[str, Any] = dict.fromkeys((*KEPT, "start", "phone")) | {
        "status": AppointmentStatus.ACTIVE,
        "deceased": False,
    }
    for each in sorted(events, key=lambda one: one.occurred_at):
        said = {name: getattr(each, name) for name in (*KEPT, "start", "phone")} | {"status": life_in(each)}
        if each.condemned_phones and each.phone in (None, UnreadablePhone()):
            known = newest["phone"]
            if known in (None, JUNK) or any(number.e164() == e164_of(known) for number in each.condemned_phones):
                newest["phone"] = said["phone"] = BadPhone(reason="invalid_phone")
            else:
                said["phone"] = known
        elif isinstance(each.phone, UnreadablePhone):  # junk replaces nothing but silence
            said["phone"] = newest["phone"] or JUNK
        elif each.phone is not None and newest["phone"] is JUNK:
            newest["phone"] = None
        newest |= {name: value for name, value in said.items() if value is not None}
        newest["deceased"] |= each.deceased
    return newest | {"aliases": {alias for each in events for alias in each.aliases}}


def e164_of(phone: Any) -> str | None:
    return phone.e164() if isinstance(phone, PhoneNumber) else None


def compared(state: Appointment) -> dict[str, Any]:
    start = None if state.start is None else Start(instant=state.start, zone=state.zone, date_only=state.date_only)
    seen = {name: getattr(state, name) for name in (*KEPT, "status", "deceased")}
    return seen | {"start": start, "phone": phone_of(state), "aliases": set(state.aliases)}


def phone_of(state: Appointment) -> Any:
    if state.phone is not None:
        return state.phone
    return {None: None, "no_phone": FORGET}.get(state.phone_fault, BadPhone(reason=state.phone_fault or ""))


def random_history(random: Random) -> list[SchedulingEvent]:
    names = "S12 S13 S14 S14 S14 S15 S16 S17 S18 S26"
    history = [random_event(random, random.choice(names.split()), n) for n in range(random.randint(2, 8))]
    if any(life_in(each) not in (AppointmentStatus.ACTIVE, None) for each in history):
        # An end forgets the phone for good: only what is said later can bring it back (sms.md, Forgetting).
        silent = (None, UnreadablePhone())
        history = [each if each.phone not in silent else replace(each, phone=random_phone(random)) for each in history]
    return history


def random_event(random: Random, name: str, number: int) -> SchedulingEvent:
    more: dict[str, Any] = {
        "occurred_at": SENT + timedelta(seconds=37 * number),
        "duration": random.choice((None, timedelta(minutes=20), timedelta(minutes=40))),
        "language": random.choice((None, "en", "es")),
        "consent": random.choice((None, None, True, False)),
        "visit_mode": random.choice((None, "video", "phone", "in-person")),
        "facility": random.choice((None, "North", "South")),
        "provider": random.choice((None, "East", "West")),
        "conference": random.choice((None, "G-1", "G-2", "")),
        "deceased": random.random() < 0.03,
        "phone": random_phone(random) if random.random() < 0.6 else random.choice((None, UnreadablePhone())),
        "aliases": tuple(
            f"EPIC|LAMNA|{kind}|1|" for kind in random.sample(("filler", "placer", "visit"), random.randint(1, 3))
        ),
    }
    if name == "S14":
        more["status"] = random.choice(
            (Status.BOOKED, Status.BOOKED, Status.UNKNOWN, Status.CANCELED, Status.ARRIVED, Status.COMPLETED)
        )
    needless = name in ("S15", "S16", "S17", "S26") and random.random() < 0.5
    start = None if needless else f"2026-06-{random.randint(10, 25)} {random.randint(8, 17):02}:00"
    return event(name, "2026-06-01 09:00", start, zone=random.choice((NEW_YORK, "America/Chicago")), **more)


def random_phone(random: Random) -> Any:
    number = PhoneNumber(f"+1202555010{random.randrange(10)}")
    return random.choice(
        (number, number, number, FORGET, BadPhone(reason="landline"), BadPhone(reason="invalid_phone"))
    )


@pytest.mark.parametrize("shard", range(8))
def test_the_final_state_is_the_newest_events_whatever_the_order(shard: int) -> None:
    with_phone = 0
    for number in range(shard, 3_200, 8):
        random = Random(f"order {number}")
        history = random_history(random)
        expected = final(history)
        newest = life_in(history[-1]) is AppointmentStatus.ACTIVE
        ahead = expected["status"] is AppointmentStatus.ACTIVE and (
            newest or all(life_in(each) in (AppointmentStatus.ACTIVE, None) for each in history)
        )
        for delivery in (history, history[::-1], random.sample(history, len(history)) + random.choices(history, k=2)):
            found = compared(told_in(delivery))
            if not ahead:  # then forgetting comes first
                found["phone"] = expected["phone"]
            assert found == expected, f"history {number}"
        with_phone += ahead and isinstance(expected["phone"], PhoneNumber)
    assert with_phone > 40, "too few of these histories keep a phone"


def with_condemnations(random: Random, history: list[SchedulingEvent]) -> list[SchedulingEvent]:
    """Some of the messages speak against numbers, whatever else they say."""
    return [
        replace(
            message,
            phone=message.phone if random.random() < 0.5 else random.choice((None, UnreadablePhone())),
            condemned_phones=frozenset(
                PhoneNumber(f"+1202555010{digit}") for digit in random.sample(range(10), random.choice((1, 3, 9)))
            ),
        )
        if random.random() < 0.4
        else message
        for message in history
    ]


@pytest.mark.parametrize("shard", range(4))
def test_a_number_that_a_newer_message_speaks_against_is_never_kept(shard: int) -> None:
    """In the order of sending the model decides. In no order a number stays that a newer message forbids and none gave since."""
    given_up = 0
    for number in range(shard, 1_200, 4):
        random = Random(f"condemned {number}")
        history = with_condemnations(
            random, [random_event(random, random.choice(("S12", "S13", "S14", "S18")), n) for n in range(6)]
        )
        history = [message for message in history if life_in(message) in (AppointmentStatus.ACTIVE, None)]
        if not history:
            continue
        expected = final(history)
        assert compared(told_in(history)) == expected, f"history {number}"
        given_up += expected["phone"] == BadPhone(reason="invalid_phone")
        shuffled = random.sample(history, len(history))
        kept = e164_of(told_in(shuffled).phone)
        if kept is None:
            continue
        granted = max(message.occurred_at for message in history if e164_of(message.phone) == kept)
        for message in history:
            silent = message.phone in (None, UnreadablePhone())
            forbidden = silent and any(phone.e164() == kept for phone in message.condemned_phones)
            assert not (forbidden and message.occurred_at > granted), f"history {number}"
    assert given_up > 20, "too few of these histories give a number up"


NUMBER = PhoneNumber("+12025550143")
FORBIDDEN = frozenset({NUMBER})
OTHER = PhoneNumber("+12025550144", "mobile")


@pytest.mark.parametrize("silence", [None, UnreadablePhone()])
@pytest.mark.parametrize(
    ("known", "phone", "fault"),
    [
        (NUMBER, None, "invalid_phone"),
        (PhoneNumber("+12025550143", "mobile"), None, "invalid_phone"),
        (OTHER, OTHER, None),
        (FORGET, None, "no_phone"),
        (BadPhone(reason="landline"), None, "landline"),
        (None, None, "invalid_phone"),
    ],
)
def test_a_forbidden_number_is_given_up_and_no_other(
    silence: Any, known: Any, phone: object, fault: str | None
) -> None:
    first = event("S12", "2026-06-01 09:00", VISIT, phone=known)
    against = event("S14", "2026-06-01 10:00", VISIT, phone=silence, condemned_phones=FORBIDDEN)
    state = told_in([first, against])
    assert (state.phone, state.phone_fault) == (phone, fault)
    if known is OTHER:
        return
    late = event("S14", "2026-06-01 09:30", VISIT, phone=NUMBER)
    assert told_in([first, against, late]).phone is None, "an older message brings it back"
    again = event("S14", "2026-06-01 11:00", VISIT, phone=NUMBER)
    assert told_in([first, against, again]).phone == NUMBER, "a newer message may give it again"


def test_a_message_that_is_older_takes_no_number_away() -> None:
    against = event("S14", "2026-06-01 08:00", VISIT, phone=UnreadablePhone(), condemned_phones=FORBIDDEN)
    assert told_in([event("S12", "2026-06-01 09:00", VISIT, phone=NUMBER), against]).phone == NUMBER


def test_the_first_message_of_a_visit_may_forbid_a_number() -> None:
    against = event("S12", "2026-06-01 10:00", VISIT, phone=None, condemned_phones=FORBIDDEN)
    state = told_in([against, event("S12", "2026-06-01 09:00", VISIT, phone=NUMBER)])
    assert (state.phone, state.phone_fault) == (None, "invalid_phone")


@pytest.mark.parametrize(
    ("given", "phone", "fault"),
    [
        ((NUMBER, UnreadablePhone()), NUMBER, None),
        ((UnreadablePhone(), NUMBER), NUMBER, None),
        ((UnreadablePhone(), None), None, "invalid_phone"),
        ((None, UnreadablePhone()), None, "invalid_phone"),
        ((FORGET, UnreadablePhone()), None, "no_phone"),
        ((BadPhone(reason="landline"), UnreadablePhone()), None, "landline"),
        ((NUMBER, BadPhone(reason="invalid_phone")), None, "invalid_phone"),
        ((NUMBER, BadPhone(reason="invalid_phone"), UnreadablePhone()), None, "invalid_phone"),
        ((NUMBER, UnreadablePhone(), FORGET), None, "no_phone"),
    ],
)
def test_a_junk_telephone_is_no_silence_and_no_delete(given: tuple[Any, ...], phone: object, fault: str | None) -> None:
    """It says why there is no number where none was given, and takes nothing away; in any order of delivery."""
    history = [event("S14", f"2026-06-01 09:0{minute}", VISIT, phone=said) for minute, said in enumerate(given)]
    for delivery in (history, history[::-1]):
        state = told_in(delivery)
        assert (state.phone, state.phone_fault) == (phone, fault)


def test_an_older_message_that_adds_nothing_is_none() -> None:
    state = told_in([event("S12", "2026-06-01 09:00", VISIT), event("S13", "2026-06-01 11:00", "2026-06-21 14:00")])
    assert apply(state, event("S13", "2026-06-01 10:00", "2026-06-22 14:00"), SHOWN) is None


def test_an_older_message_fills_in_what_no_newer_one_said() -> None:
    state = told_in([event("S15", "2026-06-01 11:00", None, phone=None)])
    after = apply(state, event("S12", "2026-06-01 09:00", VISIT), SHOWN)
    assert after is not None
    assert (after.status, after.start) == (AppointmentStatus.CANCELED, local(VISIT))


@pytest.mark.parametrize(
    "silent", [event("S18", "2026-06-01 11:00", VISIT), event("S14", "2026-06-01 11:00", VISIT, status=Status.UNKNOWN)]
)
def test_an_edit_that_says_nothing_of_the_life_does_not_hide_an_older_cancellation(silent: SchedulingEvent) -> None:
    assert told_in([silent, event("S15", "2026-06-01 10:00", None)]).status is AppointmentStatus.CANCELED
    assert told_in([silent, event("S12", "2026-06-01 10:00", VISIT)]).status is AppointmentStatus.ACTIVE


def test_a_consent_that_was_refused_is_not_granted_by_an_older_message() -> None:
    refused = event("S14", "2026-06-01 11:00", VISIT, consent=False)
    assert told_in([refused, event("S12", "2026-06-01 09:00", VISIT, consent=True)]).consent is False


# Forgetting


@pytest.mark.parametrize(("name", "fault"), [("S17", "purged"), ("S26", "purged")])
def test_the_phone_goes_with_the_visit(name: str, fault: str) -> None:
    state = told_in([event("S12", "2026-06-01 09:00", VISIT), event(name, "2026-06-01 10:00", None)])
    assert (state.phone, state.phone_fault) == (None, fault)
    assert state.purged_at == HEARD + timedelta(seconds=1)


def test_the_phone_of_a_cancelled_visit_stays_until_that_is_told() -> None:
    booked = told_in([event("S12", "2026-06-01 09:00", VISIT)])
    known = close_window(booked, SHOWN)
    canceled = apply(known, event("S15", "2026-06-02 10:00", None), SHOWN)
    assert canceled is not None
    assert canceled.phone is not None
    later = apply(close_window(canceled, SHOWN), event("S15", "2026-06-02 11:00", None, phone=None), SHOWN)
    assert later is not None
    assert later.phone is None


def test_a_message_after_the_start_brings_no_phone_back_but_a_new_start_does() -> None:
    state = told_in([event("S12", "2026-06-01 09:00", VISIT)])
    late = apply(state, event("S14", "2026-06-20 14:00", None), SHOWN)
    assert late is not None
    assert (late.phone, late.phone_fault) == (None, "purged")
    again = apply(late, event("S13", "2026-06-20 15:00", "2026-06-27 14:00"), SHOWN)
    assert again is not None
    assert (again.phone, again.purged_at) == (PhoneNumber("+12025550143"), None)


def test_an_explicit_delete_forgets_the_phone_now() -> None:
    state = told_in([event("S12", "2026-06-01 09:00", VISIT), event("S14", "2026-06-01 10:00", None, phone=FORGET)])
    assert (state.phone, state.phone_fault) == (None, "no_phone")


# Identity


def alias(kind: str, number: str, feed: str = "EPIC|LAMNA") -> str:
    return f"{feed}|{kind}|{number}|"


@pytest.mark.parametrize(
    ("known", "said", "same"),
    [
        ([alias("filler", "1")], [alias("filler", "1")], True),
        ([alias("filler", "1")], [alias("filler", "2")], False),
        ([alias("placer", "7")], [alias("placer", "7"), alias("filler", "1")], True),  # SCH-1 and SCH-2 join
        ([alias("filler", "1"), alias("placer", "7")], [alias("filler", "2"), alias("placer", "7")], False),  # a series
        ([alias("filler", "1"), alias("placer", "7")], [alias("filler", "1"), alias("placer", "8")], True),
        ([alias("placer", "1"), alias("visit", "5")], [alias("visit", "5")], True),
        ([alias("filler", "1")], [alias("placer", "1")], False),  # nothing to compare by
        ([alias("filler", "1")], [alias("filler", "1", "EPIC|OTHER")], False),  # another feed
        ([alias("filler", "1"), alias("filler", "2")], [alias("filler", "2")], True),  # joined before
        ([alias("filler", "a|placer|7")], [alias("placer", "7")], False),  # an id may hold anything
    ],
)
def test_the_strongest_id_that_both_have_decides(known: list[str], said: list[str], same: bool) -> None:
    assert same_visit(tuple(known), tuple(said)) is same
    assert same_visit(tuple(said), tuple(known)) is same


def test_an_appointment_collects_the_names_it_goes_by() -> None:
    state = told_in(
        [
            event("S12", "2026-06-01 09:00", VISIT, aliases=(alias("placer", "7"),)),
            event("S14", "2026-06-01 10:00", VISIT, aliases=(alias("filler", "1"), alias("placer", "7"))),
        ]
    )
    assert state.aliases == (alias("placer", "7"), alias("filler", "1"))


def test_even_an_old_message_teaches_a_name() -> None:
    state = told_in([event("S12", "2026-06-01 10:00", VISIT, aliases=(alias("filler", "1"),))])
    both = (alias("filler", "1"), alias("placer", "7"))
    after = apply(state, event("S12", "2026-06-01 09:00", VISIT, aliases=both), SHOWN)
    assert after is not None
    assert after.aliases == both


# Dates without a time


def test_a_bare_date_is_ahead_until_its_day_ends() -> None:
    start = Start(instant=local("2026-06-20 00:00"), zone=NEW_YORK, date_only=True)
    state = told_in([replace(event("S12", "2026-06-01 09:00", None), start=start)])
    assert state.deadline == local("2026-06-21 00:00")
    assert told_in([event("S12", "2026-06-01 09:00", VISIT)]).deadline == local(VISIT)
    assert told_in([event("S15", "2026-06-01 09:00", None)]).deadline is None


def test_what_was_told_keeps_its_own_end() -> None:
    state = close_window(told_in([event("S12", "2026-06-01 09:00", VISIT)]), SHOWN)
    moved = apply(state, event("S13", "2026-06-02 10:00", "2026-06-25 09:00", zone="America/Chicago"), SHOWN)
    assert moved is not None
    assert (moved.last_notified_deadline, moved.last_notified_zone) == (local(VISIT), NEW_YORK)
    assert moved.deadline == datetime.fromisoformat("2026-06-25 14:00Z")


def test_a_cancellation_that_is_sent_again_leaves_no_less_doubt() -> None:
    """A booking of 09:00:40 may be older than the first cancellation of "09:00", whatever a second one says."""
    second = timedelta(seconds=1)
    at = local("2026-06-02 09:00")

    def sent(name: str, offset: int, within: int) -> SchedulingEvent:
        return event(name, "2026-06-02 09:00", VISIT, occurred_at=at + offset * second, occurred_within=within * second)

    cancelled, repeated, booking = sent("S15", 0, 60), sent("S15", 10, 1), sent("S12", 40, 1)
    for order in ([cancelled, booking], [cancelled, repeated, booking], [repeated, cancelled, booking]):
        assert told_in([event("S12", "2026-06-01 09:00", VISIT), *order]).status is AppointmentStatus.CANCELED
