"""A launch proves who was launched and what for, by the EHR's own server; every other way leads nowhere, with a code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from ehr.launch import LaunchCode, Launched, LaunchFault, Reader, begin_launch, finish_launch, launch_word
from oauth.code_flow import ClientRegistration, StartedSignIn
from oauth.faults import FetchFault, OAuthFault, SignInCode, SignInFault
from oauth.fetcher import Fetcher
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from tests.oauth.browser import launched_back, page_of

CLIENT: Final = ClientRegistration(client_id="carebell", redirect_uri="http://127.0.0.1:8081/ehr/production/callback")
CONTEXT: Final = {"sessionId": "900100", "departmentId": " Cardiology East ", "env": "production"}
BASE: Final = "https://ehr.example/api/FHIR/R4"
OTHERS: Final = {"test": "https://test.ehr.example/api/FHIR/R4"}


def begun(fetcher: Fetcher, fhir: FhirSimulator, *, user: str = "dana") -> StartedSignIn:
    word = fhir.sign_in.launch(CONTEXT, user)
    return begin_launch(fetcher, fhir.base_url, CLIENT, word, now=datetime.now(UTC))


def finished(
    fetcher: Fetcher, fhir: FhirSimulator, started: StartedSignIn, reader: Reader = "provider", **more: datetime
) -> Launched:
    parameters = launched_back(started.url)
    now = more.get("now", datetime.now(UTC))
    return finish_launch(
        fetcher, fhir.base_url, CLIENT, started.pending, parameters, reader, subject_hash=lambda text: f"<{len(text)}>", now=now
    )  # fmt: skip


def test_a_provider_is_identified_without_a_password(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    started = begun(fetcher, fhir)
    assert dict(started.shown)["scope"] == "launch openid fhirUser"
    launched = finished(fetcher, fhir, started)
    assert launched == Launched(
        subject_hash=f"<{len(f'{fhir.issuer}-dana')}>",
        session="900100",
        appointment=None,
        department="Cardiology East",
        environment="production",
        test=False,
    )
    assert "900100" not in repr(launched)


def test_a_launch_counts_once(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    started = begun(fetcher, fhir)
    finished(fetcher, fhir, started)
    assert page_of(started.url)[0] == 400


@pytest.mark.parametrize(("user", "reader"), [("pat", "provider"), ("dana", "patient")])
def test_the_wrong_user(user: str, reader: Reader, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    with pytest.raises(LaunchFault) as caught:
        finished(fetcher, fhir, begun(fetcher, fhir, user=user), reader)
    assert caught.value.code is LaunchCode.WRONG_USER


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (FhirFault.WRONG_STATE, SignInCode.STATE),
        (FhirFault.NO_STATE, SignInCode.STATE),
        (FhirFault.WRONG_CALLBACK_ISSUER, SignInCode.ISSUER),
        (FhirFault.ACCESS_DENIED, SignInCode.PROVIDER),
        (FhirFault.SWAPPED_CODE, SignInCode.CODE_REFUSED),
        (FhirFault.WRONG_NONCE, SignInCode.NONCE),
        (FhirFault.ALG_NONE, SignInCode.ALGORITHM),
        (FhirFault.WRONG_KEY, SignInCode.SIGNATURE),
        (FhirFault.CHANGED, SignInCode.SIGNATURE),
        (FhirFault.NO_ID_TOKEN, SignInCode.NO_ID_TOKEN),
    ],
)
def test_attacks_on_the_sign_in(fault: FhirFault, code: SignInCode, fetcher: Fetcher, fhir: FhirSimulator) -> None:
    started = begun(fetcher, fhir)
    fhir.plan(FhirFaultPlan(faults=frozenset({fault})))
    with pytest.raises(OAuthFault) as caught:
        finished(fetcher, fhir, started)
    assert caught.value.code is code


def test_an_answer_that_comes_too_late(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    started = begun(fetcher, fhir)
    with pytest.raises(SignInFault) as caught:
        finished(fetcher, fhir, started, now=datetime.now(UTC) + timedelta(minutes=11))
    assert caught.value.code is SignInCode.EXPIRED


def test_a_server_that_takes_no_launch(fetcher: Fetcher, fhir: FhirSimulator) -> None:
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.NO_SMART})))
    with pytest.raises(FetchFault):
        begun(fetcher, fhir)


def test_the_word_of_a_launch() -> None:
    for issuer in (BASE, f"{BASE}/", BASE.replace("ehr.", "EHR.")):
        assert launch_word([("iss", issuer), ("launch", "w")], BASE, OTHERS, environment="production") == "w"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ([("launch", "w")], LaunchCode.PARAMETERS),
        ([("iss", BASE)], LaunchCode.PARAMETERS),
        ([("iss", BASE), ("launch", "")], LaunchCode.PARAMETERS),
        ([("iss", BASE), ("launch", "w"), ("iss", "https://evil.example")], LaunchCode.PARAMETERS),
        ([("iss", BASE), ("launch", "w" * 5_000)], LaunchCode.PARAMETERS),
        ([("iss", BASE), ("launch", "w\r\nx: y")], LaunchCode.PARAMETERS),
        ([("iss", "https://evil.example"), ("launch", "w")], LaunchCode.WRONG_ISSUER),
        ([("iss", f"{BASE}/../R4"), ("launch", "w")], LaunchCode.WRONG_ISSUER),
        ([("iss", "https://[evil"), ("launch", "w")], LaunchCode.WRONG_ISSUER),
        ([("iss", "https://test.ehr.example/api/FHIR/R4"), ("launch", "w")], LaunchCode.OTHER_ENVIRONMENT),
    ],
)
def test_a_launch_that_is_none(parameters: list[tuple[str, str]], code: LaunchCode) -> None:
    with pytest.raises(LaunchFault) as caught:
        launch_word(parameters, BASE, OTHERS, environment="production")
    assert caught.value.code is code
    assert "evil" not in caught.value.sentence
    if code is LaunchCode.OTHER_ENVIRONMENT:
        assert "environment production" in caught.value.sentence
        assert "environment test" in caught.value.sentence
