"""Every warning that the parser can give: a stable code, and its meaning for an interface analyst.

The codes appear in `carebell explain`, in counters and in docs/reference, which is generated from this table. A warning never
stops a message; a `Rejection` with a code of config/answers.yaml does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from parser.event import ParseWarning


class Oddity(StrEnum):
    """A warning's code."""

    ACK_CONDITION = "ACK_CONDITION"
    CHARSET_FALLBACK = "CHARSET_FALLBACK"
    CHARSET_MISMATCH = "CHARSET_MISMATCH"
    CHARSET_REPLACED = "CHARSET_REPLACED"
    CHARSET_UNKNOWN = "CHARSET_UNKNOWN"
    DURATION_UNREADABLE = "DURATION_UNREADABLE"
    HEADER_OFFSET = "HEADER_OFFSET"
    JOIN_LINK_REFUSED = "JOIN_LINK_REFUSED"
    LANGUAGE_UNKNOWN = "LANGUAGE_UNKNOWN"
    PATIENTS_SEVERAL = "PATIENTS_SEVERAL"
    PHONE_REPETITIONS = "PHONE_REPETITIONS"
    PHONE_UNUSABLE = "PHONE_UNUSABLE"
    START_DATE_ONLY = "START_DATE_ONLY"
    START_DISAGREES = "START_DISAGREES"
    START_GAP = "START_GAP"
    START_OVERLAP = "START_OVERLAP"
    START_REPEATED = "START_REPEATED"
    START_TOO_FAR = "START_TOO_FAR"
    START_UNREADABLE = "START_UNREADABLE"
    STATUS_DISAGREES = "STATUS_DISAGREES"
    STATUS_IGNORED = "STATUS_IGNORED"
    STATUS_UNKNOWN = "STATUS_UNKNOWN"


MEANINGS: Final[dict[Oddity, str]] = {
    Oddity.ACK_CONDITION: "MSH-15 or MSH-16 is none of AL, ER, SU, NE; read as empty.",
    Oddity.CHARSET_FALLBACK: "The bytes are not UTF-8, and MSH-18 names no usable character set; the fallback was used.",
    Oddity.CHARSET_MISMATCH: "MSH-18 names a character set that the bytes are not written in.",
    Oddity.CHARSET_REPLACED: "No character set fits; unreadable bytes became U+FFFD.",
    Oddity.CHARSET_UNKNOWN: "MSH-18 names a character set that is not supported.",
    Oddity.DURATION_UNREADABLE: "A length was given but not used: no number, an unknown unit, or an implausible size.",
    Oddity.HEADER_OFFSET: "The start has no offset; MSH-7's was used, though the clinic's clock shows another.",
    Oddity.JOIN_LINK_REFUSED: "The join link field does not hold an https link to an allowed host; no link is sent.",
    Oddity.LANGUAGE_UNKNOWN: "The patient's language is not a known code or word; texts use the fallback language.",
    Oddity.PATIENTS_SEVERAL: "The message has more than one PID (a group's visit); only the first patient is texted.",
    Oddity.PHONE_REPETITIONS: "A telephone field repeats more than 20 times; the further repetitions were not read.",
    Oddity.PHONE_UNUSABLE: "Telephone numbers were given, but none can be texted; `carebell explain` says why.",
    Oddity.START_DATE_ONLY: "The start is a date without a time of day; no timed reminder is possible.",
    Oddity.START_DISAGREES: "Two fields give different starts for the appointment; the first in the field map's order was used.",
    Oddity.START_GAP: "The start does not exist on the clinic's clock (clocks go forward); shifted forward by the gap.",
    Oddity.START_OVERLAP: "The start exists twice on the clinic's clock (clocks go back); the earlier was used.",
    Oddity.START_REPEATED: "The message gives several occurrences; only the first is planned.",
    Oddity.START_TOO_FAR: "The start is more than 400 days away; it was ignored, because this event needs no start.",
    Oddity.START_UNREADABLE: "The start is not a date and time; it was ignored, because this event needs no start.",
    Oddity.STATUS_DISAGREES: "The codes of the status, or the statuses of visit, service and resource, contradict each other.",
    Oddity.STATUS_IGNORED: "A resource's event carries an ending status. It concerns the resource; the appointment stays.",
    Oddity.STATUS_UNKNOWN: "The status is not in the field map's lists; the appointment's state is left as it is.",
}


def warning(code: Oddity, field: str | None) -> ParseWarning:
    """The warning of that code at a field. Its text is the code's meaning, so it can hold no message content."""
    return ParseWarning(code=code.value, field=field, text=MEANINGS[code])
