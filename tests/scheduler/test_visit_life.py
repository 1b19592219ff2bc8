"""A visit's life: every way through its states ends once, and the clock alone opens and ends its link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.visit_life import (
    ASSUMED_DURATION,
    LINK_ROLES,
    VisitEventKind,
    VisitRole,
    VisitState,
    VisitWindow,
    end_by_clock,
    state_after,
    state_at,
    window_of,
)

START = datetime(2026, 12, 3, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = VisitWindow(opens_at=START - HOUR, ends_at=START + 3 * HOUR)

states = st.sampled_from(VisitState)
kinds = st.sampled_from(VisitEventKind)
roles = st.sampled_from(LINK_ROLES)
instants = st.integers(-400, 400).map(lambda minutes: START + timedelta(minutes=minutes))
FEED = (VisitEventKind.PLANNED, VisitEventKind.REBOOKED, VisitEventKind.MOVED)


def _window(**changes: object) -> VisitWindow:
    plain = {"zone": "America/Los_Angeles", "date_only": False, "duration": None, "opens": HOUR, "ends_after": 2 * HOUR}
    return window_of(START, **{**plain, **changes})  # type: ignore[arg-type]


def test_a_link_is_open_from_before_the_start_until_after_the_end() -> None:
    assert _window() == VisitWindow(opens_at=START - HOUR, ends_at=START + ASSUMED_DURATION + 2 * HOUR)
    assert _window(duration=timedelta(minutes=20)).ends_at == START + timedelta(hours=2, minutes=20)
    assert _window(duration=timedelta()).ends_at == START + 3 * HOUR, "an EHR that writes 0 does not know it"


def test_without_a_time_of_day_the_link_is_open_all_day() -> None:
    midnight = datetime(2026, 3, 8, 8, tzinfo=UTC)  # the day on which the clocks go forward
    window = window_of(
        midnight, zone="America/Los_Angeles", date_only=True, duration=HOUR, opens=HOUR, ends_after=2 * HOUR
    )
    assert window == VisitWindow(opens_at=midnight - HOUR, ends_at=midnight + timedelta(hours=25))


def test_a_window_that_ends_before_it_opens_is_none() -> None:
    with pytest.raises(ValueError, match="ends after it opens"):
        VisitWindow(opens_at=START, ends_at=START)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], VisitState.PLANNED),
        ([("waiting", "patient")], VisitState.WAITING),
        ([("waiting", "patient"), ("left_lobby", "patient")], VisitState.OPEN),
        ([("waiting", "patient"), ("put_off", "staff"), ("admitted", "staff")], VisitState.WAITING),
        ([("waiting", "patient"), ("admitted", "staff"), ("connected", "patient")], VisitState.IN_VISIT),
        ([("connected", "provider")], VisitState.PLANNED),
        ([("connected", "patient"), ("disconnected", "patient"), ("waiting", "patient")], VisitState.IN_VISIT),
        ([("connected", "patient"), ("ended", "carebell"), ("waiting", "patient")], VisitState.WAITING),
        ([("waiting", "patient"), ("canceled", "carebell"), ("waiting", "patient")], VisitState.CANCELED),
        ([("canceled", "carebell"), ("rebooked", "carebell")], VisitState.PLANNED),
        ([("connected", "patient"), ("ended", "carebell"), ("moved", "carebell")], VisitState.PLANNED),
        ([("waiting", "patient"), ("moved", "carebell")], VisitState.WAITING),
        ([("opened_test", "patient")], VisitState.PLANNED),
    ],
)
def test_what_each_event_leads_to(events: list[tuple[str, str]], state: VisitState) -> None:
    stored = VisitState.PLANNED
    for what, who in events:
        stored = state_after(stored, VisitEventKind(what), VisitRole(who))
    assert stored is state


def test_the_room_is_not_empty_while_somebody_else_waits() -> None:
    left = state_after(VisitState.WAITING, VisitEventKind.LEFT_LOBBY, VisitRole.GUEST, others_wait=True)
    assert left is VisitState.WAITING


@given(states, instants)
def test_the_clock_opens_and_ends(stored: VisitState, now: datetime) -> None:
    state = state_at(stored, WINDOW, now)
    if stored.is_over:
        assert state is stored
    elif now >= WINDOW.ends_at:
        assert state is VisitState.ENDED
    elif now < WINDOW.opens_at:
        assert state in (VisitState.PLANNED, VisitState.IN_VISIT)
    else:
        assert state not in (VisitState.PLANNED, VisitState.ENDED, VisitState.CANCELED, VisitState.NO_SHOW)
    assert state_at(state, WINDOW, now) is state, "looking twice shows the same"


@given(states, kinds, roles, st.booleans())
def test_only_the_feed_brings_a_canceled_visit_back(
    stored: VisitState, what: VisitEventKind, who: VisitRole, others_wait: bool
) -> None:
    after = state_after(stored, what, who, others_wait=others_wait)
    if stored is VisitState.CANCELED and what not in FEED:
        assert after is VisitState.CANCELED
    if what is VisitEventKind.CANCELED:
        assert after is VisitState.CANCELED
    assert after is not VisitState.NO_SHOW or stored is VisitState.NO_SHOW, "that is the clock's to say"
    if stored is VisitState.IN_VISIT:
        assert after in (VisitState.IN_VISIT, VisitState.ENDED, VisitState.CANCELED) or what in FEED


@given(st.lists(st.tuples(kinds, roles), max_size=12), st.sets(roles))
def test_every_life_has_one_end(events: list[tuple[VisitEventKind, VisitRole]], connected: set[VisitRole]) -> None:
    stored = VisitState.PLANNED
    for what, who in events:
        stored = state_after(stored, what, who)
    end = end_by_clock(stored, connected)
    assert end.is_over
    assert end_by_clock(end, connected) is end
    if not stored.is_over:
        assert (end is VisitState.NO_SHOW) is (connected == {VisitRole.PROVIDER})
