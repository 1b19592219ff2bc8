"""The list of environments, one environment, and its feed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.pages.environments import feed as feed_page
from portal.pages.environments import summary
from portal.roles import Role
from tests.portal.pages.configurations import CANARY, PROPOSAL, FakeDesk, problem, shipped, with_environment
from tests.portal.pages.staff import Browser, browsing, words

FEED = "/environments/production/feed"


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def browser(desk: FakeDesk) -> Iterator[Browser]:
    with browsing((*summary.pages(desk), *feed_page.pages(desk, desk))) as browser:
        yield browser


def feed(**changes: object) -> dict[str, object]:
    """The feed's form as the browser sends it unchanged, with changes."""
    return {
        "base": "0123456789ab", "enabled": "1", "ehr": "epic", "time_zone": "America/Los_Angeles",
        "fhir_base_url": "https://lamnahealthcare.example/fhir/api/FHIR/R4", "host": "127.0.0.1", "port": "2575",
        "facilities": "LAMNA", "receiving_application": "APPTSMS", "receiving_facility": "LAMNA",
        "processing_ids": ["P"], "authentication": "signature",
    } | changes  # fmt: skip


def test_the_list_has_every_environment_with_what_tells_them_apart(browser: Browser) -> None:
    answer = browser.sign_in(Role.SUPPORT).get("/environments")
    assert answer.status_code == 200
    for value in ("production", "Production", "Test", "Epic", "+14255550100", "approved by Dana", "not needed"):
        assert value in words(answer)
    assert 'href="/environments/new"' not in answer.text
    assert 'href="/environments/new"' in browser.sign_in(Role.ADMINISTRATOR).get("/environments").text


def test_an_analyst_sees_own_environments_in_the_list(browser: Browser) -> None:
    answer = browser.sign_in(Role.ANALYST, ["test"]).get("/environments")
    assert 'href="/environments/test"' in answer.text
    assert 'href="/environments/production"' not in answer.text


def test_an_environment_says_what_it_does_and_where_each_value_is_changed(browser: Browser) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).get("/environments/production")
    said = words(answer)
    for value in (
        "7 days before at 10:00; 24 hours before; 15 minutes before (video)",
        "21:00 to 08:00",
        "3 in a day, 10 in a week",
    ):
        assert value in said
    assert f'href="{FEED}#receiving_facility"' in answer.text
    assert "Change" not in words(browser.sign_in(Role.AUDITOR).get("/environments/production"))


def test_an_analyst_is_offered_the_changes_that_an_analyst_may_make(browser: Browser) -> None:
    text = browser.sign_in(Role.ANALYST, ["test"]).get("/environments/test").text
    assert "/environments/test/feed#receiving_facility" in text
    assert "/environments/test/certificates" in text
    for closed in ("feed#port", "sms#sender", "sms#reminders"):
        assert f'href="/environments/test/{closed}"' not in text


def test_numbers_of_the_allow_list_are_masked(browser: Browser) -> None:
    answer = browser.sign_in(Role.AUDITOR).get("/environments/test")
    assert "***0143" in words(answer)
    assert "2025550143" not in answer.text


def test_an_unknown_environment_is_not_there(browser: Browser) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    assert browser.get("/environments/nowhere").status_code == 404
    assert browser.get("/environments/nowhere/feed").status_code == 404


def test_a_change_of_the_feed_proposes_what_changed_and_nothing_else(browser: Browser, desk: FakeDesk) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    answer = browser.post(FEED, feed(facilities="LAMNA\r\n EAST \r\n", port="2600", enabled=""))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/configuration/preview/{PROPOSAL}")
    assert desk.proposed == [
        (
            "kim",
            {
                "environments.production.sender.facilities": ["LAMNA", "EAST"],
                "environments.production.enabled": False,
                "environments.production.listener.port": 2600,
            },
        )
    ]


def test_a_form_without_a_change_says_so(browser: Browser, desk: FakeDesk) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).post(FEED, feed())
    assert (answer.status_code, desk.proposed) == (422, [])
    assert "Nothing was changed." in words(answer)


def test_what_the_keys_say_stands_beside_their_fields_and_nothing_typed_is_lost(
    browser: Browser, desk: FakeDesk
) -> None:
    desk.problems = (
        problem("environments.production.sender.facilities[1]", "begins or ends with a blank"),
        problem("environments.production.listener.port", "must be at most 65535"),
        problem("portal.enabled", "is wrong"),
    )
    typed = feed(port="70000", facilities="LAMNA\nWEST", receiving_facility=CANARY, processing_ids=["P", "D"])
    answer = browser.sign_in(Role.ADMINISTRATOR).post(FEED, typed)
    assert answer.status_code == 422
    assert "<title>Error: Feed of production" in answer.text
    said = words(answer)
    assert "MSH-4 sending facilities allowed: begins or ends with a blank." in said
    assert 'href="#port">Port: must be at most 65535.</a>' in answer.text
    assert "portal.enabled: is wrong." in said
    assert 'value="70000"' in answer.text
    assert "LAMNA\nWEST" in answer.text
    assert 'value="D" checked' in answer.text
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("port", "x", "Port: must be a whole number."),
        ("facilities", " \n", "MSH-4 sending facilities allowed: enter a value."),
        ("processing_ids", [], "MSH-11 processing IDs allowed: enter a value."),
        ("host", "", "Address to listen on: enter a value."),
        ("ehr", "/etc/passwd", "EHR: choose one of the list."),
    ],
)
def test_what_cannot_be_written_is_said_at_once(
    browser: Browser, desk: FakeDesk, field: str, value: object, sentence: str
) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).post(FEED, feed(**{field: value}))
    assert (answer.status_code, desk.proposed) == (422, [])
    assert sentence in words(answer)


def test_an_empty_base_url_is_none(browser: Browser, desk: FakeDesk) -> None:
    assert browser.sign_in(Role.ADMINISTRATOR).post(FEED, feed(fhir_base_url="")).status_code == 303
    assert desk.proposed[0][1] == {"environments.production.fhir_base_url": None}


def test_a_form_that_was_filled_from_an_older_configuration_is_shown_again(browser: Browser, desk: FakeDesk) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).post(FEED, feed(base="older", port="2601"))
    assert (answer.status_code, desk.proposed) == (409, [])
    assert "The file was changed meanwhile." in words(answer)
    assert 'value="2601"' in answer.text
    assert 'name="base" value="0123456789ab"' in answer.text


def test_an_analyst_changes_the_sender_of_own_environments_alone(browser: Browser, desk: FakeDesk) -> None:
    browser.sign_in(Role.ANALYST, ["production"])
    page = browser.get(FEED)
    assert 'name="facilities"' in page.text
    assert 'name="port"' not in page.text
    answer = browser.post(FEED, feed(receiving_facility="WEST", port="1", host="0.0.0.0", enabled=""))
    assert answer.status_code == 303
    assert desk.proposed == [("dana", {"environments.production.sender.receiving_facility": "WEST"})]
    assert browser.post("/environments/test/feed", feed()).status_code == 403


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.AUDITOR])
def test_others_see_the_feed_and_cannot_send_it(browser: Browser, desk: FakeDesk, role: Role) -> None:
    page = browser.sign_in(role).get(FEED)
    assert page.status_code == 200
    assert "Preview the change" not in words(page)
    assert browser.post(FEED, feed(port="1")).status_code == 403
    assert desk.proposed == []


def test_a_value_that_a_variable_sets_is_shown_and_not_asked_for(browser: Browser, desk: FakeDesk) -> None:
    desk.variables = {"environments.production.listener.port": "CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__PORT"}
    page = browser.sign_in(Role.ADMINISTRATOR).get(FEED)
    assert "CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__PORT" in words(page)
    assert 'name="port"' not in page.text
    assert browser.post(FEED, feed(port="1", receiving_facility="W")).status_code == 303
    assert desk.proposed[0][1] == {"environments.production.sender.receiving_facility": "W"}


def test_stored_values_are_inert(browser: Browser, desk: FakeDesk) -> None:
    sender = (
        shipped()
        .environments["production"]
        .sender.model_copy(
            update={"facilities": [CANARY], "receiving_application": CANARY, "receiving_facility": CANARY}
        )
    )
    desk.configuration = with_environment("production", sender=sender, ehr=f"/own/{CANARY}", fhir_base_url=CANARY)
    browser.sign_in(Role.ADMINISTRATOR)
    for path in ("/environments", "/environments/production", FEED):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "'\"&" not in answer.text
