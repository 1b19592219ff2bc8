"""Sums are counted once, kept as long as they hardly change, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from carebell.inquiries import day_sums
from carebell.inquiries.day_sums import DaySums, silences
from carebell.inquiries.remedies import REMEDIES, remedy_of
from carebell.inquiries.wait_explainer import Wait
from carebell.sms_words import WHY
from scheduler.clock import SteppingClock
from scheduler.sms import Reason, SmsKind, SmsState
from store import schema
from store.engine import Store, open_in_memory
from store.sms_pages import SmsSum

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def counted() -> list[date]:
    """The days that were counted in the database."""
    return []


def _sums(store: Store, now: Callable[[], datetime], counted: list[date]) -> DaySums[SmsSum]:
    def count(conn: object, begins: datetime, ends: datetime, now: datetime) -> list[SmsSum]:
        assert ends - begins == timedelta(days=1)
        counted.append(begins.date())
        return [_sum(Reason.LANDLINE, 2), _sum(Reason.CAP, 3), _sum(Reason.REMINDER, 7, state=SmsState.DELIVERED)]

    return DaySums(store=store, now=now, count=count)


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_in_memory()
    schema.upgrade(store)
    yield store
    store.close()


def _sum(
    reason: Reason, texts: int, *, state: SmsState = SmsState.SUPPRESSED, environment: str = "production"
) -> SmsSum:
    return SmsSum(
        environment=environment, kind=SmsKind.REMINDER, state=state, reason=reason, code=None, texts=texts, taken=0, on_time=0,
        segments=0,
    )  # fmt: skip


def test_a_day_is_counted_again_when_it_may_have_changed(store: Store, counted: list[date]) -> None:
    clock = SteppingClock(NOW)
    sums = _sums(store, clock.now, counted)
    old, first = TODAY - timedelta(days=12), TODAY - timedelta(days=1)
    for begin in (old, first):
        sums.of(begin, begin)
        sums.of(begin, begin)
    assert counted == [old, first]
    clock.move_to(NOW + timedelta(seconds=11))
    sums.of(old, old)
    [day] = sums.of(first, first)
    assert (counted, day.counted_at) == ([old, first, first], clock.now())
    week_old = TODAY - timedelta(days=7)
    sums.of(week_old, week_old)
    clock.move_to(NOW + timedelta(minutes=4))
    sums.of(week_old, week_old)
    clock.move_to(NOW + timedelta(minutes=6))
    sums.of(week_old, week_old)
    clock.move_to(NOW + timedelta(hours=1, seconds=1))
    sums.of(old, old)
    assert counted[3:] == [week_old, week_old, old]


def test_a_clock_that_was_set_back_keeps_nothing(store: Store, counted: list[date]) -> None:
    times = iter([NOW, NOW - timedelta(days=1)])
    sums = _sums(store, lambda: next(times), counted)
    sums.of(TODAY, TODAY)
    sums.of(TODAY, TODAY)
    assert counted == [TODAY, TODAY]


def test_what_is_kept_is_bounded(store: Store, counted: list[date], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_sums, "_MOST_DAYS", 3)
    sums = _sums(store, lambda: NOW, counted)
    sums.of(TODAY, TODAY + timedelta(days=5))
    assert len(sums._counts) == 3
    with pytest.raises(ValueError, match="366"):
        sums.of(TODAY, TODAY + timedelta(days=366))


def test_silences_are_summed_by_reason_the_most_frequent_first(store: Store, counted: list[date]) -> None:
    days = _sums(store, lambda: NOW, counted).of(TODAY, TODAY + timedelta(days=1))
    assert list(silences(days, lambda group: True).items()) == [("cap", 6), ("landline", 4)]
    assert silences(days, lambda group: group.reason is Reason.LANDLINE) == {"landline": 4}


def test_every_silence_has_its_words_and_its_remedy() -> None:
    texts = {Reason.BOOKED, Reason.UPDATED, Reason.REMINDER, Reason.ANSWER}
    assert set(REMEDIES) == set(Reason) - texts
    assert set(WHY) == set(Reason)
    assert all(sentence.endswith(".") for sentence in REMEDIES.values())


@pytest.mark.parametrize(
    "wait", [Wait.HOLD, Wait.BREAKER, Wait.SERVICE, Wait.SWITCHED_OFF, Wait.OPTED_OUT, Wait.CAP, Wait.EXPIRED]
)
def test_what_waits_for_somebody_has_a_remedy(wait: Wait) -> None:
    assert remedy_of(wait.value)


@pytest.mark.parametrize("reason", [None, "time", "turn", "next_round", "booked", "a newer version's reason"])
def test_what_is_as_it_should_be_needs_nothing(reason: str | None) -> None:
    assert remedy_of(reason) == ""
