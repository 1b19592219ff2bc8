"""Whose certificates count: environments with their bindings, and the active certificates of each.

Trust is pinning: a certificate counts because an administrator put it here, chosen only by its thumbprint; there is no chain, no
revocation list and nothing is ever fetched. A listener may serve several environments: the certificate tells them apart, so
no key may stand in two of them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, Literal
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

WARN_DAYS: Final = (60, 30, 14, 7, 1)
"""Days before its expiry on which a certificate is warned of."""
UNUSED_AFTER: Final = timedelta(days=30)


class State(Enum):
    """Where a certificate stands in its rotation (signing.md, section 6)."""

    PENDING = "pending"  # registered, its validity has not begun
    ACTIVE = "active"
    EXPIRED = "expired"
    RETIRED = "retired"  # was active; its messages are refused


class KeyringError(ValueError):
    """The certificates of a configuration do not go together; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a message must say about itself to belong to an environment: allowed MSH-4, required MSH-5 and 6, allowed MSH-11."""

    facilities: frozenset[bytes]
    receiving_application: bytes
    receiving_facility: bytes
    processing_ids: frozenset[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old MSH-7 may be, and how far ahead of our clock."""

    max_age: timedelta = timedelta(days=7)
    max_ahead: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """One environment as verification sees it.

    Attributes:
        certificates: the active ones; one or two by configuration, any number in tests.
        zone: of an MSH-7 without offset.
    """

    environment: str
    zone: ZoneInfo
    binding: Binding
    certificates: tuple[x509.Certificate, ...] = field(repr=False)
    freshness: Freshness = Freshness()
    authentication: Literal["signature", "mutual-tls"] = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A certificate in use, its public key parsed once."""

    trust: Trust = field(repr=False)
    thumbprint: str
    key: PublicKey = field(repr=False)
    not_before: datetime
    not_after: datetime

    def state(self, at: datetime) -> State:
        if at < self.not_before:
            return State.PENDING
        return State.EXPIRED if at > self.not_after else State.ACTIVE


class Keyring:
    """The certificates that one listener accepts, by thumbprint. Immutable: a rotation makes a new one.

    KeyringError: one key stands in two environments.
    """

    def __init__(self, trusts: Iterable[Trust]) -> None:
        entries: dict[str, Entry] = {}
        owners: dict[bytes, str] = {}
        for trust in trusts:
            for certificate in trust.certificates:
                entry = _entry(trust, certificate)
                spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                owner = owners.setdefault(spki, trust.environment)
                if owner != trust.environment:
                    raise KeyringError(
                        f"environments {owner} and {trust.environment} have a certificate with the same key"
                    )
                entries[entry.thumbprint] = entry
        self._entries: Mapping[str, Entry] = entries

    def find(self, thumbprint: str) -> Entry | None:
        """The active certificate with this thumbprint; None: unknown, retired, or of an environment elsewhere."""
        return self._entries.get(thumbprint)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


def thumbprint_of(certificate: x509.Certificate) -> str:
    """x5t#S256: base64url of SHA-256 of the DER, without padding."""
    return encode_thumbprint(certificate.public_bytes(Encoding.DER))


def encode_thumbprint(der: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii")


def days_left(not_after: datetime, at: datetime) -> int:
    """Whole days until expiry; negative after it."""
    return (not_after - at) // timedelta(days=1)


def warning_due(not_after: datetime, at: datetime, last: datetime | None) -> int | None:
    """The smallest of 60/30/14/7/1 days that was passed since `last` (None: ever); None: nothing new to warn of."""
    passed = [days for days in WARN_DAYS if not_after - at <= timedelta(days=days)]
    if not passed:
        return None
    newest = min(passed)
    told = last is not None and not_after - last <= timedelta(days=newest)
    return None if told else newest


def is_unused(active_since: datetime, last_used: datetime | None, at: datetime) -> bool:
    """Whether an active certificate has signed nothing for `UNUSED_AFTER`."""
    return at - (last_used or active_since) > UNUSED_AFTER


def _entry(trust: Trust, certificate: x509.Certificate) -> Entry:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise KeyringError(f"environment {trust.environment}: a certificate has a key of an unsupported kind")
    return Entry(
        trust=trust,
        thumbprint=thumbprint_of(certificate),
        key=key,
        not_before=certificate.not_valid_before_utc.astimezone(UTC),
        not_after=certificate.not_valid_after_utc.astimezone(UTC),
    )
