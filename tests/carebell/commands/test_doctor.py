"""`doctor` on a sound installation, and what it says of each thing that can be wrong with one."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest

from carebell.commands import doctor_machine, doctor_service
from carebell.commands.diagnosis import Check, DoctorFinding, Machine, ServiceAccount
from carebell.commands.doctor import examine
from carebell.commands.install import unit_of
from config.load import load
from scheduler.sms import HoldScope
from simulator.ehr import make_identity
from store import backup, holds, leases, schema
from store.engine import Store, open_store
from store.holds import Hold
from store.keys import create_key_file
from store.leases import Node
from tests.carebell.conftest import Carebell
from tests.listener import certificates
from tests.story.clinic import opened
from tests.story.folder import CLOCK, change, make

NOW: Final = CLOCK
ROOT: Final = ServiceAccount(name="carebell", user=0, groups=frozenset({0}))
OTHER: Final = ServiceAccount(name="carebell", user=54321, groups=frozenset({54321}))
GOOD_UNIT: Final = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\n"


CHECK_OF: Final[Mapping[str, Check]] = {
    "clock": doctor_machine.clock,
    "configuration": doctor_machine.configuration,
    "files": doctor_machine.files,
    "key": doctor_machine.key,
    "log": doctor_machine.log,
    "unit": doctor_machine.unit,
    "certificates": doctor_service.certificates,
    "gateway": doctor_service.gateway,
    **dict.fromkeys(
        ("database", "database_keys", "database_room", "backup", "nodes", "ports", "alarms", "alarm_held"),
        doctor_service.database,
    ),
    **dict.fromkeys(("version", "in_force"), doctor_service.database),
}
"""The word of a finding -> the function that finds it."""


class System:
    """What the programs of the system answer; None: they are not there."""

    def __init__(self, **answers: str | None) -> None:
        self.answers: dict[str, str | None] = {
            "timedatectl": "yes\n",
            "systemctl": GOOD_UNIT,
            "logrotate": "",
            **answers,
        }

    def __call__(self, words: Sequence[str]) -> str | None:
        return self.answers[Path(words[0]).name]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "carebell"
    path.touch()
    return path


@pytest.fixture
def machine(tmp_path: Path, program: Path) -> Machine:
    unit = tmp_path / "carebell.service"
    unit.write_text(unit_of(program))
    return Machine(
        now=NOW,
        environ={},
        unit=unit,
        program=program,
        ask=System(),
        space=lambda _path: (50_000_000_000, 100_000_000_000),
        account=ROOT,
        online=False,
        credentials=tmp_path / "credentials",
    )


@pytest.fixture(scope="module")
def clinic_as_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "clinic"
    make(folder)
    with _store(folder) as store:
        schema.upgrade(store)
    return folder


@pytest.fixture
def path(tmp_path: Path, clinic_as_made: Path) -> Path:
    """A configuration in order, with its database; no service runs."""
    shutil.copytree(clinic_as_made, tmp_path / "clinic")
    return tmp_path / "clinic" / "carebell.yaml"


def _said(diagnoses: Iterable[DoctorFinding], state: str, check: str | None = None) -> list[str]:
    return [one.what for one in diagnoses if one.state == state and check in (None, one.check)]


def _of(machine: Machine, path: Path, *checks: str) -> list[DoctorFinding]:
    """What is found, by these checks alone if any are named."""
    if not checks:
        return list(examine(path, machine))
    loaded = load(path, machine.environ)
    return [diagnosis for check in checks for diagnosis in CHECK_OF[check](machine, loaded)]


def _wrong(machine: Machine, path: Path, *checks: str) -> list[tuple[str, str]]:
    """What is wrong, except that no service runs; each with a way to mend it."""
    diagnoses = [one for one in _of(machine, path, *checks) if one.state == "wrong" and one.check != "nodes"]
    assert all(one.mend for one in diagnoses)
    return [(one.check, one.what) for one in diagnoses]


async def test_nothing_is_wrong_with_a_running_installation(tmp_path: Path, machine: Machine) -> None:
    path = make(tmp_path / "clinic")
    async with opened(path) as clinic:
        with clinic.service.store.write() as conn:
            backup.note(conn, NOW)
        diagnoses = await asyncio.to_thread(_of, machine, path)
    assert [one for one in diagnoses if one.state == "wrong"] == []
    expected = {
        "python", "unit", "clock", "descriptors", "files", "key", "log", "database", "database_room", "database_wal",
        "database_keys", "backup", "nodes", "in_force", "certificates", "gateway", "alarms",
    }  # fmt: skip
    assert expected <= {one.check for one in diagnoses if one.state == "good"}
    assert [one for one in diagnoses if one.state == "good" and one.mend is not None] == []


async def test_beside_a_broken_configuration_the_rest_is_looked_at_by_the_one_in_force(
    tmp_path: Path, machine: Machine
) -> None:
    path = make(tmp_path / "clinic")
    async with opened(path):
        path.write_text(path.read_text() + "x: [\n")
        diagnoses = await asyncio.to_thread(_of, machine, path)
    assert [one.check for one in diagnoses if one.state == "wrong"] == ["configuration"]
    assert {"python", "unit", "clock", "log", "database", "nodes", "certificates", "gateway"} <= {
        one.check for one in diagnoses if one.state == "good"
    }
    assert "in_force" not in {one.check for one in diagnoses}


async def test_a_service_that_was_ended_no_longer_counts_as_running(tmp_path: Path, machine: Machine) -> None:
    path = make(tmp_path / "clinic")
    async with opened(path):
        pass
    assert _said(_of(machine, path, "nodes"), "wrong", "nodes") == [
        "no service has written to the database within the last minute"
    ]


def test_nothing_is_wrong_before_it_is_damaged(machine: Machine, path: Path) -> None:
    assert _wrong(machine, path) == []


# Each thing that can be wrong: what is done to the installation -> what is said


def _mode(name: str, mode: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).chmod(mode)


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _other_key(folder: Path) -> None:
    _remove("carebell.key")(folder)
    create_key_file(folder / "carebell.key")
    with _store(folder) as store, store.write() as conn:
        conn.exec_driver_sql("INSERT INTO day_keys (day, wrapped) VALUES (20514, x'00')")


@contextmanager
def _store(folder: Path) -> Iterator[Any]:
    store = open_store(f"sqlite:///{folder / 'carebell.db'}")
    try:
        yield store
    finally:
        store.close()


def _damaged_key(folder: Path) -> None:
    (folder / "carebell.key").chmod(0o600)
    (folder / "carebell.key").write_text("{}")


def _tls(folder: Path) -> None:
    for name in ("tls.pem", "tls.key"):
        (folder / name).write_text("x")
    tls = {"certificate": "tls.pem", "key": "tls.key"}
    change(folder / "carebell.yaml", {"environments": {"production": {"listener": {"tls": tls}}}})


def _older(folder: Path) -> None:
    with _store(folder) as store, store.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")


def _newer(folder: Path) -> None:
    with _store(folder) as store, store.write() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


def _expired(folder: Path) -> None:
    identity = make_identity("Old", now=NOW - timedelta(days=400), days=365)
    (folder / "certs" / "01-prod-rsa3072.cer").write_bytes(identity.certificate)


DAMAGE: Final[Mapping[str, tuple[Callable[[Path], object], tuple[str, str]]]] = {
    "key_missing": (_remove("carebell.key"), ("key", "carebell.key is missing")),
    "key_open": (_mode("carebell.key", 0o444), ("files", "other accounts can open it")),
    "key_damaged": (
        _damaged_key,
        ("key", "is not a key ring of this version"),
    ),
    "configuration_open": (_mode("carebell.yaml", 0o666), ("files", "every account can change the configuration")),
    "folder_open": (_mode(".", 0o777), ("files", "every account can change the configuration")),
    "configuration_wrong": (
        lambda folder: change(folder / "carebell.yaml", {"gateway": {"file": "absent/outbox.jsonl"}}),
        ("configuration", "there is no folder"),
    ),
    "yaml_broken": (
        lambda folder: (folder / "carebell.yaml").write_text("a: [\n"),
        ("configuration", "carebell.yaml:"),
    ),
    "log_folder_missing": (
        lambda folder: change(folder / "carebell.yaml", {"log": {"file": "logs/carebell.log"}}),
        ("log", "there is no folder"),
    ),
    "database_missing": (_remove("carebell.db"), ("database", "the database does not exist")),
    "database_damaged": (lambda folder: (folder / "carebell.db").write_bytes(b"x" * 9000), ("database", "")),
    "database_older": (_older, ("database", "of an older version")),
    "database_newer": (_newer, ("database", "by a newer Carebell")),
    "certificate_expired": (_expired, ("certificates", "expired")),
    "key_of_another": (_other_key, ("database_keys", "it is another installation's")),
    "tls_unreadable": (_tls, ("certificates", "cannot be read")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_installation(machine: Machine, path: Path, damage: str) -> None:
    do, (check, words) = DAMAGE[damage]
    do(path.parent)
    wrong = _wrong(machine, path) if damage == "yaml_broken" else _wrong(machine, path, check)
    assert any(where == check and words in what for where, what in wrong), wrong


MACHINE: Final[Mapping[str, tuple[Callable[[Machine], Machine], tuple[str, str]]]] = {
    "clock": (lambda machine: replace(machine, ask=System(timedatectl="no\n")), ("clock", "is not synchronised")),
    "disk": (
        lambda machine: replace(machine, space=lambda _: (1_000_000, 10**11)),
        ("database_room", "0.0 GB of 100.0 GB"),
    ),
    "log_disk": (lambda machine: replace(machine, space=lambda _: (1_000_000, 10**11)), ("log", "0.0 GB of 100.0 GB")),
    "service_failed": (
        lambda machine: replace(machine, ask=System(systemctl=GOOD_UNIT.replace("active", "failed"))),
        ("unit", "the service has failed"),
    ),
    "service_ended": (
        lambda machine: replace(machine, ask=System(systemctl=GOOD_UNIT.replace("=active", "=inactive"))),
        ("unit", "the service is inactive"),
    ),
    "unit_not_read": (
        lambda machine: replace(machine, ask=System(systemctl=GOOD_UNIT.replace("Reload=no", "Reload=yes"))),
        ("unit", "systemd has not read the unit"),
    ),
    "no_account": (lambda machine: replace(machine, account=None), ("unit", "there is no account carebell")),
    "not_the_service_s": (lambda machine: replace(machine, account=OTHER), ("files", "belongs to another account")),
    "key_not_handed_over": (
        lambda machine: replace(machine, account=OTHER),
        ("files", "the unit does not hand it over"),
    ),
    "log_folder": (lambda machine: replace(machine, account=OTHER), ("log", "cannot write into")),
}


@pytest.mark.parametrize("change_of", MACHINE)
def test_a_machine_that_is_not_in_order(machine: Machine, path: Path, change_of: str) -> None:
    (path.parent / "carebell.log").touch()
    do, (check, words) = MACHINE[change_of]
    wrong = _wrong(do(machine), path, check)
    assert any(found == check and words in what for found, what in wrong), wrong


def test_what_the_account_reads_by_its_group_is_good(machine: Machine, path: Path) -> None:
    group = replace(OTHER, groups=frozenset({path.stat().st_gid}))
    path.chmod(0o640)
    assert (group.may(path, 4), group.may(path, 2), OTHER.may(path, 4), ROOT.may(path, 6)) == (True, False, False, True)
    path.chmod(0o600)
    assert ("files", f"the service's account carebell cannot read {path}") in _wrong(
        replace(machine, account=group), path
    )


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda unit, program: unit.write_text(unit_of(program) + "Nice=5\n"), "is not this version's"),
        (lambda unit, program: unit.write_text(unit_of(program.with_name("gone"))), "which is not there"),
        (lambda unit, program: unit.write_text("[Unit]\n"), "which is not there"),
    ],
)
def test_a_unit_of_another_version(machine: Machine, path: Path, write: Callable[..., object], words: str) -> None:
    write(machine.unit, machine.program)
    assert [words in what for check, what in _wrong(machine, path, "unit")] == [True]


def test_no_unit_and_a_clock_that_says_nothing_are_not_known(machine: Machine, path: Path) -> None:
    machine.unit.unlink()
    bare = replace(machine, ask=System(timedatectl=None, systemctl=None), account=None)
    assert {one.check for one in _of(bare, path) if one.state == "unknown"} >= {"unit", "clock", "backup"}


def test_a_service_that_no_boot_starts_is_a_warning(machine: Machine, path: Path) -> None:
    disabled = replace(machine, ask=System(systemctl=GOOD_UNIT.replace("enabled", "disabled")))
    assert _said(_of(disabled, path, "unit"), "warning", "unit") == [
        "the service runs, and will not be started at a boot"
    ]


def test_a_log_that_nobody_rotates_is_a_warning(machine: Machine, path: Path) -> None:
    bare = replace(machine, ask=System(logrotate=None))
    [said] = _said(_of(bare, path, "log"), "warning", "log")
    assert said.startswith("logrotate is not installed")


def test_a_secret_that_changed_since_the_service_got_it(machine: Machine, path: Path) -> None:
    assert list(doctor_machine.credentials(machine, load(path, {}))) == []  # it reads the files itself, or does not run
    machine.credentials.mkdir()
    copy = machine.credentials / "clinic_carebell.key"
    copy.write_bytes((path.parent / "carebell.key").read_bytes())
    [said] = doctor_machine.credentials(machine, load(path, {}))
    assert said.state == "good"
    (path.parent / "carebell.key").unlink()
    create_key_file(path.parent / "carebell.key")
    [said] = doctor_machine.credentials(machine, load(path, {}))
    assert (said.state, said.mend) == ("wrong", "systemctl restart carebell")


# The program


@pytest.mark.parametrize(
    ("version", "sqlite", "words"),
    [((3, 10, 4), (3, 40, 0), "Python 3.10.4 is too old"), ((3, 13, 1), (3, 34, 1), "SQLite is 3.34.1")],
)
def test_a_python_that_is_too_old(
    machine: Machine, path: Path, version: tuple[int, ...], sqlite: tuple[int, ...], words: str
) -> None:
    [said] = doctor_machine.python(machine, load(path, {}), version, sqlite)
    assert (said.state, words in said.what) == ("wrong", True)


def _distribution(folder: Path, *, requires: str = "") -> importlib.metadata.Distribution:
    import base64
    import hashlib

    room = folder / "site" / "room"
    room.mkdir(parents=True)
    lines = []
    for number in range(12):
        (room / f"m{number}.py").write_text(f"x = {number}\n")
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256((room / f"m{number}.py").read_bytes()).digest())
            .rstrip(b"=")
            .decode()
        )
        lines.append(f"room/m{number}.py,sha256={digest},6")
    metadata = folder / "site" / "carebell-9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: carebell\nVersion: 9\n{requires}")
    (metadata / "RECORD").write_text("\n".join(lines))
    return importlib.metadata.Distribution.at(metadata)


def test_a_file_of_the_package_that_was_changed(machine: Machine, path: Path, tmp_path: Path) -> None:
    installed = _distribution(tmp_path)
    [said] = doctor_machine.package(machine, load(path, {}), installed)
    assert (said.state, said.what) == ("good", "Carebell 9, 12 files as released")
    (tmp_path / "site/room/m3.py").write_text("x = 4\n")
    (tmp_path / "site/room/m5.py").unlink()
    [said] = doctor_machine.package(machine, load(path, {}), installed)
    assert (said.state, said.what) == (
        "wrong",
        "2 files of the package are not as they were released, room/m3.py for one",
    )


def test_a_required_package_that_is_missing(machine: Machine, path: Path, tmp_path: Path) -> None:
    requires = "Requires-Dist: pydantic>=2\nRequires-Dist: no-such-package<3,>=2\nRequires-Dist: other; extra == 'x'\n"
    said = list(doctor_machine.package(machine, load(path, {}), _distribution(tmp_path, requires=requires)))
    assert [one.what for one in said if one.state == "wrong"] == [
        "packages that Carebell needs are missing: no-such-package"
    ]


# The database and what runs


def _beat(path: Path, **more: Any) -> None:
    node = Node(
        name=f"{os.uname().nodename}-1", roles="dispatcher,housekeeping,listener,portal",
        version=importlib.metadata.version("carebell"), started_at=NOW, seen_at=NOW,
        configuration=load(path, {}).version, configured_at=NOW,
    )  # fmt: skip
    with _store(path.parent) as store, store.write() as conn:
        leases.beat(conn, replace(node, **more))


@pytest.mark.parametrize(
    ("node", "check", "words"),
    [
        ({"version": "0.0.1"}, "version", "runs version 0.0.1, installed is"),
        ({"configuration": "000000000000"}, "in_force", "runs on configuration 000000000000"),
        ({"restart_for": "storage"}, "in_force", "waits for a restart: storage changed"),
        ({"roles": "listener,portal"}, "nodes", "no running node has the role dispatcher, housekeeping"),
        ({"seen_at": NOW - timedelta(minutes=2)}, "nodes", "no service has written"),
    ],
)
def test_what_runs_is_not_what_should(
    machine: Machine, path: Path, node: dict[str, Any], check: str, words: str
) -> None:
    _beat(path, **node)
    assert any(words in what for what in _said(_of(machine, path, check), "wrong", check))


def test_what_is_an_alarm_is_a_finding(machine: Machine, path: Path) -> None:
    assert _said(_of(machine, path, "alarms"), "good", "alarms") == ["no alarm is raised"]
    with _store(path.parent) as store, store.write() as conn:
        holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="a drill", actor="cli:x", since=NOW))
    [held] = [one for one in _of(machine, path, "alarm_held") if one.check == "alarm_held"]
    assert (held.state, held.what) == ("warning", "texts are held (all): a drill")
    assert held.mend is not None
    assert "carebell release" in held.mend


def test_a_backup_is_old_fresh_or_not_known(machine: Machine, path: Path) -> None:
    assert _said(_of(machine, path, "backup"), "unknown", "backup") == ["no backup is known"]
    with _store(path.parent) as store, store.write() as conn:
        backup.note(conn, NOW - timedelta(days=8))
    assert _said(_of(machine, path, "backup"), "warning", "backup") == ["the last known backup is 8 days old"]
    with _store(path.parent) as store, store.write() as conn:
        backup.note(conn, NOW)
    assert len(_said(_of(machine, path, "backup"), "good", "backup")) == 1


def test_a_write_ahead_log_that_grows(machine: Machine, path: Path) -> None:
    with _store(path.parent) as store, store.write() as conn:
        leases.leave(conn, "")
        wal = path.parent / "carebell.db-wal"
        os.truncate(wal, 300_000_000)
        assert len(_said(doctor_service._files(machine, store), "warning", "database_wal")) == 1


@dataclass(frozen=True, slots=True)
class ServerAt:
    """A database server with a clock."""

    now: datetime | None

    def server_time(self) -> datetime | None:
        return self.now


@pytest.mark.parametrize(
    ("there", "states"),
    [
        (NOW, ["good"]),
        (NOW + timedelta(minutes=5), ["wrong"]),
        (NOW - timedelta(minutes=5), ["wrong"]),
        (None, []),  # SQLite has no clock of its own
    ],
)
def test_the_database_servers_clock(machine: Machine, there: datetime | None, states: list[str]) -> None:
    said = doctor_service._server_clock(machine, cast("Store", ServerAt(there)))
    assert [one.state for one in said] == states


def test_more_connections_than_descriptors_is_a_warning(
    machine: Machine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(path, {})
    problem = loaded.problem(("environments", "production", "listener", "max_connections"), "5000 do not fit")
    monkeypatch.setattr(doctor_machine, "would_not_fit", lambda _loaded: [problem])
    by_hand = replace(machine, account=None)
    assert [one.state for one in doctor_machine.descriptors(by_hand, loaded)] == ["warning"]
    # The unit sets a limit of its own, which is not that of whoever runs doctor.
    assert [one.state for one in doctor_machine.descriptors(machine, loaded)] == ["good"]


# Ports


@pytest.fixture
def number() -> Iterator[int]:
    """A port that nobody else has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def _listening_on(path: Path, number: int) -> None:
    change(path, {"environments": {"production": {"listener": {"port": number}}}})


def test_a_port_that_another_program_has(machine: Machine, path: Path, number: int) -> None:
    _listening_on(path, number)
    assert _wrong(machine, path) == [
        ("ports", f"127.0.0.1:{number} (MLLP for production) cannot be had: another program uses it")
    ]


def test_a_port_that_is_ours(machine: Machine, path: Path, number: int) -> None:
    _listening_on(path, number)
    _beat(path)
    assert _said(_of(machine, path, "ports"), "good", "ports") == [
        f"127.0.0.1:{number} (MLLP for production) is the running service's"
    ]


def test_a_port_that_should_be_open(machine: Machine, path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        number = closed.getsockname()[1]
    _listening_on(path, number)
    assert _said(_of(machine, path, "ports"), "good", "ports") == [f"127.0.0.1:{number} (MLLP for production) is free"]
    _beat(path)
    assert any("does not answer, although a node" in what for _, what in _wrong(machine, path))


def test_the_port_of_the_staffs_pages(machine: Machine, path: Path, number: int) -> None:
    change(path, {"portal": {"enabled": True, "port": number, "public_url": "https://carebell.example.org"}})
    assert f"127.0.0.1:{number} (the staff's pages) cannot be had: another program uses it" in _said(
        _of(machine, path, "ports"), "wrong", "ports"
    )
    _beat(path)
    assert f"127.0.0.1:{number} (the staff's pages) is the running service's" in _said(
        _of(machine, path, "ports"), "good", "ports"
    )


# Certificates, and the gateway


def test_a_certificate_that_soon_expires_or_stands_in_for_another(machine: Machine, path: Path) -> None:
    soon = make_identity("Sender", now=NOW, days=10)
    placeholder = make_identity("Placeholder for production: put your own certificate here", now=NOW)
    (path.parent / "certs" / "01-prod-rsa3072.cer").write_bytes(soon.certificate)
    (path.parent / "certs" / "10-prod-next-rsa3072.cer").write_bytes(placeholder.certificate)
    said = _said(_of(machine, path, "certificates"), "warning", "certificates")
    assert any("expires in 10 days" in what for what in said)
    assert any("stands in for the sender's certificate" in what for what in said)


def _gateway(path: Path, url: str, **more: str) -> None:
    change(path, {"gateway": {"kind": "http", "http": {"url": url, "token_file": "token", **more}}})
    (path.parent / "token").write_text("sesame\n")
    (path.parent / "token").chmod(0o400)


def test_a_gateway_is_asked_only_where_it_is_wanted(machine: Machine, path: Path, number: int) -> None:
    _gateway(path, f"http://127.0.0.1:{number}/texts")
    assert _said(_of(machine, path, "gateway"), "unknown", "gateway") == [
        f"http://127.0.0.1:{number}/texts was not asked"
    ]
    online = replace(machine, online=True)
    assert len(_said(_of(online, path, "gateway"), "good", "gateway")) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_gateway_that_cannot_be_reached(machine: Machine, path: Path, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        number = closed.getsockname()[1]
    _gateway(path, f"{scheme}://127.0.0.1:{number}/texts")
    said = _said(_of(replace(machine, online=True), path, "gateway"), "wrong", "gateway")
    assert said == [f"{scheme}://127.0.0.1:{number}/texts cannot be reached: connection refused"]


def test_a_gateway_whose_certificate_nobody_vouches_for(machine: Machine, path: Path, tmp_path: Path) -> None:
    identity = certificates.make(tmp_path, "unknown.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            peer, _ = listening.accept()
            try:
                context.wrap_socket(peer, server_side=True).close()
            except OSError:
                peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        problem = doctor_service._unreachable(f"https://127.0.0.1:{listening.getsockname()[1]}/", None)
        thread.join()
    assert problem is not None
    assert "certificate" in problem


# As a command


def test_the_command_says_it_in_words_and_in_rows(carebell: Carebell, path: Path) -> None:
    (path.parent / "carebell.key").unlink()
    ended = carebell("doctor", "-c", path)
    assert ended.code == 1
    assert "WRONG   " in ended.out
    assert "to mend it: restore the key file from its backup" in ended.out
    rows = carebell("doctor", "-c", path, "--json")
    assert rows.code == 1
    assert {tuple(row) for row in rows.rows} == {("check", "state", "what", "mend")}
    assert any(row["check"] == "key" and row["state"] == "wrong" for row in rows.rows)


def test_without_a_configuration_there_is_one_finding(carebell: Carebell) -> None:
    ended = carebell("doctor", "--json")
    assert (ended.code, [row["check"] for row in ended.rows]) == (1, ["configuration"])


def test_what_may_not_be_looked_at_does_not_hide_the_rest(
    machine: Machine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(*_: object) -> Iterator[DoctorFinding]:
        raise PermissionError(13, "Permission denied", "/etc/carebell/secrets")

    monkeypatch.setattr("carebell.commands.doctor.CHECKS", (files, doctor_machine.key))
    assert [(one.check, one.state) for one in _of(machine, path)] == [("files", "unknown"), ("key", "good")]


def test_the_secrets_that_the_unit_hands_over_need_not_be_the_account_s(
    machine: Machine, path: Path, tmp_path: Path
) -> None:
    secrets = tmp_path / "clinic" / "secrets"
    secrets.mkdir()
    (path.parent / "carebell.key").rename(secrets / "carebell.key")
    change(path, {"storage": {"key_file": "secrets/carebell.key"}})
    other = replace(machine, account=OTHER)
    assert any("does not hand it over" in what for _, what in _wrong(other, path, "files"))
    unit = machine.unit.read_text().replace("/etc/carebell/secrets", str(secrets))
    machine.unit.write_text(unit)
    assert not any("does not hand it over" in what for _, what in _wrong(other, path, "files"))
