"""Asks a meeting service's API through the guarded fetcher: a token by client credentials, then one request with it.

Meetings are few, so that a token is asked for each time and kept nowhere. Faults are told apart by whether the request may have
been done all the same (`MeetingFault.unsure`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from meetings.port import MeetingFault
from oauth.faults import FetchCode, FetchFault
from oauth.fetcher import FetchedAnswer, Fetcher, JsonObject

_NEVER_ASKED: Final = frozenset({
    FetchCode.BAD_URL, FetchCode.NOT_HTTPS, FetchCode.USER_INFO, FetchCode.NAME_UNKNOWN, FetchCode.ADDRESS_REFUSED,
    FetchCode.NOT_CONNECTED, FetchCode.CERTIFICATE, FetchCode.TLS,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceApi:
    """Attributes:
    base: of the API, without a `/` at its end.
    token_url, token_form, authorization: how a token is asked for.
    """

    fetcher: Fetcher
    base: str
    token_url: str
    token_form: Mapping[str, str] = field(repr=False)
    authorization: str | None = field(default=None, repr=False)

    def token(self) -> str:
        """A new access token. Raises: MeetingFault."""
        try:
            answer = self.fetcher.post_form(self.token_url, self.token_form, authorization=self.authorization)
        except FetchFault as fault:
            raise MeetingFault(f"token_{fault.code or 'failed'}", may_help=True) from None
        token = answer.document.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise MeetingFault("token_refused")
        return token

    def ask(self, token: str, method: str, path: str, document: Mapping[str, Any] | None = None) -> FetchedAnswer:
        """What is answered, whatever its status below 500 but 429. Raises: MeetingFault."""
        headers = [("Accept", "application/json"), ("Authorization", f"Bearer {token}")]
        body = b""
        if document is not None:
            headers.append(("Content-Type", "application/json"))
            body = json.dumps(document).encode("ascii")
        try:
            answer = self.fetcher.call(method, self.base + path, headers=headers, body=body)
        except FetchFault as fault:
            unsure = fault.code not in _NEVER_ASKED
            raise MeetingFault(f"api_{fault.code or 'failed'}", may_help=True, unsure=unsure) from None
        if answer.status >= 500 or answer.status == 429:
            raise MeetingFault("api_unavailable", may_help=True, unsure=answer.status != 429)
        return answer


def document_of(answer: FetchedAnswer, *good: int) -> JsonObject:
    """The object of an answer that must be one of `good`. Raises: MeetingFault."""
    if answer.status not in good:
        raise MeetingFault(f"api_{answer.status}")
    if answer.document is None:
        raise MeetingFault("api_not_json", unsure=True)
    return answer.document


def instant(written: object) -> datetime:
    """A time as services write it, `2026-03-12T21:00:00Z`. ValueError: it is none."""
    at = datetime.fromisoformat(str(written))
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def text_of(document: Mapping[str, Any], key: str) -> str:
    """A text or number of an answer, as text. Raises: MeetingFault."""
    value = document.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise MeetingFault("api_unreadable", unsure=True)
    return str(value)
