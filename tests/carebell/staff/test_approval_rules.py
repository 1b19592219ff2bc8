"""Changes of who approves, made in the portal: an approver of now agrees, or nothing is written."""

from __future__ import annotations

import pytest

from config.edit import REMOVED, Edit
from portal.roles import Role
from tests.carebell.staff.approval_clinic import PAGE, SENDER, Clinic, clinic, fhir
from tests.oauth.conftest import fetcher, signer
from tests.store.conftest import migrated_file

__all__ = ["clinic", "fetcher", "fhir", "migrated_file", "signer"]

APPROVAL = ("environments", "test", "approval")
SETTINGS = {
    "not required any more": [Edit((*APPROVAL, "required"), False)],
    "another approver": [Edit((*APPROVAL, "approvers"), ["kim", "lee"])],
    "one more approver": [Edit((*APPROVAL, "approvers"), ["dana", "kim", "lee"])],
    "the section is gone": [Edit(APPROVAL, REMOVED)],
    "the environment is gone": [Edit(APPROVAL[:2], REMOVED)],
    "both, and a fact": [Edit((*APPROVAL, "approvers"), ["kim"]), SENDER],
}
"""Changes that would take the present approvers' word away."""


@pytest.mark.parametrize("edits", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("is_approved", [True, False], ids=["approved", "held"])
def test_an_approval_is_taken_away_only_by_a_present_approver(
    clinic: Clinic, edits: list[Edit], is_approved: bool
) -> None:
    if is_approved:
        clinic.prove()
        clinic.act("approve")
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    before = clinic.path.read_bytes()
    proposal = clinic.propose(kim, *edits)
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": "we need none"})
    assert clinic.path.read_bytes() == before
    assert "Nothing is written until an approver has agreed" in clinic.text(f"/configuration/preview/{proposal}")
    page = f"{PAGE}?proposal={proposal}"
    clinic.be(Role.ANALYST, "lee")
    assert clinic.browser.post(f"{PAGE}/word", clinic.fields(page)).status_code == 403, (
        "whom the change names decides nothing"
    )
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    assert "changed" in clinic.text(page)
    clinic.act("word", page)
    assert clinic.path.read_bytes() == before
    assert clinic.act("approve", page).headers["location"] == f"/configuration/preview/{proposal}"
    assert clinic.path.read_bytes() != before
    clinic.take()
    section = clinic.loaded.configuration.environments.get("test")
    is_asked = section is not None and section.approval.required and not is_approved and SENDER not in edits
    assert clinic.unapproved() == (frozenset({"test"}) if is_asked else frozenset())


def test_agreeing_to_other_approvers_once_is_no_agreement_for_ever(clinic: Clinic) -> None:
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    for approvers in (["kim"], ["dana", "kim"]):
        proposal = clinic.propose(kim, Edit((*APPROVAL, "approvers"), approvers))
        clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
        page = f"{PAGE}?proposal={proposal}"
        clinic.act("word", page)
        clinic.act("approve", page)
        clinic.take()
        assert clinic.loaded.configuration.environments["test"].approval.approvers == approvers
    before = clinic.path.read_bytes()
    again = clinic.propose(kim, Edit((*APPROVAL, "approvers"), ["kim"]))
    clinic.browser.post(f"/configuration/preview/{again}/save", {"comment": ""})
    assert clinic.path.read_bytes() == before


def test_agreeing_to_the_rules_alone_approves_no_facts(clinic: Clinic) -> None:
    """The approver who hands over says nothing of what the environment is connected to, if that is as it was and not approved."""
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    proposal = clinic.propose(kim, Edit((*APPROVAL, "approvers"), ["kim"]))
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    page = f"{PAGE}?proposal={proposal}"
    clinic.act("word", page)
    clinic.act("approve", page)
    clinic.take()
    assert (clinic.held(), clinic.unapproved()) == (["test"], frozenset({"test"}))


def test_asking_for_an_approval_and_another_order_of_names_wait_for_nobody(clinic: Clinic) -> None:
    kim = clinic.be(Role.ADMINISTRATOR, "kim")
    proposal = clinic.propose(
        kim, Edit((*APPROVAL, "approvers"), ["kim", "dana"]), Edit((*APPROVAL, "client_id"), "other")
    )
    clinic.browser.post(f"/configuration/preview/{proposal}/save", {"comment": ""})
    clinic.take()
    assert clinic.loaded.configuration.environments["test"].approval.client_id == "other"
