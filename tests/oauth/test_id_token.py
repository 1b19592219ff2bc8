"""The id token alone: every claim that can be wrong, every key that must not be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oauth.faults import SignInCode, SignInFault
from oauth.id_token import LONGEST_TOKEN, SignedInUser, verify_id_token
from simulator.fhir.tokens import TokenSigner, encoded

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
CLAIMS: Mapping[str, Any] = {
    "iss": "https://login.example",
    "sub": "dana",
    "aud": "carebell",
    "iat": MOMENT,
    "exp": MOMENT + 300,
    "nonce": "n-1",
}


def verified(token: str, keys: list[dict[str, Any]]) -> SignedInUser:
    return verify_id_token(token, keys, issuer="https://login.example", client_id="carebell", nonce="n-1", now=NOW)


def refused(token: str, keys: list[dict[str, Any]]) -> SignInCode:
    with pytest.raises(SignInFault) as caught:
        verified(token, keys)
    return caught.value.code


def part(value: object) -> str:
    return encoded(json.dumps(value).encode())


def keys_of(signer: TokenSigner) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = signer.published()["keys"]
    return keys


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"aud": ["carebell"]},
        {"aud": ["carebell", "other"], "azp": "carebell"},
        {"azp": "carebell"},
        {"exp": MOMENT - 59},
        {"iat": MOMENT + 59},
        {"iat": MOMENT - 900, "nbf": MOMENT},
        {"iat": MOMENT + 0.5},
    ],
)
def test_what_is_accepted(change: dict[str, Any], signer: TokenSigner) -> None:
    assert verified(signer.signed({**CLAIMS, **change}), keys_of(signer)).subject == "dana"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"iss": "https://login.example/"}, SignInCode.ISSUER),
        ({"iss": None}, SignInCode.ISSUER),
        ({"iss": ["https://login.example"]}, SignInCode.ISSUER),
        ({"aud": "carebell2"}, SignInCode.AUDIENCE),
        ({"aud": None}, SignInCode.AUDIENCE),
        ({"aud": []}, SignInCode.AUDIENCE),
        ({"aud": {"carebell": 1}}, SignInCode.AUDIENCE),
        ({"aud": ["carebell", "other"]}, SignInCode.AUDIENCE),
        ({"aud": ["carebell", "other"], "azp": "other"}, SignInCode.AUDIENCE),
        ({"azp": "other"}, SignInCode.AUDIENCE),
        ({"azp": None}, SignInCode.AUDIENCE),
        ({"exp": MOMENT - 60}, SignInCode.TOKEN_EXPIRED),
        ({"exp": -1e300}, SignInCode.TOKEN_EXPIRED),
        ({"exp": None}, SignInCode.MALFORMED),
        ({"exp": "soon"}, SignInCode.MALFORMED),
        ({"exp": True}, SignInCode.MALFORMED),
        ({"iat": None}, SignInCode.MALFORMED),
        ({"iat": MOMENT + 61}, SignInCode.TOKEN_TIME),
        ({"iat": MOMENT - 961}, SignInCode.TOKEN_TIME),
        ({"nbf": MOMENT + 61}, SignInCode.TOKEN_TIME),
        ({"nonce": "n-2"}, SignInCode.NONCE),
        ({"nonce": None}, SignInCode.NONCE),
        ({"nonce": ["n-1"]}, SignInCode.NONCE),
        ({"nonce": "\u20ac"}, SignInCode.NONCE),
        ({"sub": ""}, SignInCode.SUBJECT),
        ({"sub": None}, SignInCode.SUBJECT),
        ({"sub": 7}, SignInCode.SUBJECT),
        ({"sub": "x" * 256}, SignInCode.SUBJECT),
    ],
)  # fmt: skip
def test_what_is_refused(change: dict[str, Any], code: SignInCode, signer: TokenSigner) -> None:
    assert refused(signer.signed({**CLAIMS, **change}), keys_of(signer)) is code


def test_no_changed_character_changes_what_is_believed(signer: TokenSigner) -> None:
    """The last bits of a Base64 part may be free; then the token still says the same."""
    token, keys = signer.signed(CLAIMS), keys_of(signer)
    for place, letter in enumerate(token):
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        try:
            assert verified(changed, keys).claims == CLAIMS
        except SignInFault:
            continue


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "x" * (LONGEST_TOKEN + 1), "é.é.é", "W10.e30.e30"]
)
def test_what_is_no_token(token: str, signer: TokenSigner) -> None:
    assert refused(token, keys_of(signer)) is SignInCode.MALFORMED


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS512", "RS1", "EdDSA", "", 1, None, ["RS256"]]
)
def test_algorithms_that_prove_nothing(algorithm: object, signer: TokenSigner) -> None:
    token = f"{part({'alg': algorithm})}.{part(CLAIMS)}.{encoded(b'x')}"
    assert refused(token, keys_of(signer)) is SignInCode.ALGORITHM


def test_a_header_may_not_bring_its_own_rules(signer: TokenSigner) -> None:
    token = f"{part({'alg': 'RS256', 'crit': ['exp'], 'exp': 1})}.{part(CLAIMS)}.{encoded(b'x')}"
    assert refused(token, keys_of(signer)) is SignInCode.MALFORMED


def test_a_key_in_the_header_is_not_used(signer: TokenSigner) -> None:
    foreign = TokenSigner()
    [jwk] = foreign.published()["keys"]
    key = foreign._key("published")
    text = f"{part({'alg': 'RS256', 'jwk': jwk, 'jku': 'https://evil.example/jwks'})}.{part(CLAIMS)}"
    token = f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"
    assert refused(token, keys_of(signer)) is SignInCode.SIGNATURE


def test_which_keys_may_have_signed(signer: TokenSigner) -> None:
    token = signer.signed(CLAIMS)
    [key] = keys_of(signer)
    without = {name: value for name, value in key.items() if name not in ("kid", "use", "alg")}
    assert refused(token, [{**key, "kid": "another"}]) is SignInCode.KEYS
    assert refused(token, [{**key, "use": "enc"}]) is SignInCode.KEYS
    assert refused(token, [{**key, "alg": "RS384"}]) is SignInCode.KEYS
    assert refused(token, [{**key, "kty": "oct", "k": "AAAA"}]) is SignInCode.KEYS
    assert refused(token, []) is SignInCode.KEYS
    assert refused(token, [{"kty": "RSA", "kid": "simulated-1"}]) is SignInCode.SIGNATURE
    assert refused(token, [{**key, "n": 7}]) is SignInCode.SIGNATURE
    no_id = f"{part({'alg': 'RS256'})}.{part(CLAIMS)}"
    signature = encoded(signer._key("published").sign(no_id.encode(), padding.PKCS1v15(), SHA256()))
    assert verified(f"{no_id}.{signature}", [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, without]).subject == "dana"


def test_a_small_key_is_not_believed() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": encoded(numbers.n.to_bytes(128, "big")), "e": "AQAB"}
    text = f"{part({'alg': 'RS256'})}.{part(CLAIMS)}"
    assert (
        refused(f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}", [jwk])
        is SignInCode.SIGNATURE
    )


def test_elliptic_curves_need_their_own_curve() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": encoded(numbers.x.to_bytes(32, "big")),
        "y": encoded(numbers.y.to_bytes(32, "big")),
    }
    text = f"{part({'alg': 'ES256'})}.{part(CLAIMS)}"
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
    token = f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    assert verified(token, [jwk]).subject == "dana"
    assert refused(token, [{**jwk, "crv": "P-384"}]) is SignInCode.KEYS
    assert refused(token, [{**jwk, "x": jwk["y"]}]) is SignInCode.SIGNATURE


def test_only_a_printable_name_is_shown(signer: TokenSigner) -> None:
    for claims, name in (
        ({"name": "Dana Analyst", "email": "d@x.example"}, "Dana Analyst"),
        ({"name": "Dana\x1b[31m", "email": "d@x.example"}, "d@x.example"),
        ({"name": 7, "fhirUser": "Practitioner/1"}, "Practitioner/1"),
        ({"name": "  "}, None),
        ({"name": "x" * 300}, "x" * 80),
    ):
        assert verified(signer.signed({**CLAIMS, **claims}), keys_of(signer)).shown_name == name
