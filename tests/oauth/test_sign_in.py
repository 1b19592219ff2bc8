"""Whole sign-ins against the simulated server. The attacks on one are in `attacks`, and fault P11 does them all."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from oauth.code_flow import PendingSignIn
from oauth.discovery import discover_openid, discover_smart
from oauth.faults import SignInCode, SignInFault, SsoExtraMissing
from oauth.fetcher import Fetcher
from oauth.sign_in import complete, start
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.sign_in import FhirClientSettings
from simulator.fhir.tokens import TokenSigner
from tests.oauth.attacks import CLIENT, begun, now, whole
from tests.oauth.browser import page_of, signed_in


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
