"""Visits and their links: one visit, one link, however often it moves; and nothing of a link is left when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from scheduler.visit_life import (
    VisitEventKind,
    VisitEventSource,
    VisitRole,
    VisitState,
    VisitWindow,
    end_by_clock,
)
from store import meeting_places, visit_devices, visit_links, visits
from store.crypto import Undecipherable
from store.engine import Store
from store.forgetting import forget_due, settle_files, sweep
from store.join_tokens import ALPHABET, is_join_token, new_join_token
from store.keys import KeyRing
from store.tables import visit_links as links_table
from store.vault import Vault
from store.visit_planning import VisitPlan, adopt, keep
from store.visits import VisitEvent
from tests.store.samples import NOW, again, appointment, first, put

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PAGE = VisitEventSource.PAGE
MEETING = "https://meet.lamna.example/r/0143"


def _window(start: datetime) -> VisitWindow:
    return VisitWindow(opens_at=start - HOUR, ends_at=start + 3 * HOUR)


def _keep(store: Store, vault: Vault, one: Any, now: datetime = NOW, **changes: Any) -> list[VisitEvent]:
    plain = {"window": _window(one.start), "kind": "link"}
    plan = VisitPlan(environment=one.environment, appointment=one.id, **{**plain, **changes})
    with store.write() as conn:
        return keep(conn, vault, [plan], now)


def _kinds(events: Sequence[VisitEvent]) -> list[str]:
    return [event.what.value for event in events]


def _token(store: Store, vault: Vault, one: Any, now: datetime = NOW) -> str | None:
    with store.read() as conn:
        return visit_links.tokens(conn, vault, [one.id], now).get(one.id)


def _planned(store: Store, vault: Vault, number: int = 1, **changes: Any) -> tuple[Any, str]:
    one = appointment(number, **changes)
    put(store, vault, [first(one)])
    assert _kinds(_keep(store, vault, one)) == ["planned"]
    token = _token(store, vault, one)
    assert token is not None
    return one, token


def test_a_token_is_seventeen_characters_that_nobody_confuses() -> None:
    drawn = {new_join_token() for _ in range(200)}
    assert len(drawn) == 200
    assert all(is_join_token(token) for token in drawn)
    assert not set("0OIl") & set(ALPHABET)
    assert new_join_token(lambda below: below - 1) == "z" * 17
    for other in ("", "z" * 16, "z" * 18, "z" * 16 + "0", "z" * 16 + "é", "z" * 16 + "\0"):
        assert not is_join_token(other)


def test_a_visit_has_one_link_however_often_it_moves(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    assert _keep(store, vault, one) == [], "nothing is news the second time"
    for days in (1, 40, -1):
        moved = _window(one.start + days * DAY)
        assert _kinds(_keep(store, vault, one, window=moved)) == ["moved"]
        assert _token(store, vault, one) == token
        with store.read() as conn:
            visit, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
        assert (visit.window, link.ends_at, link.role) == (moved, moved.ends_at, VisitRole.PATIENT)


def test_two_visits_have_two_links(store: Store, vault: Vault) -> None:
    first_visit, second_visit = _planned(store, vault, 1), _planned(store, vault, 2)
    assert first_visit[1] != second_visit[1]


def test_a_canceled_visit_keeps_its_link_and_texts_name_it_no_more(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    assert _kinds(_keep(store, vault, one, window=None)) == ["canceled"]
    assert _keep(store, vault, one, window=None) == []
    assert _token(store, vault, one) is None
    with store.read() as conn:
        visit, _ = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
    assert visit.state is VisitState.CANCELED
    assert _kinds(_keep(store, vault, one)) == ["rebooked"]
    assert _token(store, vault, one) == token


def test_what_was_never_a_video_visit_has_no_link(store: Store, vault: Vault) -> None:
    one = appointment()
    put(store, vault, [first(one)])
    assert _keep(store, vault, one, window=None) == []
    assert _keep(store, vault, one, window=_window(NOW - DAY)) == [], "over before it was heard of"
    assert _token(store, vault, one) is None


def test_an_unknown_a_revoked_and_an_ended_link_are_none(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    ends = _window(one.start).ends_at
    with store.read() as conn:
        assert visit_links.find(conn, vault.ring, "z" * 17, NOW) is None
        assert visit_links.find(conn, vault.ring, token + "?", NOW) is None
        assert visit_links.find(conn, vault.ring, token, ends - timedelta(seconds=1)) is not None
        assert visit_links.find(conn, vault.ring, token, ends) is None
    with store.write() as conn:
        visit, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
        visit = visits.lock(conn, visit.id) or pytest.fail("no visit")
        event = visit_links.revoke(conn, visit, link.key, NOW, source=VisitEventSource.COMMAND)
        assert event is not None
        assert (event.what, event.ref) == (VisitEventKind.REVOKED, link.key)
        assert visit_links.revoke(conn, visit, link.key, NOW, source=VisitEventSource.COMMAND) is None
    assert _token(store, vault, one) is None
    assert _kinds(_keep(store, vault, one, window=_window(one.start + DAY))) == ["moved"]
    assert _token(store, vault, one) is None, "what was revoked comes back with no message"
    with store.write() as conn:
        assert visit_links.find(conn, vault.ring, token, NOW) is None
        visit_links.new_link(
            conn, vault, visits.lock(conn, visit.id) or pytest.fail("no visit"), VisitRole.PATIENT, NOW
        )
    assert _token(store, vault, one) not in (None, token)


def test_a_guest_has_a_link_of_their_own(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    with store.write() as conn:
        visit = visits.named(conn, one.id) or pytest.fail("no visit")
        other = visit_links.new_link(conn, vault, visit, VisitRole.INTERPRETER, NOW)
        same, link = visit_links.find(conn, vault.ring, other, NOW) or pytest.fail("not found")
        assert (same.id, link.role) == (visit.id, VisitRole.INTERPRETER)
        assert [link.role.value for link in visit_links.links(conn, visit.id)] in (
            ["patient", "interpreter"],
            ["interpreter", "patient"],
        )
    assert _token(store, vault, one) == token, "texts name the patient's"


def test_one_visit_under_two_ids_keeps_both_links(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault, 1)
    other, second = _planned(store, vault, 2)
    third = appointment(3)
    put(store, vault, [first(third)])
    with store.write() as conn:
        adopt(conn, one.id, [other.id])
        adopt(conn, third.id, [one.id])
    with store.read() as conn:
        told = [visit_links.find(conn, vault.ring, word, NOW) or pytest.fail("not found") for word in (token, second)]
    assert {visit.appointment for visit, _ in told} == {third.id}
    assert _token(store, vault, third) == token


def test_a_short_link_is_no_longer_under_another_visit(store: Store, vault: Vault) -> None:
    one, _ = _planned(store, vault, 1)
    other, _ = _planned(store, vault, 2)
    with store.write() as conn:
        visit = visits.named(conn, other.id) or pytest.fail("no visit")
        short = visit_links.new_link(conn, vault, visit, VisitRole.PROVIDER, NOW, lasts=timedelta(hours=1))
        adopt(conn, one.id, [other.id])
        _, link = visit_links.find(conn, vault.ring, short, NOW) or pytest.fail("not found")
        assert link.ends_at == NOW + timedelta(hours=1)
        assert visit_links.find(conn, vault.ring, short, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize("hours", [1, 500])
def test_a_short_link_never_grows_with_its_visit(store: Store, vault: Vault, hours: int) -> None:
    """Also one that the visit's window ended, when it was made or later, even to the instant."""
    one, _ = _planned(store, vault)
    with store.write() as conn:
        visit = visits.named(conn, one.id) or pytest.fail("no visit")
        lasts = timedelta(hours=hours)
        short = visit_links.new_link(conn, vault, visit, VisitRole.PROVIDER, NOW, lasts=lasts)
    ends = min(NOW + lasts, visit.window.ends_at)
    for start in (one.start + DAY, one.start - DAY, NOW - HOUR, NOW - 2 * HOUR, one.start, one.start + 9 * DAY):
        _keep(store, vault, one, window=_window(start))
        ends = min(ends, _window(start).ends_at)
        with store.read() as conn:
            _, link = visit_links.find(conn, vault.ring, short, NOW) or pytest.fail("not found")
        assert ends - timedelta(microseconds=2) <= link.ends_at <= ends


@pytest.mark.parametrize(("of", "to"), [(1, 9), (9, 1)])
def test_a_short_link_never_grows_under_another_visit(store: Store, vault: Vault, of: int, to: int) -> None:
    one, _ = _planned(store, vault, 1)
    other, _ = _planned(store, vault, 2)
    _keep(store, vault, other, window=_window(other.start + of * DAY))
    _keep(store, vault, one, window=_window(one.start + to * DAY))
    with store.write() as conn:
        visit = visits.named(conn, other.id) or pytest.fail("no visit")
        short = visit_links.new_link(conn, vault, visit, VisitRole.PROVIDER, NOW, lasts=30 * DAY)
        adopt(conn, one.id, [other.id])
    _keep(store, vault, one, window=_window(one.start + 20 * DAY))
    with store.read() as conn:
        _, link = visit_links.find(conn, vault.ring, short, NOW) or pytest.fail("not found")
    assert link.ends_at < _window(one.start + 2 * DAY).ends_at


def test_a_meeting_is_sealed_until_the_link_ends(store: Store, vault: Vault) -> None:
    one, _ = _planned(store, vault)
    for days in (0, 30):
        assert len(_keep(store, vault, one, window=_window(one.start + days * DAY), meeting=MEETING)) == (days > 0)
        with store.read() as conn:
            visit = visits.named(conn, one.id) or pytest.fail("no visit")
            assert visits.meeting_of(conn, vault, visit.id) == MEETING
    with store.write() as conn:
        sweep(conn, vault, one.start + 40 * DAY)
        assert visits.meeting_of(conn, vault, visit.id) is None


def test_events_are_numbered_and_lead_to_a_state(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    steps = [
        (VisitEventKind.WAITING, VisitRole.PATIENT, VisitState.WAITING),
        (VisitEventKind.ADMITTED, VisitRole.STAFF, VisitState.WAITING),
        (VisitEventKind.CONNECTED, VisitRole.PATIENT, VisitState.IN_VISIT),
        (VisitEventKind.DISCONNECTED, VisitRole.PATIENT, VisitState.IN_VISIT),
        (VisitEventKind.ENDED, VisitRole.CAREBELL, VisitState.ENDED),
    ]
    for number, (what, who, state) in enumerate(steps):
        with store.write() as conn:
            visit, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
            locked = visits.lock(conn, visit.id) or pytest.fail("no visit")
            at = one.start + timedelta(minutes=number)
            event = visits.append(conn, locked, what, at=at, who=who, source=PAGE, ref=link.key)
        assert (event.seq, event.state) == (number + 2, state)
    with store.read() as conn:
        visit = visits.named(conn, one.id) or pytest.fail("no visit")
        assert [event.what.value for event in visits.events(conn, [visit.id])] == [
            "planned", "waiting", "admitted", "connected", "disconnected", "ended",
        ]  # fmt: skip
        assert visits.between(conn, one.start, one.start + HOUR) == [visit]
        assert visits.between(conn, one.start, one.start + HOUR, environments=["other"]) == []
    minute = timedelta(minutes=1)
    assert (visit.started_at, visit.ended_at) == (one.start + 2 * minute, one.start + 4 * minute)
    corrected = VisitWindow(opens_at=visit.window.opens_at, ends_at=visit.window.ends_at + HOUR)
    assert _keep(store, vault, one, window=corrected, now=one.start + HOUR) == [], "it took place as it did"


@pytest.mark.parametrize(
    ("came", "state"),
    [((), VisitState.ENDED), ((VisitRole.PROVIDER,), VisitState.NO_SHOW), ((VisitRole.PATIENT,), VisitState.ENDED)],
)
def test_the_clock_ends_what_nobody_ended(
    store: Store, vault: Vault, came: Sequence[VisitRole], state: VisitState
) -> None:
    one, token = _planned(store, vault)
    ends = _window(one.start).ends_at
    with store.write() as conn:
        visit = visits.named(conn, one.id) or pytest.fail("no visit")
        for who in came:
            locked = visits.lock(conn, visit.id) or pytest.fail("no visit")
            visits.append(conn, locked, VisitEventKind.CONNECTED, at=one.start, who=who, source=PAGE)
        assert visits.over_now(conn, ends - timedelta(seconds=1)) == []
        assert visits.over_now(conn, ends) == [visit.id]
        locked = visits.lock(conn, visit.id) or pytest.fail("no visit")
        ended_as = end_by_clock(locked.state, visits.ever_connected(conn, visit.id))
        clock = VisitEventSource.CLOCK
        closed = visits.append(conn, locked, VisitEventKind.ENDED, at=ends, source=clock, state=ended_as)
        assert closed.state is state
        assert visits.over_now(conn, ends + HOUR) == []
        assert visit_links.expire(conn, ends + HOUR) == 1
        assert visit_links.find(conn, vault.ring, token, NOW) is None


def test_a_link_outlives_the_number_and_no_file_holds_its_token(
    store: Store, vault: Vault, tmp_path: Path, backend: str
) -> None:
    one, token = _planned(store, vault)
    with store.write() as conn:
        assert len(forget_due(conn, one.start)) == 1
        sweep(conn, vault, one.start)
    settle_files(store)
    assert _token(store, vault, one, one.start) is None
    with store.read() as conn:
        assert visit_links.find(conn, vault.ring, token, one.start + HOUR) is not None
        assert conn.execute(select(func.count()).where(links_table.c.sealed.is_not(None))).scalar_one() == 0
    if backend == "sqlite":
        content = b"".join(file.read_bytes() for file in tmp_path.glob("carebell.db*"))
        assert token.encode() not in content
    moved = again(appointment(1, id=one.id, start=one.start + 30 * DAY))
    put(store, vault, [moved], now=one.start + HOUR)
    assert _kinds(_keep(store, vault, moved.appointment, one.start + HOUR)) == ["moved"]
    fresh = _token(store, vault, one, one.start + HOUR)
    assert fresh not in (None, token), "the text about another day needs a token that is known"
    with store.read() as conn:
        found = [visit_links.find(conn, vault.ring, word, one.start + DAY) for word in (token, fresh or "")]
    assert None not in found, "and the old one still leads to the visit"


def test_devices_come_and_go(store: Store, vault: Vault) -> None:
    _, token = _planned(store, vault)
    second = timedelta(seconds=1)
    with store.write() as conn:
        visit, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")

        def stay(device: str, after: int) -> bool | None:
            at = NOW + after * second
            return visit_devices.stay(conn, link.key, device, at, at + 20 * second, limit=2)

        assert [stay("a", 0), stay("a", 5), stay("b", 10), stay("c", 12)] == [True, False, False, None]
        [waiting] = visit_devices.waiting(conn, NOW + 12 * second)
        assert (waiting.visit, waiting.link, waiting.since) == (visit.id, link.key, NOW)
        assert visit_devices.waiting(conn, NOW + 12 * second, environments=["other"]) == []
        assert visit_devices.leave(conn, link.key, "b", NOW + 13 * second) is False
        assert visit_devices.leave(conn, link.key, "never", NOW + 13 * second) is False
        assert visit_devices.silent(conn, NOW + 24 * second) == []
        assert visit_devices.silent(conn, NOW + 25 * second) == [(visit.id, link.key)]
        assert visit_devices.drop_silent(conn, link.key, NOW + 25 * second) is True
        assert [stay("a", 30), stay("a", 60)] == [True, True], "who was silent for too long comes anew"
        assert visit_devices.leave(conn, link.key, "a", NOW + 61 * second) is True
        assert visit_devices.waiting(conn, NOW + 61 * second) == []


def test_who_was_let_in_can_be_asked_to_wait_again(store: Store, vault: Vault) -> None:
    _, token = _planned(store, vault)
    with store.write() as conn:
        visit, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
        assert visit_devices.put_off(conn, visit.id, link.key, NOW)
        assert visit_devices.admit(conn, visit.id, link.key, NOW + HOUR)
        assert not visit_devices.admit(conn, visit.id, link.key, NOW + HOUR)
        assert not visit_devices.admit(conn, visit.id, "other", NOW)
        _, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
        assert (link.admitted_at, link.put_off_at) == (NOW + HOUR, None)
        assert visit_devices.put_off(conn, visit.id, link.key, NOW + 2 * HOUR)
        _, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
        assert (link.admitted_at, link.put_off_at) == (None, NOW + 2 * HOUR)


def test_a_token_that_no_key_opens_stops_nobody_else(store: Store, vault: Vault) -> None:
    one, token = _planned(store, vault)
    other = Vault(KeyRing(current=2, masters={2: b"o" * 32}, pepper=b"p" * 32))
    shut: set[str] = set()
    with store.read() as conn:
        with pytest.raises(Undecipherable):
            visit_links.tokens(conn, other, [one.id], NOW)
        assert visit_links.tokens(conn, other, [one.id], NOW, unreadable=shut) == {}
        assert shut == {one.id}
        assert visit_links.find(conn, other.ring, token, NOW) is not None, "found by its HMAC, it needs no day key"
    assert _kinds(_keep(store, other, one, window=_window(one.start + 30 * DAY), meeting=MEETING)) == ["moved"]
    with store.read() as conn:
        fresh = visit_links.tokens(conn, other, [one.id], NOW)[one.id]
        assert fresh != token, "a message is taken nevertheless, and the visit has a link that can be told"
        found = [visit_links.find(conn, other.ring, word, NOW) for word in (token, fresh)]
    assert None not in found


# Meetings


def test_what_meetings_ask_of_visits(store: Store, vault: Vault) -> None:
    one, _ = _planned(store, vault)
    with store.read() as conn:
        visit = visits.named(conn, one.id)
        assert visit is not None
        place = meeting_places.place_of(conn, visit)
        assert place.visits == (visit.id,)
        assert meeting_places.by_code(conn, visit.environment, visit.code) == place
        assert meeting_places.by_code(conn, "another", visit.code) is None
        opens, ends = visit.window.opens_at, visit.window.ends_at
        assert meeting_places.without_meeting(conn, visit.environment, NOW, opens) == [place]
        assert meeting_places.without_meeting(conn, visit.environment, NOW, opens - HOUR) == []
        assert meeting_places.without_meeting(conn, visit.environment, ends, ends) == []
        assert meeting_places.unreported(conn, visit.environment, NOW, ends) == []
    with store.write() as conn:
        meeting_places.set_meeting(conn, vault, place, "zoom 1 h https://zoom.us/j/1")
        visits.append(
            conn, visit, VisitEventKind.CONNECTED, at=opens, source=VisitEventSource.MEETING, who=VisitRole.PATIENT
        )
    with store.read() as conn:
        assert meeting_places.without_meeting(conn, visit.environment, NOW, opens) == []
        assert visits.in_meetings(conn, [visit.environment]) == [visit.id]
        assert visits.in_meetings(conn, ["another"]) == []
        assert meeting_places.unreported(conn, visit.environment, NOW, ends) == [place]
        assert meeting_places.unreported(conn, visit.environment, NOW, ends - HOUR) == []
        assert visits.last_left(conn, visit.id) is None
    with store.write() as conn:
        locked = visits.lock(conn, visit.id)
        assert locked is not None
        visits.append(
            conn, locked, VisitEventKind.DISCONNECTED, at=opens + HOUR, source=VisitEventSource.REPORT,
            who=VisitRole.PATIENT,
        )  # fmt: skip
        visits.set_times(conn, locked, started_at=opens + HOUR / 2, ended_at=opens + HOUR)
    with store.read() as conn:
        corrected = visits.named(conn, one.id)
        assert corrected is not None
        assert (corrected.started_at, corrected.ended_at) == (opens + HOUR / 2, None), "it is not over"
        assert meeting_places.unreported(conn, visit.environment, NOW, ends) == []
        assert visits.last_left(conn, visit.id) == opens + HOUR
