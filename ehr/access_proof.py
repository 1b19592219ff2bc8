"""Prove that a person can reach an EHR: a SMART standalone sign-in at the FHIR base URL that is to be approved.

    "This sign-in only proves that you can reach this FHIR base URL. Carebell stores no credentials and reads no patient data."

What is kept is the time, the base URL, the issuer and a keyed hash of the person's id. The access token is dropped where it arrives
(`oauth.code_flow.exchange`), the id token when it is verified; no refresh token is asked for.
Source: SMART App Launch 2.2.0, standalone launch; scopes `openid fhirUser`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ehr.urls import clean
from oauth.code_flow import ClientRegistration, Parameters, PendingSignIn, StartedSignIn
from oauth.discovery import SignInServer, discover_smart
from oauth.faults import SignInCode, SignInFault
from oauth.fetcher import Fetcher
from oauth.sign_in import complete, start

SCOPE: Final = "openid fhirUser"
PURPOSE: Final = (
    "This sign-in only proves that you can reach this FHIR base URL. Carebell stores no credentials and reads no patient "
    "data."
)
"""To stand above the button."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessProof:
    """What is recorded of a proof.

    Attributes:
        at: aware.
        subject_hash: keyed; the same person at the same issuer has the same one.
    """

    at: datetime
    base_url: str
    issuer: str
    subject_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedAccess:
    """A proof, and a name to show once and keep nowhere."""

    proof: AccessProof
    shown_name: str | None = field(repr=False)


def begin_proof(fetcher: Fetcher, base_url: str, client: ClientRegistration, *, now: datetime) -> StartedSignIn:
    """Where the person signs in. `aud` is the base URL, so that the EHR's server knows which of its FHIR servers is meant.

    Raises:
        FetchFault: the server could not be asked.
        SignInFault: it offers no sign-in that proves anything.
        SsoExtraMissing: its answer could not be verified here.
    """
    base_url = clean(base_url)
    return start(_server(fetcher, base_url), client, scope=SCOPE, now=now, audience=base_url)


def complete_proof(
    fetcher: Fetcher,
    base_url: str,
    client: ClientRegistration,
    pending: PendingSignIn,
    parameters: Parameters,
    *,
    subject_hash: Callable[[str], str],
    now: datetime,
) -> ProvedAccess:
    """The proof that a callback completes. The server is asked anew: what it says now is what counts.

    Args:
        pending: forgotten by the caller before this call, so that a callback counts once.
        subject_hash: a keyed hash.

    Raises:
        OAuthFault: nothing is proved.
    """
    base_url = clean(base_url)
    user = complete(fetcher, _server(fetcher, base_url), client, pending, parameters, now=now)
    proof = AccessProof(
        at=now, base_url=base_url, issuer=user.issuer, subject_hash=subject_hash(f"{user.issuer}\n{user.subject}")
    )
    return ProvedAccess(proof=proof, shown_name=user.shown_name)


def _server(fetcher: Fetcher, base_url: str) -> SignInServer:
    smart = discover_smart(fetcher, base_url)
    if smart.server is None:
        raise SignInFault(
            SignInCode.DISCOVERY,
            f"Nobody can prove access by signing in to this server: it {smart.lacks}. Prove it with a signed message instead.",
        )
    return smart.server
