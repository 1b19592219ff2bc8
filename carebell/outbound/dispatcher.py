"""A due row's way to its outcome.

    claim (one transaction: every re-check, state `sending`) ─> commit ─> still ours? ─> POST ─> commit what came of it

At most one create per claim, and none without a committed claim. What the gateway answers is judged by `notifier.outcomes`; an
answer that leaves doubt makes the row `unknown`, which `carebell.outbound.reconciliation` resolves by asking, never by sending
again. A crash between claim and answer ends as `unknown` too, when the lease is over. Where certainly nothing was created the
row is due again, and the patient counts as not notified (`carebell.outbound.reopen`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.delivery import DeliveryRecorder, identity_of
from carebell.outbound.in_flight import InFlight
from carebell.outbound.render import sms_of
from carebell.outbound.reopen import reopen_windows
from carebell.outbound.send_policy import Budgets, SendPolicy
from journal.events.service import InternalError
from journal.events.sms import NumberUnreadable, SmsSent
from journal.logs import Journal
from journal.metrics import Metrics
from journal.traces import trace
from notifier.gateway import Accepted, Ambiguous, Gateway, Receipt, Sms
from notifier.rates import default_rate
from notifier.recipients import Allowed, may_text
from parser.phone import PhoneNumber
from scheduler.appointment import Appointment
from scheduler.clock import Clock
from scheduler.sms import SmsState
from store import outbox, rates
from store.claims import Claimed, Round, claim, still_sendable
from store.engine import Store, Transaction
from store.faults import is_transient
from store.vault import Vault

LEASE: Final = timedelta(seconds=120)
"""Much longer than the gateway's time-out (10 s) and any queue of the worker threads. No create starts in its second half: a
machine that was suspended in between must not send what another node has taken for lost."""
BATCH: Final = 200
"""Rows claimed at once: enough to keep the worker threads busy, few enough that no lease runs out in their queue."""

_CLOCK_STEP: Final = timedelta(seconds=10)
"""A clock that goes back by more was set; what it had postponed before is due by the old time."""
_NOTHING: Final = Round(claimed=(), suppressed=(), postponed=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A create and what the gateway answered; `receipt` None: nothing was posted, because the row had changed or, with a
    `failure`, because that could not be asked."""

    claimed: Claimed
    receipt: Receipt | None
    failure: Exception | None = None
    seconds: float = 0.0


class Dispatcher:
    """Sends what is due, tick by tick.

    Args:
        offices: what the configuration means now.
        executor: the worker threads that post.
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
        executor: Executor,
        in_flight: InFlight,
        journal: Journal,
        metrics: Metrics,
        seconds: Callable[[], float],
    ) -> None:
        self._store = store
        self._vault = vault
        self._runtime_config = runtime_config
        self._gateway = gateway
        self._delivery = delivery
        self._clock = clock
        self._node = node
        self._executor = executor
        self._in_flight = in_flight
        self._journal = journal
        self._metrics = metrics
        self._seconds = seconds
        self._last: datetime | None = None
        self._ending = threading.Event()

    def end(self) -> None:
        """Claim no more. A tick under way records what the gateway was asked for, and gives back what it was not."""
        self._ending.set()

    async def tick(self) -> int:
        """Claim and send until nothing more may leave now; how many texts the gateway took."""
        taken = 0
        while not self._ending.is_set():
            found = await asyncio.to_thread(self._claim)
            for row in found.suppressed:
                self._delivery.log_suppressed(row)
            if found.unreadable:
                first = found.unreadable[0]
                self._journal.emit(
                    NumberUnreadable(
                        environment=first.environment,
                        appointment=first.reference,
                        count=len(found.unreadable),
                        next_at=first.next_attempt_at,
                    )
                )
            if found.claimed:
                taken += await asyncio.to_thread(self._post_all, found.claimed)
            if len(found.claimed) + len(found.suppressed) + len(found.postponed) < BATCH:
                break
        return taken

    # The claim

    def _claim(self) -> Round:
        runtime_config, now = self._runtime_config(), self._clock.now()
        if not self._anything_due(now):
            return _NOTHING
        senders = {name: policy.environment.sms.sender for name, policy in runtime_config.policies.items()}
        with self._store.write() as conn:
            budgets = _Budgets(conn, runtime_config, set(senders.values()), now)
            found = claim(
                conn,
                self._vault,
                now,
                node=self._node,
                limit=BATCH,
                lease=LEASE,
                senders=senders,
                decide=SendPolicy(runtime_config, now, budgets),
                recipient=lambda appointment: recipient_of(appointment, runtime_config),
            )
            budgets.charge()
        if found.claimed:
            self._in_flight.enter(one.row.appointment for one in found.claimed)
        return found

    def _anything_due(self, now: datetime) -> bool:
        """Asked before the claim, so that an idle service writes nothing."""
        if self._last is not None and now < self._last - _CLOCK_STEP:
            with self._store.write() as conn:
                outbox.hurry(conn, now)
        self._last = now
        with self._store.read() as conn:
            due = outbox.next_due(conn)
        return due is not None and due <= now

    # The gateway

    def _post_all(self, claimed: Sequence[Claimed]) -> int:
        """Post with the worker threads; commit what is finished while others are still under way.

        A database that fails now does not keep the others from being recorded; its first fault is raised at the end. What
        could not be recorded is `unknown` when its lease is over.
        """
        finished: SimpleQueue[Future[Posted]] = SimpleQueue()
        for one in claimed:
            self._executor.submit(self._post, one).add_done_callback(finished.put)
        failures: list[Exception] = []
        taken, left = 0, len(claimed)
        while left:
            done = [finished.get()]
            while len(done) < left and not finished.empty():
                done.append(finished.get())
            left -= len(done)
            posted = [known for future in done if (known := _posted(future, failures)) is not None]
            failures += self._record_all(posted)  # raised below, when every answer had its chance
            taken += sum(isinstance(one.receipt, Accepted) for one in posted)
        if failures:
            raise failures[0]
        return taken

    def _post(self, one: Claimed) -> Posted:
        """One create, on a worker thread, right after the last look. An answer nobody foresaw leaves `unknown`."""
        began = self._seconds()
        receipt: Receipt | None = None
        try:
            sms = self._last_look(one)
        except Exception as error:  # the database cannot be asked: nothing was posted
            self._in_flight.leave(one.row.appointment)
            return Posted(claimed=one, receipt=None, failure=error)
        try:
            if sms is not None:
                receipt = self._gateway.send(sms)
        except Exception as error:
            row = one.row
            self._journal.emit(
                InternalError(
                    where="dispatcher", environment=row.environment, appointment=row.reference, trace=trace(error)
                )
            )
            receipt = Ambiguous(why="gateway_error")
        finally:
            self._in_flight.leave(one.row.appointment)
        return Posted(claimed=one, receipt=receipt, seconds=self._seconds() - began)

    def _last_look(self, one: Claimed) -> Sms | None:
        """The text, if nothing that was committed since the claim is against it; None: to be decided anew, perhaps elsewhere."""
        if self._ending.is_set() or not self._in_time(one):
            return None
        with self._store.read() as conn:
            ours = still_sendable(conn, [one])
        return self._sms(one) if ours else None

    def _in_time(self, one: Claimed) -> bool:
        begins, ends = one.row.claimed_at, one.row.lease_until
        return begins is not None and ends is not None and self._clock.now() - begins < (ends - begins) / 2

    def _sms(self, one: Claimed) -> Sms | None:
        runtime_config, row = self._runtime_config(), one.row
        policy = runtime_config.policies.get(row.environment)
        if policy is None or row.expires is None:
            return None
        valid_for = row.expires - self._clock.now()
        return sms_of(row, one.appointment, policy, runtime_config.organization, to=one.recipient, valid_for=valid_for)

    # What came of it

    def _record_all(self, posted: Sequence[Posted]) -> list[Exception]:
        """Record together; what that met with. A deadlock passes: once more. An answer that cannot be written fails alone."""
        try:
            self._record(posted)
        except Exception as error:
            groups = [posted] if is_transient(error) else [[one] for one in posted]
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
            for one in posted:
                if one.receipt is None:
                    self._delivery.not_posted(conn, one.claimed.row, now)
            answers = [(one.claimed.row, one.receipt) for one in posted if one.receipt is not None]
            again = {row.id for row in self._delivery.settle(conn, answers, now)}
            returned = [one.claimed for one in posted if one.receipt is None or one.claimed.row.id in again]
            reopen_windows(conn, self._vault, self._runtime_config(), returned, now)
        for one in posted:
            if isinstance(one.receipt, Accepted):
                self._log_sent(one, one.receipt, now)
            elif one.receipt is not None:
                self._delivery.log_answer(one.claimed.row, one.receipt, one.claimed.recipient, now)

    def _log_sent(self, one: Posted, receipt: Accepted, now: datetime) -> None:
        row = one.claimed.row
        late = (now - row.due).total_seconds() if row.due is not None else 0.0
        metrics = self._metrics
        metrics.sms.labels(row.environment, row.kind.value, "accepted", "").inc()
        metrics.sms_segments.labels(row.environment).inc(row.segments or 0)
        metrics.sms_late_seconds.observe(max(late, 0.0))
        metrics.gateway_seconds.observe(one.seconds)
        self._journal.emit(
            SmsSent(
                identity=identity_of(row),
                to=one.claimed.recipient.masked,
                segments=row.segments,
                attempt=row.attempts,
                sid=receipt.message_id,
                state=SmsState(receipt.status.value),
                due=row.due,
                late_seconds=round(late, 1),
                milliseconds=round(one.seconds * 1000, 1),
                sender=row.sender,
            )
        )


def _posted(future: Future[Posted], failures: list[Exception]) -> Posted | None:
    """What a worker thread gives back; None where it failed for a reason nobody foresaw: its text becomes `unknown`."""
    try:
        posted = future.result()
    except Exception as error:
        failures.append(error)
        return None
    if posted.failure is not None:
        failures.append(posted.failure)
    return posted


def recipient_of(appointment: Appointment, runtime_config: RuntimeConfig) -> PhoneNumber | None:
    numbers = runtime_config.policies[appointment.environment].numbers
    allowed = may_text(appointment.phone, appointment.phone_fault, numbers, appointment.consent)
    return allowed.to if isinstance(allowed, Allowed) else None


class _Budgets(Budgets):
    """What each sender may spend in this round: its share of the bucket that all nodes and environments charge."""

    def __init__(
        self, conn: Transaction, runtime_config: RuntimeConfig, senders: Collection[str], now: datetime
    ) -> None:
        self._conn = conn
        self._rates = {sender: runtime_config.rates.get(sender, default_rate(sender)) for sender in senders}
        self._left: dict[str, rates.Allowance] = {
            sender: rates.allowance(conn, sender, rates.Rate(per_second=rate, burst=max(rate, 1.0)), now=now)
            for sender, rate in sorted(self._rates.items())
        }
        self._spent: Counter[str] = Counter()
        self._queued: Counter[str] = Counter()

    def spend(self, sender: str, segments: int) -> datetime | None:
        left = self._left[sender]
        # A text longer than the bucket is deep goes when the bucket is full, and leaves a debt.
        if self._queued[sender] == 0 and self._spent[sender] < left.segments:
            self._spent[sender] += segments
            return None
        self._queued[sender] += segments
        debt = self._spent[sender] - left.segments + self._queued[sender]
        return left.ready_at + timedelta(seconds=max(debt, 0) / self._rates[sender])

    def charge(self) -> None:
        """Write down what was spent; within the transaction."""
        for sender, segments in self._spent.items():
            rates.charge(self._conn, sender, segments)
