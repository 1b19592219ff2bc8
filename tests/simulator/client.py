"""The real Twilio client, pointed at another base URL; nothing else about it is changed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class RedirectedHttpClient(TwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
    """Sends what is meant for Twilio's hosts to `base` instead."""

    def __init__(self, base: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self.base = base
        self.session.trust_env = False

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, re.sub("https://(api|messaging).twilio.com", self.base, url), *args, **kwargs)


@contextlib.contextmanager
def twilio_client(base: str, account_sid: str, token: str, timeout: float = 20.0) -> Iterator[Any]:
    """twilio.rest.Client; typed Any because the library has no types. Its connections are closed at the end."""
    http = RedirectedHttpClient(base, timeout)
    try:
        yield Client(account_sid, token, http_client=http)
    finally:
        http.session.close()
