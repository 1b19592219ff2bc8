"""Whose certificates count, and in which environment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from certs.certificate import SigningCertificate
from certs.keyring import Held, Keyring, KeyringError, State
from tests.certs.ring import PRODUCTION_FILES, VECTORS, certificate, production, rsa_key, thumbprint, trial
from tests.certs.shapes import issue

RETIRED = "accept/14-retired-rsa2048.cer"


def test_certificates_are_found_by_thumbprint_alone() -> None:
    ring = Keyring([production(retired=(RETIRED,)), trial()])
    names = {"prod": "production", "next": "production", "ec": "production", "ed": "production", "test": "test"}
    for name, environment in names.items():
        found = ring.find(thumbprint(name))
        assert found is not None
        trust, held = found
        assert (trust.environment, held.state, held.certificate.thumbprint) == (
            environment,
            State.ACTIVE,
            thumbprint(name),
        )
    retired = ring.find(thumbprint("retired"))
    assert retired is not None
    assert retired[1].state is State.RETIRED
    for unknown in (thumbprint("attacker"), thumbprint("prod").lower(), thumbprint("prod") + "=", ""):
        assert ring.find(unknown) is None
    assert [trust.environment for trust in ring] == ["production", "test"]
    assert [len(trust.certificates) for trust in ring] == [len(PRODUCTION_FILES) + 1, 1]


def _again() -> SigningCertificate:
    """Another certificate for production's first key."""
    again = SigningCertificate.of(x509.load_pem_x509_certificate(issue(rsa_key())))
    assert again.thumbprint != thumbprint("prod")
    return again


def test_one_certificate_cannot_stand_in_two_environments() -> None:
    shared = replace(trial(), certificates=(Held(certificate=certificate("accept/01-prod-rsa3072.cer")),))
    with pytest.raises(KeyringError, match="production and test"):
        Keyring([production(), shared])


@pytest.mark.parametrize("state", list(State))
def test_one_key_under_two_certificates_cannot_either(state: State) -> None:
    with pytest.raises(KeyringError, match="same key"):
        Keyring([production(), replace(trial(), certificates=(Held(certificate=_again(), state=state),))])


def test_one_key_may_be_renewed_within_its_environment() -> None:
    first = certificate("accept/01-prod-rsa3072.cer")
    again = _again()
    ring = Keyring([replace(production(), certificates=(Held(certificate=first), Held(certificate=again)))])
    assert all(ring.find(name) is not None for name in (thumbprint("prod"), again.thumbprint))


def test_nothing_stands_twice() -> None:
    twice = (Held(certificate=certificate("accept/12-ed25519.cer")),) * 2
    with pytest.raises(KeyringError, match="twice"):
        Keyring([replace(production(), certificates=twice)])
    with pytest.raises(KeyringError, match="twice"):
        Keyring([production(), production("accept/12-ed25519.cer")])


@pytest.mark.parametrize("name", ["26-ec-p384", "27-ec-secp256k1", "29-ed448", "31-dsa"])
def test_a_key_of_no_algorithm_is_refused_behind_the_upload_check_too(name: str) -> None:
    other = x509.load_pem_x509_certificate((VECTORS / f"certs/refuse/{name}.cer").read_bytes())
    with pytest.raises(ValueError, match="no algorithm"):
        SigningCertificate.of(other)
