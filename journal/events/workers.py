"""The processes that share a service's listeners (`carebell serve --workers`)."""

import logging
from typing import Literal

from journal.events.base import Event, event


@event(logging.INFO)
class WorkerStarted(Event):
    """A worker is ready for connections; `count` says how often it was started again."""

    worker: int
    pid: int
    count: int
    seconds: float


@event(
    logging.ERROR,
    "Nothing to do once: the senders whose connections were lost send again. If it repeats, report it to the developers with this "
    "line.",
)
class WorkerEnded(Event):
    """A worker ended by itself, by `signal` or with exit code `code`, or was killed because it did not answer (`hung`).

    It is started again after `seconds`.
    """

    worker: int
    pid: int
    reason: Literal["exited", "killed", "hung"]
    signal: str | None = None
    code: int | None = None
    connections: int
    count: int
    seconds: float


@event(
    logging.ERROR,
    "Do what `problem` says. The other workers take all connections until this one starts.",
)
class WorkerFailed(Event):
    """A worker could not be started again; it is tried once more after `seconds`."""

    worker: int
    problem: str
    seconds: float
