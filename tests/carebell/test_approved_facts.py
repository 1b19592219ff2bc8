"""carebell/approved_facts.py: what an approver vouches for of the links in patients' texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carebell.approved_facts import approved_facts
from carebell.configuring.effect import approval_keys
from ehr.fingerprint import differences, fingerprint
from tests.story.folder import load, make

OURS: dict[str, Any] = {"join": "ours", "allowed_hosts": ["meet.lamna.example", "other.lamna.example"]}
PAGES: dict[str, Any] = {"enabled": True, "public_url": "https://visit.lamna.example"}


def _configuration(folder: Path, join: dict[str, Any], visits: dict[str, Any]) -> Any:
    sms = {"join_link": {"field": "SCH-8.2", "allowed_hosts": ["meet.lamna.example"]}}
    production = {"visits": visits, "sms": sms, "approval": {"required": True, "approvers": ["dana"]}}
    return load(make(folder, {"join": join, "environments": {"production": production}}))


@pytest.mark.parametrize(
    ("join", "visits"),
    [
        ({}, {}),
        (PAGES, {}),
        (PAGES, {"join": "none"}),
    ],
)
def test_without_links_of_our_own_every_approval_stays_valid(
    tmp_path: Path, join: dict[str, Any], visits: dict[str, Any]
) -> None:
    facts = approved_facts(_configuration(tmp_path / "clinic", join, visits), "production")
    assert facts.join_host is None
    assert '"join_host":null' in facts.to_json()


def test_the_host_stands_there_with_those_that_it_leads_to(tmp_path: Path) -> None:
    facts = approved_facts(_configuration(tmp_path / "clinic", PAGES, OURS), "production")
    assert facts.join_host == "visit.lamna.example, which leads to meet.lamna.example, other.lamna.example"


@pytest.mark.parametrize(
    ("join", "visits", "key"),
    [
        ({"public_url": "https://visit.elsewhere.example"}, {}, "join.public_url"),
        ({}, {"allowed_hosts": ["meet.elsewhere.example"]}, "environments.production.visits.allowed_hosts"),
        ({}, {"join": "none"}, "environments.production.visits.join"),
    ],
)
def test_another_host_asks_for_approval_again(
    tmp_path: Path, join: dict[str, Any], visits: dict[str, Any], key: str
) -> None:
    before = _configuration(tmp_path / "before", PAGES, OURS)
    after = _configuration(tmp_path / "after", PAGES | join, OURS | visits)
    known, facts = (approved_facts(loaded, "production") for loaded in (before, after))
    assert fingerprint(known) != fingerprint(facts)
    [sentence] = differences(known, facts)
    assert sentence.startswith("Host of patients' links: was visit.lamna.example, which leads to meet.lamna.example")
    assert approval_keys(before, after) == [key]


def test_order_port_and_path_mean_what_they_say(tmp_path: Path) -> None:
    known = approved_facts(_configuration(tmp_path / "one", PAGES, OURS), "production")
    turned = OURS | {"allowed_hosts": ["OTHER.lamna.example", "meet.lamna.example"]}
    assert approved_facts(_configuration(tmp_path / "two", PAGES, turned), "production") == known
    other_port = PAGES | {"public_url": "https://visit.lamna.example:8443"}
    assert approved_facts(_configuration(tmp_path / "three", other_port, OURS), "production") != known
