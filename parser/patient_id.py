"""PID-3 as it goes back to the EHR that sent it: all repetitions, in the usual delimiters. Read only where an environment keeps it.

Source: HL7 v2.9 chapter 3, PID-3 (CX, repeats). Nothing of it is written into a trace.
"""

from __future__ import annotations

from typing import Final

from parser.er7 import DELETE, Message
from parser.escapes import Delimiters, unescape
from parser.event import FORGET, GivenPatientId
from parser.evidence import Trace

LONGEST: Final = 2000
"""Characters; repetitions after them are left out."""
_FIELD: Final = 3
_ESCAPES: Final = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


def find_patient_id(message: Message, trace: Trace | None = None) -> GivenPatientId:
    """The repetitions of the first PID's PID-3 as HL7 text with `^~\\&`; FORGET: the message deletes them; None: it is silent."""
    patient = message.first("PID")
    repetitions = [] if patient is None else patient.repetitions(_FIELD)
    kept: list[str] = []
    deleted = False
    for repetition in repetitions:
        deleted |= repetition.deleted
        written = "" if repetition.value() is DELETE else _usual(repetition.raw, message.delimiters)
        if written.strip("^& ") and sum(map(len, kept)) + len(kept) + len(written) <= LONGEST:
            kept.append(written)
    if trace is not None:
        trace.note("patient_id", "***" if kept else None, "PID-3" if kept else None, note="ids are not shown")
    return "~".join(kept) or (FORGET if deleted else None)


def _usual(raw: str, delimiters: Delimiters) -> str:
    """A repetition in the usual delimiters; it stays as it is written where it has them and no escape sequence."""
    if delimiters.usual and delimiters.escape not in raw:
        return raw
    return "^".join(
        "&".join(unescape(part, delimiters).translate(_ESCAPES) for part in component.split(delimiters.subcomponent))
        for component in raw.split(delimiters.component)
    )
