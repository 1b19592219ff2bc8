"""No text leaves under facts that nobody approved; none is lost while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell import authors
from carebell.outbound import approval_holds, manual_holds
from carebell.outbound.approval_holds import SettledHolds
from ehr.fingerprint import ApprovedFacts, fingerprint
from scheduler.sms import HoldScope, SmsState
from store import approvals, holds
from store.approvals import ApprovalState, ApprovalStep, Proof
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
AUTHOR = authors.service("node")


@pytest.fixture
def twilio() -> PocketTwilio:
    return PocketTwilio(now=lambda: NOW)


@pytest.fixture
def service(tmp_path: Path, twilio: PocketTwilio) -> Iterator[Pieces]:
    changes = {"environments": {"production": {"approval": {"required": True, "approvers": ["dana"]}}}}
    sms = {"debounce": "0s", "reminders": []}
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms=sms, changes=changes) as made:
        twilio.now = made.clock.now
        yield made


def book(service: Pieces) -> None:
    message = unsigned("S12", "one", sent=service.now, start=NOW + timedelta(days=9), reference="A1", phone=PHONE)
    service.hear(message)


def facts_of(service: Pieces) -> ApprovedFacts:
    facts = service.runtime_config.policies["production"].facts
    assert facts is not None
    return facts


def settle(service: Pieces) -> SettledHolds:
    with service.store.write() as conn:
        return approval_holds.settle(conn, service.runtime_config, AUTHOR, at=service.now)


def approve(service: Pieces, facts: ApprovedFacts) -> None:
    with service.store.write() as conn:
        for state in (ApprovalState.PROVED, ApprovalState.APPROVED):
            step = ApprovalStep(
                environment="production", fingerprint=fingerprint(facts), facts=facts.to_json(), state=state,
                actor="portal:dana", at=service.now, proof=Proof.MESSAGE, proof_facts="{}",
            )  # fmt: skip
            assert approvals.add(conn, step) is not None


def approval_hold(service: Pieces) -> list[str]:
    with service.store.read() as conn:
        return [hold.name for hold in holds.held(conn) if hold.scope is HoldScope.APPROVAL]


def test_texts_wait_for_the_approval_and_leave_after_it(service: Pieces, twilio: PocketTwilio) -> None:
    book(service)
    service.tick()  # no beat has placed the hold yet: the claim asks for itself
    assert service.count(SmsState.DUE) == 1
    assert settle(service) == SettledHolds(placed=("production",))
    assert settle(service) == SettledHolds()
    assert approval_hold(service) == ["production"]
    approve(service, facts_of(service))
    assert settle(service) == SettledHolds(ended=("production",))
    service.step(timedelta(minutes=10))
    service.tick()
    assert service.count(SmsState.DUE) == 0
    assert len(service.texts()) == 1


def test_another_fingerprint_waits_anew(service: Pieces) -> None:
    approve_first = facts_of(service)
    settle(service)
    approve(service, approve_first)
    assert settle(service) == SettledHolds(ended=("production",))
    policy = service.runtime_config.policies["production"]
    changed = replace(policy, facts=replace(approve_first, sms_from="+14255550199"))
    with service.store.write() as conn:
        trial = replace(service.runtime_config, policies={"production": changed})
        assert approval_holds.unapproved(conn, trial) == {"production"}
        assert approval_holds.settle(conn, trial, AUTHOR, at=service.now).placed == ("production",)
        assert approvals.current(conn, "production").state is ApprovalState.AWAITING  # type: ignore[union-attr]  # it was asked for
    # The configuration of before, on another node: approved still.
    with service.store.read() as conn:
        assert approval_holds.unapproved(conn, service.runtime_config) == frozenset()


def test_nobody_releases_an_approval(service: Pieces) -> None:
    settle(service)
    configured = {"production": service.runtime_config.policies["production"].environment}
    for environment in (None, "production"):
        with service.store.write() as conn:
            released = manual_holds.release(conn, AUTHOR, environment, configured, at=service.now)
        assert released.outcome == "was-not"
    assert approval_hold(service) == ["production"]


def test_an_environment_that_needs_none_costs_no_read(service: Pieces) -> None:
    free = {name: replace(policy, facts=None) for name, policy in service.runtime_config.policies.items()}
    assert approval_holds.unapproved(None, replace(service.runtime_config, policies=free)) == frozenset()  # type: ignore[arg-type]  # not used
