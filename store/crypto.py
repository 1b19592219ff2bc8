"""AES-256-GCM of single values: a value sealed for one column of one appointment cannot be decrypted for another.

Sealed value: `0x01 | day (4 bytes, big endian) | nonce (12 random bytes) | ciphertext and tag (16)`. The day names the key
in `day_keys`. Additional data: environment, appointment id and column, so that a value copied to another row or column is
refused. One key seals at most the appointments of one day, far below the 2^32 messages that random nonces allow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_HEADER_BYTES = 5
_EPOCH = date(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()


class Undecipherable(Exception):
    """A sealed value cannot be decrypted: it was altered, moved, or sealed with another key. The error holds no content."""

    code = "SEAL_BROKEN"

    def __init__(self, column: str) -> None:
        super().__init__(f"a sealed value in column {column} cannot be decrypted with this key")


@dataclass(frozen=True, slots=True)
class CellLocation:
    """The place of a sealed value: the additional data of its encryption."""

    environment: str
    appointment: str

    def bound_to(self, column: str) -> bytes:
        """The additional data for one column. Environments and ids hold no NUL, so the parts are unambiguous."""
        return f"{self.environment}\0{self.appointment}\0{column}".encode()


def day_of(instant: datetime) -> int:
    """The UTC day of an instant, counted from 1970-01-01."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.toordinal() - _EPOCH_ORDINAL


def start_of(day: int) -> datetime:
    """The first instant of a UTC day that is counted from 1970-01-01."""
    return datetime.combine(_EPOCH + timedelta(days=day), time(), UTC)


def seal(key: AESGCM, day: int, place: CellLocation, column: str, plain: bytes) -> bytes:
    """Encrypt one value for one place with the key of its day."""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + day.to_bytes(4, "big") + nonce + key.encrypt(nonce, plain, place.bound_to(column))


def sealed_day(sealed: bytes) -> int:
    """The day whose key decrypts it. Undecipherable if this is not a sealed value."""
    if sealed[:1] != _FORMAT or len(sealed) < _HEADER_BYTES + _NONCE_BYTES + 16:
        raise Undecipherable("?")
    return int.from_bytes(sealed[1:_HEADER_BYTES], "big")


def unseal(key: AESGCM, place: CellLocation, column: str, sealed: bytes) -> bytes:
    """Decrypt. Undecipherable for a wrong key, another place or column, or a changed bit."""
    nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
    try:
        return key.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], place.bound_to(column))
    except InvalidTag:
        raise Undecipherable(column) from None
