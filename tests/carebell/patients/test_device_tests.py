"""The device test over the store: what is kept of it, what goes back, and what it gives to whom."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.visit_life import VisitState
from store import device_tests
from store.tables import writebacks
from tests.carebell.patients.room import MINUTE, SAME, START, Clinic, clinic

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
ALL_WELL = dict.fromkeys(("browser", "camera", "microphone", "speaker", "connection", "call"), "ok")
TEST: dict[str, Any] = {
    "enabled": True,
    "ice_servers": ["stun:turn.example", "turn:turn.example", "turns:turn.example:5349?transport=tcp"],
    "credential_file": "turn.secret",
}


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    folder = tmp_path / "clinic"
    folder.mkdir()
    (folder / "turn.secret").write_text("sesame\n", encoding="ascii")
    (folder / "turn.secret").chmod(0o400)
    with clinic(folder, device_test=TEST) as made:
        made.hear("S12")
        yield made


def _post(day: Clinic, results: dict[str, str], *, token: str | None = None, **headers: str) -> int:
    return day.client.post(
        f"/j/{token or day.token()}/test", json={"steps": results}, headers={"user-agent": CHROME, **SAME, **headers}
    ).status_code


def _stored(day: Clinic) -> list[tuple[str, str | None]]:
    with day.service.store.read() as conn:
        return [(test.words, test.browser) for test in device_tests.of_visit(conn, day.visit().id)]


def test_a_result_is_kept_as_codes_with_the_browsers_family_and_version(day: Clinic) -> None:
    assert _post(day, {**ALL_WELL, "camera": "blocked"}) == 204
    day.service.step(MINUTE)
    assert _post(day, ALL_WELL) == 204
    day.service.step(MINUTE)
    assert _post(day, {"browser": "ok"}) == 204
    assert _stored(day) == [("not finished", "chrome 126"), ("passed", "chrome 126"), ("camera blocked", "chrome 126")]
    assert day.events() == ["planned", *["opened_test"] * 3]
    written = (day.service.log.parent / "visits.log").read_text("utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["device_test"] for line in lines if line["event"] == "device_tested"] == [
        "camera blocked", "passed", "not finished",
    ]  # fmt: skip
    assert day.token() not in written


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"steps": []}',
        b'{"steps": {}}',
        b'{"steps": {"camera": "Logitech C920"}}',
        b'{"steps": {"camera": 1}}',
        b'{"steps": {"camera": ["ok"]}}',
        b'{"steps": {"place": "ok"}}',
        b'{"steps": {"camera": "silent"}}',
        b'{"steps": {"camera": "ok", "place": "at home"}}',
        b"[" * 900,
        b"\xff",
        b'{"steps": {"camera": "ok"}}' + b" " * 1000,
    ],
)
def test_what_is_no_result_is_refused(day: Clinic, body: bytes) -> None:
    answer = day.client.post(f"/j/{day.token()}/test", content=body, headers=SAME)
    assert answer.status_code == 400
    assert _stored(day) == []
    assert day.events() == ["planned"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
@pytest.mark.parametrize(
    "path", ["/j/{token}/test", "/j/{token}/test/servers", "/test/servers", "/test/down", "/test/up"]
)
def test_a_post_from_elsewhere_is_refused(day: Clinic, path: str, site: str) -> None:
    headers = {"sec-fetch-site": site}
    answer = day.client.post(path.format(token=day.token()), json={"steps": ALL_WELL}, headers=headers)
    assert answer.status_code == 403
    assert _stored(day) == []


def test_looking_at_the_test_changes_nothing(day: Clinic) -> None:
    for path in ("/test", "/test/servers"):
        for method in ("GET", "HEAD", "OPTIONS"):
            day.client.request(method, f"/j/{day.token()}{path}", headers={"purpose": "prefetch"})
    assert day.events() == ["planned"]
    assert _stored(day) == []


def test_the_test_does_not_disturb_the_waiting_room(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    assert day.here(token)["stage"] == "waiting"
    page = day.client.get(f"/j/{token}/test").text
    assert 'data-waiting="yes"' in page
    assert _post(day, {**ALL_WELL, "call": "poor"}) == 204
    assert day.visit().state is VisitState.WAITING
    day.upkeep.round()
    assert day.here(token)["stage"] == "waiting"
    assert day.events() == ["planned", "waiting", "opened_test"]


def test_results_of_a_link_are_limited_in_rate(day: Clinic) -> None:
    statuses = [_post(day, ALL_WELL) for _ in range(8)]
    assert statuses == [204] * 6 + [429] * 2
    assert len(_stored(day)) == 6
    for _ in range(6):
        day.seconds[0] += 60
        day.service.step(MINUTE)
        statuses.append(_post(day, ALL_WELL))
    assert statuses[8:] == [204] * 4 + [429] * 2, "ten within an hour"
    assert len(_stored(day)) == 10
    day.service.step(timedelta(hours=1))
    day.seconds[0] += 3600
    assert _post(day, ALL_WELL) == 204


def test_a_quarter_of_a_megabyte_each_way_and_no_more(day: Clinic) -> None:
    down = day.client.post("/test/down", headers=SAME)
    assert (down.status_code, len(down.content)) == (200, 262_144)
    assert "content-encoding" not in down.headers
    assert day.client.post("/test/up", content=down.content, headers=SAME).status_code == 204
    assert day.client.post("/test/up", content=down.content + b"x", headers=SAME).status_code == 413
    assert day.client.get("/test/ping").status_code == 204
    assert day.client.get("/test/down").status_code == 405
    statuses = [day.client.post("/test/down", headers=SAME).status_code for _ in range(20)]
    assert statuses == [200] * 17 + [429] * 3
    day.seconds[0] += 3
    assert day.client.post("/test/down", headers=SAME).status_code == 200


def test_a_relay_is_lent_for_ten_minutes_and_its_secret_stays_here(day: Clinic) -> None:
    answer = day.client.post(f"/j/{day.token()}/test/servers", headers=SAME)
    plain, relay = answer.json()["servers"]
    assert plain == {"urls": ["stun:turn.example"]}
    assert relay["urls"] == ["turn:turn.example", "turns:turn.example:5349?transport=tcp"]
    assert int(relay["username"]) == int((day.service.now + 10 * MINUTE).timestamp())
    expected = hmac.new(b"sesame", relay["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(relay["credential"]) == expected
    assert answer.json()["relay"] is True
    assert "sesame" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "turn.example" not in day.client.get(f"/j/{day.token()}/test").text, (
        "a page that scanners fetch lends nothing"
    )


def test_without_a_link_nothing_is_stored_and_no_relay_is_lent(day: Clinic) -> None:
    page = day.client.get("/test")
    assert page.status_code == 200
    assert "Nothing is noted." in page.text
    assert day.client.post("/test", json={"steps": ALL_WELL}, headers=SAME).status_code == 405
    answer = day.client.post("/test/servers", headers=SAME).json()
    assert answer == {"servers": [{"urls": ["stun:turn.example"]}], "relay": False}


def test_unknown_canceled_and_ended_links_have_no_test(day: Clinic) -> None:
    token, unknown = day.token(), "z" * 17
    assert day.client.get(f"/j/{unknown}/test").content == day.client.get(f"/j/{unknown}").content
    assert _post(day, ALL_WELL, token=unknown) == 404
    assert day.client.post(f"/j/{unknown}/test/servers", headers=SAME).status_code == 404
    assert len(day.unknown) == 4, "all are counted"
    day.hear("S15")
    assert day.client.get(f"/j/{token}/test").status_code == 404
    assert _post(day, ALL_WELL, token=token) == 404
    assert day.client.post(f"/j/{token}/test/servers", headers=SAME).status_code == 404
    assert _stored(day) == []


def test_without_the_key_there_is_no_test(tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic") as made:
        made.hear("S12")
        token = made.token()
        assert "Test your device" not in made.client.get(f"/j/{token}").text
        assert made.client.get(f"/j/{token}/test").status_code == 404
        assert made.client.get("/test").status_code == 404
        assert _post(made, ALL_WELL) == 404


def test_a_result_goes_back_to_the_ehr_where_it_is_wanted(tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic", device_test={"enabled": True}, writeback=WRITEBACK) as made:
        made.hear("S12")
        assert _post(made, {**ALL_WELL, "microphone": "in_use"}) == 204
        with made.service.store.read() as conn:
            rows = conn.execute(writebacks.select()).mappings().all()
        (row,) = rows
        facts = json.loads(row["facts"])
        assert (row["event"], row["channel"]) == ("device_test", "hl7")
        assert facts["steps"] == {**ALL_WELL, "microphone": "in_use"}
        assert (facts["browser"], facts["by"]) == ("chrome 126", "patient")


WRITEBACK = {
    "events": {"device_test": "hl7"},
    "hl7": {
        "host": "engine.example",
        "port": 6661,
        "sending_facility": "LAMNA",
        "receiving_application": "EPIC",
        "receiving_facility": "LAMNA",
    },
}


def test_the_page_speaks_of_the_browser_that_asks(day: Clinic) -> None:
    iphone = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
        "Mobile/15E148 Safari/604.1"
    )
    page = day.client.get(f"/j/{day.token()}/test", headers={"user-agent": iphone}).text
    assert "Tap aA or the page symbol in the address bar, then Website Settings, and set Camera to Allow." in page
    assert "<noscript>" in page
    assert "+1 425" in page
    assert day.client.get(f"/j/{day.token()}/test").headers["permissions-policy"].count("(self)") == 2
