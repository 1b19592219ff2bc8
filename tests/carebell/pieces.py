"""The service's pieces without sockets: signed bytes in at one end, the simulated Twilio's ledger at the other, time in our hand.

Everything between is the service's own: gatekeeper, registry, SQLite, dispatcher, webhooks, aftercare, housekeeping.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from carebell import wiring
from carebell.aftercare import Aftercare
from carebell.bad_numbers import BadNumbers
from carebell.desk import Offices, offices
from carebell.housekeeping import Housekeeper
from carebell.inbound import Effect, Gatekeeper, Judged, Registry
from carebell.outbound import Dispatcher, recipient_of
from carebell.posting import Posting
from carebell.settling import Settler
from carebell.webhooks import Webhooks
from certs.algorithms import PrivateKey
from certs.cer import inspect
from certs.certificate import SigningCertificate
from certs.sign import sign
from config.load import Loaded
from journal.logs import Journal, setup
from journal.metrics import Metrics
from notifier.gateway import Gateway
from scheduler.clock import SteppingClock
from scheduler.messages import State
from simulator.ehr import Identity, make_identity
from store import outbox
from store.engine import Store
from store.outbox_row import OutboxRow
from store.vault import Vault
from tests.story import folder as clinic_folder
from tests.story.folder import Changes

BORN: Final = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
"""When the throwaway signing key was made; it is valid for a year from the day before."""

RESOLVED: Final = timedelta(minutes=5)
"""By then the gateway's list was asked more than once."""


@cache
def identity() -> Identity:
    return make_identity(now=BORN, bits=2048)


@dataclass(slots=True, kw_only=True)
class Pieces:
    """Attributes: refused: answers of messages that were not stored."""

    clock: SteppingClock
    offices: Offices
    gatekeeper: Gatekeeper
    registry: Registry
    store: Store
    vault: Vault
    gateway: Gateway
    settler: Settler
    dispatcher: Dispatcher
    aftercare: Aftercare
    housekeeper: Housekeeper
    webhooks: Webhooks
    metrics: Metrics
    log: Path
    refused: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # In

    def hear(self, *contents: bytes) -> list[Judged]:
        """Take unsigned messages in, one transaction each, signed by the hospital."""
        judged = [self.gatekeeper.judge(signed(content), self.now) for content in contents]
        for one in judged:
            self.commit(one)
        return judged

    def commit(self, one: Judged) -> Effect | None:
        if one.event is None:
            assert one.refused is not None
            self.refused.append(one.refused.text)
            return None
        with self.store.write() as conn:
            return self.registry.commit_group(conn, [one])[0]

    # Time

    def step(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        self.clock.move_to(to or self.now + (by or timedelta()))

    def tick(self) -> int:
        """One round of the dispatcher; how many texts the gateway took."""
        return asyncio.run(self.dispatcher.tick())

    def next_due(self) -> datetime | None:
        with self.store.read() as conn:
            return outbox.next_due(conn)

    # What is stored

    def rows(self, reference: str | None = None) -> list[OutboxRow]:
        with self.store.read() as conn:
            return list(outbox.rows(conn, appointment=reference))

    def told(self, reference: str | None = None) -> list[tuple[str, str, str]]:
        """(kind, state, reason) by due; texts that wait have the reason why they go."""
        return [(row.kind.value, row.state.value, row.reason.value) for row in self.rows(reference)]

    def count(self, state: State) -> int:
        return sum(row.state is state for row in self.rows())

    def count_open(self) -> int:
        """Texts whose fate is unknown and may still be found out."""
        with self.store.read() as conn:
            return sum(
                self.now - row.claimed_at < RESOLVED for row in outbox.rows(conn, state=State.UNKNOWN) if row.claimed_at
            )

    def events(self, name: str, **fields: str) -> int:
        """How many lines the journal has of an event with these fields."""
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
        return sum(line["event"] == name and line.items() >= fields.items() for line in lines)


def signed(content: bytes) -> bytes:
    certificate, key = _signer()
    return sign(content, key=key, certificate=certificate)


@cache
def _signer() -> tuple[SigningCertificate, PrivateKey]:
    certificate = inspect(identity().certificate, BORN).certificate
    key = load_pem_private_key(identity().key, None)
    assert certificate is not None
    assert isinstance(key, RSAPrivateKey)
    return certificate, key


@contextmanager
def pieces(
    folder: Path,
    *,
    at: datetime,
    gateway: Gateway,
    sms: Changes | None = None,
    changes: Changes | None = None,
    clock: SteppingClock | None = None,
) -> Iterator[Pieces]:
    """The pieces over a database in `folder`, which may be used again after a crash.

    Args:
        sms: over production's shipped section. changes: over the whole configuration.
    """
    production: dict[str, Any] = {"certificates": ["certs/hospital.cer"], "sms": dict(sms or {})}
    fast = {"segments_per_second": {"+14255550100": 1000}}
    path = clinic_folder.make(folder, {"environments": {"production": production}, "gateway": fast})
    if changes:
        clinic_folder.change(path, changes)
    (folder / "certs" / "hospital.cer").write_bytes(identity().certificate)
    loaded = clinic_folder.load(path)
    clock, log = clock or SteppingClock(at), folder / "pieces.log"
    desks, vault, store = offices(loaded), wiring.open_vault(loaded), wiring.open_database(loaded, upgrade=True)
    with setup(now=clock.now, file=log, terminal=StringIO()) as journal, ThreadPoolExecutor(4) as executor:
        yield _put_together(folder, clock, log, desks, vault, store, gateway, journal, executor, loaded)
        store.close()


def _put_together(
    folder: Path,
    clock: SteppingClock,
    log: Path,
    desks: Offices,
    vault: Vault,
    store: Store,
    gateway: Gateway,
    journal: Journal,
    executor: ThreadPoolExecutor,
    loaded: Loaded,
) -> Pieces:
    metrics = Metrics()
    settler = Settler(journal, metrics, BadNumbers(vault=vault, offices=lambda: desks))
    return Pieces(
        clock=clock,
        offices=desks,
        gatekeeper=wiring.gatekeeper(loaded, ("production",), clock.now()),
        registry=Registry(vault, lambda: desks.desks, lambda: secrets.token_hex(16)),
        store=store,
        vault=vault,
        gateway=gateway,
        settler=settler,
        dispatcher=Dispatcher(
            store=store, vault=vault, offices=lambda: desks, gateway=gateway, settler=settler, clock=clock, node="n1",
            executor=executor, posting=Posting(), journal=journal, metrics=metrics, seconds=lambda: 0.0,
        ),
        aftercare=Aftercare(
            store=store, vault=vault, offices=lambda: desks, gateway=gateway, settler=settler, clock=clock,
            journal=journal, recipient=recipient_of,
        ),
        housekeeper=Housekeeper(
            store=store, vault=vault, clock=clock, node="n1", marker=folder / ".pulse", journal=journal,
            certificates=lambda _: None,
        ),
        webhooks=Webhooks(
            store=store, vault=vault, settler=settler, clock=clock, journal=journal, metrics=metrics
        ),
        metrics=metrics,
        log=log,
    )  # fmt: skip
