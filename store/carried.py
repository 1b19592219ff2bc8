"""What a browser carries for us from one request to a later one: sealed, so that it can neither read nor change it.

Nothing is stored. Whether it was used before, and until when it counts, is for whoever opens it to know.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.keys import KeyRing

LONGEST: Final = 4_000
"""Characters; browsers keep cookies of 4096 bytes with their names and attributes."""
_NONCE_BYTES: Final = 12


def carry(ring: KeyRing, purpose: str, plain: str) -> str:
    """The sealed form, for a cookie.

    Args:
        purpose: what it is for; under another it does not open.

    Raises:
        ValueError: it would be longer than `LONGEST`.
    """
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(ring.proof_key("carried", purpose)).encrypt(nonce, plain.encode(), None)
    written = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
    if len(written) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    return written


def opened(ring: KeyRing, purpose: str, written: str) -> str | None:
    """What `carry` was given; None: it is not whole, for another purpose, or of another key file."""
    if not 0 < len(written) <= LONGEST:
        return None
    try:
        sealed = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
        key = AESGCM(ring.proof_key("carried", purpose))
        return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
    except (binascii.Error, InvalidTag, ValueError):
        return None
