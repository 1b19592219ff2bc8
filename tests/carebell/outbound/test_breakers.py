"""Breakers from trip to close: one alarm, one probe at a time, and only a probe's fate moves them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from scheduler.sms import HoldScope, SmsState
from simulator.account import AccountSettings
from simulator.outcomes import SimulatedOutcome
from store import holds
from store.holds import Breaker
from tests.carebell.conftest import Carebell
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SENDER = "+14255550100"
BLOCKED = SimulatedOutcome(refuse=21606)
UNREGISTERED = SimulatedOutcome(final="undelivered", error_code=30034)


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s"}) as made:
        twilio.now = made.clock.now
        yield made


def book(service: Pieces, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        start, phone = NOW + timedelta(days=9), f"+120255501{number:02d}"
        service.hear(unsigned("S12", f"c{number}", sent=service.now, start=start, reference=f"R{number}", phone=phone))


def opened(service: Pieces) -> Breaker | None:
    with service.store.read() as conn:
        return holds.open_breaker(conn, HoldScope.SENDER, SENDER)


def creates(twilio: PocketTwilio) -> int:
    return len(twilio.ledger.received)


def mail(service: Pieces, twilio: PocketTwilio) -> None:
    for update in twilio.mail():
        service.webhooks._status(update)


def test_texts_under_way_when_it_opens_move_no_probe_and_raise_no_second_alarm(
    service: Pieces, twilio: PocketTwilio
) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 8)
    service.tick()
    breaker = opened(service)
    assert breaker is not None
    assert (breaker.code, breaker.probes, breaker.probe_at) == (21606, 0, NOW + MINUTE)
    assert service.events("breaker_opened") == 1
    assert service.events("alarm_raised") == 0
    assert {row.attempts for row in service.rows() if row.kind.value == "booked"} == {0}  # waiting spends no attempt


def test_one_text_probes_and_its_acceptance_lets_the_others_go(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 5)
    service.tick()
    before = creates(twilio)
    service.step(timedelta(seconds=59))
    service.tick()
    assert creates(twilio) == before
    twilio.account.otherwise = SimulatedOutcome()
    service.step(timedelta(seconds=31))
    assert service.tick() == 1
    assert creates(twilio) == before + 1
    assert opened(service) is None
    service.step(timedelta(seconds=31))
    assert service.tick() == 4
    assert max(twilio.texts().values()) == 1


def test_each_probe_that_fails_waits_longer_for_the_next(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 5)
    probes = []
    for _ in range(40):
        before = creates(twilio)
        service.tick()
        probes += [service.now] if creates(twilio) > before else []
        service.step(timedelta(seconds=30))
    waits = [(later - sooner) // MINUTE for sooner, later in pairwise(probes)]
    assert waits[:3] == [1, 2, 5]
    assert service.events("breaker_opened") == 1


def test_a_probe_refused_for_its_own_sake_proves_that_the_sender_works(service: Pieces, twilio: PocketTwilio) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 3)
    service.tick()
    twilio.account.otherwise = SimulatedOutcome(refuse=21610)
    service.step(timedelta(seconds=90))
    service.tick()
    assert opened(service) is None
    assert service.events("opt_out_recorded") == 1


def test_a_probe_with_a_bad_number_proves_nothing_and_the_next_text_tries_at_once(
    service: Pieces, twilio: PocketTwilio
) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 3)
    service.tick()
    twilio.account.otherwise = SimulatedOutcome(refuse=21211)
    service.step(timedelta(seconds=90))
    service.tick()
    breaker = opened(service)
    assert breaker is not None
    assert breaker.probe_at == service.now


def test_where_deliveries_fail_an_accepted_create_closes_nothing(service: Pieces, twilio: PocketTwilio) -> None:
    """30034: Twilio takes every text of an unregistered sender, and the carriers drop it."""
    twilio.account.otherwise = UNREGISTERED
    book(service, 3)
    assert service.tick() == 3
    service.step(timedelta(seconds=10))
    mail(service, twilio)
    assert opened(service) is not None
    before = creates(twilio)
    service.step(timedelta(seconds=90))
    assert service.tick() == 1
    service.step(timedelta(seconds=30))
    assert service.tick() == 0
    assert creates(twilio) == before + 1
    mail(service, twilio)  # the probe failed as well
    breaker = opened(service)
    assert breaker is not None
    assert breaker.probes == 1
    twilio.account.otherwise = SimulatedOutcome()
    service.step(timedelta(minutes=3))
    assert service.tick() == 1
    service.step(timedelta(seconds=10))
    mail(service, twilio)
    assert opened(service) is None
    assert service.events("breaker_opened") == 1


def test_an_account_that_is_locked_out_stops_its_environment(tmp_path: Path) -> None:
    twilio = PocketTwilio(now=lambda: NOW, settings=AccountSettings())
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s"}) as service:
        twilio.now = service.clock.now
        twilio.account.otherwise = SimulatedOutcome(refuse=20003)
        book(service, 2)
        service.tick()
        with service.store.read() as conn:
            assert holds.open_breaker(conn, HoldScope.ENVIRONMENT, "production") is not None
        twilio.account.otherwise = SimulatedOutcome(refuse=21211)  # who we are is accepted
        service.step(timedelta(seconds=90))
        service.tick()
        with service.store.read() as conn:
            assert holds.open_breaker(conn, HoldScope.ENVIRONMENT, "production") is None


def test_a_clock_that_went_a_month_ahead_and_back_shuts_nothing_for_a_month(
    service: Pieces, twilio: PocketTwilio
) -> None:
    service.step(timedelta(days=30))
    twilio.account.otherwise = BLOCKED
    start = service.now + timedelta(days=9)
    service.hear(unsigned("S12", "far", sent=service.now, start=start, reference="far"))
    service.tick()
    service.step(to=NOW + MINUTE)
    twilio.account.otherwise = SimulatedOutcome()
    book(service, 1)
    assert service.tick() == 1
    assert service.count(SmsState.ACCEPTED) == 1


@pytest.mark.parametrize("words", [(), ("--environment", "production")])
def test_a_person_who_mended_the_cause_closes_it(
    service: Pieces, twilio: PocketTwilio, carebell: Carebell, tmp_path: Path, words: tuple[str, ...]
) -> None:
    twilio.account.otherwise = BLOCKED
    book(service, 2)
    service.tick()
    assert carebell("-c", tmp_path / "clinic" / "carebell.yaml", "release", "-e", "test").code == 0
    assert opened(service) is not None
    assert "texts are sent again" in carebell("-c", tmp_path / "clinic" / "carebell.yaml", "release", *words).out
    assert opened(service) is None
    twilio.account.otherwise = SimulatedOutcome()
    service.step(timedelta(seconds=31))
    assert service.tick() == 2
