"""Every vector of profile 1, as its index says, as far as this room decides: framing and message types are decided elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePath

import pytest

from certs.certificate import key_digest
from certs.keyring import Held, Keyring, Trust
from certs.message import Refusal, VerifiedMessage
from certs.replay import Fresh, Repeat, ReplayMemory, Reused
from certs.verify import Verifier
from tests.certs.ring import (
    NOW,
    PRODUCTION_FILES,
    VECTORS,
    certificate,
    production,
    rsa_key,
    thumbprint,
    trial,
    validate,
)

ROWS = [tuple(line.split("\t")) for line in (VECTORS / "vectors.tsv").read_text(encoding="utf-8").splitlines()]
HOSTILE = [tuple(line.split("\t")) for line in (VECTORS / "hostile.tsv").read_text(encoding="utf-8").splitlines()]
FIRST = "messages/accept/m01-rs256-s12.hl7"
RETIRED = "accept/14-retired-rsa2048.cer"
AFTER_FIRST = {"m21": Repeat(answer="AA"), "x46": Reused()}
# What this room says of messages that another room refuses first (the listener) or afterwards (the parser).
ELSEWHERE = {"FRAME": "SIG11", "TYPE": None}


def _content(path: str, sha256: str) -> bytes:
    content = (VECTORS / path).read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256, "the checkout changed the vector's bytes (line ends?)"
    return content


def _not_yet_valid() -> Trust:
    """Production with x40's certificate, of which the vectors hold only the key and the thumbprint."""
    future = replace(
        certificate("accept/09-test-rsa2048.cer"),
        thumbprint=thumbprint("future"),
        key=(key := rsa_key("future-rsa2048").public_key()),
        key_digest=key_digest(key),
        not_before=NOW + timedelta(days=30),
        not_after=NOW + timedelta(days=395),
    )
    trust = production()
    return replace(trust, certificates=(*trust.certificates, Held(certificate=future)))


def _keyring(name: str, environment: str) -> Keyring:
    """What a listener of this environment alone accepts."""
    if name.startswith("x39"):
        return Keyring([production(*PRODUCTION_FILES, "refuse/20-expired.cer")])
    if name.startswith("x40"):
        return Keyring([_not_yet_valid()])
    return Keyring([production(retired=(RETIRED,)) if environment == "production" else trial()])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: PurePath(row[1]).stem)
def test_vector(row: tuple[str, ...]) -> None:
    _, path, environment, answer, expected, sha256, _ = row
    name = PurePath(path).stem
    outcome = Verifier(_keyring(name, environment)).verify(_content(path, sha256), received_at=NOW)
    if name[:3] in AFTER_FIRST:
        assert isinstance(outcome, VerifiedMessage)
        assert _second(outcome) == AFTER_FIRST[name[:3]]
        return
    wanted = ELSEWHERE.get(expected, None if expected == "-" else expected)
    assert (outcome.code if isinstance(outcome, Refusal) else None) == wanted
    if isinstance(outcome, VerifiedMessage):
        assert outcome.environment == environment
        assert answer in ("AA", "CA") or not outcome.msh.message_type.startswith(b"SIU")
    else:
        assert answer in ("AR", "CLOSE")
        assert outcome.environment in (environment, None)


def _second(outcome: VerifiedMessage) -> object:
    """What the replay memory makes of a message that arrives after m01."""
    memory: ReplayMemory[str] = ReplayMemory()
    first = validate((VECTORS / FIRST).read_bytes())
    assert isinstance(first, VerifiedMessage)
    assert memory.look(first, reuse="refuse") == Fresh()
    memory.keep(first, "AA")
    return memory.look(outcome, reuse="refuse")


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: PurePath(row[0]).stem)
def test_hostile_content_is_validly_signed(row: tuple[str, ...]) -> None:
    path, sha256, _ = row
    outcome = validate(_content(path, sha256))
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.environment == "production"


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] == "refuse"], ids=lambda row: PurePath(row[1]).stem)
def test_a_refusal_says_nothing_of_the_message(row: tuple[str, ...]) -> None:
    outcome = Verifier(_keyring(PurePath(row[1]).stem, row[2])).verify((VECTORS / row[1]).read_bytes(), received_at=NOW)
    if isinstance(outcome, Refusal):
        assert outcome.text.isascii()
        assert outcome.text.isprintable()
    for secret in ("5550143", "TESTPATIENT", "MRN00042"):
        assert secret not in repr(outcome)


def test_steps_of_the_worked_example() -> None:
    steps = VECTORS / "steps"
    outcome = validate((steps / "9-message.hl7").read_bytes())
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.payload == (steps / "1-payload.bin").read_bytes()
    assert outcome.digest == hashlib.sha256(outcome.payload).digest()
    assert outcome.thumbprint == thumbprint("prod")
    assert outcome.msh.control_id == b"MSG00001"


@pytest.mark.parametrize("name", ["f01-one", "f07-crlf-before-start"])
def test_content_of_a_good_frame(name: str) -> None:
    frame = (VECTORS / "frames" / f"{name}.mllp").read_bytes()
    assert frame.endswith(b"\x1c\r")
    assert isinstance(validate(frame[frame.index(b"\x0b") + 1 : -2]), VerifiedMessage)
