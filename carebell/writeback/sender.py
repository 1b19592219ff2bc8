"""Sends what goes back to the EHRs, target by target.

    claim (one transaction, rendered in it) ─> commit ─> send, and wait for the answer ─> commit what came of it

Each target has one node at a time (`store.leases`), so that its order holds, and each row a lease, so that another node sends it if
this one dies. A message without an answer is sent again with the same MSH-10 and the same bytes: it may arrive twice, and the EHR
can tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from carebell.writeback.channels import targets_of
from carebell.writeback.lines import TargetUnusable, WritebackLine, WritebackTarget
from carebell.writeback.pacing import TargetBreaker
from carebell.writeback.recording import WritebackRecorder, identity_of
from config.load import Loaded
from ehr.acknowledgements import EngineVerdict
from ehr.delivery import Unanswered
from ehr.messages import Unrenderable
from journal.events.writebacks import WritebackIdentity, WritebackSent
from journal.logs import Journal
from scheduler.clock import Clock
from store import leases, patient_ids, writeback_rows, writebacks
from store.engine import Store, Transaction
from store.vault import Vault
from store.writeback_rows import VisitNames, WritebackRow
from store.writebacks import ClaimedWriteback

_GRACE: Final = 3.0
"""Seconds that a message under way has for its answer when the service ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyWriteback:
    """A claimed row, with its bytes or the reason why there are none.

    Attributes:
        refusal: there can be none. unusable: a file that they need cannot be used at present.
    """

    row: WritebackRow
    identity: WritebackIdentity
    content: bytes = field(default=b"", repr=False)
    refusal: str | None = None
    unusable: str | None = None


@dataclass(slots=True, kw_only=True)
class _Line:
    """What is kept of a target between its messages.

    Attributes:
        way: open; None: not yet, or a file that it needs cannot be used.
    """

    target: WritebackTarget
    breaker: TargetBreaker = field(default_factory=TargetBreaker)
    way: WritebackLine | None = None
    task: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self.way is not None:
            self.way.close()
        self.way = None


class WritebackSender:
    """Looks each second what may leave, and lets every target work by itself.

    Args:
        loaded: the configuration in force.
        node: this node's name.
        seconds: a monotonic counter, for the log's milliseconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        loaded: Callable[[], Loaded],
        clock: Clock,
        node: str,
        journal: Journal,
        recorder: WritebackRecorder,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._vault = vault
        self._loaded = loaded
        self._clock = clock
        self._node = node
        self._journal = journal
        self._recorder = recorder
        self._seconds = seconds
        self._seen: Loaded | None = None
        self._lines: dict[str, _Line] = {}
        self._retired: list[asyncio.Task[None]] = []
        self._ending = False

    def silent(self) -> dict[str, int]:
        """Environments whose engine does not answer: attempts in a row without any answer."""
        failures: dict[str, int] = {}
        for line in tuple(self._lines.values()):
            if line.breaker.failures:
                name = line.target.environment
                failures[name] = max(failures.get(name, 0), line.breaker.failures)
        return failures

    async def tick(self) -> None:
        """Give up what is too late, and start every target that has something to send. Raises what a target failed with."""
        self._follow_configuration()
        ready = await asyncio.to_thread(self._look)
        failures = self._failures()
        for name in ready:
            line = self._lines.get(name)
            if line is not None and line.task is None and not self._ending:
                line.task = asyncio.get_running_loop().create_task(self._drain(line), name=name)
        if failures:
            raise failures[0]

    async def idle(self) -> None:
        """Wait until no target works any more."""
        tasks = self._tasks()
        if tasks:
            await asyncio.wait(tasks)

    async def finish(self, grace: float = _GRACE) -> None:
        """Claim no more; let messages under way have their answer for `grace` seconds, then close."""
        self._ending = True
        tasks = self._tasks()
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for line in self._lines.values():
            line.close()
        if tasks:
            await asyncio.wait(tasks)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*self._retired, *(line.task for line in self._lines.values() if line.task is not None)]

    def _failures(self) -> list[BaseException]:
        failures = []
        for line in self._lines.values():
            if line.task is not None and line.task.done():
                finished, line.task = line.task, None
                failures.append(finished.exception())
        for finished in [task for task in self._retired if task.done()]:
            self._retired.remove(finished)
            failures.append(finished.exception())
        return [failure for failure in failures if failure is not None]

    def _follow_configuration(self) -> None:
        """After a change every target begins anew; a message under way ends on its old connection."""
        loaded = self._loaded()
        if loaded is self._seen:
            return
        self._seen = loaded
        for line in self._lines.values():
            if line.task is None:
                line.close()
            else:
                line.task.add_done_callback(lambda _, line=line: line.close())  # type: ignore[misc]
                self._retired.append(line.task)
        self._lines = {target.name: _Line(target=target) for target in targets_of(loaded, self._clock.now)}

    # Looking, in a thread

    def _look(self) -> list[str]:
        """The targets that have something to send now."""
        now = self._clock.now()
        with self._store.read() as conn:
            late = writeback_rows.needs_care(conn, now)
            waits = {(queue.environment, queue.channel) for queue in writeback_rows.queue(conn)}
            ready = [
                line.target.name
                for line in tuple(self._lines.values())
                if (line.target.environment, line.target.channel) in waits
                and self._may_send(line, now)
                and writebacks.anything_to_claim(
                    conn, now, line.target.environment, line.target.channel, strict=line.target.strict
                )
            ]
        if late:
            self._recorder.give_up(now)
        return ready

    def _may_send(self, line: _Line, now: datetime) -> bool:
        return not line.target.hold and line.task is None and line.breaker.may_try(now)

    # One target

    async def _drain(self, line: _Line) -> None:
        """Send until nothing more may leave."""
        while not self._ending and line.breaker.may_try(self._clock.now()):
            limit = 1 if line.breaker.is_open else line.target.limit
            unusable = self._prepare(line)
            claimed = await asyncio.to_thread(self._claim, line, limit, unusable)
            if claimed is None:  # another node has this target
                line.close()
                return
            if not claimed:
                return
            ready = [item for item in claimed if item.refusal is None and item.unusable is None]
            way = line.way
            sendings = [] if way is None else [self._send(line, way, item) for item in ready]
            outcomes = await asyncio.gather(*sendings, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    def _prepare(self, line: _Line) -> str | None:
        """Open files; the code of one that cannot be used."""
        try:
            if line.way is None:
                line.way = line.target.opened(self._clock.now())
        except TargetUnusable as unusable:
            return unusable.code
        return None

    def _claim(self, line: _Line, limit: int, unusable: str | None) -> list[ReadyWriteback] | None:
        """Rows with their bytes, and those without any, which are recorded already. None: another node has this target."""
        target, now = line.target, self._clock.now()
        with self._store.write() as conn:
            if not leases.acquire(conn, target.name, self._node, now=now, lasts=target.lease):
                return None
            items = writebacks.claim(
                conn,
                self._vault,
                now,
                environment=target.environment,
                channel=target.channel,
                node=self._node,
                limit=limit,
                lease=target.lease,
                strict=target.strict,
            )
            visits = writeback_rows.visits_of(conn, {item.row.appointment for item in items})
            if target.wants_patient_id:
                visits = self._with_patient_ids(conn, visits, now)
            claimed = []
            for item in items:
                identity = identity_of(item.row, visits)
                if unusable is not None:
                    claimed.append(ReadyWriteback(row=item.row, identity=identity, unusable=unusable))
                    continue
                try:
                    content = self._content(conn, line, item, visits.get(item.row.appointment), now)
                except Unrenderable as fault:
                    self._recorder.unrenderable(conn, item.row, fault.code, now)
                    claimed.append(ReadyWriteback(row=item.row, identity=identity, refusal=fault.code))
                else:
                    claimed.append(ReadyWriteback(row=item.row, identity=identity, content=content))
        for ready in claimed:
            if ready.refusal is not None:
                self._recorder.log_refused(ready.row, ready.identity, ready.refusal)
            elif ready.unusable is not None:
                line.breaker.failed(now)
                self._recorder.unanswered(ready.row, ready.identity, ready.unusable)
        return claimed

    def _content(
        self, conn: Transaction, line: _Line, item: ClaimedWriteback, visit: VisitNames | None, now: datetime
    ) -> bytes:
        """The bytes of the first attempt, or new ones, which are kept. Unrenderable: there can be none."""
        if item.unreadable:
            raise Unrenderable("CONTENT_GONE", "the bytes of the first attempt are forgotten")
        if item.content is not None:
            return item.content
        assert line.way is not None
        content = line.way.content(item.row, visit)
        patient_id = None if visit is None else visit.patient_id
        until = item.row.expires_at if patient_id is None else min(item.row.expires_at, patient_id.ends_at)
        writebacks.keep_content(conn, self._vault, item.row.id, content, until=max(until, now))
        return content

    def _with_patient_ids(
        self, conn: Transaction, visits: Mapping[str, VisitNames], now: datetime
    ) -> dict[str, VisitNames]:
        kept = patient_ids.read(conn, self._vault, visits.keys(), now)
        return {own_id: replace(visit, patient_id=kept.get(own_id)) for own_id, visit in visits.items()}

    async def _send(self, line: _Line, way: WritebackLine, ready: ReadyWriteback) -> None:
        row, began = ready.row, self._seconds()

        def sent() -> None:
            self._journal.emit(WritebackSent(identity=ready.identity, attempt=row.attempts))

        try:
            delivery = await way.deliver(row, ready.content, sent)
        except Unanswered as fault:
            line.breaker.failed(self._clock.now())
            await asyncio.to_thread(self._recorder.unanswered, row, ready.identity, fault.code, at_once=self._ending)
            return
        milliseconds = round((self._seconds() - began) * 1000, 1)
        was_silent = delivery.verdict is not EngineVerdict.UNKNOWN and line.breaker.answered()
        if delivery.wait is not None:
            line.breaker.rest(self._clock.now() + delivery.wait)
        await asyncio.to_thread(
            self._recorder.answered,
            line.target,
            row,
            ready.identity,
            delivery,
            milliseconds=milliseconds,
            was_silent=was_silent,
        )
