"""A proof of access keeps the time, the address, the issuer and a hash, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from ehr.access_proof import AccessProof, begin_proof, complete_proof
from oauth.code_flow import ClientRegistration
from oauth.faults import FetchFault, SignInCode, SignInFault
from oauth.fetcher import Fetcher
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from tests.oauth.browser import signed_in

CLIENT = ClientRegistration(client_id="carebell", redirect_uri="http://127.0.0.1:8443/approval/callback")


def keyed(text: str) -> str:
    return hmac.new(b"pepper", text.encode(), hashlib.sha256).hexdigest()


def test_a_proof(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    now = datetime.now(UTC)
    started = begin_proof(fetcher, fhir.base_url + "/", CLIENT, now=now)
    shown = dict(started.shown)
    assert (shown["aud"], shown["scope"]) == (fhir.base_url, "openid fhirUser")
    proved = complete_proof(
        fetcher, fhir.base_url, CLIENT, started.pending, signed_in(started.url), subject_hash=keyed, now=now
    )
    assert proved.proof == AccessProof(
        at=now, base_url=fhir.base_url, issuer=fhir.issuer, subject_hash=keyed(f"{fhir.issuer}\ndana")
    )
    assert proved.shown_name == "Dana Analyst"
    assert "Dana" not in repr(proved)
    assert "dana" not in str(asdict(proved.proof))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FhirFault.WRONG_STATE, SignInCode.STATE),
        (FhirFault.WRONG_NONCE, SignInCode.NONCE),
        (FhirFault.ACCESS_DENIED, SignInCode.PROVIDER),
        (FhirFault.OTHER_ISSUER_IN_DOCUMENT, SignInCode.ISSUER),
    ],
)
def test_nothing_is_proved(fault: FhirFault, code: SignInCode, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    now = datetime.now(UTC)
    started = begin_proof(fetcher, fhir.base_url, CLIENT, now=now)
    fhir.plan(FhirFaultPlan(faults=frozenset({fault})))
    parameters = signed_in(started.url)
    with pytest.raises(SignInFault) as caught:
        complete_proof(fetcher, fhir.base_url, CLIENT, started.pending, parameters, subject_hash=keyed, now=now)
    assert caught.value.code is code


def test_a_server_without_sign_in(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.NO_SMART})))
    with pytest.raises(FetchFault):
        begin_proof(fetcher, fhir.base_url, CLIENT, now=datetime.now(UTC))
