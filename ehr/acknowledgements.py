"""What an engine answered to a message that went back to the EHR, and what follows from it. Pure.

Negative answers mean different things in different engines (HL7 2.5, 2.9.2.2: AE is an error of the content, AR has other
reasons; several engines have it the other way round), so the configuration decides. A locked record or an internal error of the EHR
(ERR-3 206 and 207) is always tried again, except where the application says it later (`scheduler.writeback.after_later_answer`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from parser.ack import ERROR_TEXTS

_CODES: Final = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})
_ERROR: Final = re.compile(r"[0-9]{1,3}")
_LOCKED: Final = frozenset({"206", "207"})
_ADVICE: Final = {
    "101": "Does the out-map fill every field that it wants?",
    "102": "Is the form of a value another one there?",
    "103": "Is a value of the out-map (SCH-6, SCH-25) not in its table?",
    "200": "Does this port take this type of message?",
    "201": "Does this port take this event?",
    "202": "Does it want another MSH-11?",
    "203": "Does it want another MSH-12 (`version`)?",
    "204": "Does SCH-2 hold their number?",
    "205": "It has this message already.",
    "207": "Ask its administrators if it stays so.",
}


class EngineVerdict(StrEnum):
    """taken: nothing is left to do. refused: it is not sent again. again: it is, until its time is over.

    unknown: nobody can say whether it was taken, and a repetition could double it. HL7 v2 has none, because MSH-10 says it.
    """

    TAKEN = "taken"
    REFUSED = "refused"
    AGAIN = "again"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """Attributes:
    answer: MSA-1.
    control_id: MSA-2 as bytes.
    err3: the first code of HL7 table 0357 that it names; None: none.
    """

    answer: str
    control_id: bytes
    err3: str | None = None


def read_answer(content: bytes) -> EngineAnswer | None:
    """Read an acknowledgement; None: it is none. Nothing of its free text is kept, because it may speak of the patient."""
    text = content.decode("latin-1")
    segments = [line for line in re.split(r"[\r\n]+", text) if line]
    if len(segments) < 2 or not segments[0].startswith("MSH") or len(segments[0]) < 5:
        return None
    field, component = segments[0][3], segments[0][4]
    parts = [segment.split(field) for segment in segments]
    acknowledgements = [part for part in parts[1:] if part[0] == "MSA"]
    if len(acknowledgements) != 1 or len(acknowledgements[0]) < 3 or acknowledgements[0][1] not in _CODES:
        return None
    [msa] = acknowledgements
    errors = (_error_code(part, component) for part in parts[1:] if part[0] == "ERR")
    of_msa = msa[6].split(component)[0] if len(msa) > 6 and _ERROR.fullmatch(msa[6].split(component)[0]) else None
    return EngineAnswer(
        answer=msa[1],
        control_id=msa[2].encode("latin-1"),
        err3=next((code for code in errors if code is not None and code != "0"), of_msa),
    )


def _error_code(segment: list[str], component: str) -> str | None:
    """ERR-3.1 since 2.5, before that the code in ERR-1.4."""
    newer = segment[3].split(component)[0] if len(segment) > 3 else ""
    older = segment[1].split(component)[3:4] if len(segment) > 1 else []
    for code in (newer, *(part.split("&")[0] for part in older)):
        if _ERROR.fullmatch(code):
            return code
    return None


def judge(answer: EngineAnswer, on: Mapping[str, str]) -> EngineVerdict:
    """What follows.

    Args:
        on: AE, AR, CE and CR -> `refuse` or `retry`.
    """
    if answer.answer in ("AA", "CA"):
        return EngineVerdict.TAKEN
    if answer.err3 in _LOCKED or on[answer.answer] == "retry":
        return EngineVerdict.AGAIN
    return EngineVerdict.REFUSED


def answer_words(answer: str, err3: str | None) -> str:
    """A negative answer in a sentence of ours."""
    if err3 is None or err3 not in ERROR_TEXTS:
        code = "" if err3 is None else f" ({err3})"
        return f"The EHR answered {answer}{code} and says no more; its own log does."
    advice = _ADVICE.get(err3)
    sentence = f"The EHR says: {ERROR_TEXTS[err3].lower()} ({err3})."
    return sentence if advice is None else f"{sentence} {advice}"
