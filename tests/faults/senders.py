"""Hospitals that keep a ledger: what they sent, and which answer they read. The ledger, never the service, is the truth."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from listener.client import MllpClient, SendError
from simulator.ehr import SenderIdentity, make_identity
from simulator.patients import make_patient
from simulator.shapes import Feed, Visit, write_siu


@dataclass(slots=True)
class Ledger:
    """Attributes:
    sent: control id -> the bytes, as they are sent again. answers: control id -> MSA-1 of every answer read.
    """

    sent: dict[str, bytes] = field(default_factory=dict)
    answers: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def acknowledged(self) -> set[str]:
        return {control_id for control_id, codes in self.answers.items() if "AA" in codes}

    @property
    def refused(self) -> dict[str, list[str]]:
        """Every answer that was not AA."""
        return {
            control_id: bad for control_id, codes in self.answers.items() if (bad := [c for c in codes if c != "AA"])
        }

    @property
    def in_doubt(self) -> list[str]:
        """Sent and not acknowledged: an engine sends these again."""
        return [control_id for control_id in self.sent if "AA" not in self.answers.get(control_id, ())]


class Signer:
    """Signs as signing.md says, in a dozen lines of its own: RS256, no diagnosis."""

    def __init__(self, identity: SenderIdentity) -> None:
        key = serialization.load_pem_private_key(identity.key, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        certificate = x509.load_pem_x509_certificate(identity.certificate)
        thumbprint = _base64url(certificate.fingerprint(hashes.SHA256())).decode()
        header = {"alg": "RS256", "typ": "hl7v2-sig", "x5t#S256": thumbprint}
        self._header = _base64url(json.dumps(header, separators=(",", ":")).encode())

    def sign(self, content: bytes) -> bytes:
        """`content`: segments ended by CR."""
        signed = self._header + b"." + _base64url(content)
        return b"%bZSG|1|%b..%b\r" % (content, self._header, _base64url(self.signature(signed)))

    def signature(self, data: bytes) -> bytes:
        """RS256 over any bytes."""
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Hospital:
    """Signs bookings of distinct appointments for distinct patients; `reference` N is message N's appointment."""

    def __init__(self, name: str = "Sending EHR") -> None:
        self.identity: SenderIdentity = make_identity(name, now=datetime.now(UTC), bits=2048)
        self.signer = Signer(self.identity)
        self._rng = random.Random(7)
        self.ledger = Ledger()

    def messages(self) -> Iterator[str]:
        """Endless: control ids whose bytes stand in the ledger, the ones in doubt first."""
        yield from self.ledger.in_doubt
        while True:
            yield self.write(len(self.ledger.sent))

    def write(self, number: int) -> str:
        """Make and note message `number`; its control id."""
        control_id = f"C{number}"
        now = datetime.now(UTC)
        start = (now + timedelta(days=20)).replace(minute=0, second=0, microsecond=0)
        visit = Visit(
            reference=f"{number}",
            patient=make_patient(self._rng, number),
            start=start,
            minutes=30,
            provider="Adams",
            location="NORTH",
            video=False,
            status="Booked",
        )
        content = write_siu(Feed(), visit, event="S12", control_id=control_id, sent_at=now)
        self.ledger.sent[control_id] = self.signer.sign(content)
        return control_id


async def send_one(client: MllpClient, ledger: Ledger, control_id: str) -> str:
    """Send, read the answer, note it; MSA-1. SendError: no answer."""
    answer = await client.send(ledger.sent[control_id])
    msa = next(line for line in answer.content.split(b"\r") if line.startswith(b"MSA|"))
    code, about = msa.split(b"|")[1:3]
    assert about.decode() == control_id, "an answer to another message"
    ledger.answers[control_id].append(code.decode())
    return code.decode()


async def send_until_cut_off(port: int, hospital: Hospital, connections: int, most: int = 1000) -> None:
    """Stop and wait on each connection, until the service is gone from all of them.

    Args:
        most: messages as fast as they are answered; from then on ten a second on each connection.
    """
    sent = count(1)

    async def one() -> None:
        try:
            client = await MllpClient.connect("127.0.0.1", port)
        except SendError:
            return
        try:
            for control_id in messages:
                await send_one(client, hospital.ledger, control_id)
                if next(sent) > most:
                    await asyncio.sleep(0.1)
        except SendError:
            client.abort()

    messages = hospital.messages()
    await asyncio.gather(*(one() for _ in range(connections)))


async def send_until(port: Callable[[], int], hospital: Hospital, over: asyncio.Event, connections: int = 4) -> None:
    """Stop and wait on each connection until `over`; a message without an answer is sent again on a new connection.

    Args:
        port: of the service now; it may be started again meanwhile.
    """
    ledger = hospital.ledger

    async def sender() -> None:
        client: MllpClient | None = None
        control_id: str | None = None
        while not over.is_set():
            control_id = control_id or hospital.write(len(ledger.sent))
            try:
                client = client or await MllpClient.connect("127.0.0.1", port())
                await send_one(client, ledger, control_id)
                control_id = None
            except SendError:
                if client is not None:
                    client.abort()
                client = None
                await asyncio.sleep(0.02)
        if client is not None:
            await client.close()

    await asyncio.gather(*(sender() for _ in range(connections)))


async def send_all(port: int, hospital: Hospital, control_ids: list[str], connections: int = 4) -> None:
    """Each once, as an engine does: a message without an answer is sent again on a new connection until it has one."""
    waiting = list(reversed(control_ids))

    async def one() -> None:
        client: MllpClient | None = None
        while waiting:
            control_id = waiting.pop()
            while True:
                try:
                    client = client or await MllpClient.connect("127.0.0.1", port)
                    await send_one(client, hospital.ledger, control_id)
                except SendError:
                    if client is not None:
                        client.abort()
                    client = None
                    await asyncio.sleep(0.02)
                else:
                    break
        if client is not None:
            await client.close()

    await asyncio.gather(*(one() for _ in range(connections)))
