"""Each attack and accident of a sign-in elsewhere, by name (fault P11): it is done here, and what refuses it comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from oauth.addresses import IpAddress
from oauth.code_flow import ClientRegistration, StartedSignIn
from oauth.discovery import SignInServer, discover_openid
from oauth.faults import FetchCode, OAuthFault, SignInCode
from oauth.fetcher import Fetcher, FetchPolicy
from oauth.id_token import SignedInUser
from oauth.sign_in import complete, start
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from tests.oauth.browser import signed_in

CLIENT: Final = ClientRegistration(client_id="carebell", redirect_uri="http://127.0.0.1:8443/approval/callback?tab=1")
_HURRIED_SECONDS: Final = 0.5


def now() -> datetime:
    return datetime.now(UTC)


def begun(
    fetcher: Fetcher, fhir: FhirSimulator, client: ClientRegistration = CLIENT
) -> tuple[SignInServer, StartedSignIn]:
    server = discover_openid(fetcher, fhir.issuer)
    return server, start(server, client, scope="openid fhirUser", now=now(), audience=fhir.base_url)


def whole(
    fetcher: Fetcher, fhir: FhirSimulator, client: ClientRegistration = CLIENT, user: str = "dana"
) -> SignedInUser:
    server, started = begun(fetcher, fhir, client)
    return complete(fetcher, server, client, started.pending, signed_in(started.url, user), now=now())


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Attributes: secrets: what could be used, and must not be said."""

    fault: OAuthFault
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Attributes:
    run: does it; None: somebody was signed in.
    code: of what refuses it.
    """

    run: Callable[[Fetcher, FhirSimulator], Refused | None]
    code: SignInCode | FetchCode


def _refused(
    started: StartedSignIn, parameters: list[tuple[str, str]], sign_in: Callable[[], SignedInUser]
) -> Refused | None:
    pending = started.pending
    said = (pending.state, pending.nonce, pending.verifier, *dict(parameters).values())
    try:
        sign_in()
    except OAuthFault as fault:
        secrets = tuple(value for value in said if len(value) > 20 and not value.startswith("http"))
        return Refused(fault=fault, secrets=secrets)
    return None


def _by_the_server(*faults: FhirFault) -> Callable[[Fetcher, FhirSimulator], Refused | None]:
    """The server, or whoever stands in its place, does this after a sign-in began well."""

    def run(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
        server, started = begun(fetcher, fhir)
        fhir.plan(FhirFaultPlan(faults=frozenset(faults)))
        parameters = signed_in(started.url)
        attempt = partial(complete, fetcher, server, CLIENT, started.pending, parameters, now=now())
        return _refused(started, parameters, attempt)

    return run


def _by_the_connection(fault: FhirFault, endpoint: Endpoint) -> Callable[[Fetcher, FhirSimulator], Refused | None]:
    def run(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
        _, started = begun(fetcher, fhir)
        parameters = signed_in(started.url)
        fhir.plan(FhirFaultPlan(faults=frozenset({fault}), at=frozenset({endpoint})))
        seconds = _HURRIED_SECONDS if fault is FhirFault.SLOW else 60
        hurried = Fetcher(FetchPolicy(loopback=True, deadline_seconds=seconds))

        def discovered_and_complete() -> SignedInUser:
            server = discover_openid(hurried, fhir.issuer)
            return complete(hurried, server, CLIENT, started.pending, parameters, now=now())

        return _refused(started, parameters, discovered_and_complete)

    return run


def _code_again(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    attempt = partial(complete, fetcher, server, CLIENT, started.pending, parameters, now=now())
    attempt()
    return _refused(started, parameters, attempt)


def _token_endpoint_inside(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
    """The discovery document names an address inside."""
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    inside = replace(server, token_endpoint="https://10.0.0.5/token")
    return _refused(
        started, parameters, partial(complete, fetcher, inside, CLIENT, started.pending, parameters, now=now())
    )


def _rebinding(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
    """The server's name leads to the server at discovery, and inside when the token is asked for: the code is not sent."""
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    endpoint = urlsplit(server.token_endpoint)
    named = replace(server, token_endpoint=f"https://login.example:{endpoint.port}{endpoint.path}")

    def leads_inside(_host: str, _seconds: float) -> list[IpAddress]:
        return [ip_address("169.254.169.254")]

    rebound = Fetcher(FetchPolicy(loopback=True, deadline_seconds=60), resolver=leads_inside)
    return _refused(
        started, parameters, partial(complete, rebound, named, CLIENT, started.pending, parameters, now=now())
    )


def _late(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    at = now() + timedelta(minutes=11)
    return _refused(
        started, parameters, partial(complete, fetcher, server, CLIENT, started.pending, parameters, now=at)
    )


def _mix_up(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
    """The answer comes back to the wrong server's sign-in, even where neither names its issuer."""
    server, started = begun(fetcher, fhir)
    other = replace(server, issuer="https://another.example", names_issuer=False)
    parameters = [pair for pair in signed_in(started.url) if pair[0] != "iss"]
    return _refused(
        started, parameters, partial(complete, fetcher, other, CLIENT, started.pending, parameters, now=now())
    )


def _callback(*codes: str) -> Callable[[Fetcher, FhirSimulator], Refused | None]:
    """The right state, with these codes."""

    def run(fetcher: Fetcher, fhir: FhirSimulator) -> Refused | None:
        server, started = begun(fetcher, fhir)
        parameters = [("state", started.pending.state), ("iss", fhir.issuer), *(("code", code) for code in codes)]
        return _refused(
            started, parameters, partial(complete, fetcher, server, CLIENT, started.pending, parameters, now=now())
        )

    return run


_BY_THE_SERVER: Final[Mapping[FhirFault, SignInCode]] = {
    FhirFault.WRONG_STATE: SignInCode.STATE,
    FhirFault.NO_STATE: SignInCode.STATE,
    FhirFault.WRONG_CALLBACK_ISSUER: SignInCode.ISSUER,
    FhirFault.NO_CALLBACK_ISSUER: SignInCode.ISSUER,
    FhirFault.ACCESS_DENIED: SignInCode.PROVIDER,
    FhirFault.SWAPPED_CODE: SignInCode.CODE_REFUSED,
    FhirFault.INVALID_CLIENT: SignInCode.PROVIDER,
    FhirFault.NO_ID_TOKEN: SignInCode.NO_ID_TOKEN,
    FhirFault.WRONG_NONCE: SignInCode.NONCE,
    FhirFault.WRONG_ISSUER: SignInCode.ISSUER,
    FhirFault.WRONG_AUDIENCE: SignInCode.AUDIENCE,
    FhirFault.OTHER_PARTY: SignInCode.AUDIENCE,
    FhirFault.ALG_NONE: SignInCode.ALGORITHM,
    FhirFault.ALG_HS256: SignInCode.ALGORITHM,
    FhirFault.WRONG_KEY: SignInCode.SIGNATURE,
    FhirFault.CHANGED: SignInCode.SIGNATURE,
    FhirFault.EXPIRED: SignInCode.TOKEN_EXPIRED,
    FhirFault.FROM_THE_FUTURE: SignInCode.TOKEN_TIME,
}
_BY_THE_CONNECTION: Final[Mapping[FhirFault, FetchCode]] = {
    FhirFault.SLOW: FetchCode.TOO_SLOW,
    FhirFault.HUGE: FetchCode.TOO_LARGE,
    FhirFault.REDIRECT: FetchCode.REDIRECT,
    FhirFault.NOT_JSON: FetchCode.NOT_JSON,
}
ATTACKS: Final[Mapping[str, Attack]] = {
    **{fault.value: Attack(run=_by_the_server(fault), code=code) for fault, code in _BY_THE_SERVER.items()},
    **{
        f"{fault.value} at {endpoint.value}": Attack(run=_by_the_connection(fault, endpoint), code=code)
        for fault, code in _BY_THE_CONNECTION.items()
        for endpoint in (Endpoint.TOKEN, Endpoint.KEYS, Endpoint.OPENID_CONFIGURATION)
    },
    "swapped code where PKCE is ignored": Attack(
        run=_by_the_server(FhirFault.SWAPPED_CODE, FhirFault.IGNORES_PKCE), code=SignInCode.NONCE
    ),
    "code used again": Attack(run=_code_again, code=SignInCode.CODE_REFUSED),
    "token endpoint inside": Attack(run=_token_endpoint_inside, code=FetchCode.ADDRESS_REFUSED),
    "DNS rebinding": Attack(run=_rebinding, code=FetchCode.ADDRESS_REFUSED),
    "late callback": Attack(run=_late, code=SignInCode.EXPIRED),
    "mix-up of two servers": Attack(run=_mix_up, code=SignInCode.ISSUER),
    "two codes": Attack(run=_callback("a", "b"), code=SignInCode.CALLBACK),
    "no code": Attack(run=_callback(), code=SignInCode.CALLBACK),
    "a huge code": Attack(run=_callback("x" * 5000), code=SignInCode.CALLBACK),
}
