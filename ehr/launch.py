"""An EHR launches Carebell for somebody who is signed in there: who it is, and which visit it is about.

    EHR ─> launch address?iss=…&launch=… ─> the EHR's sign-in server (nobody types a password) ─> callback ─> who, and the context

What counts comes from the EHR's own server over TLS, in exchange for a one-time code: the id token, whose `fhirUser` tells a
practitioner from a patient, and the context beside it. Nothing in the launch address is believed but `launch`, which the server
itself must recognise. Which names the context has is the site's own registration; those that are read here stand in the integration
records. Source: SMART App Launch 2.2.0, EHR launch; scopes `launch openid fhirUser`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from ehr.record_contents import LAUNCH_SCOPES
from ehr.urls import clean
from oauth.code_flow import ClientRegistration, Parameters, PendingSignIn, StartedSignIn
from oauth.discovery import SignInServer, discover_smart
from oauth.faults import SignInCode, SignInFault
from oauth.fetcher import Fetcher
from oauth.sign_in import complete_launch, start

LONGEST_LAUNCH: Final = 4_096
"""Characters of an EHR's launch word: Epic's are signed tokens of their own."""
Reader = Literal["provider", "patient"]
"""Whose launch address it is."""

_USERS: Final[Mapping[Reader, frozenset[str]]] = {
    "provider": frozenset({"Practitioner", "PractitionerRole"}),
    "patient": frozenset({"Patient", "RelatedPerson"}),
}
_FHIR_USER: Final = re.compile(r"(?:.*/)?([A-Za-z]{1,40})/[A-Za-z0-9.\-]{1,64}")
_DEPARTMENT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_SESSION: Final = re.compile(r"[^\x00-\x1f\x7f]{1,120}")


class LaunchCode(StrEnum):
    """Why a launch leads nowhere."""

    NOT_CONFIGURED = "not_configured"
    PARAMETERS = "parameters"  # iss or launch is missing, or given twice
    WRONG_ISSUER = "wrong_issuer"  # iss is no environment's FHIR base URL
    OTHER_ENVIRONMENT = "other_environment"  # iss, or the context's env, is another environment's
    NOT_STARTED = "not_started"  # a callback that this browser did not begin, or whose time is over
    REPLAYED = "replayed"
    SIGN_IN = "sign_in"  # the EHR's server did not say who it is
    WRONG_USER = "wrong_user"  # a patient at the providers' address, or the reverse
    NO_SESSION = "no_session"  # the context names no visit
    UNKNOWN_VISIT = "unknown_visit"
    CONFERENCE_ALONE = "conference_alone"  # a patient's context names a group, and not which visit of it is theirs


class LaunchFault(Exception):
    """A launch that leads nowhere.

    Attributes:
        sentence: for staff: what happened, why, and what to do. It holds nothing of a patient, and no visit's number.
    """

    def __init__(self, code: LaunchCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """Who an EHR launched, and what for.

    Attributes:
        subject_hash: keyed; the same person at the same issuer has the same one.
        session: the visit as the EHR knows it, or the group of visits; None: the context named none.
        appointment: beside a group, the person's own visit; None: the context named none.
        department: where it takes place, as the EHR calls it.
        environment: as the context names it; None: it does not.
        test: the context asks for the device test.
    """

    subject_hash: str
    session: str | None = field(repr=False)
    appointment: str | None = field(repr=False)
    department: str | None
    environment: str | None
    test: bool


def launch_word(parameters: Parameters, base_url: str, others: Mapping[str, str], *, environment: str) -> str:
    """The EHR's word for a launch that came to an environment's address.

    Args:
        base_url: the environment's FHIR base URL. others: name -> that of every other environment.

    Raises:
        LaunchFault: `parameters`, `wrong_issuer` or `other_environment`.
    """
    given = dict(parameters)
    issuer, word = given.get("iss", ""), given.get("launch", "")
    if len(given) != len(parameters) or not issuer or not word or len(word) > LONGEST_LAUNCH or not word.isprintable():
        raise LaunchFault(
            LaunchCode.PARAMETERS,
            "This is no launch by an EHR: `iss` and `launch` must be given, each once. Start it from the visit in the EHR. If "
            "that is what you did, the EHR's record is not one for a SMART on FHIR launch.",
        )
    if _same(issuer, base_url):
        return word
    other = next((name for name, url in others.items() if _same(issuer, url)), None)
    if other is not None:
        raise LaunchFault(LaunchCode.OTHER_ENVIRONMENT, other_environment(environment, other))
    raise LaunchFault(
        LaunchCode.WRONG_ISSUER,
        f"The EHR that launched this is not the one of the environment {environment}: its FHIR base URL (iss) is another. Compare "
        "the launch URL in the EHR with the integration record, and `fhir_base_url` in the configuration with the EHR.",
    )


def other_environment(address: str, ehr: str) -> str:
    """What is said where one environment's EHR has another one's launch URL."""
    return (
        f"This is the launch address of the environment {address}, and the EHR that launched it belongs to the environment {ehr}. "
        f"Enter the launch URL and context token of {ehr} in that EHR, from its integration records."
    )


def begin_launch(
    fetcher: Fetcher, base_url: str, client: ClientRegistration, word: str, *, now: datetime
) -> StartedSignIn:
    """Where the browser goes to be told who sits there.

    Raises:
        FetchFault: the server could not be asked.
        SignInFault: it takes no launch.
        SsoExtraMissing: its answer could not be verified here.
    """
    base_url = clean(base_url)
    return start(_server(fetcher, base_url), client, scope=LAUNCH_SCOPES, now=now, audience=base_url, launch=word)


def finish_launch(
    fetcher: Fetcher,
    base_url: str,
    client: ClientRegistration,
    pending: PendingSignIn,
    parameters: Parameters,
    reader: Reader,
    *,
    subject_hash: Callable[[str], str],
    now: datetime,
) -> Launched:
    """Who was launched, and the context.

    Args:
        pending: forgotten by the caller before this call, so that a callback counts once.
        subject_hash: a keyed hash.

    Raises:
        OAuthFault: nobody was signed in.
        LaunchFault: `wrong_user`.
    """
    given = complete_launch(fetcher, _server(fetcher, clean(base_url)), client, pending, parameters, now=now)
    claimed = given.user.claims.get("fhirUser")
    kind = _FHIR_USER.fullmatch(claimed) if isinstance(claimed, str) and len(claimed) <= 2_000 else None
    if kind is None or kind[1] not in _USERS[reader]:
        other = "practitioner" if reader == "provider" else "patient"
        raise LaunchFault(
            LaunchCode.WRONG_USER,
            f"The EHR does not say that a {other} is signed in (fhirUser), and this address is for them alone. Check which "
            "launch URL the record has, and that the app is registered for the scope fhirUser.",
        )
    context = given.context
    return Launched(
        subject_hash=subject_hash(f"{given.user.issuer}\n{given.user.subject}"),
        session=_matching(_SESSION, context.get("sessionId")),
        appointment=_matching(_SESSION, context.get("appointmentId")),
        department=_matching(_DEPARTMENT, context.get("departmentId")),
        environment=context.get("env") or None,
        test=context.get("test") == "true",
    )


def _server(fetcher: Fetcher, base_url: str) -> SignInServer:
    smart = discover_smart(fetcher, base_url, launch="launch-ehr")
    if smart.server is None:
        raise SignInFault(SignInCode.DISCOVERY, f"Nobody can be launched from this EHR: its FHIR server {smart.lacks}.")
    return smart.server


def _same(issuer: str, base_url: str) -> bool:
    try:
        return clean(issuer) == clean(base_url)
    except ValueError:
        return False


def _matching(pattern: re.Pattern[str], value: str | None) -> str | None:
    stripped = (value or "").strip()
    return stripped if pattern.fullmatch(stripped) else None
