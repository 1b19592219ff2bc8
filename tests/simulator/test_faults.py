"""Each fault as the real client meets it, and what the ledger knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException

from simulator.account import AccountSettings
from simulator.faults import ACCEPTS, FaultPlan, ScriptedFault, read_plan
from simulator.twilio_api import RunningSimulator
from tests.simulator.client import twilio_client
from tests.simulator.conftest import ACCOUNT, PATIENT, SENDER

CUT_OFF = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.fixture
def hasty(simulator: RunningSimulator, settings: AccountSettings) -> Iterator[Any]:
    """A client that waits half a second."""
    with twilio_client(simulator.url, settings.account_sid, settings.auth_token, timeout=0.5) as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        (ScriptedFault.RESET_BEFORE, CUT_OFF, None, None),
        (ScriptedFault.ERROR_500_BEFORE, TwilioRestException, 500, 20500),
        (ScriptedFault.TOO_MANY_REQUESTS, TwilioRestException, 429, 20429),
        (ScriptedFault.UNAVAILABLE, TwilioRestException, 503, 20503),
        (ScriptedFault.ACCEPT_THEN_TIMEOUT, requests.exceptions.ReadTimeout, 201, None),
        (ScriptedFault.ACCEPT_THEN_RESET, CUT_OFF, 201, None),
        (ScriptedFault.ERROR_500_AFTER, TwilioRestException, 500, None),
        (ScriptedFault.HALF_RESPONSE, CUT_OFF, 201, None),
        (ScriptedFault.SLOW, None, 201, None),
    ],
    ids=lambda value: value.value if isinstance(value, ScriptedFault) else "",
)
def test_a_fault_is_seen_by_the_client_and_told_truly_by_the_ledger(
    hasty: Any,
    simulator: RunningSimulator,
    fault: ScriptedFault,
    error: type[Exception] | tuple[type[Exception], ...] | None,
    status: int | None,
    code: int | None,
) -> None:
    simulator.faults(FaultPlan(by_request={1: fault}, slow_seconds=0.05))
    if error is None:
        hasty.messages.create(to=PATIENT, from_=SENDER, body="x")
    else:
        with pytest.raises(error) as caught:
            hasty.messages.create(to=PATIENT, from_=SENDER, body="x")
        if isinstance(caught.value, TwilioRestException):
            assert (caught.value.status, caught.value.code) == (status, code or 20500)
    (received,) = simulator.ledger.received
    assert (received.fault, received.status, received.code) == (fault.value, status, code)
    taken = len(simulator.ledger.accepted)
    assert taken == len(simulator.messages) == (1 if fault in ACCEPTS else 0)
    assert (received.sid is not None) == bool(taken)
    hasty.messages.create(to=PATIENT, from_=SENDER, body="again")  # the next one goes well
    assert len(simulator.ledger.accepted) == taken + 1


def test_every_fault_is_covered_above() -> None:
    marks = test_a_fault_is_seen_by_the_client_and_told_truly_by_the_ledger.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(ScriptedFault)


def test_faults_by_recipient_come_first_and_in_order(client: Any, simulator: RunningSimulator) -> None:
    simulator.faults(
        FaultPlan(
            by_recipient={PATIENT: [None, ScriptedFault.UNAVAILABLE]},
            by_request={1: ScriptedFault.ERROR_500_BEFORE, 4: ScriptedFault.SLOW},
        )
    )
    simulator.faults(
        read_plan({"by_recipient": {PATIENT: [None, "unavailable"]}, "by_request": {"3": "error_500_before"}})
    )
    client.messages.create(to=PATIENT, from_=SENDER, body="x")
    for expected in (503, 500):
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to=PATIENT, from_=SENDER, body="x")
        assert caught.value.status == expected
    client.messages.create(to=PATIENT, from_=SENDER, body="x")
    assert [r.fault for r in simulator.ledger.received] == [None, "unavailable", "error_500_before", None]


def test_a_seed_gives_the_same_faults_and_about_their_share() -> None:
    def drawn(seed: int) -> list[ScriptedFault | None]:
        plan = FaultPlan(rates={ScriptedFault.UNAVAILABLE: 0.2, ScriptedFault.HALF_RESPONSE: 0.1}, seed=seed)
        return [plan.next_create(number, PATIENT) for number in range(1, 2001)]

    assert drawn(3) == drawn(3) != drawn(4)
    assert 300 < drawn(3).count(ScriptedFault.UNAVAILABLE) < 500
    assert 120 < drawn(3).count(ScriptedFault.HALF_RESPONSE) < 280


@pytest.mark.parametrize(
    "rates",
    [{ScriptedFault.SLOW: -0.1}, {ScriptedFault.SLOW: 0.6, ScriptedFault.UNAVAILABLE: 0.6}],
    ids=["below", "above"],
)
def test_rates_are_shares(rates: dict[ScriptedFault, float]) -> None:
    with pytest.raises(ValueError, match="fault rates"):
        FaultPlan(rates=rates)


def test_reads_fail_only_when_the_plan_says_every(client: Any, simulator: RunningSimulator) -> None:
    simulator.faults(FaultPlan(rates={ScriptedFault.UNAVAILABLE: 1.0}))
    assert client.messages.list() == []
    simulator.faults(FaultPlan(rates={ScriptedFault.UNAVAILABLE: 1.0}, every=True))
    with pytest.raises(TwilioException, match="HTTP 503"):  # the client's lists raise no TwilioRestException
        client.messages.list()
    simulator.faults(FaultPlan(rates={ScriptedFault.RESET_BEFORE: 1.0}, every=True))
    with pytest.raises(requests.exceptions.ConnectionError):
        client.messages.list()


def test_faults_can_be_set_from_outside(client: Any, simulator: RunningSimulator) -> None:
    given: dict[str, Any] = {
        "by_request": {"1": "too_many_requests"},
        "seed": 2,
        "slow_seconds": 0.1,
        "hold_seconds": 1,
    }
    assert requests.post(f"{simulator.url}/simulator/faults", json=given, timeout=20).json() == {"ok": True}
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=PATIENT, from_=SENDER, body="x")
    assert caught.value.status == 429


def test_a_refusal_can_be_cut_off_too(hasty: Any, simulator: RunningSimulator) -> None:
    """What is ambiguous for the client is not for the ledger: nothing was taken."""
    simulator.faults(FaultPlan(by_request={1: ScriptedFault.HALF_RESPONSE}))
    with pytest.raises(CUT_OFF):
        hasty.messages.create(to="+1", from_=SENDER, body="x")
    assert [(r.status, r.code) for r in simulator.ledger.received] == [(400, 21211)]
    assert simulator.ledger.accepted == ()


def test_the_account_is_named_in_no_repr(settings: AccountSettings) -> None:
    assert "t0ken" not in repr(settings)
    assert ACCOUNT in repr(settings)
