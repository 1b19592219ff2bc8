"""SMART backend services: an access token for Carebell itself, without a person.

    token = BackendTokens(fetcher, ...).token(now)      # asked for once, then kept in memory until 30 seconds before its end

Source: SMART App Launch 2.2.0, "Backend Services". The token endpoint is the one in the FHIR server's SMART configuration.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from oauth.client_keys import CLOCK_SKEW, ClientKey
from oauth.discovery import SMART_PATH
from oauth.faults import FetchFault, SignInCode, SignInFault
from oauth.fetcher import Fetcher
from oauth.provider_errors import provider_fault

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_USUAL_LIFE: Final = timedelta(minutes=5)
"""Where the server does not say; SMART's own upper limit."""
_LONGEST_TOKEN: Final = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """Attributes:
    ends_at: aware; not used from 30 seconds before.
    """

    value: str = field(repr=False)
    ends_at: datetime


@dataclass(slots=True, kw_only=True)
class BackendTokens:
    """One client's tokens at one FHIR server; threads may share it. Nothing of it is ever written.

    Attributes:
        scopes: the least that is needed, in SMART's second notation, such as `system/Appointment.ru`. A server that does not name
            `permission-v2` among its capabilities is asked in the first one.
        random_token: (bytes) -> that many random bytes as Base64url.
    """

    fetcher: Fetcher = field(repr=False)
    base_url: str
    client_id: str
    key: ClientKey = field(repr=False)
    scopes: Sequence[str]
    random_token: Callable[[int], str] = field(default=secrets.token_urlsafe, repr=False)
    _endpoint: str | None = field(default=None, init=False)
    _scope: str = field(default="", init=False)
    _kept: AccessToken | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def token(self, now: datetime) -> str:
        """The token to send.

        Args:
            now: aware.

        Raises:
            FetchFault: the server could not be asked.
            SignInFault: `discovery`, `provider` (it refuses, and says why), or `token_answer`.
        """
        with self._lock:
            if self._kept is None or now >= self._kept.ends_at - CLOCK_SKEW:
                self._kept = self._asked(now)
            return self._kept.value

    def refused(self, token: str) -> None:
        """The FHIR server does not take this token: the next one is asked for anew."""
        with self._lock:
            if self._kept is not None and self._kept.value == token:
                self._kept = None

    def _asked(self, now: datetime) -> AccessToken:
        endpoint = self._endpoint or self._discovered()
        assertion = self.key.assertion(
            client_id=self.client_id, token_endpoint=endpoint, token_id=self.random_token(24), now=now
        )
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = self.fetcher.post_form(endpoint, form)
        document = answer.document
        if answer.status != 200:
            raise provider_fault(str(document.get("error", "")), None)
        value, kind, lasts = document.get("access_token"), document.get("token_type"), document.get("expires_in")
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TOKEN or not _is_plain(value):
            raise _token_fault("has no access token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise _token_fault("is of a type that is not Bearer")
        self._endpoint = endpoint
        life = timedelta(seconds=lasts) if isinstance(lasts, int) and 0 < lasts <= 86_400 else _USUAL_LIFE
        return AccessToken(value=value, ends_at=now + life)

    def _discovered(self) -> str:
        document = self.fetcher.get(self.base_url.rstrip("/") + SMART_PATH)
        endpoint = document.get("token_endpoint")
        if not isinstance(endpoint, str):
            raise SignInFault(
                SignInCode.DISCOVERY,
                "The FHIR server's SMART configuration names no token_endpoint. Ask whoever runs that server.",
            )
        try:
            self.fetcher.check(endpoint)
        except FetchFault as fault:
            raise SignInFault(
                SignInCode.DISCOVERY, f"The FHIR server names a token endpoint that cannot be used. {fault.sentence}"
            ) from None
        capabilities = document.get("capabilities")
        knows_second = isinstance(capabilities, list) and "permission-v2" in capabilities
        self._scope = " ".join(self.scopes if knows_second else first_notation(self.scopes))
        return endpoint


def first_notation(scopes: Sequence[str]) -> list[str]:
    """SMART's scopes before its version 2: `system/Appointment.ru` is `system/Appointment.read system/Appointment.write`."""
    older = []
    for scope in scopes:
        resource, _, actions = scope.rpartition(".")
        older += [f"{resource}.read"] if set(actions) & set("rs") else []
        older += [f"{resource}.write"] if set(actions) & set("cud") else []
    return older


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _token_fault(how: str) -> SignInFault:
    return SignInFault(SignInCode.TOKEN_ANSWER, f"The token endpoint's answer {how}. Ask whoever runs that server.")
