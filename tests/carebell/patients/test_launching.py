"""Launches from a simulated EHR, in a browser of a few lines: who gets to which visit, and every attack on it, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from carebell.patients.launching import LINK_LASTS, Launching
from config.visit_settings import LaunchSettings
from oauth.fetcher import Fetcher, FetchPolicy
from portal.join.app import build
from portal.join.desk import JoinWords
from portal.join.launch import MOST_AT_ONCE, LaunchPages, LaunchRefusal
from portal.join.provider import ProviderPages
from portal.join.rendering import JoinRenderer, static_files
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.tokens import TokenSigner
from store import visit_links
from tests.carebell.patients.room import MINUTE, SAME, START, Clinic, clinic
from tests.oauth.browser import launched_back
from tests.oauth.conftest import signer

__all__ = ["signer"]
HERE: Final = "http://127.0.0.1:8081"
CONTEXT: Final = {"sessionId": "900100", "departmentId": "Cardiology East", "env": "production"}
GROUP: Final = ("900201", "900202", "900203")
TEST_BASE: Final = "https://test.ehr.example/api/FHIR/R4"


@dataclass(slots=True, kw_only=True)
class Hospital:
    """Attributes: refused: (environment, refusal) of what got no further."""

    day: Clinic
    fhir: FhirSimulator
    browser: TestClient
    pages: LaunchPages
    settings: LaunchSettings
    refused: list[tuple[str, LaunchRefusal]] = field(default_factory=list)

    def launch_in(self, context: Mapping[str, str], reader: str = "provider", user: str = "dana") -> Any:
        """As `launch`, with another context."""
        return self._launched(self.fhir.sign_in.launch(context, user), reader)

    def launch(self, reader: str = "provider", user: str = "dana", **query: str) -> Any:
        """What the launch address answers."""
        return self._launched(self.fhir.sign_in.launch(CONTEXT, user), reader, **query)

    def _launched(self, word: str, reader: str, **query: str) -> Any:
        given = {"iss": self.fhir.base_url, "launch": word, **query}
        return self.browser.get(f"/ehr/production/{reader}?{urlencode(given)}")

    def back(self, leaving: Any, environment: str = "production") -> Any:
        """From the launch address over the EHR's server to the callback."""
        assert leaving.status_code == 302, leaving.text
        return self.call_back(launched_back(leaving.headers["location"]), environment)

    def call_back(self, parameters: list[tuple[str, str]], environment: str = "production") -> Any:
        return self.browser.get(f"/ehr/{environment}/callback?{urlencode(parameters)}")

    @property
    def codes(self) -> list[str]:
        return [refusal.code for _, refusal in self.refused]


@pytest.fixture
def hospital(tmp_path: Path, signer: TokenSigner) -> Iterator[Hospital]:
    with (
        clinic(tmp_path / "clinic") as day,
        running_fhir_simulator(FhirSimulator(signer=signer, clock=day.service.clock.now)) as fhir,
        ThreadPoolExecutor(2) as threads,
    ):
        day.hear("S12")
        day.service.step(to=START - 10 * MINUTE)
        yield _put_together(day, fhir, threads)


@pytest.fixture
def group(tmp_path: Path, signer: TokenSigner) -> Iterator[Hospital]:
    """Three visits of the conference G-77, and one visit by itself."""
    with (
        clinic(tmp_path / "clinic", groups=True) as day,
        running_fhir_simulator(FhirSimulator(signer=signer, clock=day.service.clock.now)) as fhir,
        ThreadPoolExecutor(2) as threads,
    ):
        day.hear("S12")
        for reference in GROUP:
            day.hear("S12", reference=reference, conference="G-77")
        day.service.step(to=START - 10 * MINUTE)
        yield _put_together(day, fhir, threads)


def _put_together(day: Clinic, fhir: FhirSimulator, threads: ThreadPoolExecutor) -> Hospital:
    def loaded() -> Any:
        production = day.service.runtime_config.policies["production"].environment
        visits = production.visits.model_copy(update={"launch": made.settings})
        environments = {
            "production": production.model_copy(update={"fhir_base_url": fhir.base_url, "visits": visits}),
            "test": production.model_copy(update={"fhir_base_url": TEST_BASE, "visits": visits}),
        }
        return SimpleNamespace(
            configuration=SimpleNamespace(environments=environments, join=SimpleNamespace(enabled=True))
        )

    words = JoinWords(organization=lambda: "Lamna", contact=lambda: "+1 425 555 0100")
    renderer = JoinRenderer(words, static_files())
    failed: list[Exception] = []
    desk = Launching(
        store=day.service.store,
        vault=day.service.vault,
        loaded=loaded,
        recorder=day.recorder,
        fetcher=lambda _loaded, _kind: Fetcher(FetchPolicy(loopback=True, deadline_seconds=60)),
        public_url=HERE,
        now=day.service.clock.now,
    )
    refused: list[tuple[str, LaunchRefusal]] = []
    pages = LaunchPages(
        desk=desk,
        renderer=renderer,
        public_url=HERE,
        threads=threads,
        trusted_proxies=list,
        refused=lambda environment, refusal, _peer: refused.append((environment, refusal)),
        report=failed.append,
    )
    provider = ProviderPages(desk=day.room, renderer=renderer, public_url=HERE, threads=threads, report=failed.append)
    app = build(
        day.room,
        words,
        public_url=HERE,
        trusted_proxies=list,
        now=day.service.clock.now,
        threads=threads,
        unknown=lambda _address, _over: None,
        report=failed.append,
        below=provider.below(),
        further=pages.further(),
    )
    browser = TestClient(app, base_url=HERE, follow_redirects=False)
    settings = LaunchSettings(client_id="carebell", patients=True)
    made = Hospital(day=day, fhir=fhir, browser=browser, pages=pages, settings=settings, refused=refused)
    return made


def _link(page: str) -> str:
    matched = re.search(r'name="link" value="([0-9a-f]{64})"', page)
    assert matched is not None, page
    return matched[1]


# What works


def test_a_provider_comes_from_the_ehr_lets_the_patient_in_and_goes_to_the_visit(hospital: Hospital) -> None:
    day, browser = hospital.day, hospital.browser
    patient = day.token()
    arrival = hospital.back(hospital.launch())
    assert arrival.status_code == 303
    own = arrival.headers["location"]
    assert re.fullmatch(r"/j/[1-9A-Za-z]{17}", own)
    assert "Nobody waits." in browser.get(own).text
    day.here(patient)
    page = browser.get(own).text
    assert "Patient, since a moment ago." in page
    assert patient not in page
    link = _link(page)
    assert browser.post(f"{own}/not-yet", data={"link": link}, headers=SAME).headers["location"] == own
    assert "You asked for more minutes." in browser.get(own).text
    browser.post(f"{own}/let-in", data={"link": link}, headers=SAME)
    assert "Let in." in browser.get(own).text
    assert day.here(patient)["stage"] == "admitted"
    assert day.events() == ["planned", "waiting", "put_off", "admitted"]
    assert "https://meet.example/" in browser.post(f"{own}/go", data={"device": "d1"}, headers=SAME).text
    assert day.visit().department == "Cardiology East"
    assert hospital.refused == []


def test_a_providers_link_is_short_and_stays_so_when_the_visit_moves(hospital: Hospital) -> None:
    day = hospital.day
    day.service.step(to=START - timedelta(days=3))
    own = hospital.back(hospital.launch()).headers["location"]
    day.hear("S13", start=START + timedelta(days=1))
    with day.service.store.read() as conn:
        ends = {link.role: link.ends_at for link in visit_links.links(conn, day.visit().id)}
    assert ends[VisitRole.PROVIDER] <= day.service.now + LINK_LASTS
    assert ends[VisitRole.PATIENT] > START
    day.service.step(LINK_LASTS + MINUTE)
    assert hospital.browser.get(own).status_code == 404


def test_a_launch_right_before_the_start_is_over_in_twelve_hours_wherever_the_visit_moves(hospital: Hospital) -> None:
    day = hospital.day
    own = hospital.back(hospital.launch()).headers["location"]
    day.hear("S13", start=START + timedelta(days=3))
    assert hospital.browser.get(own).status_code == 200
    day.hear("S13", start=START + timedelta(days=5))
    day.service.step(LINK_LASTS)
    assert hospital.browser.get(own).status_code == 404
    day.service.step(to=START + timedelta(days=5))
    assert hospital.browser.get(own).status_code == 404
    assert hospital.browser.get(f"/j/{day.token()}").status_code == 200


def test_a_patient_comes_to_the_link_of_their_texts(hospital: Hospital) -> None:
    arrival = hospital.back(hospital.launch("patient", "pat"))
    assert arrival.headers["location"] == f"/j/{hospital.day.token()}"


def test_no_text_names_the_link_of_a_launch(hospital: Hospital) -> None:
    day = hospital.day
    with day.service.store.write() as conn:
        visit = day.recorder.begin(conn, day.visit().id)
        assert visit is not None
        made = visit_links.links(conn, visit.id)[0]
        visit_links.revoke(conn, visit, made.key, day.service.now, source=VisitEventSource.COMMAND)
    own = hospital.back(hospital.launch("patient", "pat")).headers["location"]
    assert hospital.browser.get(own).status_code == 200
    with day.service.store.read() as conn:
        assert visit_links.tokens(conn, day.service.vault, [day.visit().appointment], day.service.now) == {}


def test_the_device_test_from_the_ehr(hospital: Hospital) -> None:
    word = hospital.fhir.sign_in.launch({"test": "true", "env": "production"}, "pat")
    query = urlencode({"iss": hospital.fhir.base_url, "launch": word})
    assert hospital.back(hospital.browser.get(f"/ehr/production/patient?{query}")).headers["location"] == "/test"


# Groups


@pytest.mark.parametrize(("first", "at_the_end"), [(GROUP[0], 200), (GROUP[1], 404)])
def test_a_provider_comes_to_the_group_by_its_conference(group: Hospital, first: str, at_the_end: int) -> None:
    """Args: first: the visit that the link is made of; one that left the group shows nothing when the group is over."""
    day = group.day
    day.hear("S13", START - MINUTE, reference=first, conference="G-77")
    own = group.back(group.launch_in({**CONTEXT, "sessionId": "G-77"})).headers["location"]
    tokens = [day.token(reference) for reference in GROUP]
    for token in (*tokens, day.token()):
        day.here(token)
    page = group.browser.get(own).text
    assert [reference in page for reference in (*GROUP, "900100")] == [True, True, True, False]
    assert not any(token in page for token in tokens)
    day.hear("S15", reference=GROUP[0])
    day.hear("S14", reference=GROUP[1], conference="G-78")
    page = group.browser.get(own).text
    assert [reference in page for reference in GROUP] == [False, False, True], "the link is the group's, not a visit's"
    group.browser.post(f"{own}/let-all-in", headers=SAME)
    assert [day.here(token)["stage"] for token in tokens] == ["canceled", "waiting", "admitted"]
    assert "https://meet.example/" in group.browser.post(f"{own}/go", data={"device": "d1"}, headers=SAME).text
    assert day.visit(GROUP[2]).department == "Cardiology East"
    day.hear("S15", reference=GROUP[2])
    answer = group.browser.get(own)
    assert answer.status_code == at_the_end
    assert ("This visit was canceled." in answer.text) == (at_the_end == 200)
    assert not any(reference in answer.text for reference in GROUP)


def test_a_provider_comes_to_the_group_by_one_of_its_appointments(group: Hospital) -> None:
    for reference in GROUP:
        group.day.here(group.day.token(reference))
    own = group.back(group.launch_in({**CONTEXT, "sessionId": GROUP[1]})).headers["location"]
    page = group.browser.get(own).text
    assert all(reference in page for reference in GROUP)
    assert "Let all in" in page


def test_a_patient_of_a_group_comes_to_their_own_link_or_to_none(group: Hospital) -> None:
    unknown = group.browser.get(f"/j/{'1' * 17}")
    for session, own, leads_to in (
        ("G-77", GROUP[1], GROUP[1]),
        (GROUP[1], None, GROUP[1]),
        (None, GROUP[2], GROUP[2]),
        ("never-heard-of", GROUP[2], GROUP[2]),
        ("G-77", None, None),
        ("G-77", "900100", None),
        ("G-77", "123456", None),
    ):
        named = {"sessionId": session, "appointmentId": own, "env": "production"}
        context = {name: value for name, value in named.items() if value is not None}
        answer = group.back(group.launch_in(context, "patient", "pat"))
        if leads_to is not None:
            assert answer.headers["location"] == f"/j/{group.day.token(leads_to)}"
        else:
            assert (answer.status_code, answer.content) == (404, unknown.content)
    assert group.codes == ["conference_alone", "unknown_visit", "unknown_visit"]


def test_a_group_that_is_called_after_one_of_its_appointments_is_nobody_s_own(group: Hospital) -> None:
    for reference in GROUP:
        group.day.hear("S14", reference=reference, conference=GROUP[0])
    context = {"sessionId": GROUP[0], "env": "production"}
    assert group.back(group.launch_in(context, "patient", "pat")).status_code == 404
    assert group.codes == ["conference_alone"]
    own = group.back(group.launch_in({**context, "appointmentId": GROUP[0]}, "patient", "pat"))
    assert own.headers["location"] == f"/j/{group.day.token(GROUP[0])}"
    assert group.back(group.launch_in(context)).status_code == 303


def test_a_group_called_after_an_appointment_is_nobody_s_own_when_its_visits_are_over(group: Hospital) -> None:
    for reference in GROUP:
        group.day.hear("S14", reference=reference, conference=GROUP[0])
    for reference in GROUP:
        with group.day.service.store.write() as conn:
            visit = group.day.recorder.begin(conn, group.day.visit(reference).id)
            assert visit is not None
            what, now = VisitEventKind.ENDED, group.day.service.now
            group.day.recorder.note(conn, visit, what, at=now, who=VisitRole.STAFF, source=VisitEventSource.COMMAND)
    context = {"sessionId": GROUP[0], "env": "production"}
    assert group.back(group.launch_in(context, "patient", "pat")).status_code == 404
    assert group.codes == ["unknown_visit"]
    own = group.back(group.launch_in({**context, "appointmentId": GROUP[1]}, "patient", "pat"))
    assert own.headers["location"] == f"/j/{group.day.token(GROUP[1])}"


def test_where_launches_name_groups_a_patient_comes_by_their_appointment_alone(group: Hospital) -> None:
    """No message has named the group yet: the id may be that of a group all the same."""
    context = {"sessionId": "900100", "env": "production"}
    group.settings = LaunchSettings(client_id="carebell", patients=True, group_visits=True)
    assert group.back(group.launch_in(context, "patient", "pat")).status_code == 404
    assert group.back(group.launch_in({**context, "sessionId": "123456"}, "patient", "pat")).status_code == 404
    assert group.codes == ["conference_alone", "conference_alone"]
    own = group.back(group.launch_in({**context, "appointmentId": "900100"}, "patient", "pat"))
    assert own.headers["location"] == f"/j/{group.day.token()}"
    own = group.back(group.launch_in({"appointmentId": "900100", "env": "production"}, "patient", "pat"))
    assert own.headers["location"] == f"/j/{group.day.token()}"
    assert group.back(group.launch_in(context)).status_code == 303, "a provider comes by the id of a visit too"


def test_a_name_that_means_a_visit_and_a_group_without_it_means_neither(group: Hospital) -> None:
    for reference in GROUP:
        group.day.hear("S14", reference=reference, conference="900100")
    assert group.back(group.launch()).status_code == 403
    assert group.back(group.launch("patient", "pat")).status_code == 404
    assert group.codes == ["unknown_visit", "unknown_visit"]


def test_of_several_days_the_group_that_is_open_is_meant(group: Hospital) -> None:
    for days, references in ((7, ("900301", "900302")), (14, ("900303",))):
        for reference in references:
            group.day.hear("S12", start=START + timedelta(days=days), reference=reference, conference="G-77")
    own = group.back(group.launch_in({**CONTEXT, "sessionId": "G-77"})).headers["location"]
    group.day.here(group.day.token(GROUP[0]))
    assert GROUP[0] in group.browser.get(own).text
    group.day.service.step(to=START + timedelta(days=2))
    assert group.back(group.launch_in({**CONTEXT, "sessionId": "G-77"})).status_code == 403
    group.day.service.step(to=START + timedelta(days=7))
    assert group.back(group.launch_in({**CONTEXT, "sessionId": "G-77"})).status_code == 303


# What does not


def test_looking_changes_nothing(hospital: Hospital) -> None:
    word = hospital.fhir.sign_in.launch(CONTEXT)
    address = f"/ehr/production/provider?{urlencode({'iss': hospital.fhir.base_url, 'launch': word})}"
    assert hospital.browser.head(address).status_code == 405
    assert hospital.browser.head("/ehr/production/callback?code=a&state=b").status_code == 405
    assert hospital.back(hospital.browser.get(address)).status_code == 303


def test_an_answer_counts_once(hospital: Hospital) -> None:
    leaving = hospital.launch()
    carried = dict(hospital.browser.cookies)
    parameters = launched_back(leaving.headers["location"])
    assert hospital.call_back(parameters).status_code == 303
    assert hospital.call_back(parameters).status_code == 403
    hospital.browser.cookies.update(carried)
    assert hospital.call_back(parameters).status_code == 403
    assert hospital.codes == ["not_started", "replayed"]


def test_an_answer_in_another_browser(hospital: Hospital) -> None:
    parameters = launched_back(hospital.launch().headers["location"])
    hospital.browser.cookies.clear()
    assert hospital.call_back(parameters).status_code == 403
    assert hospital.codes == ["not_started"]


def test_an_answer_brought_to_another_environment(hospital: Hospital) -> None:
    assert hospital.back(hospital.launch(), "test").status_code == 403
    assert hospital.codes == ["not_started"]


def test_a_swapped_answer(hospital: Hospital) -> None:
    first = launched_back(hospital.launch().headers["location"])
    hospital.launch()
    assert hospital.call_back(first).status_code == 403
    assert [(refusal.code, refusal.reason) for _, refusal in hospital.refused] == [("sign_in", "state")]


def test_an_answer_that_comes_too_late(hospital: Hospital) -> None:
    parameters = launched_back(hospital.launch().headers["location"])
    hospital.day.service.step(timedelta(minutes=11))
    assert hospital.call_back(parameters).status_code == 403
    assert hospital.refused[0][1].reason == "expired"


def test_the_other_environments_launch_url(hospital: Hospital) -> None:
    answer = hospital.launch(iss=TEST_BASE)
    assert answer.status_code == 403
    assert "the environment production" in answer.text
    assert "the environment test" in answer.text
    assert hospital.codes == ["other_environment"]


@pytest.mark.parametrize(("named", "said"), [("test", "the environment test"), ("elsewhere", "that there is not")])
def test_the_other_environments_context_token(named: str, said: str, hospital: Hospital) -> None:
    word = hospital.fhir.sign_in.launch({**CONTEXT, "env": named})
    query = urlencode({"iss": hospital.fhir.base_url, "launch": word})
    answer = hospital.back(hospital.browser.get(f"/ehr/production/provider?{query}"))
    assert said in answer.text
    assert hospital.codes == ["other_environment"]


@pytest.mark.parametrize(
    ("query", "code"), [({"iss": "https://evil.example"}, "wrong_issuer"), ({"launch": ""}, "parameters")]
)
def test_a_launch_that_is_none(query: dict[str, str], code: str, hospital: Hospital) -> None:
    answer = hospital.launch(**query)
    assert answer.status_code == 403
    assert "evil" not in answer.text
    assert hospital.codes == [code]


@pytest.mark.parametrize(("reader", "user"), [("provider", "pat"), ("patient", "dana")])
def test_the_wrong_user(reader: str, user: str, hospital: Hospital) -> None:
    assert hospital.back(hospital.launch(reader, user)).status_code == 403
    assert hospital.codes == ["wrong_user"]


@pytest.mark.parametrize(
    "fault", [FhirFault.WRONG_NONCE, FhirFault.ALG_NONE, FhirFault.WRONG_KEY, FhirFault.SWAPPED_CODE]
)
def test_a_server_that_lies(fault: FhirFault, hospital: Hospital) -> None:
    leaving = hospital.launch()
    hospital.fhir.plan(FhirFaultPlan(faults=frozenset({fault})))
    assert hospital.back(leaving).status_code == 403
    assert hospital.codes == ["sign_in"]


@pytest.mark.parametrize("session", ["123456", "", "x" * 500])
def test_a_visit_that_is_not_there(session: str, hospital: Hospital) -> None:
    pages = []
    for reader, user in (("provider", "dana"), ("patient", "pat")):
        word = hospital.fhir.sign_in.launch({**CONTEXT, "sessionId": session}, user)
        query = urlencode({"iss": hospital.fhir.base_url, "launch": word})
        pages.append(hospital.back(hospital.browser.get(f"/ehr/production/{reader}?{query}")))
    assert pages[0].status_code == 403
    assert hospital.codes[0] == ("unknown_visit" if session == "123456" else "no_session")
    if session == "123456":
        unknown = hospital.browser.get(f"/j/{'1' * 17}")
        assert (pages[1].status_code, pages[1].content) == (404, unknown.content)
    assert all("123456" not in page.text for page in pages)


def test_an_environment_that_is_not_there(hospital: Hospital) -> None:
    unknown = hospital.browser.get(f"/j/{'1' * 17}")
    for path in ("/ehr/elsewhere/provider", "/ehr/elsewhere/callback", "/ehr/production/elsewhere"):
        answer = hospital.browser.get(path)
        assert (answer.status_code, answer.content) == (404, unknown.content)


def test_a_patient_reads_what_to_do_and_staff_what_to_correct(hospital: Hospital) -> None:
    hospital.browser.headers["accept-language"] = "es"
    patient = hospital.launch("patient", "pat", iss="https://evil.example")
    assert '<html lang="es">' in patient.text
    assert "Use el enlace de su mensaje de texto o llámenos, por favor." in patient.text
    assert "<code>wrong_issuer</code>" in patient.text
    assert "fhir_base_url" not in patient.text
    provider = hospital.launch(iss="https://evil.example")
    assert '<html lang="en">' in provider.text
    assert "fhir_base_url" in provider.text
    nobody = hospital.call_back([("code", "a"), ("state", "b")])
    assert "Abra la visita otra vez desde donde la abrió" in nobody.text
    assert hospital.codes == ["wrong_issuer", "wrong_issuer", "not_started"]


@pytest.mark.parametrize("settings", [LaunchSettings(), LaunchSettings(client_id="carebell")])
def test_launches_that_are_not_set_up(settings: LaunchSettings, hospital: Hospital) -> None:
    hospital.settings = settings
    assert hospital.launch("patient", "pat").status_code == 403
    assert hospital.codes == ["not_configured"]


def test_many_at_once_and_many_that_are_none(hospital: Hospital) -> None:
    hospital.pages.under_way = MOST_AT_ONCE
    assert hospital.launch().status_code == 503
    hospital.pages.under_way = 0
    answers = [hospital.launch(iss="https://evil.example").status_code for _ in range(25)]
    assert answers[0] == 403
    assert answers[-1] == 429
    assert hospital.launch().status_code == 302


# Letting in, by those who may not


def _by_patient(hospital: Hospital) -> str:
    return hospital.day.token()


def _by_nobody(_hospital: Hospital) -> str:
    return "1" * 17


@pytest.mark.parametrize("token_of", [_by_patient, _by_nobody])
def test_only_a_provider_lets_in(token_of: Callable[[Hospital], str], hospital: Hospital) -> None:
    patient = hospital.day.token()
    hospital.day.here(patient)
    link = hospital.day.key(patient)
    address = f"/j/{token_of(hospital)}/let-in"
    assert hospital.browser.post(address, data={"link": link}, headers=SAME).status_code == 404
    assert hospital.day.here(patient)["stage"] == "waiting"


def test_only_from_a_page_of_this_site_and_for_this_visit(hospital: Hospital) -> None:
    day, browser = hospital.day, hospital.browser
    day.hear("S12", reference="900200")
    other = day.token("900200")
    day.here(other)
    own = hospital.back(hospital.launch()).headers["location"]
    link = day.key(other)
    assert (
        browser.post(f"{own}/let-in", data={"link": link}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    )
    assert browser.post(f"{own}/let-in", data={"link": "x"}, headers=SAME).status_code == 400
    assert browser.post(f"{own}/let-in", data={"link": link}, headers=SAME).status_code == 303
    assert day.here(other)["stage"] == "waiting"
