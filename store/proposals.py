"""Changes of carebell.yaml that somebody looks at, or that wait for an approval, before the file is written.

The text and the edits are sealed with the key of the day on which the proposal ends, because an allow list holds telephone numbers:
when that day is over nobody can read them any more, in no backup either. Who proposed what, when, and what became of it, stays
for `KEEP`.

    draft ──> withdrawn | expired                      the answers about a new environment, before there is a text; or an order
                                                       of a number at the gateway, which changes no file
    open ──> saved | withdrawn | expired
      └────> awaiting (an approval) ──> saved | sent_back | withdrawn | expired
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from store.sealing import SealedColumn
from store.tables import proposals
from store.vault import Vault

TEXT: Final = SealedColumn(table="proposals", column="text")
EDITS: Final = SealedColumn(table="proposals", column="edits")
KEEP: Final = timedelta(days=400)
"""How long it is known that there was one; as long as the configuration's versions keep their text."""


class ProposalState(StrEnum):
    """What became of a proposal."""

    DRAFT = "draft"
    OPEN = "open"
    AWAITING = "awaiting"
    SAVED = "saved"
    WITHDRAWN = "withdrawn"
    SENT_BACK = "sent_back"
    EXPIRED = "expired"


UNDECIDED: Final = (ProposalState.OPEN, ProposalState.AWAITING)
_HELD: Final = (ProposalState.DRAFT, *UNDECIDED)
"""Those whose content is still needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProposal:
    """Attributes:
    id: hexadecimal, random.
    base: digest of the file that it changes.
    text: of the whole file afterwards; a draft's answers or order; None: decided, over, or not asked for.
    edits: JSON: the keys and their values; None as `text`.
    environments: those that it touches.
    effect: JSON of what was foreseen; None: not foreseen yet.
    author, decided_by: users' logins.
    version: of the configuration that it became.
    """

    id: str
    base: str
    text: str | None = field(default=None, repr=False)
    edits: str | None = field(default=None, repr=False)
    environments: tuple[str, ...] = ()
    effect: str | None = None
    author: str
    created_at: datetime
    ends_at: datetime
    state: ProposalState = ProposalState.OPEN
    comment: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    version: str | None = None

    def is_undecided(self, now: datetime) -> bool:
        return self.state in UNDECIDED and now < self.ends_at


def add(conn: Connection, vault: Vault, proposal: StoredProposal) -> None:
    values = {name: getattr(proposal, name) for name in StoredProposal.__dataclass_fields__}
    values |= {"environments": json.dumps(proposal.environments), "state": proposal.state.value}
    conn.execute(insert(proposals).values(values | _sealed(conn, vault, proposal)))


def find(
    conn: Connection, vault: Vault, proposal_id: str, now: datetime, *, lock: bool = False
) -> StoredProposal | None:
    """With its text and edits, if it is undecided and they can still be opened."""
    wanted = select(proposals).where(proposals.c.id == proposal_id)
    row = conn.execute(wanted.with_for_update() if lock else wanted).mappings().one_or_none()
    if row is None:
        return None
    if ProposalState(row["state"]) not in _HELD or row["ends_at"] <= now:
        return _proposal(row, None, None)
    text, edits = (
        None if row[place.column] is None else place.unseal(conn, vault, proposal_id, row[place.column])
        for place in (TEXT, EDITS)
    )
    return _proposal(row, text, edits)


def listed(conn: Connection, *, states: Collection[ProposalState] = tuple(ProposalState)) -> list[StoredProposal]:
    """The newest first, without text and edits."""
    of = proposals.c
    wanted = select(proposals).where(of.state.in_([state.value for state in states]))
    rows = conn.execute(wanted.order_by(of.created_at.desc(), of.id)).mappings()
    return [_proposal(row, None, None) for row in rows]


def foreseen(conn: Connection, proposal_id: str, effect: str) -> None:
    """Note what it would do.

    Args:
        effect: JSON.
    """
    conn.execute(update(proposals).where(proposals.c.id == proposal_id).values(effect=effect))


def redraft(conn: Connection, vault: Vault, draft: StoredProposal, text: str) -> bool:
    """Keep other answers of a draft; False: it is none any more.

    Args:
        draft: as `find` returned it.
    """
    of = proposals.c
    sealed = TEXT.seal(conn, vault, draft.id, text.encode(), until=draft.ends_at)
    still_draft = update(proposals).where(of.id == draft.id, of.state == ProposalState.DRAFT.value)
    return conn.execute(still_draft.values(text=sealed)).rowcount == 1


def await_approval(
    conn: Connection, vault: Vault, proposal: StoredProposal, *, ends_at: datetime, comment: str | None
) -> bool:
    """Let it wait for an approval until `ends_at`; False: it was decided meanwhile.

    Args:
        proposal: as `find` returned it, with its text.
    """
    of = proposals.c
    values = {"state": ProposalState.AWAITING.value, "comment": comment, "ends_at": ends_at}
    waiting = StoredProposal(
        id=proposal.id, base=proposal.base, text=proposal.text, edits=proposal.edits, author=proposal.author,
        created_at=proposal.created_at, ends_at=ends_at,
    )  # fmt: skip
    undecided = update(proposals).where(of.id == proposal.id, of.state == ProposalState.OPEN.value)
    return conn.execute(undecided.values(**values, **_sealed(conn, vault, waiting))).rowcount == 1


def decide(
    conn: Connection,
    proposal_id: str,
    state: ProposalState,
    *,
    by: str,
    at: datetime,
    comment: str | None = None,
    version: str | None = None,
) -> bool:
    """Save, send back or withdraw it; its text is gone. False: it was decided before, or its time is over.

    Args:
        comment: None: the one of before stays.
    """
    of = proposals.c
    undecided = update(proposals).where(of.id == proposal_id, of.state.in_(_values(_HELD)), of.ends_at > at)
    values = {"state": state.value, "decided_by": by, "decided_at": at, "version": version, "text": None, "edits": None}
    return conn.execute(undecided.values(values if comment is None else values | {"comment": comment})).rowcount == 1


def expire(conn: Connection, now: datetime) -> int:
    """Note those whose time is over, and delete what is older than `KEEP`; how many were noted or deleted."""
    of = proposals.c
    over = update(proposals).where(of.state.in_(_values(_HELD)), of.ends_at <= now)
    noted = conn.execute(over.values(state=ProposalState.EXPIRED.value, text=None, edits=None)).rowcount
    return noted + conn.execute(delete(proposals).where(of.ends_at <= now - KEEP)).rowcount


def forget_unreadable(conn: Connection, begins: datetime, ends: datetime) -> int:
    """The key of a day is lost: the proposals that end in it are over; how many."""
    of = proposals.c
    lost = update(proposals).where(of.text.is_not(None), of.ends_at >= begins, of.ends_at < ends)
    return conn.execute(lost.values(state=ProposalState.EXPIRED.value, text=None, edits=None)).rowcount


def _sealed(conn: Connection, vault: Vault, proposal: StoredProposal) -> dict[str, bytes | None]:
    plain = ((TEXT, proposal.text), (EDITS, proposal.edits))
    return {
        place.column: None
        if value is None
        else place.seal(conn, vault, proposal.id, value.encode(), until=proposal.ends_at)
        for place, value in plain
    }


def _proposal(row: RowMapping, text: bytes | None, edits: bytes | None) -> StoredProposal:
    known = {
        "environments": tuple(json.loads(row["environments"])),
        "state": ProposalState(row["state"]),
        "text": None if text is None else text.decode(),
        "edits": None if edits is None else edits.decode(),
    }
    return StoredProposal(**{**row, **known})


def _values(states: Collection[ProposalState]) -> list[str]:
    return [state.value for state in states]
