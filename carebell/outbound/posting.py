"""The worker threads that post claimed texts to the gateway, each text once, after a last look at what was committed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.in_flight import InFlight
from carebell.outbound.render import claimed_sms
from journal.events.service import InternalError
from journal.logs import Journal
from journal.traces import trace
from notifier.gateway import Ambiguous, Gateway, Receipt
from scheduler.clock import Clock
from store.claims import Claimed
from store.last_look import LastLook

_FOLLOWS: Final = 0.005
"""Seconds to wait for the next answer, so that one transaction records both; short compared with a request."""
_FOLLOWS_CLOSELY: Final = 0.001
"""The same after a quarter of the worker threads are done, so that a fast gateway needs few transactions."""


class WorkerThreads:
    """Threads that run what they are given, in its order. They are started when they are needed, and kept.

    Args:
        count: the most that run at once.
    """

    def __init__(self, count: int) -> None:
        self.count: Final = count
        self._jobs: Final[SimpleQueue[Callable[[], None] | None]] = SimpleQueue()
        self._threads: Final[list[Thread]] = []

    def run(self, jobs: Sequence[Callable[[], None]], *, open_jobs: int) -> None:
        """Queue jobs, each of which handles its own failures.

        Args:
            open_jobs: those that are not over, these included.
        """
        while len(self._threads) < min(self.count, open_jobs):
            thread = Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        for job in jobs:
            self._jobs.put(job)

    def end(self) -> None:
        """Wait until what was queued is over, and end the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # no patient's data stays in memory here while the thread waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A create and the gateway's answer; `receipt` None: nothing was posted, because the row had changed or the database could
    not be asked."""

    claimed: Claimed
    receipt: Receipt | None
    seconds: float = 0.0


class Poster:
    """The posts of one tick. All methods are for the dispatcher's thread.

    Attributes:
        open: texts that were given to the threads and not gathered.
        failures: why texts were not posted that could not be looked at again.
    """

    def __init__(
        self,
        *,
        gateway: Gateway,
        threads: WorkerThreads,
        look: LastLook,
        in_flight: InFlight,
        runtime_config: Callable[[], RuntimeConfig],
        clock: Clock,
        ending: Event,
        journal: Journal,
        seconds: Callable[[], float],
    ) -> None:
        self.open = 0
        self.failures: list[Exception] = []
        self._gateway = gateway
        self._threads = threads
        self._look = look
        self._in_flight = in_flight
        self._runtime_config = runtime_config
        self._clock = clock
        self._ending = ending
        self._journal = journal
        self._seconds = seconds
        self._finished: Final[SimpleQueue[Posted]] = SimpleQueue()

    def post(self, claimed: Sequence[Claimed], decided_with: RuntimeConfig) -> None:
        """Hand claimed texts to the threads. Their appointments are marked as in flight: a change that is committed after a text's
        last look delays its acknowledgement (`in_flight`)."""
        self._look.watch(claimed)
        self.open += len(claimed)
        self._threads.run([partial(self._post, claim, decided_with) for claim in claimed], open_jobs=self.open)

    def gather(self) -> list[Posted]:
        """One or more finished posts, with those that finish shortly after them."""
        posted, at_once = [self._finished.get()], self._threads.count
        with suppress(Empty):
            while len(posted) < self.open:
                few = 4 * len(posted) < at_once
                posted.append(self._finished.get(timeout=_FOLLOWS if few else _FOLLOWS_CLOSELY))
        self.open -= len(posted)
        return posted

    def _post(self, claim: Claimed, decided_with: RuntimeConfig) -> None:
        """One create, on a worker thread. After an unexpected failure the row becomes `unknown`."""
        began = self._seconds()
        receipt: Receipt | None = None
        try:
            sms = claimed_sms(claim, self._clock.now())
            if sms is not None and self._may_leave(claim, decided_with):
                receipt = self._gateway.send(sms)
        except Exception as error:
            row = claim.row
            self._journal.emit(
                InternalError(
                    where="dispatcher", environment=row.environment, appointment=row.reference, trace=trace(error)
                )
            )
            receipt = Ambiguous(why="gateway_error")
        finally:
            self._in_flight.leave(claim.row.appointment)
            self._finished.put(Posted(claimed=claim, receipt=receipt, seconds=self._seconds() - began))

    def _may_leave(self, claim: Claimed, decided_with: RuntimeConfig) -> bool:
        """Whether nothing has happened since the claim that speaks against it. Directly before the post."""
        if self._ending.is_set() or self._runtime_config() is not decided_with or not self._in_time(claim):
            return False
        try:
            # The look may have waited: for others' looks, for a database that came back.
            return self._look.allows(claim) and self._in_time(claim)
        except Exception as error:  # the database cannot be asked, so nothing is posted
            self.failures.append(error)
            return False

    def _in_time(self, claim: Claimed) -> bool:
        begins, ends = claim.row.claimed_at, claim.row.lease_until
        return begins is not None and ends is not None and self._clock.now() - begins < (ends - begins) / 2
