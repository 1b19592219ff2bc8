"""Codes of an authenticator app: TOTP (RFC 6238) with SHA-1, six digits, 30 seconds, which is what every app has.

A code counts in its own half minute, the one before and the one after, because telephones' clocks differ. Each counts once: the
database remembers the step of the last one (`store.users.use_step`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Final

from pyotp import TOTP

from portal.people import SecondFactor

_SECRET_BYTES: Final = 20
_SECONDS: Final = 30
_NEIGHBOURS: Final = (0, -1, 1)
_DIGITS: Final = 6


def new_secret(random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """160 random bits, as RFC 4226 (section 4) advises."""
    return random(_SECRET_BYTES)


def step_of(secret: bytes, code: str, now: datetime) -> int | None:
    """The half minute since 1970 whose code this is; None: of none that counts now. Blanks in it are ignored."""
    typed = "".join(code.split())
    if len(typed) != _DIGITS or not (typed.isascii() and typed.isdigit()):
        return None
    totp, current = TOTP(_base32(secret)), int(now.timestamp()) // _SECONDS
    right = [current + by for by in _NEIGHBOURS if compare_digest(totp.generate_otp(current + by), typed)]
    return right[0] if right else None


def shown(secret: bytes, *, login: str, organization: str) -> SecondFactor:
    """For the person's app: the words in it are the organisation's name and the user name."""
    key = _base32(secret)
    uri = TOTP(key).provisioning_uri(name=login, issuer_name=f"Carebell {organization}".replace(":", " "))
    return SecondFactor(secret=" ".join(key[start : start + 4] for start in range(0, len(key), 4)), uri=uri)


def _base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode("ascii").rstrip("=")
