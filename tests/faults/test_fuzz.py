"""F16: whatever arrives instead of what was meant, there is an answer, no traceback, no hang, and nothing is believed unsigned."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from carebell.inbound import trust
from carebell.inbound.validate import MessageValidator
from certs import envelope, verify
from config.load import Loaded, load
from config.problems import ConfigurationError
from listener.framing import Decoder, Frame, FrameError
from simulator.ehr import histories
from simulator.shapes import Feed
from tests.config.conftest import SMALL
from tests.faults import damage
from tests.faults.conftest import Tally
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.senders import Hospital

OVER_A_SOCKET: Final = 0.05
"""Share of the damaged frames that also go to a service of its own, through its port."""
AT_ONCE: Final = 8


class Clinic:
    """A hospital's messages, and the validator that knows its certificate."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.hospital = Hospital()
        self.configuration = write_configuration(folder, [self.hospital.identity.certificate])
        self.message_validator: MessageValidator = trust.message_validator(
            load(self.configuration, {}), ("production",), self.now
        )
        sendings = histories(random.Random(16), count=20, begins=self.now, ends=self.now + timedelta(days=20))
        self.contents = [each.write(Feed(), sent_at=self.now) for each in sendings]
        self.messages = [self.hospital.signer.sign(content) for content in self.contents]


# Frames


@pytest.mark.faults("F16 frames")
@pytest.mark.timeout(3600)
def test_damaged_frames_are_refused(tally: Tally, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    again = throw_frames(clinic, tally, tally.seen)
    assert tally.seen["tracebacks"] == tally.seen["believed unsigned"] == 0
    assert tally.seen["refused"] > tally.fault.rounds // 2
    node = Node(clinic.configuration)
    tally.seen["over a socket"] = len(again)
    answered = asyncio.run(throw_at(node.port, again))
    assert answered["accepted"] == 0
    assert answered["refused"] > len(again) // 2
    assert node.stop() == 0
    assert stored(tmp_path / "data" / "carebell.db") == {"appointments": 0, "messages": 0, "outbox": 0}
    log = [json.loads(line) for line in (tmp_path / "carebell.log").read_text("utf-8").splitlines()]
    assert {line["level"] for line in log} <= {"info", "warning"}
    tally.seen.update({"rows": 0})


@pytest.mark.faults("F16 frames", proof=True)
def test_the_harness_sees_a_verifier_that_believes(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()
    clinic = Clinic(tmp_path)
    monkeypatch.setattr(verify, "verify_signature", lambda *_: True)
    throw_frames(clinic, tally, seen, most=500)
    assert seen["believed unsigned"] > 0
    monkeypatch.setattr(verify, "split", lambda content: content[10_000])
    throw_frames(clinic, tally, seen, most=100)
    assert seen["tracebacks"] > 0
    tally.seen["found with verification broken"] = seen["believed unsigned"] + seen["tracebacks"]


def throw_frames(clinic: Clinic, tally: Tally, seen: Counter[str], most: int | None = None) -> list[bytes]:
    """Damaged frames through decoder and validator: two of three after they were signed, the third before, so that it is read.

    Returns:
        Frames that were refused here and that nobody signed, for a socket.
    """
    rng, decoder, again = random.Random(1600), Decoder(), []
    unharmed = {message[: message.rindex(b"ZSG|")] for message in clinic.messages}
    count = most or tally.fault.rounds
    for number in range(count):
        signed_after = number % 3 == 0
        if signed_after:
            content = clinic.hospital.signer.sign(damage.harmed(rng, rng.choice(clinic.contents)))
        else:
            content = damage.harmed(rng, rng.choice(clinic.messages))
        block = damage.framed(rng, content)
        believed = broken = False
        for piece in damage.in_pieces(rng, block):
            for event in decoder.feed(piece):
                if isinstance(event, Frame):
                    believed |= _judge(clinic, event.content, unharmed, seen, signed_after)
                else:
                    assert isinstance(event, FrameError)
                    broken = True
        seen["broken framing"] += broken
        if decoder.mid_block or broken:
            decoder = Decoder()  # as after the connection's end
        if not signed_after and not believed and rng.random() < OVER_A_SOCKET * 1.5:
            again.append(block)
        if most is None and (number % 1000 == 999 or number + 1 == count):
            tally.progress(number + 1, count)
    return again


def _judge(clinic: Clinic, content: bytes, unharmed: set[bytes], seen: Counter[str], signed_after: bool) -> bool:
    """Whether it was believed, rightly or not."""
    try:
        validated = clinic.message_validator.validate(content, clinic.now)
    except Exception:
        seen["tracebacks"] += 1
        return False
    if validated.verified is None:
        seen["refused"] += 1
        return False
    if signed_after:
        seen["signed, read" if validated.event is not None else "signed, refused by content"] += 1
    elif validated.verified.payload in unharmed:
        seen["unharmed"] += 1
    else:
        seen["believed unsigned"] += 1
    return True


async def throw_at(port: int, blocks: Sequence[bytes]) -> Counter[str]:
    """Each on a connection of its own, which the service must end; what it answered."""
    answered: Counter[str] = Counter()
    waiting = list(blocks)

    async def one() -> None:
        while waiting:
            block = waiting.pop()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(block)
            writer.write_eof()
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await reader.read()
            except ConnectionResetError:
                answer = b""
            writer.transport.abort()
            answered["accepted" if b"\rMSA|AA|" in answer else "refused" if b"\rMSA|" in answer else "closed"] += 1

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return answered


def stored(database: Path) -> dict[str, int]:
    """Rows of the tables that a message can reach."""
    with closing(sqlite3.connect(database)) as conn:
        return {
            name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("appointments", "messages", "outbox")
        }


# Signature headers


@pytest.mark.faults("F16 headers")
@pytest.mark.timeout(3600)
def test_damaged_signature_headers_are_refused(tally: Tally, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    throw_headers(clinic, tally, tally.seen)
    assert tally.seen["tracebacks"] == tally.seen["wrongly accepted"] == tally.seen["wrongly refused"] == 0
    assert tally.seen["refused"] > tally.fault.rounds // 2
    assert tally.seen["accepted, spelled otherwise"] > 0


@pytest.mark.faults("F16 headers", proof=True)
def test_the_harness_sees_a_header_that_is_let_through(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any member allowed (`crit`, `jwk` ...), and with one member forbidden that is allowed."""
    clinic, seen = Clinic(tmp_path), Counter[str]()
    monkeypatch.setattr(envelope, "_ALLOWED", envelope._ALLOWED | damage._MORE.keys())
    envelope.read_header.cache_clear()
    throw_headers(clinic, tally, seen, most=500)
    monkeypatch.setattr(envelope, "_ALLOWED", envelope._REQUIRED)
    envelope.read_header.cache_clear()
    throw_headers(clinic, tally, seen, most=500)
    envelope.read_header.cache_clear()
    assert seen["wrongly accepted"] > 0
    assert seen["wrongly refused"] > 0
    tally.seen["found with the header's rule broken"] = seen["wrongly accepted"] + seen["wrongly refused"]


def throw_headers(clinic: Clinic, tally: Tally, seen: Counter[str], most: int | None = None) -> None:
    """Each with a signature by the right key over just this header: all that stands between it and belief is the header's rule.

    One in five is misspelled Base64url, and one in ten is signed with the certificate's public bytes as an HMAC's secret.
    """
    rng, count = random.Random(1601), most or tally.fault.rounds
    good = json.loads(base64.urlsafe_b64decode(_padded(clinic.messages[0].rpartition(b"ZSG|1|")[2].partition(b".")[0])))
    for number in range(count):
        content, text = rng.choice(clinic.contents), damage.header(rng, good)
        encoded = damage.base64url(text)
        if rng.random() < 0.2:
            encoded = damage.misspelled(rng, encoded)
        data = encoded + b"." + damage.base64url(content)
        genuine = rng.random() < 0.9
        signature = (
            clinic.hospital.signer.signature(data) if genuine else _hmac(clinic.hospital.identity.certificate, data)
        )
        message = b"%bZSG|1|%b..%b\r" % (content, encoded, damage.base64url(signature))
        expected = genuine and b"\r" not in encoded and b"\n" not in encoded and acceptable(encoded, good)
        try:
            believed = clinic.message_validator.validate(message, clinic.now).verified is not None
        except Exception:
            seen["tracebacks"] += 1
            continue
        match believed, expected:
            case True, True:
                seen["accepted, spelled otherwise"] += 1
            case False, False:
                seen["refused"] += 1
            case True, False:
                seen["wrongly accepted"] += 1
            case False, True:
                seen["wrongly refused"] += 1
        if most is None and (number % 1000 == 999 or number + 1 == count):
            tally.progress(number + 1, count)


def acceptable(encoded: bytes, good: Mapping[str, str]) -> bool:
    """Section 3 of the signing profile once more, written for this test: these three members and perhaps a `kid`, each once."""
    try:
        text = base64.b64decode(_padded(encoded), altchars=b"-_", validate=True)
        pairs: Any = json.loads(text.decode("utf-8"), object_pairs_hook=lambda found: found)
    except (binascii.Error, ValueError, RecursionError):
        return False
    if damage.base64url(text) != encoded or not isinstance(pairs, list):
        return False
    if not all(isinstance(pair, tuple) and isinstance(pair[1], str) for pair in pairs):
        return False
    members = dict(pairs)
    members.pop("kid", None)
    return members == good and len(pairs) in (3, 4) and len({name for name, _ in pairs}) == len(pairs)


def _padded(encoded: bytes) -> bytes:
    return encoded + b"=" * (-len(encoded) % 4)


def _hmac(secret: bytes, data: bytes) -> bytes:
    return hmac.new(secret, data, hashlib.sha256).digest()


# Configurations


@pytest.mark.faults("F16 YAML")
@pytest.mark.timeout(3600)
def test_damaged_configurations_are_refused_with_a_place(tally: Tally, tmp_path: Path) -> None:
    throw_configurations(tmp_path / "carebell.yaml", tally, tally.seen)
    assert tally.seen["tracebacks"] == tally.seen["refused without a place"] == 0
    assert tally.seen["refused"] > tally.fault.rounds // 2


@pytest.mark.faults("F16 YAML", proof=True)
def test_the_harness_sees_a_loader_that_raises(tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    monkeypatch.setattr("config.load.explain", lambda error, *_: [].index(error))
    throw_configurations(tmp_path / "carebell.yaml", tally, seen, most=100)
    assert seen["tracebacks"] > 0
    tally.seen["found with a broken loader"] = seen["tracebacks"]


def throw_configurations(path: Path, tally: Tally, seen: Counter[str], most: int | None = None) -> None:
    rng, count = random.Random(1602), most or tally.fault.rounds
    for number in range(count):
        path.write_bytes(damage.configuration(rng, SMALL))
        try:
            assert isinstance(load(path, {}), Loaded)
            seen["loaded"] += 1
        except ConfigurationError as refused:
            problems = refused.problems
            placed = problems and all(one.file and one.why and str(one).isprintable() for one in problems)
            seen["refused" if placed else "refused without a place"] += 1
        except Exception:
            seen["tracebacks"] += 1
        if most is None and (number % 100 == 99 or number + 1 == count):
            tally.progress(number + 1, count)
