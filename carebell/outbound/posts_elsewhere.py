"""Waits until other processes have posted the texts that a change came too late for (promise I4 between processes).

The database says which texts are under way: a message's transaction has seen them as `sending`. All answers that wait are looked
after together, by one question to the database every few milliseconds. An answer waits no longer than a lease lasts, because after
half of a lease no create starts. On SQLite it does not wait for a process that is dead (`store.file_lock`): after a crash nobody
would have to wait for leases that nobody holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from journal.events.service import InternalError
from journal.logs import Journal
from journal.traces import trace
from scheduler.clock import Clock
from store.engine import Store
from store.faults import classify
from store.sending import SendingText, still_sending

FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.1
"""Seconds between two questions. A post takes a tenth of a second at most gateways."""


@dataclass(slots=True)
class _WaitingAnswer:
    texts: set[SendingText]
    until: datetime
    call: Callable[[], None]


class PostsElsewhere:
    """To be made on the event loop that answers.

    Args:
        node: the name under which this process itself posts; None: it posts nothing.
        longest: a lease.
    """

    def __init__(self, store: Store, clock: Clock, journal: Journal, *, node: str | None, longest: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._node = node
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_WaitingAnswer] = []
        self._asking: asyncio.Task[None] | None = None

    def when_over(self, texts: Iterable[SendingText], call: Callable[[], None]) -> None:
        """Call when none of these texts is under way in another process. Thread-safe; `call` runs on the loop."""
        waiting = _WaitingAnswer(set(texts), self._clock.now() + self._longest, call)
        self._loop.call_soon_threadsafe(self._wait, waiting)

    def _wait(self, waiting: _WaitingAnswer) -> None:
        self._waiting.append(waiting)
        if self._asking is None or self._asking.done():
            self._asking = self._loop.create_task(self._ask())

    async def _ask(self) -> None:
        pause = FIRST_PAUSE
        while self._waiting:
            asked = {text for waiting in self._waiting for text in waiting.texts}
            try:
                under_way = await asyncio.to_thread(self._under_way, asked)
            except Exception as error:  # the database cannot be asked, so nothing is known to be over
                if classify(error) is None:
                    self._journal.emit(InternalError(where="handler", trace=trace(error)))
                under_way = asked
            self._answer(asked, under_way)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _answer(self, asked: set[SendingText], under_way: Collection[SendingText]) -> None:
        now, left = self._clock.now(), []
        for waiting in self._waiting:
            waiting.texts = {text for text in waiting.texts if text not in asked or text in under_way}
            if waiting.texts and now < waiting.until:
                left.append(waiting)
            else:
                waiting.call()
        self._waiting = left

    def _under_way(self, texts: Collection[SendingText]) -> set[SendingText]:
        with self._store.read() as conn:
            claims = still_sending(conn, texts)
        now, locks = self._clock.now(), self._store.locks
        return {
            text
            for text, claim in claims.items()
            if claim.node != self._node and now < claim.until and (locks is None or locks.is_marked(claim.node))
        }
