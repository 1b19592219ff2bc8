"""A Twilio account as the gateway uses it; `config.files.gateway_secrets` reads the token file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account and its tokens: the first signs our requests, all of them validate callbacks (rotation)."""

    account_sid: str
    tokens: tuple[str, ...] = field(repr=False)
