"""Twilio's credentials from their files; nothing here or in a traceback's `repr` shows a token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SID: Final = re.compile(r"AC[0-9a-zA-Z]{32}")
_TOKEN: Final = re.compile(r"[!-~]{8,256}")
_LIMIT: Final = 4096  # bytes: a token is 32 characters


class CredentialError(Exception):
    """The credentials cannot be used. `code`: account_sid | token_missing | token_unreadable | token_empty | token_malformed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account and its tokens: the first signs our requests, all of them validate callbacks (rotation)."""

    account_sid: str
    tokens: tuple[str, ...] = field(repr=False)


def read_credentials(account_sid: str, token_file: Path | None) -> Credentials:
    """Read the token file, one token a line; blank lines and lines that begin with `#` do not count.

    Raises:
        CredentialError: says what is wrong with which file, and nothing of its content.
    """
    if _SID.fullmatch(account_sid) is None:
        raise CredentialError("account_sid", "gateway.twilio.account_sid is not AC and 32 letters or digits")
    if token_file is None:
        raise CredentialError("token_missing", "gateway.twilio.auth_token_file is not set")
    try:
        with token_file.open("rb") as opened:
            raw = opened.read(_LIMIT + 1)
    except OSError as error:
        message = f"{token_file} cannot be read: {error.strerror}"
        raise CredentialError("token_unreadable", message) from None
    if len(raw) > _LIMIT or not raw.isascii():
        raise CredentialError("token_malformed", f"{token_file} does not hold one token a line") from None
    lines = (line.strip() for line in raw.decode("ascii").splitlines())
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens:
        raise CredentialError("token_empty", f"{token_file} holds no token")
    if not all(_TOKEN.fullmatch(token) for token in tokens):
        raise CredentialError("token_malformed", f"{token_file} does not hold one token a line")
    return Credentials(account_sid=account_sid, tokens=tokens)
