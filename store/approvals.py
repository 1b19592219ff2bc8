"""Approvals of environments: every step of each, append-only. What is approved is a fingerprint of facts, not a file.

The last step of an environment and fingerprint says how it stands, so an approval counts again when the facts of then come back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, func, insert, select

from store import audit
from store.tables import approvals


class ApprovalState(StrEnum):
    """How an environment's facts stand."""

    DRAFT = "draft"  # not complete
    AWAITING = "awaiting"  # an approver must prove access, and look at it
    PROVED = "proved"  # access was proved a moment ago
    APPROVED = "approved"
    SENT_BACK = "sent_back"  # with a comment why


class Proof(StrEnum):
    """How an approver proved access to the EHR."""

    SIGN_IN = "sign_in"  # there, with the EHR's own sign-in
    MESSAGE = "message"  # a code of ours came back in a signed message
    WORD = "word"  # not proved: an administrator's word, for test environments


NEXT: Final[Mapping[ApprovalState | None, frozenset[ApprovalState]]] = {
    None: frozenset({ApprovalState.DRAFT, ApprovalState.AWAITING}),
    ApprovalState.DRAFT: frozenset({ApprovalState.DRAFT, ApprovalState.AWAITING}),
    ApprovalState.AWAITING: frozenset({ApprovalState.PROVED, ApprovalState.SENT_BACK, ApprovalState.DRAFT}),
    ApprovalState.PROVED: frozenset({ApprovalState.APPROVED, ApprovalState.SENT_BACK, ApprovalState.AWAITING}),
    ApprovalState.APPROVED: frozenset({ApprovalState.AWAITING}),
    ApprovalState.SENT_BACK: frozenset({ApprovalState.DRAFT, ApprovalState.AWAITING}),
}
"""The state that facts have (None: none yet) -> those that may follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStep:
    """Attributes:
    seq: 1, 2, 3 ... in its environment; given by `add`.
    fingerprint: of the facts. facts: what is approved, as canonical JSON.
    actor: the user's login, or as `store.audit.Author.who`.
    proof, proof_facts: how access was proved, and in JSON what is known of it.
    proposal: the id of the proposal that waits for it.
    """

    environment: str
    seq: int = 0
    fingerprint: str
    facts: str
    state: ApprovalState
    actor: str
    at: datetime
    proof: Proof | None = None
    proof_facts: str | None = None
    comment: str | None = None
    proposal: str | None = None


def canonical(facts: Mapping[str, Any]) -> str:
    """JSON that is the same for the same facts: keys in order, no spaces, ASCII."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(facts).encode("ascii")).hexdigest()


def add(conn: Connection, step: ApprovalStep) -> ApprovalStep | None:
    """Take a step; None: it does not follow from how the facts stand now, because somebody else took one meanwhile.

    Only one writer at a time: this takes `store.audit.lock`, so what else the transaction locks is locked before.
    """
    audit.lock(conn)
    before = latest(conn, step.environment, step.fingerprint)
    if step.state not in NEXT[None if before is None else before.state]:
        return None
    of = approvals.c
    last = conn.execute(select(func.max(of.seq)).where(of.environment == step.environment)).scalar_one_or_none() or 0
    numbered = replace(step, seq=last + 1)
    values = {name: getattr(numbered, name) for name in ApprovalStep.__dataclass_fields__}
    values |= {"state": step.state.value, "proof": None if step.proof is None else step.proof.value}
    conn.execute(insert(approvals).values(values))
    return numbered


def latest(conn: Connection, environment: str, fingerprint: str) -> ApprovalStep | None:
    """How these facts stand; None: nobody asked for their approval."""
    of = approvals.c
    return _first(conn, _newest_first(environment).where(of.fingerprint == fingerprint))


def current(conn: Connection, environment: str) -> ApprovalStep | None:
    """The environment's last step, of whichever facts."""
    return _first(conn, _newest_first(environment))


def last_approved(conn: Connection, environment: str) -> ApprovalStep | None:
    """The last approval that was given, to compare with; whether it still counts is for `latest` to say."""
    return _first(conn, _newest_first(environment).where(approvals.c.state == ApprovalState.APPROVED.value))


def history(conn: Connection, environment: str) -> list[ApprovalStep]:
    """All steps, the newest first."""
    return [_step(row) for row in conn.execute(_newest_first(environment)).mappings()]


def open_steps(conn: Connection, environment: str) -> list[ApprovalStep]:
    """The last step of each fingerprint that somebody asked about and nobody has approved, the newest first."""
    last: dict[str, ApprovalStep] = {}
    for step in history(conn, environment):
        last.setdefault(step.fingerprint, step)
    return [step for step in last.values() if step.state is not ApprovalState.APPROVED]


def approved(conn: Connection) -> dict[str, frozenset[str]]:
    """Environment -> the fingerprints whose last step is an approval. One read for all environments."""
    of = approvals.c
    last = select(func.max(of.seq).label("seq"), of.environment).group_by(of.environment, of.fingerprint).subquery()
    wanted = (
        select(of.environment, of.fingerprint)
        .join(last, (of.environment == last.c.environment) & (of.seq == last.c.seq))
        .where(of.state == ApprovalState.APPROVED.value)
    )
    fingerprints: dict[str, set[str]] = {}
    for environment, fingerprint in conn.execute(wanted).all():
        fingerprints.setdefault(environment, set()).add(fingerprint)
    return {environment: frozenset(prints) for environment, prints in fingerprints.items()}


def _newest_first(environment: str) -> Select[tuple[Any, ...]]:
    of = approvals.c
    return select(approvals).where(of.environment == environment).order_by(of.seq.desc())


def _first(conn: Connection, wanted: Select[tuple[Any, ...]]) -> ApprovalStep | None:
    row = conn.execute(wanted.limit(1)).mappings().first()
    return None if row is None else _step(row)


def _step(row: RowMapping) -> ApprovalStep:
    proof = None if row["proof"] is None else Proof(row["proof"])
    return ApprovalStep(**{**row, "state": ApprovalState(row["state"]), "proof": proof})
