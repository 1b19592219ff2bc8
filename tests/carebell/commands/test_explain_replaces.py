"""`explain` says of an S13 whether its ids make it a candidate to replace another visit, and of what that visit must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.carebell.conftest import Carebell

PLACER, VISIT_NUMBER = "SCH-1 (placer)", "PV1-19 (visit number)"


def message(event: str, filler: str, placer: str, visit: str) -> bytes:
    segments = (
        f"MSH|^~\\&|EHR|LAMNA|APPTSMS|LAMNA|20261129010500-0800||SIU^{event}^SIU_S12|C1|P|2.5.1",
        f"SCH|{placer}|{filler}|||||ROUTINE|FOLLOWUP|30|MIN|^^30^20261209090000-0800^20261209093000-0800"
        "|||||17^CLERK^CORA|||||||||Booked",
        "PID|1||M0017^^^LAMNA^MR||SAMPLE^ROBIN||19800101|U|||||^PRN^CP^^1^202^5550143||en",
        f"PV1|1|O|CLINIC A^^^LAMNA||||||||||||||||{visit}",
    )
    return "".join(f"{segment}\r" for segment in segments).encode()


@pytest.mark.parametrize(
    ("filler", "placer", "visit", "shared"),
    [
        ("F2^EHR", "P^EHR", "V", f"{PLACER} or {VISIT_NUMBER}"),
        ("F2", "P", "", PLACER),
        ("F2", "", "V", VISIT_NUMBER),
        ("F2", "", "", None),
        ("", "P", "V", None),
        ("", "P", "", None),
    ],
)
@pytest.mark.parametrize("event", ["S12", "S13", "S14", "S15"])
def test_which_ids_make_a_message_a_candidate(
    carebell: Carebell,
    configuration: Path,
    tmp_path: Path,
    event: str,
    filler: str,
    placer: str,
    visit: str,
    shared: str | None,
) -> None:
    file = tmp_path / "message.hl7"
    file.write_bytes(message(event, filler, placer, visit))
    words = ("-c", configuration, "explain", "-e", "production", file)
    rows = {row["name"]: row for row in carebell(*words, "--json").rows}
    people = carebell(*words).out
    if event != "S13":
        assert "replaces" not in rows
        assert "replaces" not in people
        return
    value = None if shared is None else f"a visit known under another SCH-2 that shares this {shared}"
    assert (rows["replaces"]["value"], rows["replaces"]["candidates"]) == (value, [])
    assert rows["replaces"]["note"]
    assert (value or rows["replaces"]["note"]) in people
