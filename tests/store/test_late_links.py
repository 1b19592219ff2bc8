"""The tokens of links after the start: no text names them any more, so a late message leaves and makes none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.visit_life import VisitWindow
from store import visit_links
from store.appointment_repository import resave
from store.engine import Store
from store.tables import visit_links as links_table
from store.vault import Vault
from store.visit_planning import VisitPlan, keep
from tests.store.samples import NOW, again, appointment, first, put

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _keep(store: Store, vault: Vault, one: Appointment, now: datetime = NOW) -> list[str]:
    assert one.start is not None
    window = VisitWindow(opens_at=one.start - HOUR, ends_at=one.start + 3 * HOUR)
    plan = VisitPlan(environment=one.environment, appointment=one.id, window=window, kind="link")
    with store.write() as conn:
        return [event.what.value for event in keep(conn, vault, [plan], now)]


def _token(store: Store, vault: Vault, one: Appointment) -> str | None:
    with store.read() as conn:
        return visit_links.tokens(conn, vault, [one.id], NOW).get(one.id)


def _planned(store: Store, vault: Vault) -> tuple[Appointment, datetime, str]:
    one = appointment()
    put(store, vault, [first(one)])
    assert _keep(store, vault, one) == ["planned"]
    token = _token(store, vault, one)
    assert token is not None
    assert one.start is not None
    return one, one.start, token


def _sealed(store: Store) -> Sequence[bytes | None]:
    """Of each link."""
    with store.read() as conn:
        return conn.execute(select(links_table.c.sealed)).scalars().all()


@pytest.mark.parametrize("status", [AppointmentStatus.ACTIVE, AppointmentStatus.ENDED])
def test_a_message_between_the_start_and_the_round_leaves_no_token(
    store: Store, vault: Vault, status: AppointmentStatus
) -> None:
    one, start, token = _planned(store, vault)
    for now in (start, start + HOUR):
        late = replace(one, status=status, revision=2)
        put(store, vault, [again(late)], now=now)
        if status is AppointmentStatus.ACTIVE:
            assert _keep(store, vault, one, now) == []
        with store.write() as conn:
            visit_links.forget_late(conn, [late], now)
        assert _sealed(store) == [None], "and there is no second link, which nobody knows"
        with store.read() as conn:
            assert visit_links.find(conn, vault.ring, token, now) is not None


def test_a_claim_after_the_start_leaves_no_token(store: Store, vault: Vault) -> None:
    one, start, _ = _planned(store, vault)
    with store.write() as conn:
        resave(conn, vault, [one], start)
    assert _sealed(store) == [None]


def test_a_visit_that_began_before_its_first_message_has_a_link_without_a_token(store: Store, vault: Vault) -> None:
    one = appointment(start=NOW)
    put(store, vault, [first(one)])
    assert _keep(store, vault, one) == ["planned"]
    assert _sealed(store) == [None]
    moved = replace(one, start=NOW + DAY, revision=2)
    put(store, vault, [again(moved)])
    assert _keep(store, vault, moved) == ["moved"]
    assert _token(store, vault, one) is not None
