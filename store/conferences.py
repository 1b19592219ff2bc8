"""Group visits: the visits of an environment with one conference id on one day at the clinic take place in one meeting.

    known = conferences.settle_into(conn, wanted, now)     # in the order of their keys, each locked until the commit
    conferences.fit(conn, vault, known)                    # after its visits have changed
    conferences.members(conn, conference)

The hospital's id is kept until the last of the visits' links ends (`expire`); the random code stays with them, for the report.
On PostgreSQL they are locked after the visits, in the order of `ConferenceKey`, so that none waits in a circle.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, null, or_, select, update

from scheduler.visit_life import VisitState, VisitWindow, state_at
from store.crypto import Undecipherable, day_of, sealed_day
from store.join_tokens import new_visit_code
from store.sealing import SealedColumn
from store.tables import conferences, visits
from store.upsert import insert_into
from store.vault import Vault
from store.visits import VideoVisit, read_visit, with_appointment

_MEETING: Final = SealedColumn(table="conferences", column="meeting_ref")


class ConferenceKey(NamedTuple):
    """What visits of one group have in common.

    Attributes:
        reference: the hospital's conference id.
        day: of the visit at the clinic, `2026-03-12`: an id that comes again every week means another group each time.
    """

    environment: str
    reference: str
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conference:
    """One group of visits.

    Attributes:
        id: ours; in no link and on no page.
        reference: the hospital's id; None: its time is over.
        code: random; the name of its room in a meeting's address.
        window: from the first of its visits that opens to the last of their links that ends.
    """

    id: str
    environment: str
    reference: str | None
    day: str
    code: str
    window: VisitWindow

    @property
    def key(self) -> ConferenceKey | None:
        return None if self.reference is None else ConferenceKey(self.environment, self.reference, self.day)


def settle_into(
    conn: Connection,
    wanted: Mapping[ConferenceKey, VisitWindow | None],
    now: datetime,
    *,
    random: Callable[[int], int] = secrets.randbelow,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> dict[ConferenceKey, Conference]:
    """The groups of these keys, locked until the commit. Two transactions that want the same new one get the same.

    Args:
        wanted: key -> the window of a visit that belongs to it, with which it is made if there is none; None: it is not made.
    """
    known = {}
    of = conferences.c
    for key, window in sorted(wanted.items(), key=lambda item: item[0]):
        if window is not None:
            row = {
                "id": new_id(), **key._asdict(), "code": new_visit_code(random), "opens_at": window.opens_at,
                "ends_at": window.ends_at, "created_at": now,
            }  # fmt: skip
            conn.execute(insert_into(conn, conferences).values(row).on_conflict_do_nothing())
        same = (of.environment == key.environment) & (of.reference == key.reference) & (of.day == key.day)
        stored = conn.execute(select(conferences).where(same).with_for_update()).mappings().one_or_none()
        if stored is not None:
            known[key] = _conference(stored)
    return known


def fit(conn: Connection, vault: Vault, changed: Iterable[Conference]) -> None:
    """Let the windows of these locked groups be those of their visits, and their meetings be kept as long. A group of canceled
    visits alone stays as it is until its time is over."""
    of = visits.c
    for conference in changed:
        going_on = (of.conference == conference.id) & (of.state != VisitState.CANCELED.value)
        opens_at, ends_at = conn.execute(select(func.min(of.opens_at), func.max(of.ends_at)).where(going_on)).one()
        if opens_at is None or (opens_at, ends_at) == (conference.window.opens_at, conference.window.ends_at):
            continue
        sealed = _resealed(conn, vault, conference, ends_at)
        conn.execute(
            update(conferences)
            .where(conferences.c.id == conference.id)
            .values(opens_at=opens_at, ends_at=ends_at, meeting_ref=sealed)
        )


def _resealed(conn: Connection, vault: Vault, conference: Conference, ends_at: datetime) -> bytes | None:
    sealed: bytes | None = conn.execute(
        select(conferences.c.meeting_ref).where(conferences.c.id == conference.id)
    ).scalar_one()
    if sealed is None or sealed_day(bytes(sealed)) == day_of(ends_at):
        return sealed
    with suppress(Undecipherable):  # with the key file of another day: the meeting is made anew
        plain = _MEETING.unseal(conn, vault, conference.id, bytes(sealed))
        return None if plain is None else _MEETING.seal(conn, vault, conference.id, plain, until=ends_at)
    return None


# Reading


def by_id(conn: Connection, ids: Collection[str]) -> dict[str, Conference]:
    """Groups by our ids; not locked."""
    if not ids:
        return {}
    rows = conn.execute(select(conferences).where(conferences.c.id.in_(list(ids)))).mappings()
    return {row["id"]: _conference(row) for row in rows}


def lock(conn: Connection, conference: str) -> None:
    """Nobody else changes it until the commit."""
    conn.execute(select(conferences.c.id).where(conferences.c.id == conference).with_for_update())


def named(conn: Connection, environment: str, reference: str, now: datetime) -> list[Conference]:
    """The groups of an environment with this conference id that are not over, the next first."""
    of = conferences.c
    wanted = select(conferences).where(of.environment == environment, of.reference == reference, of.ends_at > now)
    return [_conference(row) for row in conn.execute(wanted.order_by(of.opens_at, of.id)).mappings()]


def members(conn: Connection, conference: str) -> list[VideoVisit]:
    """The visits of a group, canceled ones included, by start; not locked."""
    of = visits.c
    wanted = with_appointment().where(of.conference == conference).order_by(of.opens_at, of.id)
    return [read_visit(row) for row in conn.execute(wanted).mappings()]


def going_on(conn: Connection, conference: str, now: datetime) -> list[VideoVisit]:
    """The visits of a group that are not over, by start; not locked."""
    return [visit for visit in members(conn, conference) if not state_at(visit.state, visit.window, now).is_over]


# Meetings


def meeting_of(conn: Connection, vault: Vault, conference: str) -> str | None:
    """Its meeting's address or reference as it was stored; None: none is known, or its day is over."""
    sealed = conn.execute(select(conferences.c.meeting_ref).where(conferences.c.id == conference)).scalar_one_or_none()
    plain = None if sealed is None else _MEETING.unseal(conn, vault, conference, bytes(sealed))
    return None if plain is None else plain.decode()


def set_meeting(conn: Connection, vault: Vault, conference: Conference, meeting: str) -> None:
    """Store where a group takes place, sealed until the last of its links ends."""
    sealed = _MEETING.seal(conn, vault, conference.id, meeting.encode(), until=conference.window.ends_at)
    conn.execute(update(conferences).where(conferences.c.id == conference.id).values(meeting_ref=sealed))


# Forgetting


def expire(conn: Connection, now: datetime) -> None:
    """Delete the hospital's ids and the meetings of groups whose time is over."""
    of = conferences.c
    kept = or_(of.reference.is_not(None), of.meeting_ref.is_not(None))
    conn.execute(update(conferences).where(of.ends_at <= now, kept).values(reference=null(), meeting_ref=null()))


def forget_unreadable(conn: Connection, begins: datetime, ends: datetime) -> None:
    """Delete what was sealed for groups that end in `[begins, ends)`: no key opens it."""
    of = conferences.c
    conn.execute(update(conferences).where(of.ends_at >= begins, of.ends_at < ends).values(meeting_ref=null()))


def _conference(row: Mapping[Any, Any]) -> Conference:
    return Conference(
        id=row["id"],
        environment=row["environment"],
        reference=row["reference"],
        day=row["day"],
        code=row["code"],
        window=VisitWindow(opens_at=row["opens_at"], ends_at=row["ends_at"]),
    )
