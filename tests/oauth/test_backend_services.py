"""Tokens for Carebell itself: signed by one library, verified by another, and every way in which a server refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from oauth.backend_services import BackendTokens, first_notation
from oauth.client_keys import ClientAlgorithm, ClientKey, ClientKeyError, published, read_client_key
from oauth.faults import FetchCode, FetchFault, SignInCode, SignInFault
from oauth.fetcher import Fetcher
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def rsa_pem() -> bytes:
    return pem(rsa.generate_private_key(65537, 2048))


EC_PEM = pem(ec.generate_private_key(ec.SECP384R1()))


def tokens_of(fhir: FhirSimulator, fetcher: Fetcher, key: ClientKey, client_id: str = "carebell") -> BackendTokens:
    return BackendTokens(
        fetcher=fetcher, base_url=fhir.base_url, client_id=client_id, key=key, scopes=["system/Appointment.ru"]
    )


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_a_token_is_kept_until_just_before_its_end(
    fhir: FhirSimulator, fetcher: Fetcher, rsa_pem: bytes, algorithm: ClientAlgorithm
) -> None:
    key = read_client_key(rsa_pem if algorithm == "RS384" else EC_PEM, algorithm)
    fhir.clock = lambda: NOW
    fhir.resources.backend.keys = published([key])["keys"]
    tokens = tokens_of(fhir, fetcher, key)
    first = tokens.token(NOW)
    assert tokens.token(NOW + timedelta(minutes=4, seconds=29)) == first
    assert fhir.resources.backend.allows(f"Bearer {first}", "Appointment.u", NOW) is True
    assert fhir.resources.backend.allows(f"Bearer {first}", "Communication.c", NOW) is False
    fhir.clock = lambda: NOW + timedelta(minutes=4, seconds=30)
    second = tokens.token(NOW + timedelta(minutes=4, seconds=30))
    assert second != first
    tokens.refused(first)  # an old answer, late
    assert tokens.token(NOW + timedelta(minutes=5)) == second
    tokens.refused(second)
    assert tokens.token(NOW + timedelta(minutes=5)) not in (first, second)
    assert "carebell" in repr(tokens)
    assert second not in repr(tokens)


@pytest.mark.parametrize("seconds", [-59, 59])
def test_clocks_may_differ_by_nearly_a_minute(fhir: FhirSimulator, fetcher: Fetcher, seconds: int) -> None:
    key = read_client_key(EC_PEM, "ES384")
    fhir.resources.backend.keys = published([key])["keys"]
    fhir.clock = lambda: NOW + timedelta(seconds=seconds)
    assert tokens_of(fhir, fetcher, key).token(NOW)


def test_an_assertion_counts_once_and_for_its_client_alone(fhir: FhirSimulator, fetcher: Fetcher) -> None:
    key = read_client_key(EC_PEM, "ES384")
    fhir.clock = lambda: NOW
    other = read_client_key(pem(ec.generate_private_key(ec.SECP384R1())), "ES384")
    refused = fhir.resources.refused
    with pytest.raises(SignInFault) as unknown_key:
        tokens_of(fhir, fetcher, key).token(NOW)
    fhir.resources.backend.keys = [{**other.public, "kid": key.key_id}]
    with pytest.raises(SignInFault):
        tokens_of(fhir, fetcher, key).token(NOW)
    fhir.resources.backend.keys = published([key, other, key])["keys"]
    with pytest.raises(SignInFault):
        tokens_of(fhir, fetcher, key, "somebody").token(NOW)
    repeated = tokens_of(fhir, fetcher, other)
    repeated.random_token = lambda _bytes: "same"
    token = repeated.token(NOW)
    repeated.refused(token)
    with pytest.raises(SignInFault):
        repeated.token(NOW)
    with pytest.raises(SignInFault):
        tokens_of(fhir, fetcher, key).token(NOW - timedelta(minutes=10))
    assert (unknown_key.value.code, unknown_key.value.provider_error) == (SignInCode.PROVIDER, "invalid_client")
    assert refused == [
        "kid is no registered key's", "the signature is not the key's", "iss and sub are not the client's id",
        "jti was used before", "exp is over, or more than five minutes away",
    ]  # fmt: skip


def test_what_a_server_may_do_wrong(fhir: FhirSimulator, fetcher: Fetcher) -> None:
    key = read_client_key(EC_PEM, "ES384")
    tokens = tokens_of(fhir, fetcher, key)
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.NO_SMART})))
    with pytest.raises(FetchFault) as none_there:
        tokens.token(NOW)
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.NOT_JSON}), at=frozenset({Endpoint.TOKEN})))
    with pytest.raises(FetchFault) as page:
        tokens.token(NOW)
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.REDIRECT}), at=frozenset({Endpoint.TOKEN})))
    with pytest.raises(FetchFault) as elsewhere:
        tokens.token(NOW)
    codes = [none_there.value.code, page.value.code, elsewhere.value.code]
    assert codes == [FetchCode.STATUS, FetchCode.NOT_JSON, FetchCode.REDIRECT]


def test_keys_that_are_not_taken(rsa_pem: bytes) -> None:
    small = pem(rsa.generate_private_key(65537, 1024))
    other_curve = pem(ec.generate_private_key(ec.SECP256R1()))
    public = json.dumps(dict(read_client_key(EC_PEM, "ES384").public)).encode()
    wrong: list[tuple[bytes, ClientAlgorithm]] = [
        (small, "RS384"), (other_curve, "ES384"), (rsa_pem, "ES384"), (EC_PEM, "RS384"), (public, "ES384"), (b"", "RS384"),
    ]  # fmt: skip
    for content, algorithm in wrong:
        with pytest.raises(ClientKeyError, match=algorithm):
            read_client_key(content, algorithm)


def test_what_is_published_is_the_public_half_alone(rsa_pem: bytes) -> None:
    keys = [read_client_key(rsa_pem, "RS384"), read_client_key(EC_PEM, "ES384")]
    shown = published(keys)["keys"]
    assert [set(key) for key in shown] == [
        {"kty", "n", "e", "use", "alg", "kid"},
        {"kty", "crv", "x", "y", "use", "alg", "kid"},
    ]


def test_a_server_of_smart_1_is_asked_in_its_own_words(fhir: FhirSimulator, fetcher: Fetcher) -> None:
    key = read_client_key(EC_PEM, "ES384")
    fhir.resources.backend.keys = published([key])["keys"]
    fhir.clock = lambda: NOW
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.OLD_SCOPES})))
    token = tokens_of(fhir, fetcher, key).token(NOW)
    allows = fhir.resources.backend.allows
    assert [allows(f"Bearer {token}", f"{kind}.u", NOW) for kind in ("Appointment", "Patient")] == [True, False]
    assert first_notation(["system/Appointment.rs", "system/Communication.c", "system/Appointment.ru"]) == [
        "system/Appointment.read", "system/Communication.write", "system/Appointment.read", "system/Appointment.write",
    ]  # fmt: skip
