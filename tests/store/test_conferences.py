"""Groups of visits: one conference id on one day is one group, whoever comes first; nothing of the id is left when it is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from scheduler.visit_life import VisitRole, VisitWindow
from store import conferences, meeting_places, visit_devices, visit_links, visits
from store.engine import Store
from store.forgetting import forget_due, sweep
from store.tables import appointments
from store.tables import conferences as rows
from store.vault import Vault
from store.visit_planning import VisitPlan, keep
from store.visits import VideoVisit, VisitEvent
from tests.store.samples import NOW, appointment, first, put

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = NOW + 2 * DAY
WINDOW = VisitWindow(opens_at=START - HOUR, ends_at=START + 3 * HOUR)
TODAY = "2026-03-03"
TOMORROW = "2026-03-04"


def _plan(one: Any, conference: str | None = "G-77", **changes: Any) -> VisitPlan:
    plain = {"window": WINDOW, "kind": "zoom", "conference": conference, "day": TODAY}
    return VisitPlan(environment=one.environment, appointment=one.id, **{**plain, **changes})


def _keep(store: Store, vault: Vault, *plans: VisitPlan) -> list[VisitEvent]:
    with store.write() as conn:
        return keep(conn, vault, plans, NOW)


def _booked(store: Store, vault: Vault, number: int, conference: str | None = "G-77", **changes: Any) -> Any:
    one = appointment(number)
    put(store, vault, [first(one)])
    _keep(store, vault, _plan(one, conference, **changes))
    return one


def _visit(store: Store, one: Any) -> VideoVisit:
    with store.read() as conn:
        return visits.named(conn, one.id) or pytest.fail("no visit")


def test_one_id_on_one_day_is_one_group(store: Store, vault: Vault) -> None:
    one, other, later, alone, elsewhere = (
        _booked(store, vault, 1),
        _booked(store, vault, 2),
        _booked(store, vault, 3, day=TOMORROW),
        _booked(store, vault, 4, None),
        _booked(store, vault, 5, "G-78"),
    )
    groups = [_visit(store, each).conference for each in (one, other, later, alone, elsewhere)]
    assert groups[0] == groups[1] is not None
    assert groups[3] is None
    assert len(set(groups)) == 4
    with store.read() as conn:
        places = [meeting_places.place_of(conn, _visit(store, each)) for each in (one, other)]
        assert places[0] == places[1]
        assert len(places[0].visits) == 2
        assert len({visit_links.tokens(conn, vault, [each.id], NOW)[each.id] for each in (one, other)}) == 2


def test_the_first_messages_of_a_group_may_come_at_once(store: Store, vault: Vault) -> None:
    booked = [appointment(number) for number in range(1, 7)]
    put(store, vault, [first(one) for one in booked])
    together = Barrier(3)

    def keep_two(two: list[Any]) -> None:
        together.wait()
        _keep(store, vault, *(_plan(one, name) for one in two for name in ["G-77" if one is two[0] else "A-1"]))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(keep_two, (booked[0:2], booked[2:4], booked[4:6])))
    assert len({_visit(store, one).conference for one in booked}) == 2
    with store.read() as conn:
        assert conn.execute(select(func.count()).select_from(rows)).scalar_one() == 2


@pytest.mark.parametrize(
    ("given", "day", "same"), [("G-78", TODAY, False), ("", TODAY, False), (None, TOMORROW, False), (None, TODAY, True)]
)
def test_a_message_moves_one_visit_and_leaves_the_others(
    store: Store, vault: Vault, given: str | None, day: str, same: bool
) -> None:
    one, other = _booked(store, vault, 1), _booked(store, vault, 2)
    token = _token(store, vault, one)
    with store.write() as conn:
        assert visit_devices.admit(conn, _visit(store, one).id, vault.ring.link_key(token), NOW)
    before = _visit(store, one).conference
    events = _keep(store, vault, _plan(one, given, day=day))
    assert [event.what.value for event in events] == ([] if same else ["regrouped"])
    moved = _visit(store, one).conference
    assert (moved == before) is same
    assert (moved is None) is (given == "")
    assert _visit(store, other).conference == before
    assert _token(store, vault, one) == token, "the link stays"
    with store.read() as conn:
        _, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
    assert (link.admitted_at is not None) is same, "who was let in to another meeting waits again"


def _token(store: Store, vault: Vault, one: Any) -> str:
    with store.read() as conn:
        return visit_links.tokens(conn, vault, [one.id], NOW)[one.id]


def test_a_group_lasts_as_long_as_its_visits_that_go_on(store: Store, vault: Vault) -> None:
    one, other = _booked(store, vault, 1), _booked(store, vault, 2)
    longer = VisitWindow(opens_at=WINDOW.opens_at, ends_at=WINDOW.ends_at + DAY)
    with store.write() as conn:
        place = meeting_places.place_of(conn, _visit(store, one))
        meeting_places.set_meeting(conn, vault, place, "zoom 1 h https://zoom.us/j/1")
    for plans, ends_at in (
        ([_plan(one, window=longer)], longer.ends_at),
        ([_plan(one, window=None)], WINDOW.ends_at),
        ([_plan(other, window=None)], WINDOW.ends_at),
        ([_plan(other)], WINDOW.ends_at),
    ):
        _keep(store, vault, *plans)
        with store.read() as conn:
            place = meeting_places.place_of(conn, _visit(store, other))
            assert place.window.ends_at == ends_at
            assert meeting_places.meeting_of(conn, vault, place) == "zoom 1 h https://zoom.us/j/1"


def test_nothing_of_the_id_is_left_when_the_last_link_ends(store: Store, vault: Vault) -> None:
    one, _ = _booked(store, vault, 1), _booked(store, vault, 2)
    with store.write() as conn:
        place = meeting_places.place_of(conn, _visit(store, one))
        meeting_places.set_meeting(conn, vault, place, "zoom 1 h https://zoom.us/j/1")
        assert [group.key for group in conferences.named(conn, "production", "G-77", NOW)] == [
            ("production", "G-77", TODAY)
        ]
        sweep(conn, vault, WINDOW.ends_at - timedelta(seconds=1))
        assert conn.execute(select(rows.c.reference)).scalar_one() == "G-77"
        sweep(conn, vault, WINDOW.ends_at)
        assert conn.execute(select(rows.c.reference, rows.c.meeting_ref)).one() == (None, None)
        assert conferences.named(conn, "production", "G-77", NOW) == []
    assert _keep(store, vault, _plan(one, None)) == [], "a late message takes nobody out of a group that is over"
    assert _visit(store, one).conference == place.id
    later = VisitWindow(opens_at=WINDOW.opens_at + 7 * DAY, ends_at=WINDOW.ends_at + 7 * DAY)
    _keep(store, vault, _plan(one, None, window=later, day="2026-03-10"))
    assert _visit(store, one).conference is None


def test_the_appointment_s_own_copy_goes_when_it_is_forgotten(store: Store, vault: Vault) -> None:
    one = appointment(1, conference="G-77")
    put(store, vault, [first(one)])
    with store.write() as conn:
        assert conn.execute(select(appointments.c.conference)).scalar_one() == "G-77"
        assert len(forget_due(conn, one.start or NOW)) == 1
        assert conn.execute(select(appointments.c.conference)).scalar_one() is None
    begun = appointment(2, conference="G-77", start=NOW)
    put(store, vault, [first(begun)])
    with store.read() as conn:
        kept = select(appointments.c.conference).where(appointments.c.id == begun.id)
        assert conn.execute(kept).scalar_one() is None, "what came too late is not stored"


def test_a_link_of_the_group_stays_whatever_becomes_of_its_visit(store: Store, vault: Vault) -> None:
    one, _ = _booked(store, vault, 1), _booked(store, vault, 2)
    with store.write() as conn:
        visit = visits.lock(conn, _visit(store, one).id) or pytest.fail("no visit")
        [group] = conferences.named(conn, "production", "G-77", NOW)
        token = visit_links.new_link(conn, vault, visit, VisitRole.PROVIDER, NOW, lasts=30 * DAY, conference=group)
    later = VisitWindow(opens_at=WINDOW.opens_at + 7 * DAY, ends_at=WINDOW.ends_at + 7 * DAY)
    _keep(store, vault, _plan(one, "", window=later, day="2026-03-10"))
    with store.read() as conn:
        _, link = visit_links.find(conn, vault.ring, token, NOW) or pytest.fail("not found")
    assert (link.conference, link.ends_at) == (group.id, WINDOW.ends_at - timedelta(microseconds=1))


def test_what_meetings_ask_of_groups(store: Store, vault: Vault) -> None:
    one, _, alone = _booked(store, vault, 1), _booked(store, vault, 2), _booked(store, vault, 3, None)
    opens, ends = WINDOW.opens_at, WINDOW.ends_at
    with store.write() as conn:
        group = meeting_places.place_of(conn, _visit(store, one))
        single = meeting_places.place_of(conn, _visit(store, alone))
        assert meeting_places.by_code(conn, "production", group.code) == group
        assert meeting_places.by_code(conn, "production", _visit(store, one).code) is not None
        assert sorted(p.id for p in meeting_places.without_meeting(conn, "production", NOW, opens)) == sorted(
            [group.id, single.id]
        )
        assert meeting_places.without_meeting(conn, "production", NOW, opens - HOUR) == []
        meeting_places.set_meeting(conn, vault, group, "zoom 1 h https://zoom.us/j/1")
        assert meeting_places.without_meeting(conn, "production", NOW, opens) == [single]
        assert meeting_places.unreported(conn, "production", NOW, ends - HOUR) == []
        assert meeting_places.unreported(conn, "production", NOW, ends) == [group]
        assert visits.meeting_of(conn, vault, _visit(store, one).id) is None
