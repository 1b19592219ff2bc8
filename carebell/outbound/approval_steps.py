"""The steps of an approval: asked for, access proved, approved or sent back. Each is one transaction with its audit entry.

A proof counts for half an hour, for whoever gave it and for the fingerprint that it was given for. An approval is of a fingerprint:
whatever is in force afterwards, no text leaves under another (`carebell.outbound.approval_holds`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from scheduler.sms import HoldScope
from store import approvals, audit, holds
from store.approvals import ApprovalState, ApprovalStep, Proof
from store.audit import AuditAction, Author
from store.engine import Transaction

PROOF_LASTS: Final = timedelta(minutes=30)
_SHOWN: Final = 12
"""Digits of a fingerprint in the audit log."""

WhyNotApproved = Literal["changed", "not_proved", "proof_of_another", "decided"]


class NotApproved(Exception):
    """Nothing was approved, and the transaction must not be committed.

    Attributes:
        why: `changed`: other facts are asked for now. `not_proved`: nobody proved access within the last half hour.
            `proof_of_another`: somebody else did. `decided`: it is approved or was sent back already.
    """

    def __init__(self, why: WhyNotApproved) -> None:
        super().__init__(why)
        self.why: WhyNotApproved = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an approver is asked: do these facts of this environment hold?

    Attributes:
        facts: canonical JSON, of `ehr.fingerprint`.
        proposal: the id of the change that waits for the answer; None: the facts are in force.
    """

    environment: str
    fingerprint: str
    facts: str
    proposal: str | None = None


def standing(conn: Transaction, question: Question, at: datetime) -> ApprovalStep | None:
    """How the question stands; a proof that is too old counts as none. None: nobody asked."""
    step = approvals.latest(conn, question.environment, question.fingerprint)
    if step is not None and step.state is ApprovalState.PROVED and not _is_fresh(step, at):
        return replace(step, state=ApprovalState.AWAITING, proof=None, proof_facts=None)
    return step


def ask(conn: Transaction, question: Question, author: Author, *, at: datetime) -> bool:
    """Ask for an approval; False: it was asked for, or given, before. What was sent back is asked for anew."""
    audit.lock(conn)
    before = approvals.latest(conn, question.environment, question.fingerprint)
    if before is not None and before.state not in (ApprovalState.SENT_BACK, ApprovalState.DRAFT):
        return False
    if not _add(conn, question, ApprovalState.AWAITING, author, at):
        return False
    _audit(conn, question, AuditAction.APPROVAL_ASK, author, at)
    return True


def prove(
    conn: Transaction,
    question: Question,
    proof: Proof,
    author: Author,
    *,
    at: datetime,
    facts: Mapping[str, object] | None = None,
) -> bool:
    """Note that somebody proved access, also after another proof or after it was sent back; False: it is approved.

    Args:
        facts: what is known of the proof.
    """
    audit.lock(conn)
    before = approvals.latest(conn, question.environment, question.fingerprint)
    if before is not None and before.state is ApprovalState.APPROVED:
        return False
    if before is None or before.state is not ApprovalState.AWAITING:
        _add(conn, question, ApprovalState.AWAITING, author, at)
    known = json.dumps(dict(facts or {}), sort_keys=True)
    if not _add(conn, question, ApprovalState.PROVED, author, at, proof=proof, proof_facts=known):
        return False
    _audit(conn, question, AuditAction.APPROVAL_PROVE, author, at, after=proof.value)
    return True


def approve(
    conn: Transaction, question: Question, author: Author, *, at: datetime, is_in_force: bool, same_person: bool
) -> None:
    """Approve what this person proved access for.

    Args:
        is_in_force: these are the facts in force here, so texts leave again.
        same_person: the approver made the change too.

    Raises:
        NotApproved: roll back.
    """
    if is_in_force:  # before the audit log's head (`store.lock_order`)
        holds.release(conn, HoldScope.APPROVAL, question.environment)
    audit.lock(conn)
    step = standing(conn, question, at)
    if step is None or step.state is ApprovalState.AWAITING:
        raise NotApproved("not_proved")
    if step.state is not ApprovalState.PROVED:
        raise NotApproved("decided")
    if step.actor != author.who:
        raise NotApproved("proof_of_another")
    known = json.loads(step.proof_facts or "{}") | {"same_person": same_person}
    proof_facts = json.dumps(known, sort_keys=True)
    if not _add(conn, question, ApprovalState.APPROVED, author, at, proof=step.proof, proof_facts=proof_facts):
        raise NotApproved("decided")
    after = f"{'not proved' if step.proof is Proof.WORD else step.proof}{', same person' if same_person else ''}"
    _audit(conn, question, AuditAction.APPROVAL_APPROVE, author, at, after=after)


def approve_too(conn: Transaction, approved: Question, also: Question, author: Author, *, at: datetime) -> None:
    """Approve with the same proof what was on the same page as a question that this transaction approved. Raises NotApproved."""
    step = approvals.latest(conn, approved.environment, approved.fingerprint)
    if step is None or step.proof is None:
        raise NotApproved("changed")
    known = json.loads(step.proof_facts or "{}")
    if prove(conn, also, step.proof, author, at=at, facts=known):
        approve(conn, also, author, at=at, is_in_force=False, same_person=bool(known.get("same_person")))


def send_back(conn: Transaction, question: Question, author: Author, comment: str, *, at: datetime) -> bool:
    """Say why it is not approved; False: it was decided meanwhile."""
    if not _add(conn, question, ApprovalState.SENT_BACK, author, at, comment=comment):
        return False
    _audit(conn, question, AuditAction.APPROVAL_SEND_BACK, author, at, after=comment)
    return True


def _is_fresh(step: ApprovalStep, at: datetime) -> bool:
    return step.at <= at < step.at + PROOF_LASTS


def _add(
    conn: Transaction,
    question: Question,
    state: ApprovalState,
    author: Author,
    at: datetime,
    *,
    proof: Proof | None = None,
    proof_facts: str | None = None,
    comment: str | None = None,
) -> bool:
    step = ApprovalStep(
        environment=question.environment,
        fingerprint=question.fingerprint,
        facts=question.facts,
        state=state,
        actor=author.who,
        at=at,
        proof=proof,
        proof_facts=proof_facts,
        comment=comment,
        proposal=question.proposal,
    )
    return approvals.add(conn, step) is not None


def _audit(
    conn: Transaction,
    question: Question,
    action: AuditAction,
    author: Author,
    at: datetime,
    *,
    after: str | None = None,
) -> None:
    subject = question.fingerprint[:_SHOWN]
    audit.append(conn, author, action, subject=subject, environment=question.environment, after=after, at=at)
