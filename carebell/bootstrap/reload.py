"""A changed configuration: put in force while everything runs, or refused in a line of the log.

What counts at once: environments, certificates, texts, rules, and a listener's limits, allow-list and TLS files. What does
not (`carebell.bootstrap.active_config.waits_for_restart`) waits for a restart, and the log says so. Texts that are pending are
planned again; where that fails (the database is away) the next change or SIGHUP makes up for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from carebell.bootstrap import preflight
from carebell.bootstrap.active_config import ActiveConfig, activate, waits_for_restart
from carebell.exits import ConfigurationStop
from carebell.inbound import trust
from carebell.inbound.listeners import Listeners
from carebell.maintenance.certificates import Rotation
from carebell.outbound.replan import replan_environment
from config.load import Loaded
from config.watch import Watch
from journal.events.configuration import ConfigurationChanged, ConfigurationRefused, RestartNeeded
from journal.events.service import InternalError
from journal.logs import Journal
from journal.metrics import Metrics
from journal.traces import trace
from scheduler.clock import Clock
from store.engine import Store
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloader:
    """Attributes:
    present: what is in force now. put: puts something else in its place.
    replans: whether this node plans pending texts again.
    beat: tells the database what is in force here; runs in a thread.
    """

    present: Callable[[], ActiveConfig]
    put: Callable[[ActiveConfig], None]
    listeners: Listeners
    rotation: Rotation
    store: Store
    vault: Vault
    clock: Clock
    journal: Journal
    metrics: Metrics
    replans: bool
    beat: Callable[[], None]
    _to_replan: set[str] = field(default_factory=set, init=False)  # environments planned by an older one

    async def follow(self, watch: Watch) -> None:
        """Until the watch is stopped."""
        async for outcome in watch:
            if isinstance(outcome, Loaded):
                try:
                    await self.take(outcome)
                except Exception as error:  # later changes, a renewed certificate say, must be heard all the same
                    self.journal.emit(InternalError(where="reload", trace=trace(error)))
            else:
                first = outcome.problems[0]
                self._refuse(problem=first.why, problems=len(outcome.problems), file=str(first.place))

    async def take(self, loaded: Loaded) -> None:
        """Put a changed configuration in force, or keep the old one where it is unsound; then plan pending texts again."""
        now = self.clock.now()
        try:
            await asyncio.to_thread(preflight.require_sound, loaded, now)
            force = await asyncio.to_thread(activate, loaded, now)
        except ConfigurationStop as stop:
            problems = str(stop).splitlines()
            self._refuse(problem=problems[0], problems=len(problems), file=None)
            return
        previous = self.present().loaded
        restart = waits_for_restart(previous, loaded)
        # A port whose environments are all gone refuses everything, until a restart closes it.
        gone = {key: trust.message_validator(loaded, (), now) for key in self.listeners.keys - force.validators.keys()}
        self.put(replace(force, validators={**force.validators, **gone}))
        self.listeners.reconfigure(loaded)
        self.journal.emit(
            ConfigurationChanged(
                configuration=loaded.version,
                previous=previous.version,
                file=str(loaded.path),
                environments=",".join(force.runtime_config.policies),
            )
        )
        self.rotation.changed(now)
        try:
            await asyncio.to_thread(self.beat)
        except Exception as error:
            self.journal.emit(InternalError(where="reload", trace=trace(error)))  # the next beat makes up for it
        if restart:
            self.journal.emit(RestartNeeded(keys=",".join(restart), configuration=loaded.version))
        if loaded.version != previous.version and self.replans:
            self._to_replan.update(force.runtime_config.policies)
        for name, policy in force.runtime_config.policies.items():
            if name in self._to_replan:
                await asyncio.to_thread(replan_environment, self.store, self.vault, self.clock, policy, self.journal)
                self._to_replan.discard(name)

    def _refuse(self, *, problem: str, problems: int, file: str | None) -> None:
        """The old one stays in force. `file` None: `problem` names it."""
        self.metrics.configuration_refused.inc()
        in_force = self.present().loaded.version
        self.journal.emit(ConfigurationRefused(problem=problem, problems=problems, file=file, configuration=in_force))
