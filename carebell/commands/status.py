"""`status`: listeners, certificates and their expiry, queue depth and lag, gateway, the last message of each environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from carebell.commands.open_store import ALIVE, Opened, opened
from carebell.commands.output import iso, print_json, print_table
from carebell.commands.zones import Zones
from carebell.exits import OK, REFUSED
from carebell.inbound.listeners import ports
from carebell.inbound.trust import days_left
from certs.cer import read_upload
from config.load import load as load_configuration
from config.problems import ConfigurationError
from journal.lines import plain
from store import gateway_contact, holds, leases, outbox

_CONNECT_SECONDS = 1.0


def status(config: Path | None, *, as_json: bool) -> int:
    """Print the state; 1 if something needs a person."""
    with opened(config) as installation:
        now = installation.now()
        nodes = _nodes(installation, now)
        shown = {
            **_configuration(installation, nodes),
            "listeners": _listeners(installation),
            "certificates": _certificates(installation, now),
            "queue": _queue(installation, now),
            "gateway": _gateway(installation),
            "environments": _environments(installation),
            "nodes": nodes,
        }
    if as_json:
        print_json(shown)
    else:
        _print(shown, Zones(installation.loaded))
    return OK if _is_well(shown) else REFUSED


def _configuration(installation: Opened, nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is in force on the nodes that run, and what is on disk; they differ while a change is wrong, or not seen yet.

    `configuration` is what most recently came in force; without a running node, what the next start would take.
    """
    path = installation.loaded.path
    on_disk: str | None = None
    problem: str | None = None
    try:
        on_disk = load_configuration(path, os.environ).version
    except ConfigurationError as error:
        problem = str(error.problems[0])
    running = [node for node in nodes if node["configuration"] is not None]
    newest = max(running, key=lambda node: node["configured"] or "", default=None)
    return {
        "configuration": (newest["configuration"] if newest is not None else on_disk) or installation.loaded.version,
        "configuration_since": newest["configured"] if newest is not None else None,
        "configuration_on_disk": on_disk,
        "configuration_problem": problem,
    }


def _listeners(installation: Opened) -> list[dict[str, Any]]:
    return [
        {"listener": port.name, "environments": list(port.environments), "tls": port.section.tls is not None,
         "listening": _answers(port.section.host, port.section.port)}
        for port in ports(installation.loaded)
    ]  # fmt: skip


def _answers(host: str, port: int) -> bool:
    """Whether something accepts connections there. The listener treats this as a load balancer's probe."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _certificates(installation: Opened, now: datetime) -> list[dict[str, Any]]:
    rows = []
    for name, environment in installation.loaded.configuration.environments.items():
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


def _queue(installation: Opened, now: datetime) -> dict[str, Any]:
    with installation.store.read() as conn:
        queue = outbox.queue(conn, now)
    return {
        "ready": queue.ready,
        "waiting": queue.waiting,
        "overdue": queue.overdue,
        "retrying": queue.retrying,
        "lag_seconds": round(queue.lag.total_seconds(), 1),
        "on_their_way": {state.value: count for state, count in queue.by_state.items()},
    }


def _gateway(installation: Opened) -> dict[str, Any]:
    with installation.store.read() as conn:
        held, breakers = holds.held(conn), holds.open_breakers(conn)
        contact = gateway_contact.contact(conn)
    section = installation.loaded.configuration.gateway
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


def _environments(installation: Opened) -> list[dict[str, Any]]:
    with installation.store.read() as conn:
        return [
            {"environment": name, "enabled": environment.enabled, "last_message": iso(outbox.last_received(conn, name))}
            for name, environment in installation.loaded.configuration.environments.items()
        ]


def _nodes(installation: Opened, now: datetime) -> list[dict[str, Any]]:
    with installation.store.read() as conn:
        alive = leases.seen(conn, since=now - ALIVE)
    return [
        {
            "node": node.name, "roles": node.roles, "version": node.version, "seen": iso(node.seen_at),
            "configuration": node.configuration, "configured": iso(node.configured_at),
            "restart_for": node.restart_for.split(",") if node.restart_for else [],
        }
        for node in alive
    ]  # fmt: skip


def _is_well(shown: dict[str, Any]) -> bool:
    gateway = shown["gateway"]
    return (
        shown["configuration_problem"] is None
        and all(node["configuration"] in (None, shown["configuration_on_disk"]) for node in shown["nodes"])
        and all(row["listening"] for row in shown["listeners"])
        and all(row["verdict"] == "accept" for row in shown["certificates"])
        and not gateway["holds"]
        and not gateway["breakers"]
        and not gateway["failures"]
    )


def _print(shown: dict[str, Any], zones: Zones) -> None:
    queue, gateway = shown["queue"], shown["gateway"]
    _print_configuration(shown, zones)
    for row in shown["listeners"]:
        state = "listening" if row["listening"] else "NOT LISTENING: is the service running?"
        print(
            f"listener  {row['listener']} {'TLS ' if row['tls'] else ''}for {', '.join(row['environments'])}: {state}"
        )
    late = (
        f", {queue['overdue']} overdue, oldest {queue['lag_seconds']} s late" if queue["overdue"] else ", none overdue"
    )
    retrying = f", {queue['retrying']} tried in vain and tried again" if queue["retrying"] else ""
    print(f"queue     {queue['ready']} ready, {queue['waiting']} waiting{late}{retrying}")
    answered = f", last answer {_clock(gateway['answered'], zones)}" if gateway["answered"] else ", no answer yet"
    print(f"gateway   {gateway['kind']}{' (live)' if gateway['live'] else ''}{answered}")
    if gateway["failures"]:
        since = _clock(gateway["failing_since"], zones)
        print(
            f"          DOES NOT ANSWER since {since}: {gateway['failures']} in a row, the last with {gateway['failure']}"
        )
    for held in gateway["holds"]:
        print(f"          HELD since {_clock(held['since'], zones)}: {_scope(held)}: {held['reason']}")
    for breaker in gateway["breakers"]:
        since = _clock(breaker["since"], zones)
        print(f"          STOPPED since {since}: {_scope(breaker)}: the gateway refuses, code {breaker['code']}")
    print(f"\n{zones.sentence({None, *(row['environment'] for row in shown['environments'])})}\n")
    print_table(
        ["Environment", "Certificate", "State", "Days left", "Expires"],
        [
            (
                row["environment"],
                Path(row["file"]).name,
                row["reason"] or row["verdict"],
                row["days_left"],
                _clock(row["not_after"], zones, row["environment"]),
            )
            for row in shown["certificates"]
        ],
        empty="no certificates",
        first="Certificate",
    )
    print()
    print_table(
        ["Environment", "Enabled", "Last message"],
        [
            (
                row["environment"],
                "yes" if row["enabled"] else "no",
                _clock(row["last_message"], zones, row["environment"]) if row["last_message"] else "none",
            )
            for row in shown["environments"]
        ],
        empty="no environments",
    )


def _print_configuration(shown: dict[str, Any], zones: Zones) -> None:
    """In force, and on disk where that is another one."""
    in_force, on_disk = shown["configuration"], shown["configuration_on_disk"]
    since = shown["configuration_since"]
    state = f"in force since {_clock(since, zones)}" if since is not None else "not in force: no service runs"
    print(f"config    {in_force} {state}")
    if shown["configuration_problem"] is not None:
        print(f"          ON DISK IS WRONG and not in force: {plain(shown['configuration_problem'])}")
    elif on_disk != in_force:
        print(f"          ON DISK is {on_disk}, not in force: `carebell logs` says why, within seconds of the change")
    for node in shown["nodes"]:
        if node["configuration"] not in (None, in_force):
            print(f"          node {node['node']} runs on {node['configuration']}")
        if node["restart_for"]:
            print(f"          node {node['node']} waits for a restart: {', '.join(node['restart_for'])}")


def _clock(written: str | None, zones: Zones, environment: str | None = None) -> str:
    """An instant of the JSON in the clinic's zone."""
    return zones.clock(None if written is None else datetime.fromisoformat(written), environment)


def _scope(row: dict[str, Any]) -> str:
    return "everything" if row["scope"] == "all" else f"{row['scope']} {row['name']}"
