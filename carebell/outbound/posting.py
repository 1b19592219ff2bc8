"""The worker threads that post claimed texts to the gateway, each text once, after a last look at what was committed meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Final

from carebell.environment_policy import RuntimeConfig
from carebell.outbound.in_flight import InFlight
from carebell.outbound.render import claimed_sms
from carebell.outbound.worker_threads import WorkerThreads
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
_WIDENS_AFTER: Final = 0.001
"""How long texts may wait for a thread while no post is over, until more threads post."""
_LONG: Final = 0.02
"""A post that takes so long has more threads post, whatever the dispatcher's thread does: it may wait for the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A create and the gateway's answer; `receipt` None: nothing was posted, because the row had changed or the database could
    not be asked."""

    claimed: Claimed
    receipt: Receipt | None
    seconds: float = 0.0


class Poster:
    """The posts of one tick. All public methods are for the dispatcher's thread.

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
        self._finished: Final[deque[Posted]] = deque()
        self._wanted = 1  # so many of them wake the dispatcher's thread
        self._enough: Final = Event()

    def post(self, claimed: Sequence[Claimed], decided_with: RuntimeConfig) -> None:
        """Hand claimed texts to the threads. Their appointments are marked as in flight: a change that is committed after a text's
        last look delays its acknowledgement (`in_flight`)."""
        self._look.watch(claimed)
        self.open += len(claimed)
        self._threads.run([partial(self._post, claim, decided_with) for claim in claimed])

    def gather(self) -> list[Posted]:
        """One or more finished posts, with those that finish shortly after them."""
        threads, finished = self._threads, self._finished
        while not self._wait_for(1, _WIDENS_AFTER if threads.waiting else None):
            threads.widen()
        while (count := len(finished)) < self.open:
            few = 4 * count < threads.count
            enough = min(-(-threads.count // 4), self.open) if few else self.open
            if not self._wait_for(enough, _FOLLOWS if few else _FOLLOWS_CLOSELY) and len(finished) == count:
                break
        posted = [finished.popleft() for _ in range(len(finished))]
        self.open -= len(posted)
        if sum(post.seconds for post in posted) < _FOLLOWS * len(posted):
            threads.narrow()
        return posted

    def _wait_for(self, count: int, seconds: float | None) -> bool:
        """Wait until so many posts are over; False: they are not yet."""
        self._wanted = count
        self._enough.clear()
        while len(self._finished) < count:
            if not self._enough.wait(seconds):
                return False
            self._enough.clear()  # it may have been set for an earlier wait
        return True

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
            seconds = self._seconds() - began
            if seconds >= _LONG and self._threads.waiting:
                self._threads.widen()
            self._finished.append(Posted(claimed=claim, receipt=receipt, seconds=seconds))
            if len(self._finished) >= self._wanted:
                self._enough.set()

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
