"""Our own gateway against the simulator: what it says of each send, against the ledger's truth, fault after fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from notifier.gateway import Accepted, Ambiguous, NotSent, Receipt, Refused, Sms
from notifier.twilio.codes import refusal_of
from notifier.twilio.credentials import Credentials
from notifier.twilio.gateway import TwilioGateway
from notifier.twilio.http import BoundedHttpClient, make_client
from parser.phone_number import PhoneNumber
from simulator.account import AccountSettings
from simulator.faults import FaultPlan, ScriptedFault
from simulator.patients import fictitious_number
from simulator.twilio_api import RunningSimulator
from tests.simulator.conftest import ACCOUNT, NOW, SENDER, SERVICE, HandClock

ROUNDS = 200


@pytest.fixture
def gateway(simulator: RunningSimulator, settings: AccountSettings) -> Iterator[TwilioGateway]:
    http = BoundedHttpClient(simulator.url, 1.0)
    made = TwilioGateway(
        make_client(Credentials(account_sid=ACCOUNT, tokens=("t0ken",)), http), http, "https://a.example"
    )
    yield made
    made.close()


def sms(row: int, sender: str = SENDER, to: str | None = None) -> Sms:
    return Sms(
        id=f"row-{row}",
        attempt=1,
        environment="production",
        appointment="1",
        kind="reminder",
        to=PhoneNumber(to or fictitious_number(row)),
        sender=sender,
        body="Lamna Healthcare: your visit is tomorrow.",
        segments=1,
        valid_for=timedelta(hours=9),
        due=NOW,
    )


def settle(gateway: TwilioGateway, asked: Sms, receipt: Receipt) -> set[str] | None:
    """The sids that our side believes in; None: it does not know."""
    match receipt:
        case Accepted():
            return {receipt.message_id}
        case Ambiguous():
            found = gateway.find(asked, NOW)
            return None if found is None else {message.message_id for message in found}
        case NotSent() | Refused():
            return set()


@pytest.mark.parametrize("sender", [SENDER, SERVICE], ids=["number", "service"])
def test_no_receipt_contradicts_the_ledger(
    gateway: TwilioGateway, simulator: RunningSimulator, clock: HandClock, sender: str
) -> None:
    """F10 and F11: every fault among 200 sends; none is doubled, and looking an unclear one up finds just what was taken."""
    rare = {ScriptedFault.ACCEPT_THEN_TIMEOUT: 0.02, ScriptedFault.SLOW: 0.0}  # a time-out costs real time
    simulator.faults(FaultPlan(rates={fault: rare.get(fault, 0.08) for fault in ScriptedFault}, seed=11))
    sent = [(asked := sms(row, sender), gateway.send(asked)) for row in range(ROUNDS)]
    clock.move(hours=1)
    taken: dict[str, set[str]] = {}
    for record in simulator.ledger.accepted:
        taken.setdefault(str(record.marker), set()).add(record.sid)
    assert {fault for r in simulator.ledger.received if (fault := r.fault)} == {
        f.value for f in ScriptedFault if f is not ScriptedFault.SLOW
    }
    assert [r.number for r in simulator.ledger.received] == list(range(1, ROUNDS + 1))
    for asked, receipt in sent:
        assert settle(gateway, asked, receipt) == taken.get(asked.id, set())
    assert max(len(sids) for sids in taken.values()) == 1
    assert Counter(type(receipt) for _, receipt in sent).keys() == {Accepted, Refused, Ambiguous}


def test_a_simulator_that_is_gone_took_nothing(gateway: TwilioGateway, simulator: RunningSimulator) -> None:
    http = BoundedHttpClient("http://127.0.0.1:1", 0.3)
    away = TwilioGateway(make_client(Credentials(account_sid=ACCOUNT, tokens=("t0ken",)), http), http, None)
    assert isinstance(away.send(sms(1)), NotSent)
    away.close()
    assert simulator.ledger.received == ()


def test_an_opted_out_patient_is_refused_and_a_final_text_is_forgotten(
    gateway: TwilioGateway, simulator: RunningSimulator, clock: HandClock
) -> None:
    simulator.receive(fictitious_number(7), SENDER, "STOP")
    assert gateway.send(sms(7)) == Refused(failure=refusal_of(21610, 400))
    receipt = gateway.send(sms(8))
    assert isinstance(receipt, Accepted)
    assert not gateway.forget(receipt.message_id)
    clock.move(hours=1)
    shown = gateway.fetch(receipt.message_id)
    assert shown is not None
    assert shown.status == "delivered"
    assert gateway.forget(receipt.message_id)
    assert gateway.fetch(receipt.message_id) is None
