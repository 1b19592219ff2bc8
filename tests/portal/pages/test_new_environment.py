"""A new environment in six steps: answers are kept whatever happens, and the whole is one edit that the configuration takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

import config
from config.edit import Edit, edited
from config.load import load
from portal.edit_forms.new_environment import Answers
from portal.pages.environments import new
from portal.pages.environments.certificates import CertificateInUse, CertificateVerdict, NotKept
from portal.pages.environments.new_desk import AddressCheck, AddressFinding
from portal.people import Session
from portal.roles import Role
from tests.portal.pages.configurations import CANARY, PROPOSAL, FakeDesk, problem
from tests.portal.pages.staff import Browser, browsing, words
from tests.portal.pages.test_sms import FakeTexts, form_of

SHIPPED = Path(config.__file__).parent / "carebell.yaml"
URL = "https://fhir.lamna.example/api/FHIR/R4"


@dataclass
class FakeNew:
    drafts: dict[str, tuple[str, Answers]] = field(default_factory=dict)
    checked: list[tuple[str, str]] = field(default_factory=list)
    findings: Sequence[AddressFinding] = ()

    def begin(self, by: Session, at: datetime) -> str:
        draft = f"d{len(self.drafts)}"
        self.drafts[draft] = (by.person.login, {})
        return draft

    def answers(self, draft: str, by: Session, at: datetime) -> Answers | None:
        author, answers = self.drafts.get(draft, ("", {}))
        return answers if author == by.person.login else None

    def keep(self, draft: str, by: Session, answers: Answers, at: datetime) -> bool:
        if self.answers(draft, by, at) is None:
            return False
        self.drafts[draft] = (by.person.login, answers)
        return True

    def approvers(self) -> Sequence[tuple[str, str]]:
        return [("dana", "Dana"), ("lee", CANARY)]

    def check_address(self, url: str, kind: str) -> AddressCheck:
        self.checked.append((url, kind))
        return AddressCheck(summary="FHIR 4.0.1 · Epic", findings=self.findings)


@dataclass
class FakeCertificates:
    """Takes what begins with `good`."""

    kept: list[tuple[str, str]] = field(default_factory=list)
    is_full: bool = False

    def certificates(self, environment: str, at: datetime) -> tuple[CertificateInUse, ...]:
        return ()

    def judge(self, content: bytes, at: datetime) -> CertificateVerdict:
        if not content.startswith(b"good"):
            return CertificateVerdict(refusal="This file holds a private key.")
        return CertificateVerdict(subject="CN=east", thumbprint="t" * 43, not_after=at, content=content.decode())

    def keep(self, environment: str, content: str) -> str:
        if self.is_full:
            raise NotKept("There is no room.")
        self.kept.append((environment, content))
        return f"certs/{environment}-1.cer"


@dataclass
class Wizard:
    """A browser in the steps, and everything behind them."""

    browser: Browser
    desk: FakeDesk
    new: FakeNew
    certificates: FakeCertificates

    def send(self, path: str, fields: Mapping[str, Any], **more: Any) -> str:
        """The address that follows."""
        answer = self.browser.post(path, fields, **more)
        assert answer.status_code == 303, words(answer)
        return answer.headers["location"]

    def to_the_end(self, kind: str = "production", **changes: dict[str, Any]) -> str:
        """Answer every step; the address of the last one."""
        at = self.send("/environments/new", NAME | {"kind": kind} | changes.get("name", {}))
        at = self.send(at, {"fhir_base_url": URL} | changes.get("address", {}))
        at = self.send(at, {"approver": "dana"} | changes.get("approver", {}))
        feed = FEED | {"processing_ids": ["P"] if kind == "production" else ["T"]} | changes.get("feed", {})
        at = self.send(at, feed, files={"certificate": ("a.cer", b"good one")})
        return self.send(at, SMS | changes.get("sms", {}))


NAME: dict[str, Any] = {"name": "east", "kind": "production", "time_zone": "America/New_York", "ehr": "oracle_health"}
FEED: dict[str, Any] = {
    "host": "127.0.0.1", "port": "2600", "facilities": "EAST\r\nWEST", "receiving_application": "APPTSMS",
    "receiving_facility": "EAST", "processing_ids": ["P"], "authentication": "signature",
}  # fmt: skip
SMS: dict[str, Any] = {
    "consent_organization": "1", "consent_attendees": "1", "sender": "+14255550100", "confirmation_scheduled": "1",
    "quiet": "1", "quiet_from": "21:00", "quiet_to": "08:00", "per_day": "3", "per_week": "10",
    "reminder-0-count": "2", "reminder-0-unit": "d", "reminder-0-at": "09:30", "reminder-0-modes": "video",
}  # fmt: skip


@pytest.fixture
def wizard() -> Iterator[Wizard]:
    desk, fake_new, certificates = FakeDesk(), FakeNew(), FakeCertificates()
    with browsing(new.pages(desk, desk, certificates, FakeTexts(), fake_new)) as browser:
        yield Wizard(browser.sign_in(Role.ADMINISTRATOR), desk, fake_new, certificates)


@pytest.mark.parametrize("kind", ["production", "test"])
def test_six_steps_make_an_environment_that_the_configuration_takes(wizard: Wizard, kind: str) -> None:
    at = wizard.to_the_end(kind, sms={"allow_add": "(202) 555-0143"} if kind == "test" else {})
    assert at == "/environments/new/d0/answers"
    said = words(wizard.browser.get(at))
    for value in ("east", "Oracle Health", URL, "Dana", "127.0.0.1, port 2600", "EAST, WEST", "2 days before 09:30"):
        assert value in said
    assert f"The sender's certificate CN=east Its thumbprint (SHA-256) {'t' * 43} It is valid until" in said
    assert ("***0143" in said) == (kind == "test")
    assert wizard.send(at, {}) == f"/configuration/preview/{PROPOSAL}"
    [(author, edits)] = wizard.desk.proposed
    assert (author, wizard.certificates.kept) == ("kim", [("east", "good one")])
    section = edits["environments.east"]
    content = edited(SHIPPED.read_bytes(), [Edit(("environments", "east"), section)], "carebell.yaml")
    environment = load(SHIPPED, {}, content=content).configuration.environments["east"]
    assert (environment.kind, environment.time_zone, environment.ehr) == (kind, "America/New_York", "oracle_health")
    assert environment.fhir_base_url == URL
    assert (environment.approval.required, environment.approval.approvers) == (True, ["dana"])
    assert (environment.listener.port, environment.sender.facilities) == (2600, ["EAST", "WEST"])
    assert [path.name for path in environment.certificates] == ["east-1.cer"]
    assert [reminder.rule for reminder in environment.sms.reminders] == ["2d@09:30"]
    assert not environment.sms.confirmation.updated
    assert environment.sms.allow_list == (["+12025550143"] if kind == "test" else None)


def test_going_back_keeps_the_answers_right_or_wrong(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    at = wizard.send(at, {"fhir_base_url": URL})
    at = wizard.send(at, {"approver": "dana"})
    typed = FEED | {"port": "x", "receiving_facility": CANARY, "back": "1"}
    assert wizard.send(at, typed) == "/environments/new/d0/approver"
    again = form_of(wizard.browser.get(at).text)
    assert (again["port"], again["receiving_facility"], again["facilities"]) == ("x", CANARY, "EAST\r\nWEST")
    assert form_of(wizard.browser.get("/environments/new/d0/name").text)["name"] == "east"
    assert form_of(wizard.browser.get("/environments/new/d0/address").text)["fhir_base_url"] == URL


def test_what_is_wrong_is_kept_too_and_said_beside_its_field(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    answer = wizard.browser.post(at, {"fhir_base_url": f"http://127.0.0.1/{CANARY}"})
    assert answer.status_code == 422
    assert 'href="#fhir_base_url">FHIR base URL: must be https' in answer.text
    assert "<script>alert" not in answer.text
    assert form_of(wizard.browser.get(at).text)["fhir_base_url"] == f"http://127.0.0.1/{CANARY}"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"name": "production"}, "There is an environment by this name"),
        ({"name": "new"}, "There is an environment by this name"),
        ({"name": "../x"}, "Name: letters, digits"),
        ({"name": ""}, "Name: letters, digits"),
        ({"kind": ""}, "Kind: choose production or test."),
        ({"time_zone": "PST"}, "did you mean America/Los_Angeles?"),
        ({"ehr": "/etc/passwd"}, "EHR: choose one of the list."),
    ],
    ids=str,
)
def test_the_first_step_is_checked_before_a_draft_is_made(wizard: Wizard, typed: dict[str, str], sentence: str) -> None:
    answer = wizard.browser.post("/environments/new", NAME | typed)
    assert (answer.status_code, wizard.new.drafts) == (422, {})
    assert sentence in words(answer)
    assert form_of(answer.text)["name"] == (NAME | typed)["name"]


@pytest.mark.parametrize(
    ("kind", "typed", "sentence"),
    [
        ("production", {"processing_ids": ["T"]}, "a production environment must allow P."),
        ("test", {"processing_ids": ["P", "T"]}, "a test environment never takes P."),
        ("production", {"authentication": "mutual-tls"}, "A client certificate needs TLS on this port"),
        ("production", {"port": "70000"}, "Port: must be at most 65535."),
        ("production", {"facilities": "A|B"}, "MSH-4 sending facilities allowed: holds"),
    ],
    ids=str,
)
def test_the_feed_is_judged_by_the_rules_of_the_configuration(
    wizard: Wizard, kind: str, typed: dict[str, Any], sentence: str
) -> None:
    at = wizard.send("/environments/new", NAME | {"kind": kind})
    at = wizard.send(at, {"fhir_base_url": URL})
    at = wizard.send(at, {"approver": "dana"})
    files = {"certificate": ("a.cer", b"good")}
    feed = FEED | {"processing_ids": ["P"] if kind == "production" else ["T"]} | typed
    answer = wizard.browser.post(at, feed, files=files)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert "CN=east" in words(answer)


def test_a_certificate_is_kept_from_one_try_to_the_next_and_a_wrong_one_says_why(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    at = wizard.send(at, {"fhir_base_url": URL})
    at = wizard.send(at, {"approver": "dana"})
    assert "Choose a .cer file." in words(wizard.browser.post(at, FEED))
    refused = wizard.browser.post(at, FEED, files={"certificate": ("a.cer", b"-----BEGIN PRIVATE KEY")})
    assert (refused.status_code, "This file holds a private key." in words(refused)) == (422, True)
    assert "Choose a .cer file." not in words(refused)
    wizard.browser.post(at, FEED | {"port": "x"}, files={"certificate": ("a.cer", b"good")})
    assert wizard.send(at, FEED) == "/environments/new/d0/sms"
    assert "CN=east" in words(wizard.browser.get(at))
    assert wizard.certificates.kept == []


def test_the_address_is_checked_and_a_correction_taken(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    correction = "https://fhir.lamna.example/api/FHIR/R4"
    wizard.new.findings = (
        AddressFinding(is_error=True, sentence=f"Answers as DSTU2. {CANARY}", correction=correction),
    )
    answer = wizard.browser.post(at, {"fhir_base_url": "https://fhir.lamna.example/api/FHIR/DSTU2", "check": "1"})
    assert answer.status_code == 200
    assert "FHIR 4.0.1 · Epic" in words(answer)
    assert f'name="use" value="{correction}"' in answer.text
    assert "<script>alert" not in answer.text
    wizard.new.findings = ()
    answer = wizard.browser.post(at, {"fhir_base_url": "https://old.example", "use": correction})
    assert form_of(answer.text)["fhir_base_url"] == correction
    assert wizard.new.checked[-1] == (correction, "production")
    assert "Nothing speaks against this address." in words(answer)
    wrong = wizard.browser.post(at, {"fhir_base_url": "https://10.0.0.1/", "check": "1"})
    assert (wrong.status_code, len(wizard.new.checked)) == (422, 2)


def test_the_client_id_is_asked_for_where_the_approver_is_and_may_be_left_out(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    at = wizard.send(at, {"fhir_base_url": URL})
    page = words(wizard.browser.get(at))
    assert "Non-Production Client ID" not in page
    assert "may be left empty: a signed message proves access too" in page
    assert "/approval/callback" in page
    after = wizard.send(at, {"approver": "dana", "client_id": " 8f2e-carebell "})
    assert 'value="8f2e-carebell"' in wizard.browser.get(at).text
    wizard.send(after, FEED | {"processing_ids": ["P"]}, files={"certificate": ("a.cer", b"good one")})
    end = wizard.send(after.replace("feed", "sms"), SMS)
    assert "Client id in the EHR 8f2e-carebell" in words(wizard.browser.get(end))
    wizard.send(end, {})
    [(_, edits)] = wizard.desk.proposed
    approval = {"required": True, "approvers": ["dana"], "client_id": "8f2e-carebell"}
    assert edits["environments.east"]["approval"] == approval


def test_a_client_id_of_two_lines_is_said_beside_its_field(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    at = wizard.send(at, {"fhir_base_url": URL})
    wrong = wizard.browser.post(at, {"approver": "dana", "client_id": "8f2e\ncarebell"})
    assert wrong.status_code == 422
    assert 'id="client_id-error"' in wrong.text
    assert 'id="approver-error"' not in wrong.text


def test_production_needs_an_approver_and_a_test_environment_may_do_without(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    at = wizard.send(at, {"fhir_base_url": ""})
    answer = wizard.browser.post(at, {"approver": ""})
    assert (answer.status_code, "Choose who approves" in words(answer)) == (422, True)
    stranger = wizard.browser.post(at, {"approver": "nobody"})
    assert (stranger.status_code, "Choose a person of the list." in words(stranger)) == (422, True)
    assert "<script>alert" not in answer.text
    at = wizard.to_the_end("test", approver={"approver": ""}, sms={"allow_add": "+12025550143"})
    wizard.send(at, {})
    assert "approval" not in wizard.desk.proposed[0][1]["environments.east"]


def test_a_test_environment_needs_a_number_that_it_may_text(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME | {"kind": "test"})
    answer = wizard.browser.post(at.replace("address", "sms"), SMS)
    assert (answer.status_code, "Write at least one number" in words(answer)) == (422, True)


def test_rows_of_reminders_come_and_go_in_the_step_too(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME).replace("address", "sms")
    shown = form_of(wizard.browser.get(at).text)
    assert (shown["reminder-0-count"], shown["per_day"]) == ("24", "3")
    more = wizard.browser.post(at, shown | {"add": "1", "sender": "+14255550100"})
    assert "reminder-1-count" in form_of(more.text)
    kept = form_of(wizard.browser.get(at).text)
    assert ("reminder-1-count" in kept, kept["sender"]) == (True, "+14255550100")


def test_the_last_step_waits_for_all_others(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    answer = wizard.browser.get(at.replace("address", "answers"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/environments/new/d0/address")
    assert wizard.send(at.replace("address", "answers"), {}) == "/environments/new/d0/address"
    assert wizard.desk.proposed == []


def test_what_the_whole_configuration_objects_to_stands_at_its_step(wizard: Wizard) -> None:
    at = wizard.to_the_end()
    wizard.desk.problems = (
        problem("environments.east.listener.port", "is taken by `http`"),
        problem("environments.east.sms.from", "belongs to another gateway"),
        problem("gateway", "is wrong"),
    )
    answer = wizard.browser.post(at, {})
    assert answer.status_code == 422
    assert 'href="#step-feed">Port: is taken by <code>http</code>.</a>' in answer.text
    assert 'href="#step-sms">Phone number: belongs to another gateway.</a>' in answer.text
    assert "gateway: is wrong." in words(answer)
    assert re.search(r'id="step-feed"', answer.text)


def test_a_name_that_was_taken_meanwhile_and_a_folder_that_is_full(wizard: Wizard) -> None:
    at = wizard.to_the_end(name={"name": "west"})
    wizard.certificates.is_full = True
    answer = wizard.browser.post(at, {})
    assert (answer.status_code, "There is no room." in words(answer)) == (422, True)
    environments = dict(wizard.desk.configuration.environments)
    environments["west"] = environments["test"]
    wizard.desk.configuration = wizard.desk.configuration.model_copy(update={"environments": environments})
    answer = wizard.browser.post(at, {})
    assert (answer.status_code, "There is an environment by this name" in words(answer)) == (422, True)
    assert wizard.desk.proposed == []


def test_a_shared_port_says_what_the_other_environment_says(wizard: Wizard) -> None:
    wizard.send(wizard.to_the_end(feed={"port": "2575"}), {})
    section = wizard.desk.proposed[0][1]["environments.east"]
    assert section["listener"] == {"host": "127.0.0.1", "port": 2575}


def test_two_tabs_are_two_drafts_and_two_presses_of_the_last_button_are_harmless(wizard: Wizard) -> None:
    first, second = wizard.send("/environments/new", NAME), wizard.send("/environments/new", NAME | {"name": "west"})
    assert first != second
    at = wizard.to_the_end()
    assert wizard.send(at, {}) == wizard.send(at, {})
    assert wizard.desk.proposed[0] == wizard.desk.proposed[1]


def test_a_draft_is_its_authors_alone_and_may_be_gone(wizard: Wizard) -> None:
    at = wizard.send("/environments/new", NAME)
    wizard.new.drafts["d0"] = ("somebody", wizard.new.drafts["d0"][1])
    assert wizard.browser.get(at).status_code == 404
    assert wizard.browser.post(at, {"fhir_base_url": URL}).status_code == 404
    assert wizard.browser.get("/environments/new/d9/name").status_code == 404
    assert wizard.browser.get("/environments/new/d0/elsewhere").status_code == 404
    wizard.browser.sign_in(Role.ANALYST, ["production"])
    assert wizard.browser.get("/environments/new").status_code == 403


def test_hostile_answers_are_inert_on_every_step(wizard: Wizard) -> None:
    at = wizard.to_the_end(feed={"receiving_application": "A'<b>&\"", "receiving_facility": "<i>"})
    _, answers = wizard.new.drafts["d0"]
    hostile = {
        name: values if name in ("done", "kind", "certificate") else (CANARY,) for name, values in answers.items()
    }
    wizard.new.drafts["d0"] = ("kim", hostile)
    for step in ("name", "address", "approver", "feed", "sms", "answers"):
        answer = wizard.browser.get(at.replace("answers", step))
        assert answer.status_code == 200, step
        assert "<script>alert" not in answer.text
        assert unescape(CANARY) in unescape(answer.text) or step == "approver"
