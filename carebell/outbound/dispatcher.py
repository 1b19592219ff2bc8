"""From a due row to its outcome.

    claim (one transaction: every re-check, state `sending`) ─> commit ─> still right? ─> POST ─> commit what came of it

Each claim leads to at most one create, and there is no create without a committed claim. Only as many texts are claimed as can be
posted at once: every row in `sending` has a worker thread. So after a crash no more texts are in doubt than requests were open.

`notifier.outcomes` judges the gateway's answer. A doubtful answer makes the row `unknown`, and `carebell.outbound.reconciliation`
resolves it by asking, never by sending again. After a crash between claim and answer the row also becomes `unknown` when the lease
is over. If certainly nothing was created, the row is due again, and the patient counts as not notified
(`carebell.outbound.reopen`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.approval_holds import unapproved
from carebell.outbound.budgets import SenderBudgets
from carebell.outbound.delivery import DeliveryRecorder, identity_of
from carebell.outbound.in_flight import InFlight
from carebell.outbound.posting import Posted, Poster
from carebell.outbound.recipient import Recipients
from carebell.outbound.reopen import reopen_windows
from carebell.outbound.replan import replan_reminders
from carebell.outbound.send_policy import SendPolicy
from carebell.outbound.silences import events_of
from carebell.outbound.text_outcomes import TextOutcomes
from carebell.outbound.worker_threads import WorkerThreads
from journal.events.sms import NumberUnreadable, SmsSent
from journal.logs import Journal
from journal.metrics import Metrics
from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, Gateway, NotSent, Receipt
from scheduler.clock import Clock
from scheduler.sms import Reason, SmsKind, SmsState
from scheduler.writeback import WritebackEvent
from store import gateway_contact, outbox
from store.claims import Claimed, Round, claim
from store.engine import Store, Transaction
from store.faults import is_transient
from store.last_look import LastLook
from store.lock_order import lock_appointments
from store.outbox_row import OutboxRow
from store.vault import Vault

LEASE: Final = timedelta(seconds=120)
"""Much longer than the gateway's time-out (10 s) and any queue of the worker threads. No create starts in its second half: a
machine that was suspended in between must not send what another node has taken for lost."""
_CONTACT_EVERY: Final = timedelta(seconds=5)
_CLOCK_STEP: Final = timedelta(seconds=10)
"""If the clock goes back by more than this, it was set. Rows that were postponed by the old time are then checked again."""
_NOTHING: Final = Round(claimed=(), suppressed=(), postponed=())


class Dispatcher:
    """Sends what is due, tick by tick.

    Args:
        runtime_config: returns the present policies.
        threads: they post.
        at_once: the most texts that are claimed and not recorded at any moment.
        seconds: a monotonic counter, for the log's milliseconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        runtime_config: Callable[[], RuntimeConfig],
        gateway: Gateway,
        delivery: DeliveryRecorder,
        clock: Clock,
        node: str,
        threads: WorkerThreads,
        at_once: int,
        in_flight: InFlight,
        journal: Journal,
        metrics: Metrics,
        seconds: Callable[[], float],
    ) -> None:
        self._store = store
        self._vault = vault
        self._runtime_config = runtime_config
        self._tell_ehr = TextOutcomes(runtime_config=runtime_config)
        self._gateway = gateway
        self._delivery = delivery
        self._clock = clock
        self._node = node
        self._threads = threads
        self._at_once = at_once
        self._in_flight = in_flight
        self._journal = journal
        self._metrics = metrics
        self._seconds = seconds
        self._last: datetime | None = None
        self._noted_contact: datetime | None = None  # when it was last noted that the gateway answers
        self._ending = threading.Event()

    def end(self) -> None:
        """Claim no more. A tick under way records the posted texts and gives back the others."""
        self._ending.set()

    async def tick(self) -> int:
        """Claim and send until nothing more may be sent now. Return how many texts the gateway took."""
        return await asyncio.to_thread(self._send_due)

    def _send_due(self) -> int:
        """Claim for the worker threads that are free, record what they finished, and so on, until nothing is due or open.

        A quarter of the threads must be free before the next claim, so that a claim is worth its transaction.

        A database that fails now ends the claims and does not keep the others from being recorded; its first fault is raised at
        the end. What could not be recorded is `unknown` when its lease is over.
        """
        taken, more = 0, True
        with LastLook(self._store) as look:
            poster = self._poster(look)
            failures = poster.failures
            while True:
                free = self._at_once - poster.open
                if more and not failures and not self._ending.is_set() and 4 * free >= self._at_once:
                    decided_with = self._runtime_config()
                    claimed, more = self._claim_next(free, failures)
                    poster.post(claimed, decided_with)
                if poster.open:
                    posted = poster.gather()
                    failures += self._record_all(posted)
                    taken += sum(isinstance(outcome.receipt, Accepted) for outcome in posted)
                elif not more or failures or self._ending.is_set():
                    break
        if failures:
            raise failures[0]
        return taken

    def _poster(self, look: LastLook) -> Poster:
        return Poster(
            gateway=self._gateway,
            threads=self._threads,
            look=look,
            in_flight=self._in_flight,
            runtime_config=self._runtime_config,
            clock=self._clock,
            ending=self._ending,
            journal=self._journal,
            seconds=self._seconds,
        )

    def _claim_next(self, limit: int, failures: list[Exception]) -> tuple[Sequence[Claimed], bool]:
        """Claim rows, and log other decisions. Return the claims, and whether more rows may be due."""
        try:
            claimed_round = self._claim(limit)
        except Exception as error:  # open requests must still be recorded
            failures.append(error)
            return (), False
        for row in claimed_round.suppressed:
            self._delivery.log_suppressed(row, claimed_round.caps.get(row.id))
        if claimed_round.unreadable:
            row = claimed_round.unreadable[0]
            self._journal.emit(
                NumberUnreadable(
                    environment=row.environment,
                    appointment=row.reference,
                    count=len(claimed_round.unreadable),
                    next_at=row.next_attempt_at,
                )
            )
        decided = len(claimed_round.claimed) + len(claimed_round.suppressed) + len(claimed_round.postponed)
        return claimed_round.claimed, decided >= limit

    # The claim

    def _claim(self, limit: int) -> Round:
        runtime_config, now = self._runtime_config(), self._clock.now()
        if not self._anything_due(now):
            return _NOTHING
        self._threads.start_first()
        senders = {name: policy.environment.sms.sender for name, policy in runtime_config.policies.items()}
        with self._store.write() as conn:
            budgets = SenderBudgets(conn, runtime_config, set(senders.values()), now)
            recipients = Recipients(runtime_config)
            claimed_round = claim(
                conn,
                self._vault,
                now,
                node=self._node,
                limit=limit,
                lease=LEASE,
                senders=senders,
                decide=SendPolicy(runtime_config, now, budgets, recipients),
                recipient=recipients,
                unapproved=unapproved(conn, runtime_config),
                linked=[name for name, policy in runtime_config.policies.items() if policy.join_url is not None],
                asking=runtime_config.asking,
            )
            budgets.charge()
            for row in claimed_round.suppressed:
                if row.reason is Reason.OPTED_OUT:
                    self._tell_ehr(conn, row, WritebackEvent.OPTED_OUT, now)
            replanned = replan_reminders(
                conn, self._vault, runtime_config, claimed_round.suppressed, now, source="claim"
            )
        self._delivery.log(replanned)
        if claimed_round.claimed:
            self._in_flight.enter(claim.row.appointment for claim in claimed_round.claimed)
        return claimed_round

    def _anything_due(self, now: datetime) -> bool:
        """Whether a row is due. It is checked before the claim, so that an idle service writes nothing."""
        if self._last is not None and now < self._last - _CLOCK_STEP:
            with self._store.write() as conn:
                outbox.hurry(conn, now)
        self._last = now
        with self._store.read() as conn:
            due = outbox.next_due(conn)
        return due is not None and due <= now

    # The results

    def _record_all(self, posted: Sequence[Posted]) -> list[Exception]:
        """Record the results together, and return the failures. After a deadlock try once more. One unwritable answer fails
        alone."""
        try:
            self._record(posted)
        except Exception as error:
            groups = [posted] if is_transient(error) else [[post] for post in posted]
        else:
            return []
        failures = []
        for group in groups:
            try:
                self._record(group)
            except Exception as error:
                failures.append(error)
        return failures

    def _record(self, posted: Sequence[Posted]) -> None:
        now = self._clock.now()
        with self._store.write() as conn:
            lock_appointments(conn, {post.claimed.row.appointment for post in posted})
            for post in posted:
                if post.receipt is None:
                    self._delivery.not_posted(conn, post.claimed.row, now)
            answers = [(post.claimed.row, post.receipt) for post in posted if post.receipt is not None]
            answers.sort(key=lambda answer: _lock_key(answer[0]))
            self._note_contact(conn, answers, now)
            settled = self._delivery.settle(conn, answers, now)
            again = {row.id for row in settled.due_again}
            returned = [post.claimed for post in posted if post.receipt is None or post.claimed.row.id in again]
            silences = reopen_windows(conn, self._vault, self._runtime_config(), returned, now)
            replanned = replan_reminders(conn, self._vault, self._runtime_config(), settled.lost, now, source="gateway")
        taken = [(post, post.receipt) for post in posted if isinstance(post.receipt, Accepted)]
        self._count_sent([post for post, _ in taken], now)
        self._journal.emit_all([_sent_line(post, receipt, now) for post, receipt in taken])
        for post in posted:
            if post.receipt is not None and not isinstance(post.receipt, Accepted):
                self._delivery.log_answer(post.claimed.row, post.receipt, post.claimed.recipient, now)
        self._delivery.log(settled.events)
        self._delivery.log(events_of(silences, "given_back"))
        self._delivery.log(replanned)

    def _note_contact(self, conn: Transaction, answers: Sequence[tuple[OutboxRow, Receipt]], now: datetime) -> None:
        """Store whether the gateway answers; without a change, only every few seconds."""
        unanswered = [receipt for _, receipt in answers if isinstance(receipt, NotSent | Ambiguous)]
        answered = len(unanswered) < len(answers)
        noted = self._noted_contact
        if not answers or (answered and noted is not None and noted <= now < noted + _CONTACT_EVERY):
            return
        reason = unanswered[-1].why if unanswered else None
        gateway_contact.note(conn, answered=answered, failures=len(unanswered), reason=reason, now=now)
        self._noted_contact = now if answered else None

    def _count_sent(self, taken: Sequence[Posted], now: datetime) -> None:
        """Count what the gateway took: once for each label, since finding a label's counter costs more than to count."""
        texts: Counter[tuple[str, SmsKind]] = Counter()
        segments: Counter[str] = Counter()
        for post in taken:
            row = post.claimed.row
            texts[row.environment, row.kind] += 1
            segments[row.environment] += row.segments or 0
            self._metrics.sms_late_seconds.observe(max(_late(row, now), 0.0))
            self._metrics.gateway_seconds.observe(post.seconds)
        for (environment, kind), count in texts.items():
            self._metrics.sms.labels(environment, kind.value, "accepted", "").inc(count)
        for environment, count in segments.items():
            self._metrics.sms_segments.labels(environment).inc(count)


_STATES: Final = {status: SmsState(status.value) for status in DeliveryStatus}


def _sent_line(post: Posted, receipt: Accepted, now: datetime) -> SmsSent:
    row = post.claimed.row
    return SmsSent(
        identity=identity_of(row),
        to=post.claimed.recipient.masked,
        segments=row.segments,
        attempt=row.attempts,
        sid=receipt.message_id,
        state=_STATES[receipt.status],
        due=row.due,
        late_seconds=round(_late(row, now), 1),
        milliseconds=round(post.seconds * 1000, 1),
        sender=row.sender,
    )


def _late(row: OutboxRow, now: datetime) -> float:
    return (now - row.due).total_seconds() if row.due is not None else 0.0


def _lock_key(row: OutboxRow) -> tuple[str, str, str]:
    """Breakers and opt-outs are locked in this order (`store.lock_order`)."""
    return row.environment, row.sender or "", row.phone_key or ""
