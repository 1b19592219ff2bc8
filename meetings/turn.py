"""Credentials for a TURN relay that are good for a few minutes, made from a secret that only Carebell and the relay know. Pure.

The name is the time of expiry, in seconds since 1970; the password is the base64 of HMAC-SHA1 over that name. coturn checks them
with `use-auth-secret` and `static-auth-secret` (draft-uberti-behave-turn-rest-00). SHA-1 is the scheme's; nothing else uses it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """What a browser is told of one kind of servers.

    Attributes:
        urls: `stun:`, `stuns:`, `turn:` or `turns:`.
        username, credential: of a relay; None: none is needed.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


def is_relay(url: str) -> bool:
    """Whether a server passes sound and picture on, and so wants credentials."""
    return url.startswith(("turn:", "turns:"))


def ice_servers(urls: Sequence[str], secret: str | None, ends_at: datetime) -> tuple[IceServer, ...]:
    """The servers for one browser.

    Args:
        secret: shared with the relay; None: relays are left out, since nobody could use them.
        ends_at: until when the credentials are good, UTC.
    """
    plain = tuple(url for url in urls if not is_relay(url))
    relays = tuple(url for url in urls if is_relay(url))
    servers = [IceServer(urls=plain)] if plain else []
    if relays and secret is not None:
        username = str(int(ends_at.timestamp()))
        digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
        servers.append(IceServer(urls=relays, username=username, credential=base64.b64encode(digest).decode("ascii")))
    return tuple(servers)
