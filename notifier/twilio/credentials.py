"""A Twilio account as the gateway uses it; `config.files.gateway_secrets` reads the token file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account and its tokens. The first token authenticates requests; all tokens validate callbacks (for rotation)."""

    account_sid: str
    tokens: tuple[str, ...] = field(repr=False)
