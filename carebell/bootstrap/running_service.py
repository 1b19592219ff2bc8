"""What a started service consists of, as its parts and its doors are given it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from carebell.environment_policy import RuntimeConfig
from carebell.maintenance.supervisor import Supervisor
from config.load import Loaded
from journal.logs import Journal
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from scheduler.clock import Clock
from store.engine import Store
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """Attributes:
    node: this node's name. roles: what it does.
    loaded, runtime_config: the configuration in force; a reload replaces it, so ask each time.
    supervisor: keeps background tasks running.
    repeats: limits the log lines that strangers can cause.
    http_connections, portal_connections, join_connections: how many each HTTP door may have open.
    """

    node: str
    roles: frozenset[str]
    store: Store
    vault: Vault
    clock: Clock
    journal: Journal
    metrics: Metrics
    supervisor: Supervisor
    repeats: RepeatLimiter
    loaded: Callable[[], Loaded]
    runtime_config: Callable[[], RuntimeConfig]
    http_connections: int
    portal_connections: int
    join_connections: int
