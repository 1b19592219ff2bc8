"""`status`: listeners, certificates and their expiry, queue depth and lag, gateway, last message per environment."""

from __future__ import annotations

import socket
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
from store import holds, leases, outbox

_CONNECT_SECONDS = 1.0


def status(config: Path | None, *, as_json: bool) -> int:
    """Print the state; 1 if something needs a person."""
    with opened(config) as one:
        now = one.now()
        found = {
            "configuration": one.loaded.version,
            "listeners": _listeners(one),
            "certificates": _certificates(one, now),
            "queue": _queue(one, now),
            "gateway": _gateway(one),
            "environments": _environments(one),
            "nodes": _nodes(one, now),
        }
    if as_json:
        print_json(found)
    else:
        _print(found, Zones(one.loaded))
    return OK if _is_well(found) else REFUSED


def _listeners(one: Opened) -> list[dict[str, Any]]:
    return [
        {"listener": port.name, "environments": list(port.environments), "tls": port.section.tls is not None,
         "listening": _answers(port.section.host, port.section.port)}
        for port in ports(one.loaded)
    ]  # fmt: skip


def _answers(host: str, port: int) -> bool:
    """Whether something accepts connections there; the listener takes this for a load balancer's probe."""
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _certificates(one: Opened, now: datetime) -> list[dict[str, Any]]:
    rows = []
    for name, environment in one.loaded.configuration.environments.items():
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


def _queue(one: Opened, now: datetime) -> dict[str, Any]:
    with one.store.read() as conn:
        queue = outbox.queue(conn, now)
    return {
        "ready": queue.ready,
        "waiting": queue.waiting,
        "lag_seconds": round(queue.lag.total_seconds(), 1),
        "on_their_way": {state.value: count for state, count in queue.by_state.items()},
    }


def _gateway(one: Opened) -> dict[str, Any]:
    with one.store.read() as conn:
        held, breakers = holds.held(conn), holds.open_breakers(conn)
    section = one.loaded.configuration.gateway
    return {
        "kind": section.kind,
        "live": section.is_live,
        "holds": [
            {"scope": each.scope, "name": each.name, "reason": each.reason, "since": iso(each.since)} for each in held
        ],
        "breakers": [
            {"scope": each.scope, "name": each.name, "code": each.code, "since": iso(each.opened_at)}
            for each in breakers
        ],
    }


def _environments(one: Opened) -> list[dict[str, Any]]:
    with one.store.read() as conn:
        return [
            {"environment": name, "enabled": environment.enabled, "last_message": iso(outbox.last_received(conn, name))}
            for name, environment in one.loaded.configuration.environments.items()
        ]


def _nodes(one: Opened, now: datetime) -> list[dict[str, Any]]:
    with one.store.read() as conn:
        seen = leases.seen(conn, since=now - ALIVE)
    return [
        {"node": each.name, "roles": each.roles, "version": each.version, "seen": iso(each.seen_at)} for each in seen
    ]


def _is_well(found: dict[str, Any]) -> bool:
    gateway = found["gateway"]
    return (
        all(row["listening"] for row in found["listeners"])
        and all(row["verdict"] == "accept" for row in found["certificates"])
        and not gateway["holds"]
        and not gateway["breakers"]
    )


def _print(found: dict[str, Any], zones: Zones) -> None:
    queue, gateway = found["queue"], found["gateway"]
    for row in found["listeners"]:
        state = "listening" if row["listening"] else "NOT LISTENING: is the service running?"
        print(
            f"listener  {row['listener']} {'TLS ' if row['tls'] else ''}for {', '.join(row['environments'])}: {state}"
        )
    print(f"queue     {queue['ready']} ready, {queue['waiting']} waiting, oldest {queue['lag_seconds']} s late")
    print(f"gateway   {gateway['kind']}{' (live)' if gateway['live'] else ''}")
    for held in gateway["holds"]:
        print(f"          HELD since {_clock(held['since'], zones)}: {_scope(held)}: {held['reason']}")
    for breaker in gateway["breakers"]:
        since = _clock(breaker["since"], zones)
        print(f"          STOPPED since {since}: {_scope(breaker)}: the gateway refuses, code {breaker['code']}")
    print(f"\n{zones.sentence({None, *(row['environment'] for row in found['environments'])})}\n")
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
            for row in found["certificates"]
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
            for row in found["environments"]
        ],
        empty="no environments",
    )


def _clock(written: str | None, zones: Zones, environment: str | None = None) -> str:
    """An instant of the JSON, as a clinic reads it."""
    return zones.clock(None if written is None else datetime.fromisoformat(written), environment)


def _scope(row: dict[str, Any]) -> str:
    return "everything" if row["scope"] == "all" else f"{row['scope']} {row['name']}"
