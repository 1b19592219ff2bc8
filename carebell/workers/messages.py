"""What the supervisor and a worker say to each other.

supervisor ─> worker    StartWorker, ConnectionPassed (with the socket), PrepareConfig, ActivateConfig or AbandonConfig,
                        SourceKnown, DrainPort, EndWorker
worker ─> supervisor    WorkerReady or StartFailed, ConnectionEnded, ConfigPrepared, ConfigActivated, SourceKnown,
                        WorkerReported, PortDrained, DatabaseLost
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from config.load import Loaded
from journal.metric_changes import MetricChange
from scheduler.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorker:
    """The first message: who the worker is, and what to run.

    Attributes:
        index: 0 to `count` - 1.
        node: the service's name in the database.
        clock: the service's; its monotonic counter is the machine's.
        sources: known sources, see `SourceKnown`.
    """

    index: int
    count: int
    node: str
    clock: Clock
    loaded: Loaded = field(repr=False)
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """The worker is ready for connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailed:
    """The worker cannot start. `problem`: in sentences, one line each. `code`: the exit code of that problem."""

    problem: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPassed:
    """A connection that was accepted at the port with this key; its socket comes with the message. `address`: the peer's."""

    port: str
    address: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEnded:
    """A connection of this worker has ended, or was refused."""

    port: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKnown:
    """A message from this source was accepted: it is no stranger (`listener.connection_register`)."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """Read everything that this configuration needs. It is not in force yet. `attempt`: counts them."""

    attempt: int
    loaded: Loaded = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPrepared:
    """The answer to `PrepareConfig`. `problem` None: the worker can put the configuration in force."""

    attempt: int
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateConfig:
    """Put the prepared configuration in force. This cannot fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigActivated:
    """The answer to `ActivateConfig`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonConfig:
    """Forget the prepared configuration: another worker or the supervisor cannot use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReported:
    """Sent every second: the worker's loop runs.

    Attributes:
        changes: what its metrics counted since the last report.
        arrived: environment -> how many messages arrived since then, and their least delay since they were sent.
        committing: seconds since the group that is being committed was taken; 0: none is.
        down: background tasks that wait to be started again -> restarts.
        lost_lines: of the log, since the last report.
    """

    changes: tuple[MetricChange, ...] = field(repr=False)
    arrived: Mapping[str, tuple[int, timedelta]]
    committing: float
    down: Mapping[str, int]
    lost_lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPort:
    """Answer what is in flight at this port and close its connections."""

    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortDrained:
    """The answer to `DrainPort`. `messages`: blocks that the worker handled at this port."""

    port: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWorker:
    """Finish and end with 0. All ports are drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLost:
    """The content of the database is no longer known: the whole service must end."""

    problem: str
