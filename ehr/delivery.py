"""What came of one attempt to tell the EHR something by its web services, and what an HTTP status means for it. Pure.

Sources: FHIR R4, "RESTful API" (conditional create, If-Match); fhir.cerner.com, Millennium R4, Appointment (409 to 424);
RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ehr.acknowledgements import EngineVerdict

_AGAIN: Final = frozenset({401, 408, 409, 423, 424, 425, 429})
_LONGEST_WAIT: Final = timedelta(hours=1)
"""A server that asks for more is asked after this."""
ISSUES: Final = frozenset({
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden", "suppressed",
    "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
    "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete",
    "throttled", "informational",
})  # fmt: skip
"""FHIR's own codes of an OperationOutcome (value set issue-type). Its texts are not kept: they may speak of the patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Attributes:
    answer: the HTTP status; None: the service was not asked. code: why, in Carebell's terms; None: nothing to say.
    issue: one of `ISSUES`, if the server named it.
    wait: the server asked to be left alone for so long.
    """

    verdict: EngineVerdict
    answer: str | None = None
    code: str | None = None
    issue: str | None = None
    wait: timedelta | None = None


class Unanswered(Exception):
    """There is no answer that counts; the same may be sent again. `code` is stable: a `FetchCode` or a token fault, in capitals."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def judged(status: int, headers: Mapping[str, str], document: Mapping[str, Any] | None, now: datetime) -> Delivery:
    """What a status means.

    Args:
        now: aware, for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        return Delivery(verdict=EngineVerdict.TAKEN, answer=str(status))
    again = status in _AGAIN or status >= 500
    return Delivery(
        verdict=EngineVerdict.AGAIN if again else EngineVerdict.REFUSED,
        answer=str(status),
        code=f"HTTP_{status}",
        issue=_issue(document),
        wait=retry_after(headers.get("retry-after"), now) if again else None,
    )


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long a server asks to wait, an hour at most; None: it does not say, or not so that it can be read."""
    if value is None:
        return None
    if value.strip().isdecimal() and len(value.strip()) < 10:
        asked = timedelta(seconds=int(value))
    else:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        if until.tzinfo is None:
            return None
        asked = until - now
    return min(max(asked, timedelta()), _LONGEST_WAIT)


def _issue(document: Mapping[str, Any] | None) -> str | None:
    issues = (document or {}).get("issue")
    first = issues[0] if isinstance(issues, list) and issues else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, str) and code in ISSUES else None


_WORDS: Final[Mapping[str, str]] = {
    "HTTP_400": "The EHR's server cannot read it. Does the map fill what it wants?",
    "HTTP_401": "The EHR's server does not take Carebell's token. Is the client still active there?",
    "HTTP_403": "Carebell may not do this there. Ask the EHR's administrators for the scope, and for the right on this resource.",
    "HTTP_404": "The EHR's server does not know it. Is the appointment's id in the map the one that this server uses?",
    "HTTP_405": "The EHR's server does not offer this. Its CapabilityStatement says what it does.",
    "HTTP_409": "Somebody else changed the appointment each time. It is tried again.",
    "HTTP_410": "It was deleted in the EHR.",
    "HTTP_412": "The EHR's server holds several with this identifier, or wants another condition.",
    "HTTP_415": "The EHR's server does not take this format.",
    "HTTP_422": "The EHR's server does not accept it: a rule of its own, or a profile that the map does not fill.",
    "HTTP_423": "The appointment is being worked on in the EHR. It is tried again.",
    "HTTP_424": "Something that the change needs failed in the EHR. It is tried again.",
    "HTTP_429": "The EHR's server wants fewer requests. It is tried again when it says so.",
    "APPOINTMENT_STATE": "The appointment's status in the EHR is one that the map does not change: somebody decided otherwise.",
    "NOT_FOUND": "The EHR has no appointment with this identifier.",
    "NOT_ONE": "The EHR has several appointments with this identifier. Write its system into the map.",
    "NO_VERSION": "The EHR names no version of the appointment, so that it cannot be changed safely.",
    "NO_PATIENT": "The EHR's appointment names no patient.",
    "NOT_FHIR": "What the EHR's server answered is no Appointment.",
    "LINKS_MIXED": "The EHR's appointment holds one video link of two; it can neither add nor replace both.",
    "NO_TIMES": "The EHR's appointment has no start and end, which its video links need.",
    "ALREADY": "It was so already.",
    "MAYBE_DONE": "It was sent, and no answer came, and this server takes no condition. Look there; retry it if it is missing.",
    "LINK_TOO_LONG": "The address of the video visit is longer than 255 characters.",
}


def delivery_words(code: str, issue: str | None) -> str | None:
    """A code in a sentence of ours; None: there is none."""
    words = _WORDS.get(code)
    if words is None and code.startswith("HTTP_5"):
        words = "The EHR's server failed. It is tried again."
    return words if words is None or issue is None else f"{words} It names the reason: {issue}."
