"""The one guarded way to a FHIR, SMART or OpenID Connect server: an address from a form or a document must not open the network.

    URL ─> https, no user name ─> resolved once ─> every address public ─> connected to that address ─> TLS for the host's name
        ─> no redirect ─> within the deadline ─> within the size ─> a JSON object

- The name is resolved once and the connection goes to the address that was checked, so a second answer of the resolver (DNS
  rebinding) has no effect. If one of several addresses is refused, the host is.
- No proxy of the environment is used, no cookie kept, no redirect followed, no compressed answer unpacked.
- http:// and this machine are reached only under a policy that says so. No configuration makes one: tests and rehearsals with
  simulators hand it in.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from oauth.addresses import IpAddress, IpNetwork, refusal_of
from oauth.faults import FetchCode, FetchFault
from oauth.resolver import Resolver, resolve
from oauth.target import Target, read_target
from oauth.transport import FetchDeadline, HttpRequest, HttpResponse, send

JsonObject = Mapping[str, Any]

DEADLINE_SECONDS: Final = 5.0
"""From the first question to the resolver to the last byte of the answer."""
MOST_BYTES: Final = 262_144
"""Epic's CapabilityStatement, the largest document that is read, has 93 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """What may be reached, and how much time and room it gets.

    Attributes:
        loopback: this machine may be called, by http too. For simulators; see `simulator_policy`.
        networks: private networks of the hospital that may be called all the same, by https.
        networks_setting: the configuration's key that lists them, for the sentence of a refusal; None: none does.
    """

    deadline_seconds: float = DEADLINE_SECONDS
    most_bytes: int = MOST_BYTES
    loopback: bool = False
    networks: tuple[IpNetwork, ...] = ()
    networks_setting: str | None = None


def simulator_policy(kind: Literal["production", "test"]) -> FetchPolicy:
    """The policy under which a simulator on this machine may take an EHR's place. ValueError for a production environment."""
    if kind == "production":
        raise ValueError("a production environment never calls this machine in place of its EHR")
    return FetchPolicy(loopback=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonAnswer:
    """A complete answer: a JSON object with any HTTP status. It may hold tokens."""

    status: int
    document: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedAnswer:
    """A complete answer with any HTTP status. It may hold patient data.

    Attributes:
        headers: names in lower case.
        document: None: the body is empty or no JSON object.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    document: JsonObject | None = field(default=None, repr=False)


class Fetcher:
    """Asks other organisations' servers. It keeps no state; threads may share it.

    Args:
        resolver: gives a host's addresses.
        tls: verifies certificates; by default with the system's authorities, TLS 1.2 or later.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        policy: FetchPolicy | None = None,
        *,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy or FetchPolicy()
        self._resolver = resolver
        self._tls = tls or _system_tls()
        self._clock = clock

    def get(self, url: str, *, accept: str = "application/json") -> JsonObject:
        """The JSON object at `url`.

        Raises:
            FetchFault: with its code; `status` for every HTTP status but 200.
        """
        target = self.check(url)
        response = self._send(HttpRequest(method="GET", target=target, headers=(("Accept", accept),)))
        if response.status != 200:
            raise FetchFault(
                FetchCode.STATUS,
                f"{target.authority} answered {response.status} to {target.path.partition('?')[0]}{_meaning(response.status)}.",
                status=response.status,
            )
        return _json_object(target, response)

    def post_form(self, url: str, form: Mapping[str, str], *, authorization: str | None = None) -> JsonAnswer:
        """Post a form and return the JSON object that answers it, whatever its status.

        Args:
            authorization: the header's value.

        Raises:
            FetchFault: with its code; `status` if an error's answer is no JSON object.
        """
        target = self.check(url)
        headers = [("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded")]
        if authorization is not None:
            headers.append(("Authorization", authorization))
        body = urlencode(form).encode("ascii")
        response = self._send(HttpRequest(method="POST", target=target, headers=headers, body=body))
        try:
            return JsonAnswer(status=response.status, document=_json_object(target, response))
        except FetchFault:
            if response.status == 200:
                raise
            raise FetchFault(
                FetchCode.STATUS,
                f"{target.authority} answered {response.status} to {target.path.partition('?')[0]}{_meaning(response.status)}.",
                status=response.status,
            ) from None

    def call(
        self, method: str, url: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> FetchedAnswer:
        """Whatever a server answers to one request but a redirect.

        Args:
            headers: without Host, Connection, Accept-Encoding and Content-Length.

        Raises:
            FetchFault: there is no complete answer, or it is a redirect.
        """
        target = self.check(url)
        response = self._send(HttpRequest(method=method, target=target, headers=headers, body=body))
        try:
            document = _json_object(target, response) if response.body else None
        except FetchFault:
            document = None
        return FetchedAnswer(status=response.status, headers=response.headers, document=document)

    def check(self, url: str) -> Target:
        """Where a request to `url` would go, as far as its words tell; nothing is resolved.

        Raises:
            FetchFault: `bad_url`, `not_https` or `user_info`.
        """
        return read_target(url, loopback=self.policy.loopback)

    def _send(self, request: HttpRequest) -> HttpResponse:
        deadline = FetchDeadline(self.policy.deadline_seconds, self._clock)
        addresses = self._addresses(request.target, deadline)
        response = send(
            request, addresses, tls=self._tls, deadline=deadline, most_bytes=self.policy.most_bytes
        )  # fmt: skip
        if 300 <= response.status < 400:
            raise _redirect(request.target, response)
        return response

    def _addresses(self, target: Target, deadline: FetchDeadline) -> tuple[IpAddress, ...]:
        """The host's addresses, all of which may be called."""
        try:
            addresses = tuple(self._resolver(target.host, deadline.remaining()))
        except TimeoutError:
            raise FetchFault(
                FetchCode.TOO_SLOW,
                f"The name {target.host} was not resolved in time. Try again; if it stays so, look at this machine's name servers.",
            ) from None
        if not addresses:
            raise FetchFault(
                FetchCode.NAME_UNKNOWN,
                f"The name {target.host} is not known to this machine's name servers. Check how it is written.",
            )
        for address in addresses:
            refusal = refusal_of(address, loopback=self.policy.loopback, networks=self.policy.networks)
            if refusal is None and not target.https and not address.is_loopback:
                refusal = "another machine by http"
            if refusal is not None:
                setting = self.policy.networks_setting
                listing = f", or list its network under `{setting}`" if setting and "network" in refusal else ""
                raise FetchFault(
                    FetchCode.ADDRESS_REFUSED,
                    f"The name {target.host} leads to {refusal}. Carebell calls only servers on the public internet, so that "
                    f"nobody can use it to look into the hospital's network. Use the server's public address{listing}.",
                )
        return addresses


def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _redirect(target: Target, response: HttpResponse) -> FetchFault:
    location = _clean_location(response.headers.get("location", ""))
    hint = (
        f" It leads to {location}: if that is the right address, use it."
        if location
        else " Use the address that it leads to."
    )
    return FetchFault(
        FetchCode.REDIRECT,
        f"{target.authority} answered with a redirect ({response.status}), and Carebell follows none.{hint}",
        status=response.status,
        location=location,
    )


def _clean_location(location: str) -> str | None:
    """The https address without its query, which may hold secrets; None: it is none."""
    try:
        read_target(location)
        parts = urlsplit(location)
    except (FetchFault, ValueError):
        return None
    return f"https://{parts.netloc}{parts.path}"[:200]


def _json_object(target: Target, response: HttpResponse) -> JsonObject:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity") or not (media_type == "application/json" or media_type.endswith("+json")):
        raise _not_json(target, "it is something else, such as a web page")
    try:
        document = json.loads(response.body.decode("utf-8-sig"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _not_json(target, "it is damaged") from None
    if not isinstance(document, dict):
        raise _not_json(target, "it is no object")
    return document


def _no_number(_word: str) -> float:
    raise ValueError("NaN and Infinity are no JSON")


def _not_json(target: Target, what: str) -> FetchFault:
    return FetchFault(
        FetchCode.NOT_JSON,
        f"{target.authority} did not answer with JSON to {target.path.partition('?')[0]}: {what}. Check that the address is "
        "the one you mean, without anything after it.",
    )


_MEANINGS: Final[Mapping[int, str]] = {
    401: " (sign-in needed)",
    403: " (not allowed)",
    404: " (nothing is there)",
    405: " (not allowed in this way)",
    410: " (no longer there)",
    429: " (too many requests)",
    503: " (out of service)",
}


def _meaning(status: int) -> str:
    return _MEANINGS.get(status, "")
