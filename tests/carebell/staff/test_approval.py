"""Approval through its pages, over a store, a file and a simulated EHR: proved, approved, sent back, changed in between."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from carebell.outbound.approval_steps import prove
from config.edit import Edit
from portal.roles import Role
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from store import approvals, audit
from store.approvals import Proof
from store.audit import Author
from tests.carebell.staff.approval_clinic import PAGE, SENDER, Clinic, clinic, fhir
from tests.oauth.conftest import fetcher, signer
from tests.portal.pages.staff import words
from tests.store.conftest import migrated_file
from tests.story import folder

__all__ = ["clinic", "fetcher", "fhir", "migrated_file", "signer"]


def test_two_people_from_a_held_environment_to_texts_that_leave(clinic: Clinic) -> None:
    assert clinic.held() == ["test"]
    assert "waits for an approver" in clinic.text()
    assert "waits for an approver" in clinic.text("/environments")
    back = clinic.come_back(clinic.go_to_the_ehr())
    assert (back.status_code, "It calls you Dana Analyst" in words(back)) == (200, True)
    assert "for dana alone" in clinic.text()
    assert clinic.held() == ["test"]
    done = clinic.act("approve")
    assert (done.status_code, done.headers["location"]) == (303, f"{PAGE}?done=approved")
    assert (clinic.held(), clinic.unapproved()) == ([], frozenset())
    assert clinic.steps() == [
        ("awaiting", "service"),
        ("proved", "portal:dana"),
        ("approved", "portal:dana"),
    ]
    with clinic.store.read() as conn:
        actions = [entry.action for entry in audit.entries(conn) if entry.action.startswith("approval.")]
        kept = str(approvals.history(conn, "test"))
    assert actions == ["approval.ask", "approval.prove", "approval.approve"]
    assert "Analyst" not in kept


def test_a_change_of_what_is_approved_waits_and_texts_go_on(clinic: Clinic) -> None:
    clinic.prove()
    clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    before = clinic.path.read_bytes()
    proposal = clinic.propose(kim, SENDER)
    saved = clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": "a number of our own"})
    assert saved.status_code == 303
    assert clinic.path.read_bytes() == before
    clinic.beat()
    assert (clinic.held(), clinic.unapproved()) == ([], frozenset())
    waits = clinic.text(f"/configuration/preview/{proposal}")
    assert "Nothing is written until an approver has agreed" in waits
    clinic.be(Role.ANALYST, "dana")
    assert "A change that kim proposed" in clinic.text()
    page = f"{PAGE}?proposal={proposal}"
    assert "changed +14255550101" in clinic.text(page)
    clinic.prove(page)
    assert clinic.act("approve", page).headers["location"] == f"/configuration/preview/{proposal}"
    assert b"+14255550100" in clinic.path.read_bytes()
    clinic.take()
    assert (clinic.held(), clinic.unapproved()) == ([], frozenset())
    again = clinic.browser.post(f"{PAGE}/approve", {"proposal": proposal, "fingerprint": "0" * 64})
    assert again.status_code == 404, "it waits for nobody any more"


def test_another_host_of_patients_links_waits_for_the_approver(clinic: Clinic) -> None:
    link = {"join_link": {"field": "SCH-8.2", "allowed_hosts": ["meet.lamna.example"]}}
    visits = {"join": "ours", "allowed_hosts": ["meet.lamna.example"]}
    join = {"enabled": True, "public_url": "https://visit.lamna.example"}
    folder.change(clinic.path, {"join": join, "environments": {"test": {"visits": visits, "sms": link}}})
    clinic.take()
    assert "visit.lamna.example, which leads to meet.lamna.example" in clinic.text()
    clinic.prove()
    clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    before = clinic.path.read_bytes()
    proposal = clinic.propose(kim, Edit(("join", "public_url"), "https://visit.elsewhere.example"))
    assert clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": "a new host"}).status_code == 303
    assert clinic.path.read_bytes() == before
    folder.change(clinic.path, {"join": {"public_url": "https://visit.elsewhere.example"}})
    clinic.take()
    assert clinic.held() == ["test"], "by hand it is in force at once, and texts wait"


def test_a_change_of_times_waits_for_nobody(clinic: Clinic) -> None:
    clinic.prove()
    clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    proposal = clinic.propose(kim, Edit(("environments", "test", "sms", "caps", "per_day"), 3))
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    assert b"per_day: 3" in clinic.path.read_bytes()


def test_what_is_held_already_is_saved_at_once(clinic: Clinic) -> None:
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    proposal = clinic.propose(kim, SENDER)
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    assert b"+14255550100" in clinic.path.read_bytes()
    clinic.take()
    assert clinic.held() == ["test"]


def test_sent_back_with_a_reason(clinic: Clinic) -> None:
    refused = clinic.act("send-back", comment="")
    assert (refused.status_code, "Type why" in words(refused)) == (422, True)
    assert clinic.act("send-back", comment="wrong <b>EHR</b>").status_code == 303
    shown = clinic.browser.get(PAGE).text
    assert "wrong &lt;b&gt;EHR&lt;/b&gt;" in shown
    assert clinic.held() == ["test"]
    clinic.prove()
    assert clinic.act("approve").status_code == 303, "proved anew after it was sent back"


def test_a_change_that_is_sent_back_is_never_written(clinic: Clinic) -> None:
    clinic.prove()
    clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    before = clinic.path.read_bytes()
    proposal = clinic.propose(kim, SENDER)
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    clinic.be(Role.ANALYST, "dana")
    assert clinic.act("send-back", f"{PAGE}?proposal={proposal}", comment="not our number").status_code == 303
    clinic.be(Role.ADMINISTRATOR, "kim")
    assert "not our number" in clinic.text(f"/configuration/preview/{proposal}")
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    assert clinic.path.read_bytes() == before


@pytest.mark.parametrize(
    ("role", "login", "action"),
    [
        (Role.ANALYST, "lee", "approve"),
        (Role.ANALYST, "lee", "sign-in"),
        (Role.ANALYST, "lee", "send-back"),
        (Role.ANALYST, "dana", "word"),
    ],
)
def test_who_is_no_approver(clinic: Clinic, role: Role, login: str, action: str) -> None:
    before = clinic.steps()
    fields = clinic.fields()
    clinic.be(role, login)
    assert clinic.browser.post(f"{PAGE}/{action}", {**fields, "comment": "x"}).status_code == 403
    assert clinic.steps() == before
    if login == "lee":
        assert not re.search(r'id="code"', clinic.browser.get(PAGE).text)


def test_an_administrators_word_is_marked(clinic: Clinic) -> None:
    clinic.be(Role.ADMINISTRATOR, "kim")
    assert clinic.act("word").status_code == 303
    assert clinic.act("approve").status_code == 303
    assert "not proved: an administrator's word" in clinic.text()


def test_somebody_elses_proof_and_an_old_one_approve_nothing(clinic: Clinic) -> None:
    clinic.prove()
    fields = clinic.fields()
    clinic.be(Role.ADMINISTRATOR, "kim")
    refused = clinic.browser.post(f"{PAGE}/approve", fields)
    assert "Somebody else proved access" in words(refused)
    clinic.be(Role.ANALYST, "dana")
    clinic.now += timedelta(minutes=30)
    refused = clinic.browser.post(f"{PAGE}/approve", fields)
    assert "No proof of access counts now" in words(refused)
    assert clinic.held() == ["test"]


@pytest.mark.parametrize("rounds", range(6))
def test_facts_that_change_between_proof_and_approval_are_not_approved(clinic: Clinic, rounds: int) -> None:
    """Fault P6: the reload comes after the page, after the proof, or while the person is at the EHR."""
    old = clinic.fields()
    moment = rounds % 3
    url = clinic.go_to_the_ehr()
    if moment == 0:
        folder.change(clinic.path, {"environments": {"test": {"sms": {"from": "+14255550100"}}}})
        clinic.take()
        back = clinic.come_back(url)
        assert (back.status_code, "was changed" in words(back)) == (422, True)
    else:
        assert clinic.come_back(url).status_code == 200
        folder.change(clinic.path, {"environments": {"test": {"sms": {"from": "+14255550100"}}}})
        clinic.take()
    answer = clinic.browser.post(f"{PAGE}/approve", old) if moment < 2 else clinic.act("approve")
    expected = "was changed" if moment < 2 else "No proof of access counts now"
    assert (answer.status_code, expected in words(answer)) == (422, True)
    assert (clinic.held(), clinic.unapproved()) == (["test"], frozenset({"test"}))
    folder.change(clinic.path, {"environments": {"test": {"sms": {"from": "+14255550101"}}}})
    clinic.take()
    assert clinic.unapproved() == {"test"}


def test_an_approval_that_races_a_reload_counts_for_its_own_facts_alone(clinic: Clinic) -> None:
    """Fault P6: the approval is committed after the reload, for the facts of before."""
    clinic.prove()
    fields, before = clinic.fields(), clinic.runtime
    folder.change(clinic.path, {"environments": {"test": {"sms": {"from": "+14255550100"}}}})
    loaded = clinic.loaded
    clinic.take()
    after = clinic.runtime
    clinic.runtime, clinic.loaded = before, loaded  # the node that has not reloaded yet
    assert clinic.browser.post(f"{PAGE}/approve", fields).status_code == 303
    assert clinic.unapproved() == frozenset()
    clinic.runtime = after
    assert clinic.unapproved() == {"test"}
    clinic.beat()
    assert clinic.held() == ["test"]


def test_the_address_is_checked(clinic: Clinic, fhir: FhirSimulator) -> None:
    assert "FHIR 4.0.1" in words(clinic.act("check"))
    fhir.plan(FhirFaultPlan(faults=frozenset({FhirFault.DSTU2})))
    assert "DSTU2" in words(clinic.act("check"))


def test_a_changed_file_after_the_approval_of_a_change(clinic: Clinic) -> None:
    clinic.prove()
    clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    proposal = clinic.propose(kim, SENDER)
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": "ours"})
    folder.change(clinic.path, {"environments": {"test": {"sms": {"caps": {"per_day": 3}}}}})
    clinic.take()
    clinic.be(Role.ANALYST, "dana")
    page = f"{PAGE}?proposal={proposal}"
    clinic.prove(page)
    refused = clinic.act("approve", page)
    assert "It is approved, and nothing was written. Somebody else changed carebell.yaml" in words(refused)
    clinic.be(Role.ADMINISTRATOR, "kim")
    again = clinic.browser.post(f"/configuration/preview/{proposal}/again")
    assert again.status_code == 303
    newer = again.headers["location"].rsplit("/", 1)[-1]
    clinic.browser.post(f"/configuration/preview/{newer}/save", {"comment": ""})
    content = clinic.path.read_bytes()
    assert b"+14255550100" in content
    assert b"per_day: 3" in content


def test_the_page_asks_until_a_message_proves_access(clinic: Clinic) -> None:
    shown = clinic.browser.get(PAGE).text
    assert f'hx-get="{PAGE}/state?polls=1"' in shown
    waiting = clinic.browser.get(f"{PAGE}/state?polls=1", part="approval_state")
    assert f'hx-get="{PAGE}/state?polls=2"' in waiting.text
    assert "hx-get" not in clinic.browser.get(f"{PAGE}/state?polls=120", part="approval_state").text
    asked = clinic.desk.questions.asked("test", None)
    assert asked is not None
    with clinic.store.write() as conn:
        assert prove(
            conn, asked.question, Proof.MESSAGE, Author(who="portal:dana", origin="way=message"), at=clinic.now
        )
    proved = clinic.browser.get(f"{PAGE}/state?polls=2", part="approval_state")
    assert "by a signed message" in words(proved)
    assert "hx-get" not in proved.text
    assert "<h2>" not in proved.text, "the part alone"
