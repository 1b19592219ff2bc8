"""`doctor`'s checks of the database, the running service, its ports, certificates and gateway."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from carebell.bootstrap.components import open_database
from carebell.commands.diagnosis import DoctorFinding, Machine, State
from carebell.commands.doctor_machine import room
from carebell.commands.init import PLACEHOLDER
from carebell.exits import Stop
from carebell.inbound.listeners import ports
from carebell.inbound.trust import days_left
from carebell.maintenance.standing_alarms import standing_alarms
from certs.cer import read_upload
from config.load import Loaded
from journal.alarms import ALARMS
from store import backup, leases
from store.engine import Store
from store.faults import StoreFault
from store.keys import KeyFault, read_key_file
from store.leases import Node
from store.vault import Vault

_LARGE_WAL: Final = 256_000_000
"""Bytes. A checkpoint follows every 4 MB; a WAL that large is not being taken into the database."""
_OLD_BACKUP: Final = timedelta(days=7)
_EXPIRES: Final = 30
"""Days before its end at which a certificate is a warning; the log says it from 60 days on."""
_CONNECT_SECONDS: Final = 5.0
_CLOCKS_DIFFER: Final = timedelta(seconds=30)


def database(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """Everything that needs the database: its version, its room, its keys, backups, and the nodes that wrote into it."""
    try:
        store = open_database(loaded, upgrade=False)
    except Stop as stop:
        yield DoctorFinding(check="database", state="wrong", what=str(stop), mend=_mend(str(stop)))
        return
    try:
        yield DoctorFinding(
            check="database", state="good", what=f"{store.backend} answers, with the tables of this version"
        )
        yield from _files(machine, store)
        yield from _keys(loaded, store)
        yield from _server_clock(machine, store)
        yield from _backups(machine, store)
        yield from _nodes(machine, loaded, store)
        yield from _alarms(machine, loaded, store)
    except StoreFault as fault:
        yield DoctorFinding(
            check="database", state="wrong", what=str(fault), mend="restore a backup (docs/how-to/backups.md)"
        )
    finally:
        store.close()


def _mend(problem: str) -> str:
    if "older version" in problem:
        return "carebell db backup FILE; carebell db upgrade"
    if "newer Carebell" in problem:
        return "install the newer version again, or restore the backup from before the upgrade"
    if "does not exist" in problem:
        return "start the service once, or restore the database from a backup"
    return "look at the server, its address in storage.url, and the password file"


def _files(machine: Machine, store: Store) -> Iterator[DoctorFinding]:
    if store.file is None:
        return
    yield room("database_room", machine, store.file.parent)
    wal = store.file.with_name(f"{store.file.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > _LARGE_WAL:
        what = f"{wal} has {size / 1e6:.0f} MB: something holds an old view of the database open"
        yield DoctorFinding(
            check="database_wal",
            state="warning",
            what=what,
            mend="end what reads the database (sqlite3, a copying backup)",
        )
    else:
        yield DoctorFinding(check="database_wal", state="good", what=f"the write-ahead log has {size / 1e6:.1f} MB")


def _keys(loaded: Loaded, store: Store) -> Iterator[DoctorFinding]:
    try:
        ring = read_key_file(loaded.configuration.storage.key_file)
    except KeyFault:
        return  # `key` says it
    with store.read() as conn:
        unreadable = Vault(ring=ring).unreadable_days(conn)
    if unreadable:
        count = len(unreadable)
        what = f"the key file does not open {count} day keys: it is another installation's, or of another time than the database"
        mend = "put the right key file in place; if it is lost: carebell keys drop-unreadable"
        yield DoctorFinding(check="database_keys", state="wrong", what=what, mend=mend)
    else:
        yield DoctorFinding(check="database_keys", state="good", what="the key file opens every stored number")


def _server_clock(machine: Machine, store: Store) -> Iterator[DoctorFinding]:
    there = store.server_time()
    if there is None:
        return
    apart = abs((machine.now - there).total_seconds())
    if apart > _CLOCKS_DIFFER.total_seconds():
        what = f"the database server's clock differs by {apart:.0f} s"
        yield DoctorFinding(
            check="database_clock", state="wrong", what=what, mend="run chrony or ntpd on both machines"
        )
    else:
        yield DoctorFinding(check="database_clock", state="good", what="the database server's clock agrees")


def _backups(machine: Machine, store: Store) -> Iterator[DoctorFinding]:
    with store.read() as conn:
        made = backup.last(conn)
    if made is None:
        what = "no backup is known"
        mend = "carebell db backup FILE, or after one by other means: carebell db backup --noted"
        yield DoctorFinding(check="backup", state="unknown", what=what, mend=mend)
    elif machine.now - made > _OLD_BACKUP:
        what = f"the last known backup is {(machine.now - made).days} days old"
        yield DoctorFinding(check="backup", state="warning", what=what, mend="carebell db backup FILE")
    else:
        yield DoctorFinding(
            check="backup", state="good", what=f"the last known backup was made at {made:%Y-%m-%d %H:%M} UTC"
        )


def _alarms(machine: Machine, loaded: Loaded, store: Store) -> Iterator[DoctorFinding]:
    """The alarms that stand now, as `carebell status` shows them. Room on the disks has checks of its own."""
    host = os.uname().nodename
    with store.read() as conn:
        standing = standing_alarms(conn, loaded, machine.now, host=host, alive=machine.now - leases.ALIVE)
    shown = [alarm for alarm in standing if alarm.alarm != "disk_nearly_full"]
    for alarm in shown:
        state: State = "wrong" if alarm.severity == "critical" else "warning"
        yield DoctorFinding(
            check=f"alarm_{alarm.alarm}", state=state, what=alarm.problem, mend=ALARMS[alarm.alarm].advice
        )
    if not shown:
        yield DoctorFinding(check="alarms", state="good", what="no alarm is raised")


def _nodes(machine: Machine, loaded: Loaded, store: Store) -> Iterator[DoctorFinding]:
    with store.read() as conn:
        nodes = leases.seen(conn, since=machine.now - leases.ALIVE)
    if not nodes:
        what = "no service has written to the database within the last minute"
        yield DoctorFinding(check="nodes", state="wrong", what=what, mend="systemctl start carebell, or carebell serve")
        yield from _free_ports(loaded)
        return
    yield from _running(loaded, nodes)
    yield from _open_ports(loaded, nodes)


def _running(loaded: Loaded, nodes: list[Node]) -> Iterator[DoctorFinding]:
    installed = version("carebell")
    missing = {"listener", "dispatcher", "housekeeping"} - {role for node in nodes for role in node.roles.split(",")}
    if missing:
        what = f"no running node has the role {', '.join(sorted(missing))}"
        yield DoctorFinding(check="nodes", state="wrong", what=what, mend="start a node with --roles that names it")
    else:
        yield DoctorFinding(check="nodes", state="good", what=f"running: {', '.join(node.name for node in nodes)}")
    for node in nodes:
        if node.version != installed:
            what = f"node {node.name} runs version {node.version}, installed is {installed}"
            yield DoctorFinding(check="version", state="wrong", what=what, mend="systemctl restart carebell")
        if node.configuration not in (None, loaded.version):
            what = f"node {node.name} runs on configuration {node.configuration}, on disk is {loaded.version}"
            yield DoctorFinding(
                check="in_force",
                state="wrong",
                what=what,
                mend="carebell logs says why it was refused; mend it and save",
            )
        elif node.restart_for:
            what = f"node {node.name} waits for a restart: {node.restart_for} changed"
            yield DoctorFinding(check="in_force", state="wrong", what=what, mend="systemctl restart carebell")
        else:
            yield DoctorFinding(
                check="in_force",
                state="good",
                what=f"node {node.name} runs on the configuration on disk, {loaded.version}",
            )


def _addresses(loaded: Loaded) -> list[tuple[str, str, int]]:
    """(what, host, port) of every port of the configuration; 0 takes any and cannot be asked."""
    http, portal = loaded.configuration.http, loaded.configuration.portal
    listeners = [
        (f"MLLP for {', '.join(port.environments)}", port.section.host, port.section.port) for port in ports(loaded)
    ]
    if http.enabled:
        listeners.append(("HTTP", http.host, http.port))
    if portal.enabled:
        listeners.append(("the staff's pages", portal.host, portal.port))
    return [(what, host, number) for what, host, number in listeners if number]


def _free_ports(loaded: Loaded) -> Iterator[DoctorFinding]:
    for what, host, number in _addresses(loaded):
        why = _obstacle(host, number)
        if why is None:
            yield DoctorFinding(check="ports", state="good", what=f"{host}:{number} ({what}) is free")
        else:
            mend = f"`ss -ltnp sport = :{number}` names the program; end it, or choose another port"
            yield DoctorFinding(
                check="ports", state="wrong", what=f"{host}:{number} ({what}) cannot be had: {why}", mend=mend
            )


def _obstacle(host: str, number: int) -> str | None:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, number), family=family).close()
    except OSError as error:
        return "another program uses it" if error.errno == 98 else (error.strerror or str(error))
    return None


def _open_ports(loaded: Loaded, nodes: list[Node]) -> Iterator[DoctorFinding]:
    roles = {role for node in nodes if leases.is_at(node.name, os.uname().nodename) for role in node.roles.split(",")}
    for what, host, number in _addresses(loaded):
        if ("listener" if what.startswith("MLLP") else "portal") not in roles:
            continue
        if _connects(host, number):
            yield DoctorFinding(check="ports", state="good", what=f"{host}:{number} ({what}) is the running service's")
        else:
            what = f"{host}:{number} ({what}) does not answer, although a node of this machine runs"
            yield DoctorFinding(
                check="ports", state="wrong", what=what, mend="carebell logs --level error says why it is not open"
            )


def _reached_at(host: str) -> str:
    """Where an address that stands for all of them is reached from this machine."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to
    return every.get(host, host)


def _connects(host: str, number: int) -> bool:
    """The listener takes it for a load balancer's probe."""
    try:
        socket.create_connection((_reached_at(host), number), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


# Certificates and the gateway


def certificates(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    """Of senders, and of our own TLS ports."""
    for name, environment in loaded.configuration.environments.items():
        if not environment.enabled:
            continue
        for path in environment.certificates:
            report = read_upload(path, machine.now)
            if report.verdict == "refuse":
                mend = "ask the sender for the next one; docs/how-to/rotate-signing-key.md"
                yield DoctorFinding(
                    check="certificates", state="wrong", what=f"{name}: {path.name}: {report.reason}", mend=mend
                )
            elif report.subject is not None and PLACEHOLDER in report.subject:
                what = f"{name}: {path} stands in for the sender's certificate: no message can be signed for it"
                yield DoctorFinding(
                    check="certificates", state="warning", what=what, mend="replace it with the sender's .cer"
                )
            else:
                yield _expiry(f"{name}: {path.name}", report.not_after, machine.now)
        tls = environment.listener.tls
        if tls is not None:
            yield _own_certificate(f"{name}: the listener's {tls.certificate.name}", tls.certificate, machine.now)


def _expiry(what: str, not_after: datetime | None, now: datetime) -> DoctorFinding:
    left = days_left(not_after, now) if not_after is not None else 0
    if left < 0:
        return DoctorFinding(
            check="certificates", state="wrong", what=f"{what} has expired", mend="replace it now: peers refuse it"
        )
    if left < _EXPIRES:
        return DoctorFinding(
            check="certificates", state="warning", what=f"{what} expires in {left} days", mend="have the next one made"
        )
    return DoctorFinding(check="certificates", state="good", what=f"{what} is valid for {left} days more")


def _own_certificate(what: str, path: Path, now: datetime) -> DoctorFinding:
    try:
        [first, *_] = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return DoctorFinding(
            check="certificates", state="wrong", what=f"{what} cannot be read", mend="see docs/how-to/tls.md"
        )
    return _expiry(what, first.not_valid_after_utc, now)


def gateway(machine: Machine, loaded: Loaded) -> Iterator[DoctorFinding]:
    section = loaded.configuration.gateway
    url = section.service_url
    if url is None:
        what = f"gateway.kind is {section.kind}: texts stay on this machine"
        yield DoctorFinding(check="gateway", state="good", what=what)
    elif not machine.online:
        yield DoctorFinding(
            check="gateway", state="unknown", what=f"{url} was not asked", mend="carebell doctor --online asks it"
        )
    else:
        problem = _unreachable(url, section.http.certificate_authority if section.kind == "http" else None)
        if problem is None:
            yield DoctorFinding(check="gateway", state="good", what=f"{url} can be reached; nothing was sent to it")
        else:
            mend = "look at the firewall, the proxy and the name server between this machine and it"
            yield DoctorFinding(check="gateway", state="wrong", what=f"{url} cannot be reached: {problem}", mend=mend)


def _unreachable(url: str, authority: Path | None) -> str | None:
    """Why a connection, with TLS for https, cannot be made; None: it can."""
    parts = urlsplit(url)
    host, number = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, number), _CONNECT_SECONDS) as plain:
            if parts.scheme == "https":
                ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLError as error:
        return getattr(error, "verify_message", None) or error.reason or "TLS failed"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None
