"""What a sign-in server's own error codes mean to the person at the screen, and whom to ask. Pure.

Sources: RFC 6749, sections 4.1.2.1 and 5.2; OpenID Connect Core 1.0, section 3.1.2.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from oauth.faults import SignInCode, SignInFault

_ADMINISTRATOR: Final = "Ask whoever registered Carebell with that server."

MEANINGS: Final[Mapping[str, str]] = {
    "access_denied": (
        "You are known there, but the sign-in was refused: it was cancelled, or your user lacks the right to use this application. "
        "Ask the security team of the EHR or of the identity provider for it."
    ),
    "unauthorized_client": (
        "Carebell's client id may not sign people in there: the application is not enabled in this environment, or not for this "
        f"kind of sign-in. {_ADMINISTRATOR}"
    ),
    "invalid_client": (
        "The server does not know Carebell's client id or its secret. A new registration may not have reached this environment "
        f"yet; test and production have different ids. {_ADMINISTRATOR}"
    ),
    "invalid_request": (
        "The server does not accept the request's parameters. Usually the redirect address or the FHIR base URL is not registered "
        f"exactly as it is written here. {_ADMINISTRATOR}"
    ),
    "invalid_scope": f"The application is not registered for the scopes that Carebell asks for. {_ADMINISTRATOR}",
    "invalid_grant": (
        "The one-time code was refused: it was used before, is too old, or belongs to another sign-in. Start the sign-in again."
    ),
    "unsupported_response_type": f"The server does not offer the authorization code flow to this application. {_ADMINISTRATOR}",
    "unsupported_grant_type": f"The server does not offer the authorization code flow to this application. {_ADMINISTRATOR}",
    "login_required": "The server wants you to sign in there first. Start the sign-in again.",
    "consent_required": "The server wants you to agree first. Start the sign-in again and agree there.",
    "interaction_required": "The server wants to ask you something first. Start the sign-in again.",
    "account_selection_required": "The server wants you to choose a user first. Start the sign-in again.",
    "server_error": "The server failed. Try again later; if it stays so, ask whoever runs that server.",
    "temporarily_unavailable": "The server is overloaded or being maintained. Try again later.",
}
_UNKNOWN: Final = f"The server refused the sign-in for a reason of its own. {_ADMINISTRATOR}"
_LONGEST_WORDS: Final = 200
_LONGEST_CODE: Final = 60


def provider_fault(error: Any, description: Any, *, code: SignInCode = SignInCode.PROVIDER) -> SignInFault:
    """The fault for an error that the sign-in server named. Its own words are kept apart from Carebell's sentence."""
    named = _printable(error, _LONGEST_CODE)
    return SignInFault(
        SignInCode.CODE_REFUSED if named == "invalid_grant" else code,
        MEANINGS.get(named or "", _UNKNOWN),
        provider_error=named,
        provider_words=_printable(description, _LONGEST_WORDS),
    )


def _printable(value: Any, length: int) -> str | None:
    """Its printable characters, cut; None: nothing of it can be shown."""
    if not isinstance(value, str):
        return None
    return "".join(letter if letter.isprintable() else " " for letter in value[:length]).strip() or None
