"""Send one JSON request to the gateway: with a time-out and a limit on the answer, without redirect and retry. A failure is a word.

Source: RFC 9110. It does not raise for network faults, and its results hold no number, text or token.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError, ReadTimeoutError

from notifier.answer_deadline import bound_answers
from notifier.gateway import Ambiguous, NotSent, OnDate, ignore_date

# As many as the dispatcher has threads: a smaller pool closes and reopens TLS connections under load.
_POOL: Final = 128
LARGEST_ANSWER: Final = 65_536
"""Bytes; an answer has some 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayResponse:
    """A complete answer.

    Attributes:
        retry_after: the header as written; None: not given.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None


class JsonClient:
    """Requests with the bearer token. Threads may share it.

    Args:
        token: for `Authorization: Bearer`.
        timeout_seconds: for connecting, and again for the whole answer, from its first byte to its last.
        tls: verifies the gateway's certificate and its name; None: only for http to this machine.
        on_date: gets the Date header of each answer.
    """

    def __init__(
        self, token: str, timeout_seconds: float, tls: ssl.SSLContext | None, on_date: OnDate = ignore_date
    ) -> None:
        self._on_date = on_date
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # its lines hold request paths
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "carebell"}
        self._pool = urllib3.PoolManager(
            maxsize=_POOL,
            block=False,
            retries=False,
            timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
            ssl_context=tls,
        )
        bound_answers(self._pool)

    def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> GatewayResponse | NotSent | Ambiguous:
        """Send one request. `NotSent`: it certainly reached nobody. `Ambiguous`: it may have, and no complete answer came."""
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={**self._headers, **content, **(headers or {})},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except Exception as error:  # urllib3 passes on some exceptions of the standard library; all must be classified
            return _classify(error)
        self._on_date(response.headers.get("Date"))
        try:
            whole = _read(response)
        except (HTTPError, OSError, ValueError) as error:
            response.close()
            return Ambiguous(
                why="read_timeout" if isinstance(error, ReadTimeoutError | TimeoutError) else "connection_lost"
            )
        if isinstance(whole, Ambiguous):
            response.close()
            return whole
        response.release_conn()
        return GatewayResponse(status=response.status, body=whole, retry_after=response.headers.get("Retry-After"))

    def close(self) -> None:
        self._pool.clear()


def _read(response: urllib3.BaseHTTPResponse) -> bytes | Ambiguous:
    """The body, if it is no larger than `LARGEST_ANSWER`."""
    body = bytearray()
    while chunk := response.read1(LARGEST_ANSWER):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            return Ambiguous(why="unreadable_answer")
    return bytes(body)


def _classify(error: Exception) -> NotSent | Ambiguous:
    if isinstance(error, NewConnectionError):  # a failed name lookup is one of these; it is also a connect time-out
        return NotSent(why="not_connected")
    if isinstance(error, ConnectTimeoutError):
        return NotSent(why="connect_timeout")
    if isinstance(error, LocationValueError):
        return NotSent(why="bad_url")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in (error, error.__cause__, *error.args)):
        return NotSent(why="certificate")
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return Ambiguous(why="read_timeout")
    return Ambiguous(why="connection_lost")


def tls_context(authority_pem: str | None = None) -> ssl.SSLContext:
    """The TLS context that verifies a gateway, with the system's authorities or one private authority instead; TLS 1.2 and newer.

    Raises:
        ssl.SSLError: the text holds no PEM certificates.
    """
    context = ssl.create_default_context(cadata=authority_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
