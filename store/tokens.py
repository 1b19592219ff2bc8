"""Tokens of cookies and links: 256 random bits, of which the database holds the SHA-256 alone.

Who reads the database, or a backup of it, can sign in with nothing that stands there. A plain hash is enough: a token is no word
that somebody chose, so there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

_BYTES: Final = 32


def new_token(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """64 hexadecimal digits, fit for a cookie and a URL."""
    return random(_BYTES).hex()


def key_of(token: str) -> str:
    """What the database knows it by: its SHA-256 as 64 hexadecimal digits. Any text has one."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
