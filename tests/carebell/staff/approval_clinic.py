"""A clinic whose environment test must be approved: a store, a file, a simulated EHR, and a browser at the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import unescape
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

import pytest
from httpx2 import Response

from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.outbound import approval_holds
from carebell.staff.approval import StaffApprovals
from carebell.staff.approval_questions import ApprovalQuestions
from carebell.staff.configuration import StaffConfiguration
from carebell.staff.elsewhere import SigningInElsewhere
from carebell.staff.environments import Environments
from carebell.staff.people_context import PeopleContext, approvers_by_environment
from config.edit import Edit
from config.load import Loaded
from config.portal_settings import PortalSection
from journal.logs import setup
from oauth.fetcher import Fetcher, FetchPolicy
from portal.pages import configuration as configuration_pages
from portal.pages.environments import approval as pages
from portal.pages.environments import summary
from portal.people import Session, SignedIn
from portal.proposals import Proposed
from portal.roles import Role
from scheduler.sms import HoldScope
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.tokens import TokenSigner
from store import approvals, holds
from store.audit import Author
from store.engine import Store, open_store
from store.keys import read_key_file
from store.vault import Vault
from tests.carebell.staff.clinic_staff import CHEAP, ClinicStaff
from tests.oauth.browser import signed_in
from tests.portal.pages.staff import Browser, FakeSessions, browsing, session_of, words
from tests.portal.pages.staff import person as person_of
from tests.story import folder
from tests.story.folder import CLOCK, make

PORTAL = "http://127.0.0.1:8443"
SERVICE = Author(who="service", origin="node=n1")
PAGE = "/environments/test/approval"


@dataclass
class Clinic:
    """A service's configuration, a store, the desks, and a browser of whoever is signed in."""

    path: Path
    store: Store
    vault: Vault
    fetcher: Fetcher
    loaded: Loaded
    now: datetime = CLOCK
    runtime: RuntimeConfig = field(init=False)
    desk: StaffApprovals = field(init=False)
    configuration: StaffConfiguration = field(init=False)
    browser: Browser = field(init=False)
    sessions: FakeSessions = field(default_factory=FakeSessions)

    def take(self) -> None:
        """As a reload and the heartbeat after it."""
        self.loaded = folder.load(self.path)
        self.runtime = runtime_config(self.loaded)
        self.beat()

    def beat(self) -> None:
        with self.store.write() as conn:
            approval_holds.settle(conn, self.runtime, SERVICE, at=self.now)

    def be(self, role: Role, login: str) -> Session:
        """Sign in as somebody, with a session in the store too."""
        somebody = replace(person_of(role, ["test", "production"] if role is Role.ANALYST else ()), login=login)
        self.browser.sign_in(role)
        session = replace(session_of(somebody), key=self.stored[login].session.key)
        self.sessions.by_token["t" * 43] = session
        return session

    stored: dict[str, SignedIn] = field(default_factory=dict)

    def text(self, path: str = PAGE) -> str:
        answer = self.browser.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer)

    def fields(self, path: str = PAGE) -> dict[str, str]:
        shown = self.browser.get(path).text
        return {
            name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown)
        }

    def act(self, action: str, path: str = PAGE, **more: str) -> Response:
        """Press a button of the page as it is now."""
        return self.browser.post(f"{PAGE}/{action}", {**self.fields(path), **more})

    def go_to_the_ehr(self, path: str = PAGE) -> str:
        """The address of the EHR's sign-in."""
        answer = self.act("sign-in", path)
        assert answer.status_code == 200, words(answer)
        link = re.search(r'href="(http[^"]*)" role="button"', answer.text)
        assert link is not None
        return unescape(link.group(1))

    def come_back(self, url: str) -> Response:
        return self.browser.get(f"/approval/callback?{urlencode(signed_in(url))}")

    def prove(self, path: str = PAGE) -> None:
        assert self.come_back(self.go_to_the_ehr(path)).status_code == 200

    def held(self) -> list[str]:
        with self.store.read() as conn:
            return sorted(hold.name for hold in holds.held(conn) if hold.scope is HoldScope.APPROVAL)

    def unapproved(self) -> frozenset[str]:
        with self.store.read() as conn:
            return approval_holds.unapproved(conn, self.runtime)

    def steps(self) -> list[tuple[str, str]]:
        with self.store.read() as conn:
            return [(step.state.value, step.actor) for step in reversed(approvals.history(conn, "test"))]

    def propose(self, session: Session, *edits: Edit) -> str:
        proposed = self.configuration.propose(session, edits)
        assert isinstance(proposed, Proposed), proposed
        return proposed.id


SENDER = Edit(("environments", "test", "sms", "from"), "+14255550100")


@pytest.fixture
def fhir(signer: TokenSigner) -> Iterator[FhirSimulator]:
    with running_fhir_simulator(FhirSimulator(signer=signer, clock=lambda: CLOCK)) as simulator:
        yield simulator


@pytest.fixture
def clinic(tmp_path: Path, migrated_file: Path, fhir: FhirSimulator, fetcher: Fetcher) -> Iterator[Clinic]:
    approval = {"required": True, "approvers": ["dana", "kim"], "client_id": "carebell"}
    changes = {"environments": {"test": {"fhir_base_url": fhir.base_url, "approval": approval}}}
    path = make(tmp_path / "clinic", changes)
    database = path.with_name("carebell.db")
    database.write_bytes(migrated_file.read_bytes())
    store, vault = open_store(f"sqlite:///{database}"), Vault(ring=read_key_file(path.with_name("carebell.key")))
    made = Clinic(path, store, vault, fetcher, folder.load(path))
    context = PeopleContext(
        store=store, vault=vault, settings=PortalSection, organization=lambda: "Lamna Healthcare",
        environments=lambda: approvers_by_environment(made.loaded.configuration), now=lambda: made.now, passwords=CHEAP,
    )  # fmt: skip
    staff = ClinicStaff(store)
    staff.now = CLOCK
    for login, role in (("kim", "administrator"), ("dana", "analyst"), ("lee", "analyst")):
        environments = ("north",) if role == "analyst" else ()
        made.stored[login] = staff.add(login, role, environments)
    made.configuration = StaffConfiguration(
        store=store, vault=vault, loaded=lambda: made.loaded, environ={}, now=lambda: made.now, node="n1"
    )
    questions = ApprovalQuestions(
        store=store, vault=vault, loaded=lambda: made.loaded, runtime_config=lambda: made.runtime, environ={},
        now=lambda: made.now,
    )  # fmt: skip
    with setup(now=lambda: made.now, file=tmp_path / "log", terminal=StringIO()) as journal:
        made.desk = StaffApprovals(
            questions=questions, elsewhere=SigningInElsewhere(context), people=staff.people.people,
            fetcher=lambda loaded, kind: made.fetcher, public_url=PORTAL, write=made.configuration.write_approved,
            journal=journal,
        )  # fmt: skip
        listed = Environments(loaded=lambda: made.loaded, approval_states=questions.words)
        table = (*pages.pages(made.desk), *configuration_pages.pages(made.configuration), *summary.pages(listed))
        with browsing(table, sessions=made.sessions, now=CLOCK) as browser:
            made.browser = browser
            made.take()
            made.be(Role.ANALYST, "dana")
            yield made
    assert browser.failures == []
    store.close()


HARMLESS = {FhirFault.DSTU2, FhirFault.IGNORES_PKCE, FhirFault.OLD_SCOPES}
"""What keeps nobody from proving access: the check of the address says the first, and only the server can mend the second."""
FAULTS = sorted(set(FhirFault) - HARMLESS, key=lambda fault: fault.value)


def attempt_with(clinic: Clinic, fhir: FhirSimulator, fault: FhirFault) -> None:
    """Somebody proves access while the EHR does this wrong: a sentence is shown, and nothing is kept."""
    before, parameters = clinic.steps(), list[tuple[str, str]]()
    clinic.fetcher = Fetcher(FetchPolicy(loopback=True, deadline_seconds=0.3 if fault is FhirFault.SLOW else 60))
    fhir.plan(FhirFaultPlan(faults=frozenset({fault})))
    answer = clinic.act("sign-in")
    link = re.search(r'href="(http[^"]*)" role="button"', answer.text)
    if link is not None:
        parameters = signed_in(unescape(link.group(1)))
        answer = clinic.browser.get(f"/approval/callback?{urlencode(parameters)}")
    assert answer.status_code == 422
    shown = words(answer)
    assert re.search(r"[A-Z][^.]{15,}\.", shown)
    for secret in (value for name, value in parameters if name in ("code", "state")):
        assert secret not in shown
    assert clinic.steps() == before
    fhir.plan(FhirFaultPlan())
    again = clinic.browser.get(f"/approval/callback?{urlencode(parameters)}") if link else None
    assert again is None or again.status_code == 422, "an answer counts once"
    assert clinic.steps() == before
