"""Whole sign-ins against the simulated server, and each attack on one by its name: nobody is signed in, and the code says why."""

from __future__ import annotations

import importlib.util
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from oauth.code_flow import ClientRegistration, PendingSignIn, StartedSignIn
from oauth.discovery import SignInServer, discover_openid, discover_smart
from oauth.faults import FetchCode, FetchFault, OAuthFault, SignInCode, SignInFault, SsoExtraMissing
from oauth.fetcher import Fetcher, FetchPolicy
from oauth.id_token import SignedInUser
from oauth.sign_in import complete, start
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.sign_in import FhirClientSettings
from simulator.fhir.tokens import TokenSigner
from tests.oauth.browser import page_of, signed_in

CLIENT = ClientRegistration(client_id="carebell", redirect_uri="http://127.0.0.1:8443/approval/callback?tab=1")


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


def test_a_person_signs_in(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    user = whole(fetcher, fhir)
    assert (user.issuer, user.subject, user.shown_name) == (fhir.issuer, "dana", "Dana Analyst")
    assert user.claims["roles"] == ["carebell-analyst"]
    assert "dana" not in repr(user).lower()


@pytest.mark.parametrize("takes_basic", [True, False])
@pytest.mark.parametrize("secret", ["s3cret:with/odd+words %", None])
def test_confidential_and_public_clients(
    secret: str | None, takes_basic: bool, fetcher: Fetcher, signer: TokenSigner
) -> None:
    client = replace(CLIENT, client_secret=secret)
    with running_fhir_simulator(FhirSimulator(FhirClientSettings(client_secret=secret), signer=signer)) as fhir:
        server, started = begun(fetcher, fhir, client)
        server = replace(server, takes_basic=takes_basic)
        user = complete(fetcher, server, client, started.pending, signed_in(started.url), now=now())
    assert user.subject == "dana"
    assert secret is None or secret not in repr(client)


def test_a_wrong_secret_is_said(fetcher: Fetcher, signer: TokenSigner) -> None:
    settings = FhirClientSettings(client_secret="right")
    with running_fhir_simulator(FhirSimulator(settings, signer=signer)) as fhir, pytest.raises(SignInFault) as caught:
        whole(fetcher, fhir, replace(CLIENT, client_secret="wrong"))
    assert (caught.value.code, caught.value.provider_error) == (SignInCode.PROVIDER, "invalid_client")
    assert "client id or its secret" in caught.value.sentence


def test_the_page_is_told_what_was_asked_without_secrets(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    _, started = begun(fetcher, fhir)
    assert dict(started.shown) == {
        "authorization_endpoint": f"{fhir.issuer}/authorize",
        "response_type": "code",
        "client_id": "carebell",
        "redirect_uri": CLIENT.redirect_uri,
        "scope": "openid fhirUser",
        "aud": fhir.base_url,
        "code_challenge_method": "S256",
    }
    for secret in (started.pending.state, started.pending.nonce, started.pending.verifier):
        assert len(secret) == 43
        assert secret not in repr(started)
    assert started.pending.verifier not in started.url


def test_what_is_pending_survives_the_session_row(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    _, started = begun(fetcher, fhir)
    assert PendingSignIn.from_json(started.pending.to_json()) == started.pending
    for text in ("", "{}", "[]", '{"ends_at": 1}', "null"):
        with pytest.raises(ValueError, match=r"pending|JSON|Expecting|object"):
            PendingSignIn.from_json(text)


# P11: each attack and accident, by name

REFUSED: dict[FhirFault, SignInCode] = {
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


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.value)
def test_an_attack_signs_nobody_in(fault: FhirFault, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    server, started = begun(fetcher, fhir)
    fhir.plan(FhirFaultPlan(faults=frozenset({fault})))
    parameters = signed_in(started.url)
    with pytest.raises(SignInFault) as caught:
        complete(fetcher, server, CLIENT, started.pending, parameters, now=now())
    assert caught.value.code is REFUSED[fault]
    assert caught.value.sentence.endswith(".")
    _names_no_secret(caught.value, started, parameters)


def test_a_swapped_code_is_caught_by_the_nonce_where_the_server_ignores_pkce(
    fetcher: Fetcher, fhir: FhirSimulator
) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.SWAPPED_CODE, FhirFault.IGNORES_PKCE})))
    with pytest.raises(SignInFault) as caught:
        whole(fetcher, fhir)
    assert caught.value.code is SignInCode.NONCE


def test_a_code_counts_once(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    complete(fetcher, server, CLIENT, started.pending, parameters, now=now())
    with pytest.raises(SignInFault) as caught:
        complete(fetcher, server, CLIENT, started.pending, parameters, now=now())
    assert (caught.value.code, caught.value.provider_error) == (SignInCode.CODE_REFUSED, "invalid_grant")


CONNECTION: dict[FhirFault, FetchCode] = {
    FhirFault.SLOW: FetchCode.TOO_SLOW,
    FhirFault.HUGE: FetchCode.TOO_LARGE,
    FhirFault.REDIRECT: FetchCode.REDIRECT,
    FhirFault.NOT_JSON: FetchCode.NOT_JSON,
}


@pytest.mark.parametrize("fault", CONNECTION, ids=lambda fault: fault.value)
@pytest.mark.parametrize(
    "endpoint", [Endpoint.TOKEN, Endpoint.KEYS, Endpoint.OPENID_CONFIGURATION], ids=lambda at: at.value
)
def test_a_server_that_is_slow_huge_or_leads_elsewhere(
    fault: FhirFault, endpoint: Endpoint, fetcher: Fetcher, fhir: FhirSimulator
) -> None:
    _, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    fhir.plan(FhirFaultPlan(faults=frozenset({fault}), at=frozenset({endpoint})))
    hurried = Fetcher(FetchPolicy(loopback=True, deadline_seconds=0.5 if fault is FhirFault.SLOW else 60))
    with pytest.raises(FetchFault) as caught:
        _discovered_and_complete(hurried, fhir, started, parameters)
    assert caught.value.code is CONNECTION[fault]
    _names_no_secret(caught.value, started, parameters)


def test_dns_rebinding_between_discovery_and_token(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    """The token endpoint's name leads inside when it is asked: the code and the verifier are not sent."""
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    rebound = replace(server, token_endpoint="https://10.0.0.5/token")
    with pytest.raises(FetchFault) as caught:
        complete(fetcher, rebound, CLIENT, started.pending, parameters, now=now())
    assert caught.value.code is FetchCode.ADDRESS_REFUSED


def test_a_late_callback(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    server, started = begun(fetcher, fhir)
    parameters = signed_in(started.url)
    with pytest.raises(SignInFault) as caught:
        complete(fetcher, server, CLIENT, started.pending, parameters, now=now() + timedelta(minutes=11))
    assert caught.value.code is SignInCode.EXPIRED
    assert "10 minutes" in caught.value.sentence


def test_a_callback_of_another_servers_sign_in(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    """Mix-up: the answer comes back to the wrong server's sign-in, even where neither names its issuer."""
    server, started = begun(fetcher, fhir)
    other = replace(server, issuer="https://another.example", names_issuer=False)
    parameters = [pair for pair in signed_in(started.url) if pair[0] != "iss"]
    with pytest.raises(SignInFault) as caught:
        complete(fetcher, other, CLIENT, started.pending, parameters, now=now())
    assert caught.value.code is SignInCode.ISSUER


def test_a_callback_that_says_something_twice_or_has_no_code(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    server, started = begun(fetcher, fhir)
    state, iss = ("state", started.pending.state), ("iss", fhir.issuer)
    for parameters in ([state, iss, ("code", "a"), ("code", "b")], [state, iss], [state, iss, ("code", "x" * 5000)]):
        with pytest.raises(SignInFault) as caught:
            complete(fetcher, server, CLIENT, started.pending, parameters, now=now())
        assert caught.value.code is SignInCode.CALLBACK


def test_nobody_agreed(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    with pytest.raises(SignInFault) as caught:
        whole(fetcher, fhir, user="")
    fault = caught.value
    assert (fault.code, fault.provider_error) == (SignInCode.PROVIDER, "access_denied")
    assert fault.provider_words == "User has no rights to this application"
    assert fault.provider_words not in fault.sentence
    assert "You are known there, but the sign-in was refused" in fault.sentence


def test_without_the_extra_it_is_said_before_anybody_signs_in(
    fetcher: Fetcher, fhir: FhirSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = discover_openid(fetcher, fhir.issuer)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SsoExtraMissing, match=r"pip install 'carebell\[sso\]'"):
        start(server, CLIENT, scope="openid", now=now())


# Discovery


def test_smart_and_openid_agree(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    smart = discover_smart(fetcher, fhir.base_url + "/")
    assert smart.base_url == fhir.base_url
    assert smart.server == discover_openid(fetcher, fhir.issuer)
    assert smart.server is not None
    assert smart.server.names_issuer


def test_a_document_of_another_issuer_is_refused(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.OTHER_ISSUER_IN_DOCUMENT})))
    with pytest.raises(SignInFault) as caught:
        discover_openid(fetcher, fhir.issuer)
    assert caught.value.code is SignInCode.ISSUER
    assert "exactly as the server writes it" in caught.value.sentence


def test_an_issuer_with_another_ending_is_another_issuer(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    with pytest.raises(SignInFault):
        discover_openid(fetcher, fhir.issuer + "/")


# The simulated server is strict itself


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("client_id=carebell", "client_id=other"),
        ("redirect_uri=http%3A%2F%2F127.0.0.1", "redirect_uri=https%3A%2F%2Fevil.example"),
        ("code_challenge_method=S256", "code_challenge_method=plain"),
        ("scope=openid", "scope=closed"),
        ("aud=http", "aud=https"),
        ("response_type=code", "response_type=token"),
    ],
)
def test_a_wrong_request_gets_no_sign_in_page(old: str, new: str, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    _, started = begun(fetcher, fhir)
    assert old in started.url
    status, page = page_of(started.url.replace(old, new))
    assert status == 400
    assert "<form" not in page


def _discovered_and_complete(
    fetcher: Fetcher, fhir: FhirSimulator, started: StartedSignIn, parameters: list[tuple[str, str]]
) -> SignedInUser:
    server = discover_openid(fetcher, fhir.issuer)
    return complete(fetcher, server, CLIENT, started.pending, parameters, now=now())


def _names_no_secret(fault: OAuthFault, started: StartedSignIn, parameters: list[tuple[str, str]]) -> None:
    """Neither the sentence nor the traceback's last words hold anything that could be used."""
    text = "".join(traceback.format_exception_only(fault)) + fault.sentence + repr(fault)
    secrets = [started.pending.state, started.pending.nonce, started.pending.verifier, *dict(parameters).values()]
    assert [secret for secret in secrets if len(secret) > 20 and secret in text and not secret.startswith("http")] == []
