"""A node is killed with texts in its hands: the other one waits for its lease, asks the gateway, and sends nothing twice.

The simulated Twilio's ledger is the truth. The victim is a process of its own; who takes over runs in the test, whose clock it
moves over the lease instead of waiting for it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.outbound.delivery import DeliveryRecorder
from carebell.outbound.dispatcher import LEASE
from carebell.outbound.recipient import recipient_of
from carebell.outbound.reconciliation import Reconciliation
from journal.logs import Journal
from journal.metrics import Metrics
from notifier.gateway import Gateway
from scheduler.sms import SmsState
from simulator.account import AccountSettings
from simulator.faults import FaultPlan, ScriptedFault
from simulator.twilio_api import RunningSimulator, running_simulator
from store import attempts, outbox
from tests.faults.launch import EXIT
from tests.faults.node import LAUNCH, PATIENCE, Node, write_configuration
from tests.faults.senders import Hospital, send_all
from tests.story.clinic import Clinic, opened

ACCOUNT, TOKEN = "AC" + "1f" * 16, "t0ken"
TEXTS = 5


@pytest.fixture
def twilio() -> Iterator[RunningSimulator]:
    with running_simulator(AccountSettings(account_sid=ACCOUNT, auth_token=TOKEN)) as running:
        yield running


def _configured(folder: Path, hospital: Hospital, url: str, twilio: RunningSimulator) -> Path:
    section = {
        "account_sid": ACCOUNT, "auth_token_file": "twilio.token", "api_base_url": twilio.url,
        "public_url": "https://sms.lamna.example", "timeout": "30s",
    }  # fmt: skip
    gateway = {"kind": "twilio", "twilio": section}
    path = write_configuration(folder, [hospital.identity.certificate], url=url, gateway=gateway)
    token = folder / "twilio.token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o400)
    return path


def _beside(configuration: Path, folder: Path, hospital: Hospital, url: str, twilio: RunningSimulator) -> Path:
    """Another node's folder with the same key."""
    folder.mkdir()
    (folder / "carebell.key").write_bytes((configuration.parent / "carebell.key").read_bytes())
    (folder / "carebell.key").chmod(0o400)
    return _configured(folder, hospital, url, twilio)


async def test_killed_while_the_gateway_has_not_answered(url: str, tmp_path: Path, twilio: RunningSimulator) -> None:
    hospital = Hospital()
    configuration = _configured(tmp_path / "victim", hospital, url, twilio)
    # Accepted, and never answered while the victim lives: as when a machine dies in the middle of a POST.
    twilio.faults(FaultPlan(rates={ScriptedFault.ACCEPT_THEN_TIMEOUT: 1.0}, hold_seconds=600.0))
    victim = Node(configuration, roles="listener,dispatcher")
    await send_all(victim.port, hospital, [hospital.write(number) for number in range(TEXTS)])
    await asyncio.to_thread(_until_taken, twilio, TEXTS)
    victim.kill()
    twilio.faults(FaultPlan())
    async with opened(
        _beside(configuration, tmp_path / "other", hospital, url, twilio), at=datetime.now(UTC), alone=False
    ) as other:
        await _tick(other)
        assert _confirmations(other) == {SmsState.SENDING: TEXTS}  # the lease may still be somebody's
        other.clock.move_to(other.clock.now() + LEASE + timedelta(seconds=1))
        await _tick(other)
        other.clock.move_to(other.clock.now() + attempts.RESOLVE_AFTER)
        await _tick(other)
        found = _confirmations(other)
        assert set(found) <= {SmsState.ACCEPTED, SmsState.SENT, SmsState.DELIVERED}
        assert found.total() == TEXTS
        assert len(other.events("sms_resolved")) == TEXTS
    assert len(twilio.ledger.accepted) == TEXTS


async def test_killed_between_the_claim_and_the_create(url: str, tmp_path: Path, twilio: RunningSimulator) -> None:
    hospital = Hospital()
    configuration = _configured(tmp_path / "victim", hospital, url, twilio)
    listener = Node(configuration, roles="listener")
    await send_all(listener.port, hospital, [hospital.write(number) for number in range(TEXTS)])
    listener.stop()
    victim = Node(configuration, roles="dispatcher", program=LAUNCH, environment={**os.environ, EXIT: "claimed:1"})
    assert victim.ended() != 0
    async with opened(
        _beside(configuration, tmp_path / "other", hospital, url, twilio), at=datetime.now(UTC), alone=False
    ) as other:
        await _tick(other)
        assert _confirmations(other) == {SmsState.SENDING: TEXTS}
        for wait in (LEASE + timedelta(seconds=1), attempts.RESOLVE_AFTER, attempts.RESOLVE_AFTER):
            other.clock.move_to(other.clock.now() + wait)
            await _tick(other)
        # Not in the gateway's list: nobody can know that it will never be; a booking is not sent on suspicion.
        assert _confirmations(other) == {SmsState.UNKNOWN: TEXTS}
        assert [line["alarm"] for line in other.events("alarm_raised")] == ["sms_unknown"] * TEXTS
    assert len(twilio.ledger.accepted) == 0


async def _tick(clinic: Clinic) -> None:
    """The dispatcher's and the reconciliation's."""
    service = clinic.service
    await service.dispatcher.tick()
    gateway: Gateway = service.dispatcher._gateway
    journal: Journal = service.journal
    reconciliation = Reconciliation(
        store=service.store,
        vault=service.vault,
        runtime_config=lambda: service.runtime_config,
        gateway=gateway,
        delivery=DeliveryRecorder(journal, Metrics()),
        clock=clinic.clock,
        journal=journal,
        recipient=recipient_of,
    )
    await asyncio.to_thread(reconciliation.round)


def _confirmations(clinic: Clinic) -> Counter[SmsState]:
    with clinic.service.store.read() as conn:
        return Counter(row.state for row in outbox.rows(conn) if row.kind.value != "reminder")


def _until_taken(twilio: RunningSimulator, count: int) -> None:
    begun = time.monotonic()
    while len(twilio.ledger.accepted) < count:
        assert time.monotonic() - begun < PATIENCE, "the texts never came"
        time.sleep(0.02)
