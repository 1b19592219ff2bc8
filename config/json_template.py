"""JSON for an EHR's web services as data: templates with values in braces, of a closed set. Pure.

A text is a template (`Not delivered: {code}`). One that is a single value in braces keeps the value's type. What has values, and
none of them is known, is left out, with what holds nothing else that is known. An object in a list with `for_each: steps` stands
once for each step of the device test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

VALUES: Final = {
    "placer_id": "the visit's placer id (SCH-1) without its authority",
    "filler_id": "the visit's filler id (SCH-2) without its authority",
    "visit_id": "the visit number (PV1-19) without its authority",
    "control_id": "Carebell's id of what goes back",
    "event": "the event's name",
    "at": "when it happened, ISO 8601 with the clinic's offset",
    "by": "who: patient, provider, guest, interpreter",
    "start": "the visit's start",
    "visit_code": "the visit's code in links",
    "started_at": "when the visit began, as the report has it",
    "ended_at": "when the visit ended",
    "duration": "the visit's length in seconds",
    "lobby_wait": "the wait in the lobby in seconds",
    "code": "the gateway's error code",
    "sms": "Carebell's id of the text",
    "browser": "family and version",
    "nr": "1, 2, 3 ... where `for_each: steps` stands",
    "step": "the step of the device test; where `for_each: steps` stands",
    "result": "its result: ok, or a code",
}
"""Name -> what it is."""
READ: Final = {
    "appointment": "`Appointment/...` in the EHR, read when it is sent",
    "patient": "`Patient/...`: the appointment's participant, read when it is sent",
}
"""Further values of FHIR; each stands alone in its text."""
FOR_EACH: Final = "for_each"
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_DEEPEST: Final = 12
_LONGEST: Final = 1_000


def names_in(node: Any) -> Iterator[str]:
    """The values that a template uses, at any depth."""
    if isinstance(node, str):
        yield from PLACEHOLDER.findall(node)
    elif isinstance(node, dict):
        for value in node.values():
            yield from names_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from names_in(value)


def check_template(node: Any, *, fhir: bool, steps: bool = False, depth: int = 0) -> None:
    """Raise ValueError, which says what is wrong with a template.

    Args:
        fhir: `READ` is known too. steps: inside `for_each: steps`.
    """
    if depth > _DEEPEST:
        raise ValueError("is too deep")
    if isinstance(node, str):
        _check_text(node, fhir=fhir, steps=steps)
    elif isinstance(node, dict):
        repeated = node.get(FOR_EACH)
        if repeated not in (None, "steps"):
            raise ValueError("for_each must be steps")
        for name, value in node.items():
            if name != FOR_EACH:
                check_template(value, fhir=fhir, steps=steps or repeated is not None, depth=depth + 1)
    elif isinstance(node, list):
        for value in node:
            check_template(value, fhir=fhir, steps=steps, depth=depth + 1)
    elif not isinstance(node, bool | int | float):
        raise ValueError("has a value that is no text, number, true or false, list or mapping")


def _check_text(text: str, *, fhir: bool, steps: bool) -> None:
    if not text.isprintable() or len(text) > _LONGEST:
        raise ValueError(f"has a character that cannot be seen, or is longer than {_LONGEST} characters")
    known = VALUES | READ if fhir else VALUES
    for name in PLACEHOLDER.findall(text):
        if name not in known:
            raise ValueError(f"{{{name}}} is not a value; there are {', '.join(known)}")
        if name in READ and text != f"{{{name}}}":
            raise ValueError(f"{{{name}}} stands alone in its text")
        if name in ("nr", "step", "result") and not steps:
            raise ValueError(f"{{{name}}} needs `for_each: steps`")
    if set(PLACEHOLDER.sub("", text)) & set("{}"):
        raise ValueError("has a brace without its partner")
