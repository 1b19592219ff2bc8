"""Put a changed configuration in force while everything runs, or refuse it with a line in the log.

These changes take effect at once: environments, certificates, texts, rules, and listeners (new ones open, changed ones are
reconfigured, removed ones drain and close). Other changes (`carebell.bootstrap.active_config.waits_for_restart`) wait for a
restart, and the log says so. If a configuration is refused, because of a problem in it or because another program has an address,
it is tried again until it is accepted or changed; the refusal is logged once. Pending texts are planned again. If that fails
because the database is not available, the next change or SIGHUP does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from carebell.bootstrap import preflight
from carebell.bootstrap.active_config import ActiveConfig, activate, waits_for_restart
from carebell.exits import Stop
from carebell.inbound.listeners import Listeners, TlsContexts, tls_contexts
from carebell.maintenance.certificates import CertificateMonitor
from carebell.outbound.replan import replan_environment
from carebell.workers.pool import WorkerPool
from config.bounded_work import BoundedThread
from config.load import Loaded
from config.watch import Outcome, Watch
from journal.events.configuration import ConfigurationChanged, ConfigurationRefused, ConfigurationWarning, RestartNeeded
from journal.events.service import InternalError
from journal.logs import Journal
from journal.metrics import Metrics
from journal.traces import trace
from scheduler.clock import Clock
from store.engine import Store
from store.vault import Vault

READ_SECONDS: Final = 30.0
"""The longest time to read all files of a configuration. Each takes some milliseconds, but a file server may not answer at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedConfig:
    """A valid configuration and everything that was read for it."""

    active: ActiveConfig
    contexts: TlsContexts
    warnings: tuple[tuple[str, str], ...]  # (the warning, its place)


def prepare(loaded: Loaded, now: datetime) -> PreparedConfig:
    """Read everything that the configuration needs. ConfigurationStop if it cannot be put in force. Blocking: reads files."""
    findings = preflight.require_sound(loaded, now)
    return PreparedConfig(
        active=activate(loaded, now),
        contexts=tls_contexts(loaded, now),
        warnings=tuple((finding.problem.why, str(finding.problem.place)) for finding in findings),
    )


class Reloader:
    """The reloader of one node.

    Args:
        started: the configuration that the service was started with.
        present: returns the configuration in force. put: replaces it.
        replans: whether this node plans pending texts again.
        beat: writes the configuration in force to the database; runs in a thread.
        done: called when a reload that was asked for is over, taken or refused.
        workers: those that share this node's ports; None: it has none.
    """

    def __init__(
        self,
        *,
        started: Loaded,
        present: Callable[[], ActiveConfig],
        put: Callable[[ActiveConfig], None],
        listeners: Listeners,
        rotation: CertificateMonitor,
        store: Store,
        vault: Vault,
        clock: Clock,
        journal: Journal,
        metrics: Metrics,
        replans: bool,
        beat: Callable[[], None],
        done: Callable[[], None] = lambda: None,
        workers: WorkerPool | None = None,
    ) -> None:
        self._started = started
        self._present = present
        self._put = put
        self._listeners = listeners
        self._rotation = rotation
        self._store = store
        self._vault = vault
        self._clock = clock
        self._journal = journal
        self._metrics = metrics
        self._replans = replans
        self._beat = beat
        self._done = done
        self._workers = workers
        self._reader = BoundedThread("reload", READ_SECONDS)
        self._to_replan: set[str] = set()  # environments planned by an older configuration
        self._refused: tuple[str, str] | None = None  # version and problem of the last refusal
        self._waiting: list[str] = []  # keys that wait for a restart, as logged
        self._warned: set[tuple[str, str]] = set()

    async def follow(self, watch: Watch) -> None:
        """Follow changes until the watch is stopped."""
        async for outcome in watch:
            await self._follow(watch, outcome)
            if watch.asked:
                self._done()

    async def _follow(self, watch: Watch, outcome: Outcome) -> None:
        if not isinstance(outcome, Loaded):
            first = outcome.problems[0]
            self._refuse(problem=first.why, problems=len(outcome.problems), file=str(first.place))
            return
        try:
            problem = await self.take(outcome, ending=lambda: watch.stopped)
        except Exception as error:  # later changes, such as a renewed certificate, must still be noticed
            self._journal.emit(InternalError(where="reload", trace=trace(error)))
            return
        if problem is None:
            self._refused = None
            return
        watch.refuse()
        if watch.asked or self._refused != (outcome.version, problem):
            self._refused = (outcome.version, problem)
            lines = problem.splitlines()
            self._refuse(problem=lines[0], problems=len(lines), file=None)

    async def take(self, loaded: Loaded, *, ending: Callable[[], bool] = lambda: False) -> str | None:
        """Put a changed configuration in force and plan pending texts again. If it is refused, return the problems, one line each.

        Args:
            ending: whether the service is ending; then planning stops.
        """
        now = self._clock.now()
        previous = self._present().loaded
        try:
            prepared = await self._reader.run(partial(prepare, loaded, now))
            active = prepared.active
            problem = await self._change(prepared)
        except Stop as stop:
            return str(stop)
        except TimeoutError as error:
            return f"a file that it names cannot be read: {error}"
        if problem is not None:
            return problem
        self._journal.emit(
            ConfigurationChanged(
                configuration=loaded.version,
                previous=previous.version,
                file=str(loaded.path),
                environments=",".join(active.runtime_config.policies),
            )
        )
        self._log_findings(prepared, loaded)
        await self._reader.run(partial(self._rotation.changed, now))
        try:
            await asyncio.to_thread(self._beat)
        except Exception as error:
            self._journal.emit(InternalError(where="reload", trace=trace(error)))  # the next beat does it
        await self._replan(active, changed=loaded.version != previous.version, ending=ending)
        return None

    async def _change(self, prepared: PreparedConfig) -> str | None:
        """Put it in force here and with every worker, or nowhere: then return the problem or raise Stop.

        First everybody reads it and binds what is new; only when all could, they use it.
        """
        active, workers = prepared.active, self._workers
        if workers is None:
            await self._listeners.change(active.loaded, prepared.contexts, partial(self._put, active))
            return None
        problem = await workers.prepare(active.loaded)
        if problem is not None:
            workers.abandon()
            return problem
        in_force = False

        def put_in_force() -> None:
            nonlocal in_force
            in_force = True
            self._put(active)
            workers.activate()

        try:
            await self._listeners.change(active.loaded, prepared.contexts, put_in_force)
        finally:
            if not in_force:
                workers.abandon()
        await workers.activated()
        return None

    def _log_findings(self, prepared: PreparedConfig, loaded: Loaded) -> None:
        """Log warnings that were not logged before, and changes that wait for a restart."""
        for why, place in prepared.warnings:
            if (why, place) not in self._warned:
                self._journal.emit(ConfigurationWarning(problem=why, file=place))
        self._warned = set(prepared.warnings)
        waiting = waits_for_restart(self._started, loaded)
        if waiting and waiting != self._waiting:
            self._journal.emit(RestartNeeded(keys=",".join(waiting), configuration=loaded.version))
        self._waiting = waiting

    async def _replan(self, active: ActiveConfig, *, changed: bool, ending: Callable[[], bool]) -> None:
        policies = active.runtime_config.policies
        if changed and self._replans:
            self._to_replan.update(policies)
        for name, policy in policies.items():
            if name in self._to_replan and not ending():
                await asyncio.to_thread(
                    partial(
                        replan_environment, self._store, self._vault, self._clock, policy, self._journal, ending=ending
                    )
                )
                self._to_replan.discard(name)

    def _refuse(self, *, problem: str, problems: int, file: str | None) -> None:
        """Log the refusal; the old configuration stays in force. `file` None: `problem` names the file."""
        self._metrics.configuration_refused.inc()
        in_force = self._present().loaded.version
        self._journal.emit(ConfigurationRefused(problem=problem, problems=problems, file=file, configuration=in_force))
