"""The HTTP client for `twilio`: our time-out and base URL, no retry, no stored requests; and the meaning of its failures."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import (
    ConnectTimeout,
    InvalidProxyURL,
    InvalidURL,
    ReadTimeout,
    RequestException,
    SSLError,
)
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, ReadTimeoutError

from notifier.answer_deadline import bound_answers
from notifier.gateway import OnDate, ignore_date
from notifier.twilio.credentials import Credentials

PUBLIC_API: Final = "https://api.twilio.com"
# As many as the dispatcher has threads: a smaller pool closes and reopens TLS connections under load.
_POOL: Final = 128


class InsecureBaseUrlError(ValueError):
    """`gateway.twilio.api_base_url` would carry the token and phone numbers in the clear."""


class _DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        bound_answers(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        bound_answers(manager)
        return manager


class _Session(Session):
    """Asks the environment for a proxy and certificate authorities once for each host. Doing so takes a third of a request."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, str], Mapping[str, Any]] = {}

    def merge_environment_settings(self, url: Any, *given: Any) -> Any:
        parts = urlsplit(url)
        host = parts.scheme, parts.netloc
        if host not in self._known:
            self._known[host] = super().merge_environment_settings(url, *given)
        return dict(self._known[host])


class BoundedHttpClient(TwilioHttpClient):  # type: ignore[misc]  # twilio has no py.typed
    """Every request goes to `base_url`, whichever of Twilio's hosts (api, messaging) the library names.

    Args:
        timeout_seconds: for connecting, and again for the whole answer, from its first byte to its last.
        on_date: gets the Date header of each answer.
    """

    def __init__(self, base_url: str, timeout_seconds: float, on_date: OnDate = ignore_date) -> None:
        self._of_thread = threading.local()
        super().__init__(timeout=timeout_seconds)
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            raise InsecureBaseUrlError("gateway.twilio.api_base_url must be https, or http to this machine")
        self._base_url = base_url.rstrip("/")
        self.session = _Session()
        # POST /Messages has no idempotency key: a retry here could text twice (this is also the default of requests).
        adapter = _DeadlineAdapter(pool_maxsize=_POOL, max_retries=0)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        self.session.hooks["response"].append(lambda response, **_: on_date(response.headers.get("Date")))

    # The library returns each answer through this attribute of a client that our threads share. A thread must never
    # read another thread's answer, or a text would get the SID of another text.
    @property
    def _test_only_last_response(self) -> Response | None:
        return getattr(self._of_thread, "response", None)

    @_test_only_last_response.setter
    def _test_only_last_response(self, response: Response | None) -> None:
        self._of_thread.response = response

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        if self._base_url != PUBLIC_API:
            parts = urlsplit(url)
            url = f"{self._base_url}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        try:
            return super().request(method, url, *args, **kwargs)
        finally:
            # The library keeps the last request and answer for its own tests: a phone and a body would stay in memory after the
            # purge.
            self._test_only_last_request = None
            self._test_only_last_response = None

    def close(self) -> None:
        self.session.close()


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def make_client(credentials: Credentials, http: BoundedHttpClient) -> Client:
    """A client that ignores this process's environment (TWILIO_EDGE would change hosts without notice)."""
    quiet_libraries()
    # With an empty mapping the library would read os.environ.
    environment = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
    return Client(credentials.account_sid, credentials.tokens[0], http_client=http, environment=environment)


def quiet_libraries() -> None:
    """The libraries' loggers show request URLs, and the list of messages has the patient's number in its query."""
    logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def answered(error: Exception) -> tuple[int, int] | None:
    """(HTTP status, Twilio's code or 0) of an answer that the library raised; None: there was no complete answer."""
    page = error.args[1] if isinstance(error, TwilioException) and len(error.args) > 1 else None
    if isinstance(page, Response):  # of a list, whose answer the library hands on unread
        return page.status_code, _code_in(page.text)
    if not isinstance(error, TwilioRestException | TwilioServiceException):
        return None
    status = error.status if isinstance(error.status, int) else 0
    code = error.code if isinstance(error.code, int) else 0
    # If an answer has no readable code, the library repeats the status.
    return status, 0 if code == status else code


def _code_in(body: str) -> int:
    """Twilio's code in an error's body; 0: none can be read."""
    try:
        code = json.loads(body).get("code")
    except (ValueError, AttributeError):
        return 0
    return code if isinstance(code, int) else 0


def never_left(error: Exception) -> str | None:
    """Why a request certainly reached nobody: refused, no such host, no TLS; None: it may have."""
    if isinstance(error, ConnectTimeout):
        return "connect_timeout"
    if isinstance(error, InvalidURL | InvalidProxyURL):
        return "bad_url"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, ProxyError):
        reason = reason.original_error
        if isinstance(reason, OSError) and "Tunnel connection failed" in str(reason):
            return "proxy_refused"
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):  # a failed name lookup is one of the first
        return "not_connected"
    if isinstance(error, SSLError) and isinstance(_ssl_cause(reason), ssl.SSLCertVerificationError):
        return "certificate"
    return None


def _ssl_cause(reason: object) -> object:
    return reason.args[0] if isinstance(reason, Exception) and reason.args else None


def broken_off(error: Exception) -> str:
    """A word for a request that was sent and whose answer did not come, or was incomplete."""
    # requests makes a ConnectionError of a read time-out within the body.
    if any(isinstance(cause, ReadTimeout | ReadTimeoutError) for cause in (error, *error.args)):
        return "read_timeout"
    return "connection_lost" if isinstance(error, RequestException) else "unreadable_answer"
