"""The corpus of tests/samples, signed, through a real socket: what is usable is stored and acknowledged, the rest gets its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parser.test_corpus import READ, Case
from tests.story.clinic import opened
from tests.story.folder import make, sign

# One public sample is from 1989; here they all arrive now.
_ANY_AGE = {"max_age": "20000d", "max_ahead": "5000d"}
_FACILITY, _APPLICATION = b"LAMNA", b"APPTSMS"


def _key(case: Case) -> str:
    return json.dumps([case.map_name, case.zone, case.settings], sort_keys=True)


GROUPS = {key: [case for case in READ if _key(case) == key] for key in sorted({_key(case) for case in READ})}


def _addressed(case: Case, number: int) -> bytes:
    """The message as its sender would address it to this environment: MSH-4, 5, 6, 11, a control id of its own, and a time."""
    lines = case.text.replace(b"\r\n", b"\r")
    lines = lines if b"\r" in lines else lines.replace(b"\n", b"\r")
    header, _, rest = lines.partition(b"\r")
    fields = header.split(b"|") + [b""] * 12
    fields[3:6] = [_FACILITY, _APPLICATION, _FACILITY]
    fields[6] = fields[6] or b"20260302150000+0000"
    fields[9], fields[10] = b"CORPUS%d" % number, b"P"
    return b"|".join(fields).rstrip(b"|") + b"\r" + rest


def _expected(case: Case) -> tuple[str, str | None, str | None]:
    """MSA-1, our code and ERR-3."""
    if b"\x1b" in case.text:  # readable, but verification lets no terminal escape in
        return "AR", "SIG11", "102"
    refused = (case.expect or {}).get("reject")
    if refused is None:
        return "AA", None, None
    code, err3 = str(refused).split()[:2]
    return ("AR" if code in ("TYPE", "VERSION") else "AE"), code, err3


@pytest.mark.parametrize("group", GROUPS, ids=[f"group-{number}" for number in range(len(GROUPS))])
async def test_the_corpus_is_answered_as_it_reads(group: str, tmp_path: Path) -> None:
    cases = GROUPS[group]
    first = cases[0]
    settings = {name: value for name, value in first.settings.items() if name not in ("wants_name", "location_zones")}
    changes: dict[str, Any] = {
        "location_zones": first.settings.get("location_zones", {}),
        "ehr": first.map_name, "time_zone": first.zone, "freshness": _ANY_AGE, "sms": settings,
    }  # fmt: skip
    answers, wanted = {}, {}
    async with opened(make(tmp_path, {"environments": {"production": changes}})) as clinic:
        for number, case in enumerate(cases):
            ack = (await clinic.send(sign(_addressed(case, number))))[0]
            msa, err = ack.segments["MSA"], ack.segments.get("ERR")
            mode = msa[1].replace("C", "A", 1)
            failed = mode != "AA" and err is not None
            said = msa[3].split()[0] if failed else None
            number_said = next(
                (code for code in ("101", "102", "200", "201", "203") if err and code in "|".join(err)), None
            )
            answers[case.name] = (mode, said, number_said if failed else None)
            wanted[case.name] = _expected(case)
    assert answers == wanted
