"""A code in a signed message of the environment proves access, for whoever was shown it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell import authors
from carebell.outbound import approval_holds
from carebell.outbound.approval_steps import NotApproved, Question, approve, prove, standing
from carebell.outbound.proof_codes import codes_in, proof_code
from ehr.fingerprint import fingerprint
from store.approvals import Proof
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DANA = authors.portal("dana", "192.0.2.7")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Pieces]:
    changes = {"environments": {"production": {"approval": {"required": True, "approvers": ["dana", "lee"]}}}}
    with pieces(tmp_path / "clinic", at=NOW, gateway=PocketTwilio(now=lambda: NOW), changes=changes) as made:
        with made.store.write() as conn:
            approval_holds.settle(conn, made.runtime_config, authors.service("node"), at=NOW)
        yield made


def question(service: Pieces) -> Question:
    facts = service.runtime_config.policies["production"].facts
    assert facts is not None
    return Question(environment="production", fingerprint=fingerprint(facts), facts=facts.to_json())


def code_of(service: Pieces, login: str = "dana", days: int = 0) -> str:
    at = service.now + timedelta(days=days)
    return proof_code(service.vault.ring, "production", question(service).fingerprint, login, at)


def state(service: Pieces) -> tuple[str, str]:
    with service.store.read() as conn:
        step = standing(conn, question(service), service.now)
    assert step is not None
    return step.state.value, step.actor


def message(service: Pieces, control_id: str, note: str = "") -> bytes:
    content = unsigned("S12", control_id, sent=service.now, start=NOW + timedelta(days=9), reference="A1", phone=PHONE)
    return content + (f"NTE|1||{note}\r".encode() if note else b"")


@pytest.mark.parametrize("in_note", [True, False])
@pytest.mark.parametrize("days", [0, -1])
def test_a_signed_message_with_the_code_proves_access(service: Pieces, in_note: bool, days: int) -> None:
    code = code_of(service, days=days)
    service.hear(message(service, "one", code) if in_note else message(service, code))
    assert state(service) == ("proved", "portal:dana")
    service.step(timedelta(minutes=31))
    assert state(service)[0] == "awaiting", "half an hour is over"


def test_what_proves_nothing(service: Pieces) -> None:
    other = proof_code(service.vault.ring, "test", question(service).fingerprint, "dana", service.now)
    facts = proof_code(service.vault.ring, "production", "0" * 64, "dana", service.now)
    for number, code in enumerate([code_of(service, "kim"), code_of(service, days=-2), other, facts, "BCDFGHJKLMNP"]):
        service.hear(message(service, f"m{number}", code))
        assert state(service)[0] == "awaiting", f"{number}"


def test_only_who_was_shown_the_code_may_approve(service: Pieces) -> None:
    service.hear(message(service, "one", code_of(service, "lee")))
    wanted = question(service)
    with pytest.raises(NotApproved, match="proof_of_another"), service.store.write() as conn:
        approve(conn, wanted, DANA, at=service.now, is_in_force=True, same_person=False)
    with service.store.read() as conn:
        assert approval_holds.unapproved(conn, service.runtime_config) == {"production"}
    lee = authors.portal("lee", "192.0.2.8")
    with service.store.write() as conn:
        approve(conn, wanted, lee, at=service.now, is_in_force=True, same_person=False)
    with service.store.read() as conn:
        assert approval_holds.unapproved(conn, service.runtime_config) == frozenset()
    assert state(service) == ("approved", "portal:lee")


def test_a_proof_is_of_one_fingerprint(service: Pieces) -> None:
    """Fault P6: the facts change between the proof and the approval."""
    wanted = question(service)
    with service.store.write() as conn:
        assert prove(conn, wanted, Proof.SIGN_IN, DANA, at=service.now)
    changed = Question(environment="production", fingerprint="f" * 64, facts="{}")
    with pytest.raises(NotApproved, match="not_proved"), service.store.write() as conn:
        approve(conn, changed, DANA, at=service.now, is_in_force=True, same_person=False)
    with service.store.read() as conn:
        assert approval_holds.unapproved(conn, service.runtime_config) == {"production"}
        assert standing(conn, changed, service.now) is None


def test_where_a_code_stands() -> None:
    head = b"MSH|^~\\&|A|B|C|D|20260302||SIU^S12|"
    assert codes_in(head + b"BCDFGHJKLMNP|P|2.5.1\r") == {"BCDFGHJKLMNP"}
    assert codes_in(head + b"1|P\rNTE|1|P| BCDFGHJKLMNP \r") == {"BCDFGHJKLMNP"}
    assert codes_in(head + b"1|P\rNTE|1|P|the code BCDFGHJKLMNP\rPID|||BCDFGHJKLMNP\r") == frozenset()
