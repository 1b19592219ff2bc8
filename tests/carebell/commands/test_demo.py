"""`demo`: one appointment from booking to forgetting, with the patient's answer and what the EHR is told of it."""

from __future__ import annotations

import re
from itertools import repeat
from pathlib import Path

import pytest

from carebell.commands.simulated_reply import DemoReplies
from simulator.inbound import EngineAct, InboundEngine
from tests.carebell.conftest import Carebell

README = Path(__file__).parents[3] / "README.md"


def test_the_demo_tells_the_whole_story(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ended = carebell("demo", "--dir", folder)
    assert ended.code == 0
    for seen in ("MSA|AR|DEMO0001|SIG01", "MSA|AA|", "booked", "reminder", "updated", "canceled", "0 traces"):
        assert seen in ended.out
    assert "5550143" not in ended.out
    assert _shape(ended.out) == _shape(README.read_text("utf-8"))
    states = {row["state"] for row in carebell("-c", folder / "carebell.yaml", "outbox", "--json").rows}
    assert states == {"delivered", "suppressed"}
    [row] = carebell("-c", folder / "carebell.yaml", "appointments", "--json").rows
    assert (row["status"], row["phone"]) == ("canceled", None)
    [told] = carebell("-c", folder / "carebell.yaml", "writeback", "list", "--json").rows
    assert (told["event"], told["state"]) == ("confirmed", "acknowledged")
    assert list(folder.rglob("*twilio*")) == []


def _shape(text: str) -> str:
    """The demo's steps without port, dates, ids, lengths and durations."""
    steps = text[text.index("The clock of this demo jumps.") : text.index("The demo took")]
    days_and_months = r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
    return re.sub(r"\d+", "0", re.sub(days_and_months, "D", re.sub(r"\b[0-9A-Z]{20}\b", "ID", steps)))


def test_a_patient_answers_and_the_ehr_takes_it(carebell: Carebell) -> None:
    ended = carebell("demo", "--json")
    rows = {row["what"]: row for row in ended.rows}
    assert (rows["reply"]["word"], rows["reply"]["sender"], rows["reply"]["status"]) == ("C", "***0143", 200)
    told, answer = rows["writeback"], rows["writeback_answer"]
    assert (told["message"], told["appointment"]) == ("SIU^S14^SIU_S12", "900100^EPIC")
    assert (answer["answer"], answer["msa"]) == ("AA", f"MSA|AA|{told['control_id']}")
    assert rows["writeback_recorded"]["states"] == ["acknowledged"]
    assert rows["end"]["good"]


@pytest.mark.parametrize(("act", "state"), [(EngineAct.AE, "refused"), (EngineAct.BEFORE, "due")])
def test_an_ehr_that_does_not_take_it_fails_the_demo(
    act: EngineAct, state: str, carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replies(folder: Path) -> DemoReplies:
        return DemoReplies(folder, InboundEngine(script=repeat(act)))

    monkeypatch.setattr("carebell.commands.demo.DemoReplies", replies)
    ended = carebell("demo", "--json")
    assert ended.code == 1
    rows = {row["what"]: row for row in ended.rows}
    assert rows["writeback_recorded"]["states"] == [state]
    assert not rows["end"]["good"]


def test_the_demo_cleans_up_after_itself(carebell: Carebell) -> None:
    assert carebell("demo").code == 0
    assert list(Path.cwd().iterdir()) == []
