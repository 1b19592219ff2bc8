"""What is measured without a load client: the disk, the raw costs, dispatching and starting with many rows."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.messages import Messages, read_messages
from carebell.bootstrap import components
from carebell.bootstrap.service import Service
from carebell.inbound import trust
from carebell.maintenance.periodic import Pace
from carebell.outbound import budgets
from journal.logs import setup
from journal.metrics import Metrics
from notifier.gateway import Accepted, Receipt, Resend, SentMessage, Sms
from parser.phone_number import PhoneNumber
from scheduler.clock import RealClock
from simulator.patients import fictitious_number
from store.appointment_repository import Save, save
from tests.faults.node import environment_of, write_configuration
from tests.store.samples import appointment, first, reminder


def fdatasync_milliseconds(folder: Path, count: int = 200) -> tuple[float, float]:
    """(median, p99) of appending 4 KB and syncing it, on the disk of `folder`."""
    file = os.open(folder / "synced", os.O_WRONLY | os.O_CREAT, 0o600)
    times = []
    for _ in range(count):
        os.write(file, bytes(4096))
        begun = time.perf_counter()
        os.fdatasync(file)
        times.append((time.perf_counter() - begun) * 1000)
    os.close(file)
    times.sort()
    return statistics.median(times), times[int(count * 0.99)]


def signature_seconds(messages: Messages, count: int) -> float:
    """Of one signature's check, by the library's call alone."""
    key = x509.load_pem_x509_certificate(messages.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    signed = []
    for frame in islice(read_messages(messages.file), count):
        content, _, values = frame[1:-3].rpartition(b"ZSG|1|")
        header, _, signature = values.partition(b"..")
        signed.append((base64.urlsafe_b64decode(signature + b"=="), header + b"." + _base64url(content)))
    padding, digest = PKCS1v15(), SHA256()
    begun = time.perf_counter()
    for signature, data in signed:
        key.verify(signature, data, padding, digest)
    return (time.perf_counter() - begun) / len(signed)


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def verify_seconds(folder: Path, messages: Messages, count: int) -> float:
    """Of one message: signature and every check up to parsing, nothing else running."""
    loaded = components.load(write_configuration(folder, [messages.certificate]))
    keeper = trust.message_validator(loaded, ["production"], datetime.now(UTC))
    contents = [frame[1:-2] for frame in islice(read_messages(messages.file), count)]
    now, begun = datetime.now(UTC), time.perf_counter()
    for content in contents:
        keeper.verifier.verify(content, received_at=now, peer_thumbprint=None)
    return (time.perf_counter() - begun) / len(contents)


def judge_seconds(folder: Path, messages: Messages, count: int) -> float:
    """Of one message: verification and reading the event, as the listener does it."""
    loaded = components.load(write_configuration(folder, [messages.certificate]))
    keeper = trust.message_validator(loaded, ["production"], datetime.now(UTC))
    contents = [frame[1:-2] for frame in islice(read_messages(messages.file), count)]
    now, begun = datetime.now(UTC), time.perf_counter()
    refused = [
        validated.refused for content in contents if (validated := keeper.validate(content, now)).refused is not None
    ]
    elapsed = time.perf_counter() - begun
    if refused:
        raise RuntimeError("the benchmark's own messages are refused")
    return elapsed / len(contents)


def raw_commit_seconds(folder: Path, count: int, group: int = 100) -> float:
    """Of one message's four rows through the standard library alone: `synchronous=FULL`, a commit for each `group`."""
    conn = sqlite3.connect(folder / "raw.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        conn.execute(f"PRAGMA {pragma}")
    for table in ("memory", "appointments", "aliases", "outbox"):
        conn.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, body BLOB NOT NULL)")
    rows = [(secrets.token_hex(16), os.urandom(200)) for _ in range(count)]
    begun = time.perf_counter()
    for some in batched_rows(rows, group):
        conn.execute("BEGIN IMMEDIATE")
        for table in ("memory", "appointments", "aliases", "outbox"):
            conn.executemany(f"INSERT INTO {table} VALUES (?, ?)", some)
        conn.execute("COMMIT")
    elapsed = time.perf_counter() - begun
    conn.close()
    return elapsed / count


def batched_rows(rows: list[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    """Python 3.11 has no itertools.batched."""
    return (rows[at : at + size] for at in range(0, len(rows), size))


class InstantGateway:
    """A gateway that takes everything at once: what is measured is ours."""

    resends = Resend.CANCELLATIONS

    def send(self, sms: Sms) -> Receipt:
        return Accepted(message_id=f"instant-{sms.id}")

    def fetch(self, message_id: str) -> SentMessage | None:
        return None

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        return []

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


def fill(folder: Path, certificate: bytes, *, due: int, waiting: int) -> Path:
    """A database with `due` reminders due now and `waiting` in the future, each of an appointment of its own; the configuration.

    Those due are real in every column. Of those that wait, all but the first are copies whose sealed columns nobody can open:
    nothing opens them before they are due.
    """
    configuration = write_configuration(folder, [certificate], gateway={"segments_per_second": {}})
    loaded = components.load(configuration)
    vault, store = components.open_vault(loaded), components.open_database(loaded, upgrade=True)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    try:
        for numbers in (range(at, min(at + 500, due)) for at in range(0, due, 500)):
            saves = [due_at(number, now, now) for number in numbers]
            with store.write() as conn:
                save(conn, vault, saves, [], now)
        if waiting:
            with store.write() as conn:
                later = appointment(due, start=now + timedelta(days=20), changed_at=now, planned_at=now)
                save(conn, vault, [first(later, reminder(due=now + timedelta(days=19)))], [], now)
    finally:
        store.close()
    if waiting > 1:
        _copy(folder / "data" / "carebell.db", f"R{due}", waiting - 1)
    return configuration


def due_at(number: int, due: datetime, now: datetime) -> Save:
    """Appointment `number`, stored now, and its only text."""
    phone = PhoneNumber(fictitious_number(number), "mobile")
    visit = appointment(number, start=due + timedelta(hours=24), phone=phone, changed_at=now, planned_at=now)
    return first(visit, reminder(due=due))


def _copy(file: Path, reference: str, count: int) -> None:
    """`count` copies of one appointment and its row."""
    conn = sqlite3.connect(file)
    numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c)"
    own = "printf('%032x', numbers.n)"
    replaced = {
        "appointments": {"id": own, "reference": "'X' || numbers.n", "aliases": "'[]'"},
        "outbox": {"id": own, "appointment": own, "reference": "'X' || numbers.n"},
    }
    for table, changes in replaced.items():
        names = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
        values = [changes.get(name, f"t.{name}") for name in names]
        quoted = ", ".join(f'"{name}"' for name in names)
        values = [value if value in changes.values() else f't."{value[2:]}"' for value in values]
        conn.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {', '.join(values)} FROM {table} t, {numbers} numbers WHERE t.reference = ?",
            (reference,),
        )
    conn.commit()
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


@contextmanager
def _quiet_service(configuration: Path) -> Iterator[Service]:
    """Built without its periodic tasks: whatever runs is what the caller calls."""
    with setup(now=RealClock().now, file=configuration.with_name("bench.log")) as journal:
        yield Service(
            loaded=components.load(configuration), journal=journal, metrics=Metrics(), roles=frozenset({"portal"}),
            gateway=InstantGateway(), reloads=False, pace=Pace(dispatch=3600, reconciliation=3600, purge=3600),
        )  # fmt: skip


@contextmanager
def unlimited() -> Iterator[None]:
    """No sender may send as fast as this lets it; what is measured is ours."""
    real = budgets.default_rate  # type: ignore[attr-defined]
    budgets.default_rate = lambda sender: 1e6  # type: ignore[attr-defined]
    try:
        yield
    finally:
        budgets.default_rate = real  # type: ignore[attr-defined]


def dispatch(configuration: Path, due: int) -> tuple[float, float]:
    """(texts a second claimed, rendered, handed over and recorded; milliseconds of a tick that finds nothing due)."""

    async def run(service: Service) -> tuple[float, float]:
        await service.start()
        try:
            begun = time.perf_counter()
            taken = await service.dispatcher.tick()
            busy = time.perf_counter() - begun
            if taken != due:
                raise RuntimeError(f"{taken} texts were handed over, {due} were due")
            idle = []
            for _ in range(20):
                begun = time.perf_counter()
                await service.dispatcher.tick()
                idle.append((time.perf_counter() - begun) * 1000)
            return due / busy, statistics.median(idle)
        finally:
            await service.stop()

    with unlimited(), _quiet_service(configuration) as service:
        return asyncio.run(run(service))


def start_up(configuration: Path) -> tuple[float, float]:
    """(seconds from the command to the listening port, megabytes resident then)."""
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "carebell",
        "serve",
        "-c",
        str(configuration),
        "--roles",
        "listener,dispatcher,housekeeping",
    ]
    with (configuration.with_name("errors")).open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment_of(os.environ)
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    elapsed = time.perf_counter() - begun
    status = Path(f"/proc/{process.pid}/status").read_text() if "listening" in line else ""
    process.terminate()
    process.wait(60)
    process.stdout.close()
    if not status:
        raise RuntimeError("the service did not start")
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return elapsed, int(memory.split()[1]) / 1024


def command_seconds(*words: str, times: int) -> float:
    """The median of running `carebell WORDS`."""
    took, environment = [], environment_of(os.environ)
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "carebell", *words], check=True, capture_output=True, env=environment)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)
