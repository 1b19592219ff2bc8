"""hl7apy's findings about a message, as warnings: a report for analysts that never decides anything.

152 of 163 real messages fail hl7apy's validation (hl7.md), so no message is refused because of it. Each segment is validated
alone against the structures of its version: validating the whole message would either drop Z segments (with groups) or report
every group as missing (without). So the report does not say which segments a message needs; `parser.siu` checks that.

hl7apy writes its findings to a file and quotes values in them. The file is an unnamed temporary file, and this module returns
only its own sentences, made of structural names. Importing hl7apy costs 60 ms and each message about 10 ms, so it is
imported at the first report, and long messages get no report. Only this module of the room imports hl7apy.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from typing import Any, Final

from parser.escapes import Delimiters, delimiters_of
from parser.event import ParseWarning

MAX_CHARACTERS: Final = 32_768  # a long message with notes is 20 KB; hl7apy needs seconds for more
MAX_SEGMENTS: Final = 500

_NAME: Final = r"[A-Za-z0-9_]{1,20}"
_PLACE: Final = rf"(?P<parent>{_NAME})\.(?P<child>{_NAME})"
_SENTENCES: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    ("REQUIRED", re.compile(rf"Error: Missing required child {_PLACE}"), "required, and missing"),
    ("OCCURRENCES", re.compile(rf"Error: Child limit exceeded {_PLACE}"), "withdrawn, or repeated too often"),
    (
        "DATATYPE",
        re.compile(rf"Error: Datatype {_NAME} is not correct for {_PLACE} .*"),
        "not of the data type that this version asks for",
    ),
    (
        "TABLE",
        re.compile(rf"Warning: Value .* not in table (?P<table>{_NAME}) in element {_PLACE}"),
        "a value that is not in table {table}",
    ),
    (
        "UNKNOWN",
        re.compile(r"Error: (?:Invalid children detected for|Invalid element found|Unknown element found).*"),
        "",
    ),
)


def report(payload_text: str, version: str) -> list[ParseWarning]:
    """What hl7apy finds in a decoded message, in the order of its segments, each finding once.

    Args:
        payload_text: segments separated by CR.
        version: MSH-12.1.
    """
    from hl7apy import SUPPORTED_LIBRARIES

    if version not in SUPPORTED_LIBRARIES:
        known = ", ".join(sorted(SUPPORTED_LIBRARIES))
        return [_warning("VERSION", "MSH-12", f"hl7apy does not know this version; it knows {known}")]
    if len(payload_text) > MAX_CHARACTERS or payload_text.count("\r") > MAX_SEGMENTS:
        text = f"longer than {MAX_CHARACTERS} characters or {MAX_SEGMENTS} segments: not validated"
        return [_warning("SKIPPED", None, text)]
    delimiters = delimiters_of(payload_text)
    counts: dict[str, int] = {}
    findings: dict[ParseWarning, None] = {}
    for line in payload_text.split("\r"):
        name = line[:3]
        if not name:
            continue
        counts[name] = counts.get(name, 0) + 1
        for finding in _segment_report(line, version, delimiters, counts[name]):
            findings[finding] = None
    return list(findings)


def _segment_report(line: str, version: str, delimiters: Delimiters, occurrence: int) -> list[ParseWarning]:
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import ValidationError
    from hl7apy.parser import parse_segment
    from hl7apy.validation import Validator

    name = line[:3] if re.fullmatch("[A-Z][A-Z0-9]{2}", line[:3]) else None
    place = name if name is None or occurrence == 1 else f"{name}[{occurrence}]"
    with tempfile.TemporaryFile("w+b", buffering=0) as file:
        try:
            segment: Any = parse_segment(
                line,
                version=version,
                encoding_chars=_encoding_characters(delimiters),
                validation_level=VALIDATION_LEVEL.TOLERANT,
            )
            # The first finding is raised after all of them have been written.
            with suppress(ValidationError):
                Validator.validate(segment, report_file=f"/dev/fd/{file.fileno()}")
        except Exception as fault:  # whatever fails in hl7apy for a hostile segment, the report continues
            return [_warning("UNREADABLE", place, f"hl7apy cannot read this segment ({type(fault).__name__})")]
        file.seek(0)
        written = file.read().decode("utf-8", "replace")
    return [_finding(sentence, name, place) for sentence in written.split("\n") if sentence]


def _finding(sentence: str, name: str | None, place: str | None) -> ParseWarning:
    for code, pattern, text in _SENTENCES:
        match = pattern.fullmatch(sentence)
        if match is None:
            continue
        if not text:
            return _warning(code, place, "holds parts that this version does not define")
        groups = match.groupdict()
        return _warning(code, _path(groups["parent"], groups["child"], name, place), text.format(**groups))
    return _warning("OTHER", place, "hl7apy has a finding of another kind")


def _path(parent: str, child: str, name: str | None, place: str | None) -> str | None:
    """`SCH.SCH_6` as SCH-6, `SCH_11.TQ_4` as SCH-11.4; a deeper place as its segment."""
    number = child.rpartition("_")[2]
    if name is not None and number.isdecimal():
        if parent == name:
            return f"{place}-{number}"
        field = parent.removeprefix(f"{name}_")
        if field != parent and field.isdecimal():
            return f"{place}-{field}.{number}"
    return place


def _encoding_characters(delimiters: Delimiters) -> dict[str, str]:
    return {
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "SUBCOMPONENT": delimiters.subcomponent,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape,
        "SEGMENT": "\r",
        "GROUP": "\r",
    }


def _warning(code: str, field: str | None, text: str) -> ParseWarning:
    return ParseWarning(code=f"CONFORMANCE_{code}", field=field, text=text)
