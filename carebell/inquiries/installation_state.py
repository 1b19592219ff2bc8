"""The state of an installation, as `status` shows it: read from the database, the configuration and the ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from carebell.inbound.listeners import ports
from carebell.inbound.trust import days_left
from carebell.inquiries.source import Source
from carebell.maintenance.standing_alarms import standing_alarms
from carebell.times import iso
from certs.cer import read_upload
from config.load import load as load_configuration
from config.problems import ConfigurationError
from journal.alarms import ALARMS
from store import gateway_contact, holds, leases, outbox

_CONNECT_SECONDS = 1.0


def state_of(source: Source) -> dict[str, Any]:
    """The JSON object of `carebell status`. Instants are ISO 8601 in UTC."""
    now = source.now()
    nodes = _nodes(source, now)
    return {
        **_configuration(source, nodes),
        "listeners": _listeners(source),
        "portal": _portal(source, nodes),
        "certificates": _certificates(source, now),
        "queue": _queue(source, now),
        "gateway": _gateway(source),
        "environments": _environments(source),
        "nodes": nodes,
        "alarms": _alarms(source, now),
    }


def _configuration(source: Source, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is in force on the nodes that run, and what is on disk; they differ while a change is wrong, or not seen yet.

    `configuration` is what most recently came in force; without a running node, what the next start would take.
    """
    path = source.loaded.path
    on_disk: str | None = None
    problem: str | None = None
    try:
        on_disk = load_configuration(path, os.environ).version
    except ConfigurationError as error:
        problem = str(error.problems[0])
    running = [node for node in nodes if node["configuration"] is not None]
    newest = max(running, key=lambda node: node["configured"] or "", default=None)
    return {
        "configuration": (newest["configuration"] if newest is not None else on_disk) or source.loaded.version,
        "configuration_since": newest["configured"] if newest is not None else None,
        "configuration_on_disk": on_disk,
        "configuration_problem": problem,
    }


def _listeners(source: Source) -> list[dict[str, Any]]:
    return [
        {"listener": port.name, "environments": list(port.environments), "tls": port.section.tls is not None,
         "listening": _answers(port.section.host, port.section.port)}
        for port in ports(source.loaded)
    ]  # fmt: skip


def _portal(source: Source, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The staff's pages; None: they are off. `listening` null: no node of this machine has to serve them."""
    section = source.loaded.configuration.portal
    if not section.enabled:
        return None
    here = [node for node in nodes if leases.is_at(node["node"], os.uname().nodename)]
    serves = any("portal" in node["roles"].split(",") for node in here) or not nodes
    listening = _answers(section.host, section.port) if serves else None
    return {"url": section.url_at(section.port), "listening": listening}


def _answers(host: str, port: int) -> bool:
    """Whether something accepts connections there. The listener treats this as a load balancer's probe."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _certificates(source: Source, now: datetime) -> list[dict[str, Any]]:
    rows = []
    for name, environment in source.loaded.configuration.environments.items():
        for path in environment.certificates:
            report = read_upload(path, now)
            left = days_left(report.not_after, now) if report.not_after is not None else None
            rows.append(
                {
                    "environment": name, "file": str(path), "verdict": report.verdict, "reason": report.reason,
                    "not_after": iso(report.not_after), "days_left": left,
                    "thumbprint": report.thumbprint,
                }
            )  # fmt: skip
    return rows


def _queue(source: Source, now: datetime) -> dict[str, Any]:
    with source.store.read() as conn:
        queue = outbox.queue(conn, now)
    return {
        "ready": queue.ready,
        "waiting": queue.waiting,
        "overdue": queue.overdue,
        "retrying": queue.retrying,
        "lag_seconds": round(queue.lag.total_seconds(), 1),
        "on_their_way": {state.value: count for state, count in queue.by_state.items()},
    }


def _gateway(source: Source) -> dict[str, Any]:
    with source.store.read() as conn:
        held, breakers = holds.held(conn), holds.open_breakers(conn)
        contact = gateway_contact.contact(conn)
    section = source.loaded.configuration.gateway
    return {
        "kind": section.kind,
        "live": section.is_live,
        "answered": iso(contact.answered_at),
        "failing_since": iso(contact.failing_since),
        "failures": contact.failures,
        "failure": contact.reason,
        "holds": [
            {"scope": hold.scope, "name": hold.name, "reason": hold.reason, "since": iso(hold.since)} for hold in held
        ],
        "breakers": [
            {"scope": breaker.scope, "name": breaker.name, "code": breaker.code, "since": iso(breaker.opened_at)}
            for breaker in breakers
        ],
    }


def _environments(source: Source) -> list[dict[str, Any]]:
    with source.store.read() as conn:
        return [
            {"environment": name, "enabled": environment.enabled, "last_message": iso(outbox.last_received(conn, name))}
            for name, environment in source.loaded.configuration.environments.items()
        ]


def _nodes(source: Source, now: datetime) -> list[dict[str, Any]]:
    with source.store.read() as conn:
        alive = leases.seen(conn, since=now - leases.ALIVE)
    return [
        {
            "node": node.name, "roles": node.roles, "version": node.version, "seen": iso(node.seen_at),
            "configuration": node.configuration, "configured": iso(node.configured_at),
            "restart_for": node.restart_for.split(",") if node.restart_for else [],
        }
        for node in alive
    ]  # fmt: skip


def _alarms(source: Source, now: datetime) -> list[dict[str, Any]]:
    with source.store.read() as conn:
        standing = standing_alarms(conn, source.loaded, now, host=os.uname().nodename, alive=now - leases.ALIVE)
    return [
        {
            "alarm": alarm.alarm,
            "severity": alarm.severity,
            "subject": alarm.subject,
            "environment": alarm.environment or None,
            "node": alarm.node or None,
            "since": iso(alarm.since),
            "problem": alarm.problem,
            "advice": ALARMS[alarm.alarm].advice,
        }
        for alarm in standing
    ]
