"""What receives messages on a node: its listeners, and who serves their connections, this process or workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from carebell.bootstrap.active_config import ActiveConfig
from carebell.bootstrap.descriptors import Descriptors
from carebell.bootstrap.intake import MessageIntake
from carebell.bootstrap.running_service import RunningService
from carebell.inbound.listeners import Listeners, PortServers, tls_contexts
from carebell.inbound.own_servers import OwnServers
from carebell.maintenance.clock_differences import ClockDifferences
from carebell.maintenance.health import RunningWorkers
from carebell.outbound.in_flight import InFlight
from carebell.workers.pool import WorkerPool
from carebell.workers.shared_port import SharedPorts
from listener.connection import Connection
from listener.connection_register import ConnectionRegister
from store.faults import StoreFault


@dataclass(slots=True, kw_only=True)
class Receiving:
    """Attributes:
    workers: how many processes serve connections; 1: this one.
    active: the configuration in force, prepared for use.
    on_end: called if no worker can go on. on_fatal: called if the content of the database is no longer known.
    pool: the workers, if there are several. intake: of this process, if there are none.
    """

    running: RunningService
    workers: int
    active: Callable[[], ActiveConfig]
    descriptors: Descriptors
    clocks: ClockDifferences
    on_end: Callable[[str], None]
    on_fatal: Callable[[StoreFault], None]
    listeners: Listeners = field(init=False)
    pool: WorkerPool | None = None
    intake: MessageIntake | None = None

    def __post_init__(self) -> None:
        self.listeners = Listeners(self.running.journal)

    async def open(self, in_flight: InFlight, stack: AsyncExitStack) -> None:
        """Listen, if this node has the role. `stack` closes everything.

        Args:
            in_flight: says which texts an answer waits for.
        """
        running = self.running
        if "listener" not in running.roles:
            return
        loaded = running.loaded()
        contexts = tls_contexts(loaded, running.clock.now())
        servers: PortServers
        ready: Callable[[], Awaitable[None]] | None = None
        if self.workers > 1:
            pool = self.pool = WorkerPool(
                count=self.workers,
                node=running.node,
                clock=running.clock,
                journal=running.journal,
                metrics=running.metrics,
                on_fatal=self.on_end,
                arrived=self.clocks.messages_arrived,
            )
            stack.push_async_callback(pool.stop)
            servers = SharedPorts(pool=pool, repeats=running.repeats, metrics=running.metrics)
            ready = partial(pool.start, loaded)
        else:
            shared = ConnectionRegister[Connection](
                limit=self.descriptors.connections, limit_per_source=self.descriptors.per_source
            )
            intake = self.intake = self._own_intake(in_flight, shared.known.add)
            intake.start(running.supervisor)
            stack.push_async_callback(intake.stop)
            servers = OwnServers(
                handler=intake.handler, shared=shared, repeats=running.repeats, metrics=running.metrics
            )
        stack.push_async_callback(self.listeners.close)
        await self.listeners.open(loaded, contexts, servers, ready)

    def _own_intake(self, in_flight: InFlight, known_source: Callable[[str], None]) -> MessageIntake:
        running = self.running
        return MessageIntake(
            store=running.store,
            vault=running.vault,
            runtime_config=running.runtime_config,
            validator=lambda key: self.active().validators.get(key, self.active().idle),
            clock=running.clock,
            in_flight=in_flight,
            known_source=known_source,
            journal=running.journal,
            repeats=running.repeats,
            metrics=running.metrics,
            on_fatal=self.on_fatal,
            arrived=self.clocks.message_arrived,
        )

    def listens(self) -> bool:
        """Whether every listener that this node should have is up."""
        return "listener" not in self.running.roles or bool(self.listeners.opened)

    def running_workers(self) -> RunningWorkers | None:
        """The processes that serve connections; None: this node has no listener."""
        if "listener" not in self.running.roles:
            return None
        return RunningWorkers() if self.pool is None else self.pool.running()

    def committing(self) -> float:
        """Seconds since the group that this process commits was taken; 0: none is."""
        return 0.0 if self.intake is None else self.intake.committing

    def lost_lines(self) -> int:
        """Log lines that could not be written, of workers too."""
        return self.running.journal.lost_lines + (self.pool.lost_lines if self.pool else 0)
