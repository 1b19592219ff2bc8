"""How a node divides the file descriptors that the system lets it open.

Every connection needs a descriptor, and so does every file of the database and every request to the gateway. The descriptors that
the service itself needs are reserved first. The rest limits the HL7 connections of all ports together, and half of that limits one
address. So whatever peers do, the dispatcher, the purge and `/health` have the descriptors that they need.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from carebell.exits import ConfigurationStop
from carebell.inbound.listeners import Port, ports
from config.load import Loaded
from config.problems import Problem
from journal.events.configuration import ConfigurationWarning, DescriptorsShared
from journal.logs import Journal
from listener.accepting import PER_TURN

_FILES: Final = 48
"""Standard streams, log, event loop, watched folder, listening sockets; certificates and templates while they are read, the
database's log while its length is read."""
_DATABASE: Final = 48
"""Sixteen connections (SQLAlchemy's pool of 5 plus 10, and the one that writes the log back) with three files each, as in
SQLite."""
_HTTP: Final = 200
_PORTAL: Final = 100
"""The staff's pages: a browser opens six connections at most, and a reverse proxy shares them among browsers."""
_JOIN: Final = 200
"""The patients' pages: a reverse proxy shares its connections among them, and each waiting patient asks every five seconds."""
_GATEWAY: Final = 128
"""Threads, each with a connection. At 100 ms for each answer this is 1,280 texts a second, more than any sender may send."""
_FEWEST: Final = 16
"""HL7 connections below which the service does not start."""
_LARGEST: Final = 1_048_576
"""The assumed limit of an unlimited process: Linux's default fs.nr_open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """Attributes:
    limit: how many one process may open.
    http: connections to the HTTP port. portal: to the staff's. join: to the patients'. gateway: requests to the gateway at once.
    connections: HL7 connections, over all ports and processes. per_source: of these from one address.
    processes: how many processes serve HL7 connections.
    """

    limit: int
    http: int
    portal: int
    join: int
    gateway: int
    connections: int
    per_source: int
    processes: int = 1

    @property
    def kept(self) -> int:
        """Descriptors of a process that no HL7 connection can take."""
        return self.limit - self.connections // self.processes


def share(loaded: Loaded, workers: int, journal: Journal) -> Descriptors:
    """Divide the descriptors of this process, and log how many connections are possible."""
    limit, listeners = raise_limit(), len(ports(loaded))
    portal, join = loaded.configuration.portal.enabled, loaded.configuration.join.enabled
    descriptors = (
        share_out_to_workers(limit, listeners, workers, portal=portal, join=join)
        if workers > 1
        else share_out(limit, listeners, portal=portal, join=join)
    )
    journal.emit(
        DescriptorsShared(
            limit=descriptors.limit,
            kept=descriptors.kept,
            connections=descriptors.connections,
            per_peer=descriptors.per_source,
        )
    )
    for problem in too_large(loaded, descriptors):
        journal.emit(ConfigurationWarning(problem=problem.why, file=str(problem.place)))
    return descriptors


def share_out(limit: int, listeners: int, *, portal: bool = False, join: bool = False) -> Descriptors:
    """Below 1600 descriptors the HTTP port gets an eighth of them, the staff's and the patients' ports and, below 2048, the gateway
    a sixteenth.

    Args:
        portal, join: whether there are pages for the staff, for patients.

    Raises:
        ConfigurationStop: too few are left for HL7 connections.
    """
    http, gateway = min(_HTTP, limit // 8), min(_GATEWAY, limit // 16)
    pages = min(_PORTAL, limit // 16) if portal else 0
    patients = min(_JOIN, limit // 16) if join else 0
    accepting = PER_TURN * (listeners + 2 + 2 * portal + 2 * join)  # new connections; HTTP accepts in two turns
    connections = limit - _FILES - _DATABASE - http - pages - patients - gateway - accepting
    return replace(_with_connections(limit, connections), http=http, portal=pages, join=patients, gateway=gateway)


def of_worker(limit: int) -> Descriptors:
    """A worker has neither HTTP nor a gateway. The connections that are handed to it wait in its channel without a descriptor."""
    return _with_connections(limit, limit - _FILES - _DATABASE)


def share_out_to_workers(
    limit: int, listeners: int, workers: int, *, portal: bool = False, join: bool = False
) -> Descriptors:
    """The supervisor's own descriptors, and the connections of all workers together. Each process has the same limit."""
    own, worker = share_out(limit, listeners, portal=portal, join=join), of_worker(limit)
    return replace(
        own, connections=worker.connections * workers, per_source=worker.per_source * workers, processes=workers
    )


def _with_connections(limit: int, connections: int) -> Descriptors:
    if connections < _FEWEST:
        raise ConfigurationStop(
            f"this process may open {limit} files, which leaves no room for HL7 connections beside the database, the gateway"
            f" and HTTP: raise `ulimit -n` or LimitNOFILE of the unit, to 1024 at least"
        )
    return Descriptors(
        limit=limit, http=0, portal=0, join=0, gateway=0, connections=connections, per_source=connections // 2
    )


def limit_at_most() -> int:
    """The highest limit that this process may set for itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _LARGEST if hard == resource.RLIM_INFINITY else hard


def raise_limit() -> int:
    """Raise the soft limit to the hard limit, which needs no privilege. Return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limit_at_most()
    if soft != hard and (soft == resource.RLIM_INFINITY or soft < wanted):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # a sandbox may forbid it: then the present limit stays
            return _LARGEST if soft == resource.RLIM_INFINITY else soft
    return wanted


def would_not_fit(loaded: Loaded) -> list[Problem]:
    """The problems that a service with this process's limit would report about the configuration."""
    listening = ports(loaded)
    try:
        portal, join = loaded.configuration.portal.enabled, loaded.configuration.join.enabled
        return too_large(loaded, share_out(limit_at_most(), len(listening), portal=portal, join=join))
    except ConfigurationStop as stop:
        return [loaded.problem(("environments",), str(stop))]


def too_large(loaded: Loaded, descriptors: Descriptors) -> list[Problem]:
    """Configured limits of connections that the process's own limit does not allow, at their places."""
    problems = []
    listening: Sequence[Port] = ports(loaded)
    within = (
        f"of the {descriptors.limit} files that this process may open, {descriptors.kept} are kept for the database, the"
        " gateway and HTTP"
    )
    wanted = sum(port.section.max_connections for port in listening)
    for port in listening:
        keys = ("environments", port.environments[0], "listener")
        if wanted > descriptors.connections and port.section.max_connections > descriptors.connections // len(
            listening
        ):
            why = f"{wanted} connections in all do not fit: {within}, so all listeners together take {descriptors.connections}"
            problems.append(loaded.problem((*keys, "max_connections"), f"{why} (raise `ulimit -n` or LimitNOFILE)"))
        if port.section.max_connections_per_peer > descriptors.per_source:
            why = f"{port.section.max_connections_per_peer} of one address do not fit: {within}, so one address gets"
            problems.append(
                loaded.problem((*keys, "max_connections_per_peer"), f"{why} {descriptors.per_source} at most")
            )
    return problems
