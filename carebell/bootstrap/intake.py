"""From a verified block to its committed answer: what every process runs that has connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from carebell.environment_policy import RuntimeConfig
from carebell.ids import RandomIds, control_ids
from carebell.inbound.handler import MessageHandler
from carebell.inbound.listeners import Port
from carebell.inbound.process import MessageProcessor, ProcessingResult
from carebell.inbound.validate import MessageValidator, ValidatedMessage
from carebell.maintenance.supervisor import Supervisor
from carebell.outbound.in_flight import InFlight
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from scheduler.clock import Clock
from store.committer import Committer
from store.engine import Store
from store.faults import StoreFault
from store.vault import Vault


@dataclass(slots=True, kw_only=True)
class MessageIntake:
    """The committer, and the handlers of all ports.

    Attributes:
        validator: the port's key -> its present validator.
        in_flight: says which texts an answer waits for.
        known_source: gets the source of each message that is stored.
        on_fatal: called if the content of the database is no longer known.
        arrived: gets each message's environment, and its delay between sending and arrival.
    """

    store: Store
    vault: Vault
    runtime_config: Callable[[], RuntimeConfig]
    validator: Callable[[str], MessageValidator]
    clock: Clock
    in_flight: InFlight
    known_source: Callable[[str], None]
    journal: Journal
    repeats: RepeatLimiter
    metrics: Metrics
    on_fatal: Callable[[StoreFault], None]
    arrived: Callable[[str, timedelta], None]
    _committer: Committer[ValidatedMessage, ProcessingResult] = field(init=False)

    def start(self, supervisor: Supervisor) -> None:
        processor = MessageProcessor(self.vault, lambda: self.runtime_config().policies, RandomIds())
        committer = self._committer = Committer(
            self.store, processor.commit_group, on_fatal=self.on_fatal, on_commit=self._committed
        )
        committer.start(lambda work: supervisor.start("committer", work, is_over=lambda: committer.stopping))

    def _committed(self, jobs: int, seconds: float) -> None:
        self.metrics.commit_batch_messages.observe(jobs)
        self.metrics.fsync_seconds.observe(seconds)

    @property
    def committing(self) -> float:
        """Seconds since the group that is being committed was taken; 0: none is."""
        return self._committer.committing

    async def stop(self) -> None:
        """Commit what is queued."""
        await self._committer.stop()

    def handler(self, port: Port) -> MessageHandler:
        key = port.key
        return MessageHandler(
            validator=lambda: self.validator(key),
            runtime_config=self.runtime_config,
            committer=self._committer,
            clock=self.clock,
            new_control_id=control_ids(),
            in_flight=self.in_flight,
            known_source=self.known_source,
            journal=self.journal,
            repeats=self.repeats,
            metrics=self.metrics,
            seconds=time.monotonic,
            arrived=self.arrived,
            listener=port.name,
        )
