"""The patients' pages over the store: what each says, what changes by them, and what never does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.visit_life import VisitRole, VisitState
from store import visit_devices
from tests.carebell.patients.room import MINUTE, SAME, SCRIPT, START, Clinic, clinic

HOUR = timedelta(hours=1)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    with clinic(tmp_path / "clinic") as made:
        made.hear("S12")
        yield made


def _admit(day: Clinic, token: str) -> None:
    with day.service.store.write() as conn:
        assert visit_devices.admit(conn, day.visit().id, day.key(token), day.service.now)


def _send(day: Clinic) -> None:
    day.service.step(2 * MINUTE)
    assert day.service.tick() == 1


def test_each_time_has_its_page(day: Clinic) -> None:
    token = day.token()
    early = day.client.get(f"/j/{token}")
    assert early.status_code == 200
    assert "Thursday, March 12 at 2:00 PM (Pacific Time)" in early.text
    assert "from 1:00 PM" in early.text
    assert "Come in" not in early.text
    day.service.step(to=START - HOUR)
    lobby = day.client.get(f"/j/{token}")
    assert "Come in" in lobby.text
    day.service.step(to=START + timedelta(hours=2, minutes=30))
    over = day.client.get(f"/j/{token}")
    assert over.status_code == 404


def test_nothing_of_the_patient_or_the_visit_is_in_a_page(day: Clinic) -> None:
    visit = day.visit()
    page = day.client.get(f"/j/{day.token()}").text
    for secret in ("0143", "TESTPATIENT", "ALEX", "CARD", "900100", visit.id, visit.code, visit.appointment):
        assert secret not in page
    assert "<title>Your visit</title>" in page


def test_looking_changes_nothing(day: Clinic) -> None:
    day.service.step(to=START - MINUTE)
    before = day.events()
    for path in ("", "/visit.ics", "/here", "/leave", "/go"):
        for method in ("GET", "HEAD", "OPTIONS"):
            day.client.request(method, f"/j/{day.token()}{path}", headers={"purpose": "prefetch"})
    assert day.events() == before


def test_a_patient_comes_in_waits_and_is_let_in(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    assert day.here(token)["stage"] == "waiting"
    assert day.visit().state is VisitState.WAITING
    day.service.step(20 * timedelta(seconds=1))
    assert day.here(token)["words"] == "You are in the waiting room. Your care team will let you in."
    for _ in range(9):
        day.service.step(20 * timedelta(seconds=1))
        waited = day.here(token)
    assert waited["words"].endswith("You have waited 3 minutes.")
    assert day.events() == ["planned", "waiting"]
    assert day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME).text.count("meet.example") == 0
    _admit(day, token)
    assert day.here(token)["stage"] == "admitted"
    going = day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME)
    assert f"https://meet.example/{day.visit().code}" in going.text
    assert day.events() == ["planned", "waiting", "connected"]
    assert day.visit().state is VisitState.IN_VISIT
    again = day.client.get(f"/j/{token}")
    assert "Go to your visit" in again.text, "who falls out comes in again"


def test_without_script_a_button_does_it(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    page = day.client.get(f"/j/{token}").text
    device = re.search(r'name="device" value="([0-9a-f]+)"', page)
    assert device is not None
    came = day.client.post(f"/j/{token}/here", data={"device": device[1]}, headers=SAME)
    assert (came.status_code, came.headers["location"]) == (303, f"/j/{token}?d={device[1]}")
    waiting = day.client.get(came.headers["location"]).text
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in waiting
    assert "You are in the waiting room." in waiting
    day.service.step(14 * MINUTE)
    day.upkeep.round()
    assert day.events() == ["planned", "waiting"]
    left = day.client.post(f"/j/{token}/leave", data={"device": device[1]}, headers=SAME)
    assert left.status_code == 303
    assert day.events() == ["planned", "waiting", "left_lobby"]
    assert day.visit().state is VisitState.OPEN


def test_who_is_heard_of_no_more_has_left(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    day.here(token)
    day.service.step(timedelta(seconds=24))
    day.upkeep.round()
    assert day.events()[-1] == "waiting"
    day.service.step(timedelta(seconds=2))
    day.upkeep.round()
    day.upkeep.round()
    assert day.events() == ["planned", "waiting", "left_lobby"]
    assert day.here(token)["stage"] == "waiting"


def test_a_link_is_open_on_so_many_devices(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    stages = [day.here(token, f"d{number}")["stage"] for number in range(4)]
    assert stages == ["waiting", "waiting", "waiting", "crowded"]
    assert day.events() == ["planned", "waiting"], "one person, on however many"


@pytest.mark.parametrize(
    ("event", "mode", "words"),
    [("S15", "VIDEO", "This visit was canceled."), ("S14", "OFFICE", "This visit is not by video any more.")],
)
def test_what_becomes_of_the_visit_is_said_in_a_sentence(day: Clinic, event: str, mode: str, words: str) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    day.here(token)
    day.hear(event, mode=mode)
    page = day.client.get(f"/j/{token}")
    assert words in page.text
    assert "+1 425" in page.text
    assert "March" not in page.text
    assert day.here(token)["stage"] in ("canceled", "changed")
    assert day.events() == ["planned", "waiting", "canceled"]


def test_a_moved_visit_says_its_new_time(day: Clinic) -> None:
    """Until the text about it left the patient was told another time; then an older text still has that."""
    _send(day)
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    assert "changed" not in day.client.get(f"/j/{token}").text
    day.here(token)
    day.hear("S13", START + timedelta(days=1))
    assert day.here(token)["stage"] == "early"
    untold = day.client.get(f"/j/{token}").text
    assert "Friday, March 13" in untold
    assert "The time of your visit has changed. The time in your text message does not count any more." in untold
    _send(day)
    told = day.client.get(f"/j/{token}").text
    assert "Friday, March 13" in told
    assert "If a text message says another time, go by this page." in told
    assert "has changed" not in told


def test_a_visit_that_never_moved_speaks_of_no_other_time(day: Clinic) -> None:
    _send(day)
    page = day.client.get(f"/j/{day.token()}").text
    assert "text message" not in page
    assert "has changed" not in page


def test_before_any_text_no_time_has_changed(day: Clinic) -> None:
    """Moved within the debounce: the first text has the new time, and nobody was told another one."""
    day.hear("S13", START + timedelta(days=1))
    assert "has changed" not in day.client.get(f"/j/{day.token()}").text


def test_the_link_goes_on_after_the_number_is_forgotten(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    day.here(token)
    day.service.step(to=START + MINUTE)
    day.service.retention.round()
    assert day.here(token)["stage"] == "waiting"
    _admit(day, token)
    assert "https://meet.example/" in day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME).text


def test_a_provider_goes_straight_in(day: Clinic) -> None:
    token = day.new_link(VisitRole.PROVIDER)
    day.service.step(to=START - 10 * MINUTE)
    assert "Go to the visit" in day.client.get(f"/j/{token}").text
    day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME)
    assert day.visit().state is VisitState.PLANNED
    day.service.step(to=START + timedelta(hours=2, minutes=30))
    day.upkeep.round()
    day.upkeep.round()
    assert day.events() == ["planned", "connected", "ended"]
    assert day.visit().state is VisitState.NO_SHOW


def test_a_meeting_with_a_waiting_room_of_its_own_is_gone_to_at_once(tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic", lobby="meeting") as made:
        made.hear("S12")
        made.service.step(to=START - 10 * MINUTE)
        assert "Go to your visit" in made.client.get(f"/j/{made.token()}").text


def test_a_meeting_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    sms = {"join_link": {"field": "OBX-5", "allowed_hosts": ["meet.example"]}}
    with clinic(tmp_path / "clinic", sms=sms, meeting={"url": None}, lobby="none") as made:
        made.hear("S12")
        made.service.step(to=START - 10 * MINUTE)
        page = made.client.post(f"/j/{made.token()}/go", data={"device": "d1"}, headers=SAME)
        assert "We are getting your room ready." in page.text
        assert made.events() == ["planned"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SCRIPT, 200),
        ({"accept": "application/json", "origin": "null"}, 200),
        ({"accept": "application/json", "origin": "https://visit.example"}, 200),
        ({"accept": "application/json"}, 403),
        ({"accept": "application/json", "origin": "https://evil.example"}, 403),
        ({"accept": "application/json", "sec-fetch-site": "cross-site"}, 403),
        ({"accept": "application/json", "sec-fetch-site": "none"}, 403),
        ({"accept": "application/json", "sec-fetch-site": "same-site"}, 403),
    ],
)
def test_a_post_comes_from_a_page_of_this_site(day: Clinic, headers: dict[str, str], status: int) -> None:
    day.service.step(to=START - 10 * MINUTE)
    token = day.token()
    assert day.client.post(f"/j/{token}/here", data={"device": "d1"}, headers=headers).status_code == status
    assert (day.events() == ["planned"]) is (status != 200)


@pytest.mark.parametrize("body", ["", "device=", "device=a%20b", "device=" + "a" * 41, "x" * 2000, "device=%ff"])
def test_a_post_without_a_device_is_refused(day: Clinic, body: str) -> None:
    day.service.step(to=START - 10 * MINUTE)
    answer = day.client.post(f"/j/{day.token()}/here", content=body, headers=SCRIPT)
    assert answer.status_code == 400
    assert day.events() == ["planned"]


def test_unknown_revoked_and_ended_links_look_alike(day: Clinic) -> None:
    token = day.token()
    unknown = [day.client.get(f"/j/{other}") for other in ("z" * 17, "short", token.swapcase(), "%00", token + "/x")]
    day.service.step(to=START + timedelta(hours=3))
    ended = day.client.get(f"/j/{token}")
    bodies = {answer.content for answer in [*unknown, ended]}
    assert len(bodies) == 1
    assert {answer.status_code for answer in [*unknown, ended]} == {404}
    assert {tuple(sorted(answer.headers)) for answer in [*unknown, ended]} == {tuple(sorted(ended.headers))}


def test_guesses_are_limited_and_links_that_lead_somewhere_are_not(day: Clinic) -> None:
    statuses = [day.client.get(f"/j/{'z' * 17}").status_code for _ in range(25)]
    assert statuses == [404] * 20 + [429] * 5
    assert day.client.get(f"/j/{day.token()}").status_code == 200, "patients may share the address"
    day.seconds[0] = 3.0
    assert [day.client.get(f"/j/{'z' * 17}").status_code for _ in range(2)] == [404, 429]
    assert [over for _, over in day.unknown] == [False] * 20 + [True] * 5 + [False, True]


def test_headers_robots_and_another_host(day: Clinic) -> None:
    for answer in (
        day.client.get(f"/j/{day.token()}"),
        day.client.get(f"/j/{'z' * 17}"),
        day.client.get("/robots.txt"),
    ):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "camera=(self)" in answer.headers["permissions-policy"]
        assert "noindex" in answer.headers["x-robots-tag"]
        assert "media-src 'self' blob:" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
    assert day.client.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert day.client.get("/", headers={"host": "other.example"}).status_code == 421
    assert day.client.get("/").status_code == 404


def test_the_calendar_file_says_when_and_not_what(day: Clinic) -> None:
    file = day.client.get(f"/j/{day.token()}/visit.ics")
    assert file.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "DTSTART:20260312T210000Z\r\nDTEND:20260312T213000Z\r\nSUMMARY;LANGUAGE=en:Your visit\r\n" in file.text
    token = day.token()
    assert token not in file.text
    day.hear("S15")
    assert day.client.get(f"/j/{token}/visit.ics").status_code == 404


def test_no_token_and_no_number_is_in_the_log(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    day.here(token)
    day.client.post(f"/j/{token}/leave", data={"device": "d1"}, headers=SCRIPT)
    written = (day.service.log.parent / "visits.log").read_text("utf-8")
    assert '"visit_changed"' in written
    assert token not in written
    assert "0143" not in written
