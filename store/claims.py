"""Claim due rows: the transaction that marks a text `sending` checks again everything that could stop it.

    with store.write() as conn:
        round = claim(conn, vault, now, node=..., limit=..., lease=..., senders=..., decide=...)
    # committed: only now may the gateway be called, once for each entry of round.claimed

SQLite: the writing transaction holds the database's one lock. PostgreSQL: the outbox rows and their appointments are locked
with SKIP LOCKED (`lock_order`), so that several nodes share the queue and none waits for a message that is being stored. If the
appointment of a row is locked because a message is being stored, the row is left for the next round. A claimed row without a result
becomes `unknown` when its lease is over (`attempts.expire_leases`): nothing is ever posted twice on suspicion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, literal_column, null, select
from sqlalchemy.sql import ClauseElement

from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.sms import Cap, PlannedRow, Reason, SmsKind, SmsState
from store import patient_replies
from store.appointment_repository import load, resave
from store.holds import probe, read_blocks
from store.optouts import opted_out
from store.outbox_row import COLUMNS, OutboxRow, read_row
from store.prepared import Given, Prepared, PreparedRows, any_of, codec, list_value
from store.questions import AskedQuestion, asked_again, open_questions
from store.tables import outbox
from store.vault import Vault
from store.visit_links import tokens

DAY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
UNREADABLE_AGAIN: Final = timedelta(minutes=5)
"""When an unreadable row is tried again, because the key file may be corrected. `forgetting` withdraws it when its visit begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCandidate:
    """A due row and everything that decides about it, as of this transaction.

    Attributes:
        appointment: its newest state; earlier decisions of the same round included.
        history: every row of the appointment as it was before this round.
        recipient: the number that the text would be sent to; None: the phone is unknown or deleted.
        sender: the sender of the row's environment.
        opted_out: whether this number has opted out of texts from this sender.
        day, week: texts accepted for this number in the rolling 24 hours and 7 days, including earlier ones of this round.
        hold: why nothing may be sent now for this environment or sender; None: it may.
        token: of the visit's join link, for the text; only in memory.
        questions: what this number was asked by this sender and may still answer; of environments that ask alone.
        confirmed: whether the patient confirmed the visit at its present time.
    """

    row: OutboxRow
    appointment: Appointment
    history: tuple[PlannedRow, ...]
    recipient: PhoneNumber | None
    sender: str
    opted_out: bool
    day: int
    week: int
    hold: str | None
    token: str | None = field(default=None, repr=False)
    questions: tuple[AskedQuestion, ...] = ()
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Decision: send this row's text.

    Attributes:
        segments: the length of the rendered text; charged to the sender's rate. text: the text itself; it is not stored.
        appointment: the appointment with its confirmation window closed; None: unchanged.
        question: the number of what the text asks; None: it does not ask. is_alone: whether the text names no number.
    """

    segments: int
    text: str = field(default="", repr=False)
    appointment: Appointment | None = None
    question: int | None = None
    is_alone: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppress:
    """Decision: never send it, with the reason. `appointment` as in `Send`; `cap`: which one, where that is the reason."""

    reason: Reason
    appointment: Appointment | None = None
    cap: Cap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Decision: not now. The row stays due and is checked again at `until`, UTC. No attempt is counted."""

    until: datetime


Decision = Send | Suppress | Later


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A text that only this node may now post to the gateway, once.

    Attributes:
        row: the row in its new state `sending`; `row.attempts` is the number of this attempt.
        appointment: its state when the decision was made, before its window was closed. Its phone is only in memory.
        text: as it was decided about, rendered from that state; only in memory.
    """

    row: OutboxRow
    appointment: Appointment
    recipient: PhoneNumber
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The result of one claim. `suppressed` rows have their reason, `postponed` rows their next time.

    Attributes:
        unreadable: those of `postponed` whose appointment has values that no existing key can decrypt.
        caps: of `suppressed`, by id: which cap, where that is the reason.
    """

    claimed: tuple[Claimed, ...]
    suppressed: tuple[OutboxRow, ...]
    postponed: tuple[OutboxRow, ...]
    unreadable: tuple[OutboxRow, ...] = ()
    caps: Mapping[str, Cap] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.claimed or self.suppressed or self.postponed)


def claim(
    conn: Connection,
    vault: Vault,
    now: datetime,
    *,
    node: str,
    limit: int,
    lease: timedelta,
    senders: Mapping[str, str],
    decide: Callable[[ClaimCandidate], Decision],
    recipient: Callable[[Appointment], PhoneNumber | None] = lambda appointment: appointment.phone,
    probe_every: timedelta = timedelta(minutes=5),
    unapproved: frozenset[str] = frozenset(),
    linked: Collection[str] = (),
    asking: frozenset[str] = frozenset(),
) -> Round:
    """Decide about due rows, those that have waited longest first. The caller commits.

    Args:
        node: the name of this node, for people.
        limit: the largest number of rows to check, and so also to claim.
        lease: how long the gateway's answer may take; longer than the gateway's time-out.
        senders: environment -> sender. Only these environments' rows are looked at, so that one slow sender's queue
            does not keep the others waiting.
        decide: called once for each row: first cancellations, then the other confirmations, then reminders, the one nearest to its
            visit first. So if a cap or a sender's rate does not permit all of them, those for the latest visits are not sent.
        recipient: the number for an environment's texts (a test environment may force one).
        probe_every: how long an open breaker waits for the result of its probe before the next text may try.
        unapproved: environments whose texts wait for an approval.
        linked: environments whose texts name a join link of Carebell's own.
        asking: environments whose texts may ask.
    """
    blocks = replace(read_blocks(conn, now), unapproved=unapproved)
    rows = _due(conn, now, tuple(senders), limit)
    shut: set[str] = set()
    stored = load(conn, vault, {row.appointment for row in rows}, now, lock="skip", unreadable=shut)
    named = {row.appointment for row in rows if row.environment in linked and row.appointment in stored}
    token = tokens(conn, vault, named, now, unreadable=shut)
    unreadable = [replace(row, next_attempt_at=now + UNREADABLE_AGAIN) for row in rows if row.appointment in shut]
    readable = stored.keys() - shut
    rows = sorted((row for row in rows if row.appointment in readable), key=_precedence)
    to = {row.appointment: recipient(stored[row.appointment].appointment) for row in rows}
    keys = {owner: vault.ring.phone_key(number) for owner, number in to.items() if number is not None}
    taken = _Taken.of(conn, set(keys.values()), now)
    refused = opted_out(
        conn, {(keys[row.appointment], senders[row.environment]) for row in rows if row.appointment in keys}
    )
    present = {owner: claim.appointment for owner, claim in stored.items()}
    of_asking = {row.appointment for row in rows if row.environment in asking}
    asked = open_questions(
        conn,
        vault,
        {keys[owner] for owner in of_asking if owner in keys},
        {senders[name] for name in asking if name in senders},
        now,
        recipient=recipient,
        lock=False,
    )
    answered = patient_replies.last_effective(conn, of_asking)
    outcome = _Outcome(now=now, node=node, lease_until=now + lease)
    for row in rows:
        key, sender = keys.get(row.appointment), senders[row.environment]
        day, week = taken.count(key)
        appointment = present[row.appointment]
        questions = asked.get((key, sender), ()) if key is not None and row.environment in asking else ()
        candidate = ClaimCandidate(
            row=row,
            appointment=appointment,
            history=stored[row.appointment].history,
            recipient=to[row.appointment],
            sender=sender,
            opted_out=key is not None and (key, sender) in refused,
            day=day,
            week=week,
            hold=blocks.reason(row.environment, sender),
            token=token.get(row.appointment),
            questions=questions,
            confirmed=row.appointment in answered and answered[row.appointment].confirms(appointment),
        )
        decision = decide(candidate)
        if isinstance(decision, Send):
            if key is None:
                raise ValueError("a text without a recipient was to be sent")
            if row.kind is not SmsKind.ANSWER:
                taken.add(key)
            if decision.question is not None:
                asked[key, sender] = asked_again(questions, AskedQuestion.of(row, appointment, decision.question, now))
            tried = blocks.probed_by(row.environment, sender)
            if tried:
                probe(conn, tried, now + probe_every)
                blocks = blocks.probing(tried, now + probe_every)
        after = None if isinstance(decision, Later) else decision.appointment
        if after is not None:
            present[row.appointment] = after
            outcome.closed[row.appointment] = after
        outcome.take(candidate, decision, present[row.appointment], key)
    outcome.postponed += unreadable
    outcome.write(conn, vault)
    return Round(
        claimed=tuple(outcome.claimed),
        suppressed=tuple(outcome.suppressed),
        postponed=tuple(outcome.postponed),
        unreadable=tuple(unreadable),
        caps=outcome.caps,
    )


def _precedence(row: OutboxRow) -> tuple[int, timedelta]:
    """The order of the rows. Among equals the row that has waited longest is first, because rows are read in that order."""
    if row.kind is not SmsKind.REMINDER:
        return (1 if row.kind in (SmsKind.BOOKED, SmsKind.UPDATED) else 0), timedelta()
    return 2, row.start - row.due if row.start is not None and row.due is not None else timedelta.max


class _Outcome:
    """Collects the decisions of one round and writes them in a few statements."""

    def __init__(self, *, now: datetime, node: str, lease_until: datetime) -> None:
        self.now, self.node, self.lease_until = now, node, lease_until
        self.claimed: list[Claimed] = []
        self.suppressed: list[OutboxRow] = []
        self.postponed: list[OutboxRow] = []
        self.closed: dict[str, Appointment] = {}
        self.caps: dict[str, Cap] = {}

    def take(self, candidate: ClaimCandidate, decision: Decision, appointment: Appointment, key: str | None) -> None:
        row = candidate.row
        if isinstance(decision, Later):
            self.postponed.append(replace(row, next_attempt_at=decision.until))
        elif isinstance(decision, Suppress):
            self.suppressed.append(
                replace(row, state=SmsState.SUPPRESSED, reason=decision.reason, next_attempt_at=None, final_at=self.now)
            )
            if decision.cap is not None:
                self.caps[row.id] = decision.cap
        else:
            asks = decision.question is not None
            attempt = row.claimed(
                at=self.now,
                lease_until=self.lease_until,
                node=self.node,
                sender=candidate.sender,
                segments=decision.segments,
                phone_key=key,
                question=decision.question,
                question_alone=decision.is_alone if asks else None,
                question_until=candidate.appointment.deadline if asks else None,
            )
            assert candidate.recipient is not None
            self.claimed.append(
                Claimed(
                    row=attempt,
                    appointment=candidate.appointment,
                    recipient=candidate.recipient,
                    text=decision.text,
                )
            )

    def write(self, conn: Connection, vault: Vault) -> None:
        maybe, now, lease_until = codec(conn).put_maybe, codec(conn).put(self.now), codec(conn).put(self.lease_until)
        sending = SmsState.SENDING.value
        _SENDING.run(
            conn,
            [
                (
                    sending,
                    row.attempts,
                    lease_until,
                    row.node,
                    row.sender,
                    row.segments,
                    row.phone_key,
                    now,
                    row.question,
                    row.question_alone,
                    maybe(row.question_until),
                    row.id,
                )
                for row in (claim.row for claim in self.claimed)
            ],
        )
        _SETTLED.run(conn, [(row.state.value, row.reason.value, now, row.id) for row in self.suppressed])
        _POSTPONED.run(conn, [(maybe(row.next_attempt_at), row.id) for row in self.postponed])
        resave(conn, vault, list(self.closed.values()), self.now)


@dataclass(slots=True)
class _Taken:
    """How many texts each number received in the rolling day and week."""

    counts: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, conn: Connection, keys: set[str], now: datetime) -> _Taken:
        """Texts that the gateway accepted, or may have accepted, count; refused ones do not."""
        if not keys:
            return cls({})
        put = codec(conn).put
        rows = _COUNTS.fetch(conn, (put(now - DAY), list_value(conn, sorted(keys)), put(now - WEEK)))
        return cls({key: (day, week) for key, day, week in rows})

    def count(self, key: str | None) -> tuple[int, int]:
        return (0, 0) if key is None else self.counts.get(key, (0, 0))

    def add(self, key: str) -> None:
        day, week = self.count(key)
        self.counts[key] = (day + 1, week + 1)


def taken_texts(conn: Connection, keys: Collection[str], since: datetime) -> dict[str, list[datetime]]:
    """When each number's texts since then were claimed, as far as they count for the caps: phone key -> instants, UTC."""
    of = outbox.c
    texts: dict[str, list[datetime]] = {key: [] for key in keys}
    wanted = select(of.phone_key, of.claimed_at).where(of.claimed_at > since, of.phone_key.is_not(None), _is_taken())
    for key, claimed_at in conn.execute(wanted.order_by(of.claimed_at)):
        if key in texts:
            texts[key].append(claimed_at)
    return texts


def _due(conn: Connection, now: datetime, environments: tuple[str, ...], limit: int) -> list[OutboxRow]:
    instants = codec(conn)
    rows = _DUE.fetch(conn, (instants.put(now), list_value(conn, environments), limit)) if environments else ()
    return [read_row(row, instants) for row in rows]


def _due_statement(dialect: str) -> ClauseElement:
    # as written in the partial index; otherwise the index is not used
    is_due = outbox.c.state == literal_column("'due'")
    return (
        select(*(outbox.c[name] for name in COLUMNS))
        .where(
            is_due, outbox.c.next_attempt_at <= bindparam("now"), any_of(dialect, outbox.c.environment, "environments")
        )
        .order_by(outbox.c.next_attempt_at)
        .limit(bindparam("at_most"))
        .offset(literal_column("0"))  # SQLite's compiler would add a parameter of its own
        .with_for_update(skip_locked=True)
    )


def _is_taken() -> ColumnElement[bool]:
    """What the gateway accepted, or may have. Answers to a patient's reply do not count."""
    refused: list[Any] = [literal_column(f"'{state.value}'") for state in (SmsState.DUE, SmsState.SUPPRESSED)]
    is_answer = outbox.c.kind == literal_column(f"'{SmsKind.ANSWER.value}'")
    return (
        ~is_answer
        & outbox.c.state.not_in(refused)
        & ((outbox.c.state != literal_column("'failed'")) | outbox.c.sid.is_not(None))
    )


def _counts_statement(dialect: str) -> ClauseElement:
    at = outbox.c.claimed_at
    today = func.sum(case((at > bindparam("day"), literal_column("1")), else_=literal_column("0")))
    wanted = any_of(dialect, outbox.c.phone_key, "keys")
    return (
        select(outbox.c.phone_key, today, func.count())
        .where(wanted, at > bindparam("week"), _is_taken())
        .group_by(outbox.c.phone_key)
    )


def _setting(*names: str, **fixed: Any) -> PreparedRows:
    """A statement that sets these columns, and the fixed ones, in rows given by id."""

    def build(_: str, given: Given) -> ClauseElement:
        values: dict[str, Any] = {name: given[f"new_{name}"] for name in names}
        return outbox.update().where(outbox.c.id == given["row_id"]).values(values | fixed)

    return PreparedRows(build, {f"new_{name}": outbox.c[name] for name in names} | {"row_id": outbox.c.id})


_DUE = Prepared(_due_statement, ("now", "environments", "at_most"))
_COUNTS = Prepared(_counts_statement, ("day", "keys", "week"))
_SENDING = _setting(
    "state",
    "attempts",
    "lease_until",
    "node",
    "sender",
    "segments",
    "phone_key",
    "claimed_at",
    "question",
    "question_alone",
    "question_until",
    next_attempt_at=null(),
    sid=null(),
    code=null(),
    sent_at=null(),
    final_at=null(),
    checked_at=null(),
)
_SETTLED = _setting("state", "reason", "final_at", next_attempt_at=null())
_POSTPONED = _setting("next_attempt_at")
