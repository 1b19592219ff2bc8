"""SMS notifications: what was typed becomes edits, rows come and go without JavaScript, the telephone shows the texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import unescape

import pytest

from portal.pages.environments import sms
from portal.pages.environments.sms import TextPreview
from portal.roles import Role
from tests.portal.pages.configurations import CANARY, FakeDesk, problem, shipped, with_environment
from tests.portal.pages.staff import Browser, browsing, words

PRODUCTION, TEST = "/environments/production/sms", "/environments/test/sms"


@dataclass
class FakeTexts:
    """Says what was asked for."""

    asked: list[tuple[str | None, list[tuple[str, str | None]]]] = field(default_factory=list)
    asking: list[set[str]] = field(default_factory=list)

    def senders(self) -> Sequence[str]:
        return ["+14255550100", "+14255550101"]

    def texts(
        self,
        environment: str | None,
        kinds: Sequence[tuple[str, str | None]],
        time_zone: str,
        at: datetime,
        asking: Collection[str] = (),
    ) -> Sequence[TextPreview]:
        self.asked.append((environment, list(kinds)))
        self.asking.append(set(asking))
        return [
            TextPreview(title=f"{kind} {mode}", language="English", text=CANARY, segments=2) for kind, mode in kinds
        ]


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def texts() -> FakeTexts:
    return FakeTexts()


@pytest.fixture
def browser(desk: FakeDesk, texts: FakeTexts) -> Iterator[Browser]:
    with browsing(sms.pages(desk, desk, texts)) as browser:
        yield browser.sign_in(Role.ADMINISTRATOR)


def form_of(page: str) -> dict[str, object]:
    """What a browser would send of the page, if nothing was touched."""
    fields: dict[str, object] = {}
    for tag in re.findall(r"<input[^>]*>", page):
        attributes = {name: unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if attributes.get("type") == "checkbox" and " checked" not in tag:
            continue
        if "name" in attributes and attributes["name"] != "csrf":
            fields[attributes["name"]] = attributes.get("value", "")
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', page, re.DOTALL):
        values = re.findall(r'value="([^"]*)" selected', options) or re.findall(r'value="([^"]*)"', options)
        fields[name] = unescape(values[0])
    for name, value in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL):
        fields[name] = unescape(value)
    return fields


def test_the_page_as_it_is_changes_nothing(browser: Browser, desk: FakeDesk) -> None:
    for path in (PRODUCTION, TEST):
        answer = browser.post(path, form_of(browser.get(path).text))
        assert (answer.status_code, desk.proposed) == (422, [])
        assert "Nothing was changed." in words(answer)


def test_the_boxes_of_consent_have_their_words(browser: Browser) -> None:
    said = words(browser.get(PRODUCTION))
    assert "Carebell may send SMS notifications to patients on behalf of Lamna Healthcare." in said
    assert "I will make sure that attendees have agreed to send and receive SMS messages." in said
    assert "Nothing is sent until both boxes" not in said


def test_what_was_typed_becomes_edits_of_what_changed(browser: Browser, desk: FakeDesk) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    del form["consent_attendees"], form["confirmation_canceled"], form["reminder-2-always"]
    form |= {
        "other_sender": "(425) 555-0102", "reminder-0-count": "3", "reminder-0-at": "", "quiet_from": "20:30",
        "per_day": "2", "reminder-1-unit": "d", "reminder-1-count": "1", "reminder-1-modes": "phone,in-person",
    }  # fmt: skip
    assert browser.post(PRODUCTION, form).status_code == 303
    [(_, edits)] = desk.proposed
    assert edits == {
        "environments.production.sms.consent.attendees_have_consented": False,
        "environments.production.sms.from": "+14255550102",
        "environments.production.sms.confirmation.canceled": False,
        "environments.production.sms.reminders": [
            {"before": "3d"},
            {"before": "1d", "visit_modes": ["phone", "in-person"]},
            {"before": "15m", "visit_modes": ["video"]},
        ],
        "environments.production.sms.quiet_hours": {"from": "20:30", "to": "08:00"},
        "environments.production.sms.caps.per_day": 2,
    }


def test_whose_link_the_texts_carry_is_chosen(browser: Browser, desk: FakeDesk) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    assert form["join"] == "feed"
    assert browser.post(PRODUCTION, form | {"join": "none"}).status_code == 303
    [(_, edits)] = desk.proposed
    assert edits == {"environments.production.visits.join": "none"}


def test_replies_are_switched_on_with_what_was_chosen(browser: Browser, desk: FakeDesk, texts: FakeTexts) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    del form["replies_ask_updated"], form["replies_unknown"]
    assert texts.asking == [set()]
    form |= {"replies_enabled": "1", "replies_cannot_come": "ask_ehr"}
    assert browser.post(PRODUCTION, form | {"show": "1"}).status_code == 200
    assert texts.asking[1] == {"booked", "reminder"}
    assert browser.post(PRODUCTION, form).status_code == 303
    [(_, edits)] = desk.proposed
    assert edits == {
        "environments.production.sms.replies.enabled": True,
        "environments.production.sms.replies.ask_in": ["booked", "reminder"],
        "environments.production.sms.replies.cannot_come": "ask_ehr",
        "environments.production.sms.replies.unknown": "never",
    }


def test_while_replies_are_off_their_other_choices_stay_as_saved(browser: Browser, desk: FakeDesk) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    del form["replies_answer"]
    assert browser.post(PRODUCTION, form).status_code == 422
    assert desk.proposed == []


def test_quiet_hours_can_be_switched_off(browser: Browser, desk: FakeDesk) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    del form["quiet"]
    assert browser.post(PRODUCTION, form).status_code == 303
    assert desk.proposed[0][1] == {"environments.production.sms.quiet_hours": None}


def test_a_row_is_added_and_removed_by_buttons_and_nothing_is_proposed(browser: Browser, desk: FakeDesk) -> None:
    form = form_of(browser.get(PRODUCTION).text) | {"per_day": "9"}
    more = browser.post(PRODUCTION, form | {"add": "1"})
    assert (more.status_code, form_of(more.text)["reminder-3-count"]) == (200, "")
    fewer = browser.post(PRODUCTION, form_of(more.text) | {"remove": "0"})
    after = form_of(fewer.text)
    assert [after[f"reminder-{row}-count"] for row in range(3)] == ["24", "15", ""]
    assert (after["per_day"], "reminder-3-count" in after, desk.proposed) == ("9", False, [])
    assert browser.post(PRODUCTION, after).status_code == 422


def test_htmx_gets_the_rows_or_the_telephone_alone(browser: Browser) -> None:
    form = form_of(browser.get(PRODUCTION).text)
    headers = {"sec-fetch-site": "same-origin", "hx-request": "true", "hx-target": "reminders"}
    part = browser.post(PRODUCTION, form | {"add": "1"}, headers=headers)
    assert part.text.strip().startswith('<div id="reminders"')
    assert "reminder-3-count" in part.text
    part = browser.post(PRODUCTION, form | {"show": "1"}, headers=headers | {"hx-target": "telephone"})
    assert part.text.strip().startswith('<section id="telephone"')


def test_the_first_button_of_the_form_previews(browser: Browser) -> None:
    """Enter in a field presses it."""
    page = browser.get(PRODUCTION).text
    form = page[page.index('class="with-telephone"') :]
    first = re.findall(r"<button[^>]*>", form)[0]
    assert "name=" not in first


def test_the_telephone_shows_what_is_chosen(browser: Browser, texts: FakeTexts) -> None:
    answer = browser.get(PRODUCTION)
    kinds = [("booked", None), ("updated", None), ("canceled", None), ("reminder", None), ("reminder", "video")]
    assert texts.asked == [("production", kinds)]
    assert "2 segments" in words(answer)
    form = form_of(answer.text)
    del form["confirmation_scheduled"], form["confirmation_updated"], form["consent_attendees"]
    shown = browser.post(PRODUCTION, form | {"show": "1"})
    assert texts.asked[-1][1] == kinds[2:]
    assert "Nothing is sent until both boxes of consent are ticked." in words(shown)


def test_problems_stand_beside_their_fields_and_nothing_typed_is_lost(browser: Browser, desk: FakeDesk) -> None:
    key = "environments.production.sms"
    desk.problems = (
        problem(f"{key}.reminders[1]", "`at` goes with days or weeks; 24h is elapsed time"),
        problem(f"{key}.reminders[0].before", "is too long"),
        problem(f"{key}.reminders", "reminder 24h stands twice"),
        problem(f"{key}.quiet_hours.from", "is not a time of day"),
        problem(f"{key}.from", "has too few digits"),
    )
    typed = {"reminder-1-at": CANARY, "quiet_from": "9pm", "other_sender": "+1425", "allow_add": "+12025550199"}
    answer = browser.post(PRODUCTION, form_of(browser.get(PRODUCTION).text) | typed)
    assert answer.status_code == 422
    for field_name, sentence in (
        ("reminder-1-count", "Reminder 2: <code>at</code> goes with days or weeks; 24h is elapsed time."),
        ("reminder-0-count", "Reminder 1: is too long."),
        ("reminders", "Reminder SMS: reminder 24h stands twice."),
        ("quiet_from", "Quiet hours from: is not a time of day."),
        ("sender", "Phone number: has too few digits."),
    ):
        assert f'<a href="#{field_name}">{sentence}</a>' in answer.text.replace("&#39;", "'")
        assert f'id="{field_name}"' in answer.text
    assert form_of(answer.text)["reminder-1-at"] == CANARY
    assert form_of(answer.text)["quiet_from"] == "9pm"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"per_day": "many"}, "Texts in a day at most: must be a whole number."),
        ({"reminder-0-count": ""}, "Reminder 1: enter how long before the visit"),
        ({"reminder-0-unit": "y"}, "Reminder 1: choose a unit of the list."),
        ({"reminder-0-modes": "space"}, "Reminder 1: choose visits of the list."),
        ({"sender": ""}, "Phone number: choose a number"),
        ({"sender": "+14255550199"}, "Phone number: choose a number"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_said_at_once(
    browser: Browser, desk: FakeDesk, typed: dict[str, str], sentence: str
) -> None:
    answer = browser.post(PRODUCTION, form_of(browser.get(PRODUCTION).text) | typed)
    assert (answer.status_code, desk.proposed) == (422, [])
    assert sentence in words(answer)


def test_the_allow_list_is_masked_added_to_and_removed_from(browser: Browser, desk: FakeDesk) -> None:
    page = browser.get(TEST)
    assert "***0143" in words(page)
    assert "2025550143" not in page.text
    form = form_of(page.text) | {"allow_add": "202 555 0199\r\n\r\n+12025550143"}
    assert browser.post(TEST, form).status_code == 303
    assert browser.post(TEST, form_of(page.text) | {"allow_remove": ["0"]}).status_code == 303
    key = "environments.test.sms.allow_list"
    assert [edits for _, edits in desk.proposed] == [{key: ["+12025550143", "+12025550199"]}, {key: []}]
    assert 'name="allow_add"' not in browser.get(PRODUCTION).text


def test_a_stale_form_forgets_which_places_were_ticked(browser: Browser) -> None:
    stale = form_of(browser.get(TEST).text) | {"base": "older", "allow_remove": ["0"], "per_day": "7"}
    answer = browser.post(TEST, stale)
    assert answer.status_code == 409
    again = form_of(answer.text)
    assert (again["base"], again["per_day"], "allow_remove" in again) == ("0123456789ab", "7", False)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SUPPORT, Role.AUDITOR])
def test_others_see_it_and_cannot_send_it(browser: Browser, desk: FakeDesk, role: Role) -> None:
    page = browser.sign_in(role, ["production"]).get(PRODUCTION)
    assert '<fieldset class="bare" disabled>' in page.text
    assert re.findall(r"<button", page.text[page.text.index('class="with-telephone"') :].partition("</form>")[0]) == []
    assert browser.post(PRODUCTION, form_of(page.text) | {"per_day": "1"}).status_code == 403
    assert desk.proposed == []


def test_a_value_that_a_variable_sets_is_not_proposed(browser: Browser, desk: FakeDesk) -> None:
    desk.variables = {"environments.production.sms.from": "CAREBELL_X"}
    page = browser.get(PRODUCTION)
    assert "CAREBELL_X" in words(page)
    assert browser.post(PRODUCTION, form_of(page.text) | {"sender": "+14255550101", "per_day": "4"}).status_code == 303
    assert desk.proposed[0][1] == {"environments.production.sms.caps.per_day": 4}


def test_stored_values_are_inert(browser: Browser, desk: FakeDesk) -> None:
    texted = shipped().environments["production"].sms.model_copy(update={"sender": CANARY})
    desk.configuration = with_environment("production", sms=texted)
    answer = browser.get(PRODUCTION)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
