"""Where patients may be sent: only what the configuration names, and this machine only in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.ineffective_settings import pointless
from config.load import load
from config.model import Environment
from config.problems import ConfigurationError
from config.visit_consistency import meeting_allowed
from tests.config.conftest import Write

OURS = """join: {enabled: true, public_url: https://visit.example}
environments:
"""


def _environment(write: Write, visits: str, kind: str = "production") -> Environment:
    path: Path = write("environments:\n", OURS)
    text = path.read_text("utf-8").replace("    time_zone:", f"    visits: {visits}\n    time_zone:", 1)
    if kind == "test":
        text = text.replace("    kind: production", "    kind: test").replace("[P]", "[T]")
        text = text.replace("      reminders:", '      allow_list: ["+12025550143"]\n      reminders:', 1)
    path.write_text(text, encoding="utf-8")
    return load(path, {}).configuration.environments["prod"]


MEETING = "{join: ours, meeting: {url: 'https://meet.example/{visit_code}'}, allowed_hosts: [meet.example, '*.rooms.example']}"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://meet.example/a?b=c#d", True),
        ("https://MEET.example./a", True),
        ("https://one.rooms.example/", True),
        ("https://rooms.example/", False),
        ("https://meet.example.evil.example/", False),
        ("https://evil.example/meet.example", False),
        ("https://meet.example@evil.example/", False),
        ("https://user@meet.example/", False),
        ("http://meet.example/", False),
        ("javascript:alert(1)//meet.example", False),
        ("//meet.example/", False),
        ("https://meet.example/\r\nX: y", False),
        ("https://[meet.example/", False),
        ("http://127.0.0.1:8080/", False),
        ("", False),
    ],
)
def test_patients_are_sent_only_where_the_configuration_says(write: Write, url: str, allowed: bool) -> None:
    assert meeting_allowed(url, _environment(write, MEETING)) is allowed


def test_this_machine_is_a_meeting_in_a_test_alone(write: Write) -> None:
    local = "{join: ours, meeting: {url: 'http://127.0.0.1:8080/{visit_code}'}}"
    assert meeting_allowed("http://127.0.0.1:8080/x", _environment(write, local, "test"))
    with pytest.raises(
        ConfigurationError, match=r"allowed_hosts: does not name 127\.0\.0\.1, where visits\.meeting\.url"
    ):
        _environment(write, local)


@pytest.mark.parametrize(
    ("visits", "said"),
    [
        (
            MEETING.replace("meet.example,", "meat.example,"),
            "does not name meet.example, where visits.meeting.url leads",
        ),
        (
            MEETING.replace("join: ours,", "join: ours, launch: {patients: true},"),
            r"launch\.client_id: is missing: write the client id",
        ),
        (
            MEETING.replace("join: ours,", "join: ours, launch: {client_id: carebell},"),
            r"launch\.client_id: needs fhir_base_url",
        ),
        (MEETING.replace("join: ours,", "join: ours, modes: [phone],"), None),
    ],
)
def test_what_does_not_fit_together_is_refused(write: Write, visits: str, said: str | None) -> None:
    if said is None:
        assert _environment(write, visits).visits.modes == ["phone"]
        return
    with pytest.raises(ConfigurationError, match=said):
        _environment(write, visits)


def test_a_mode_that_no_visit_has_is_refused(write: Write) -> None:
    path: Path = write("environments:\n", OURS)
    text = path.read_text("utf-8").replace("    time_zone:", f"    visits: {MEETING}\n    time_zone:", 1)
    text = text.replace("      reminders:", "      visit_mode: {video: []}\n      reminders:", 1)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"visits\.modes\[0\]: no visit is a video visit"):
        load(path, {})


def test_a_meeting_of_the_feed_needs_its_hosts(write: Write) -> None:
    path: Path = write("environments:\n", OURS)
    text = path.read_text("utf-8").replace("    time_zone:", "    visits: {join: ours}\n    time_zone:", 1)
    link = "      join_link: {field: OBX-5, allowed_hosts: [meet.example]}\n      reminders:"
    text = text.replace("      reminders:", link, 1)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"visits\.allowed_hosts: is empty"):
        load(path, {})


def test_a_launch_of_groups_needs_a_field_map_that_names_them(write: Write) -> None:
    path: Path = write("environments:\n", OURS)
    launch = "launch: {client_id: carebell, group_visits: true}"
    visits = MEETING.replace("join: ours,", f"join: ours, {launch},")
    text = path.read_text("utf-8").replace("    time_zone:", f"    visits: {visits}\n    time_zone:", 1)
    text = text.replace("    time_zone:", "    fhir_base_url: https://ehr.example/r4\n    time_zone:", 1)
    path.write_text(text, encoding="utf-8")
    [remark] = pointless(load(path, {}))
    assert remark.key == "environments.prod.visits.launch.group_visits"
    shipped = (Path(__file__).parents[2] / "parser/fieldmaps/generic.yaml").read_text("utf-8")
    own = shipped.replace("conference: []", "conference: [ZCH-4]")
    (path.parent / "own.yaml").write_text(own, encoding="utf-8")
    path.write_text(text.replace("ehr: generic", "ehr: own.yaml"), encoding="utf-8")
    assert pointless(load(path, {})) == []


JITSI = "{join: ours, allowed_hosts: [meet.example], meeting: {kind: jitsi, "


@pytest.mark.parametrize(
    ("meeting", "said"),
    [
        ("app_id: a, secret_file: a.secret}}", r"meeting\.url: is missing: write the address of your Jitsi server"),
        ("url: 'https://meet.example/{visit_code}', app_id: a, secret_file: a.secret}}", "it is the server's address"),
        ("url: 'https://meet.example', secret_file: a.secret}}", r"meeting\.app_id: is missing"),
        ("url: 'https://meet.example', app_id: a}}", r"meeting\.secret_file: is missing"),
        ("url: 'https://meat.example', app_id: a, secret_file: a.secret}}", "does not name meat.example"),
    ],
)
def test_a_jitsi_server_needs_an_address_and_a_secret(write: Write, meeting: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        _environment(write, JITSI + meeting)


def test_a_whole_jitsi_server_is_accepted(write: Write) -> None:
    whole = _environment(write, JITSI + "url: 'https://meet.example', app_id: a, secret_file: a.secret}}")
    assert not whole.visits.meeting.takes_given_address


def test_a_zoom_account_needs_its_ids_and_the_hosts_that_patients_go_to(write: Write) -> None:
    with pytest.raises(ConfigurationError) as raised:
        _environment(write, "{join: ours, meeting: {kind: zoom, url: 'https://zoom.us'}}")
    said = str(raised.value)
    for key in ("account_id", "client_id", "secret_file", "host"):
        assert f"visits.meeting.{key}: is missing; kind: zoom needs it" in said
    assert "visits.meeting.url: does nothing with kind: zoom" in said
    account = "account_id: a, client_id: b, secret_file: z.secret, host: me"
    with pytest.raises(ConfigurationError, match=r"allowed_hosts: is empty.*name zoom\.us"):
        _environment(write, f"{{join: ours, meeting: {{kind: zoom, {account}}}}}")
    assert _environment(write, f"{{join: ours, allowed_hosts: [zoom.us], meeting: {{kind: zoom, {account}}}}}")


@pytest.mark.parametrize(
    ("device_test", "key", "why"),
    [
        ("{ice_servers: ['stun:turn.example']}", "ice_servers", "does nothing without device_test.enabled: true"),
        (
            "{enabled: true, ice_servers: ['stun:turn.example'], credential_file: turn.secret}",
            "credential_file",
            "is not used: ice_servers names no turn: or turns: server",
        ),
        ("{enabled: true, ice_servers: ['stun:a.example', 'stun:a.example']}", "ice_servers[1]", "stands twice"),
    ],
)
def test_a_device_test_that_does_not_use_what_is_written(write: Write, device_test: str, key: str, why: str) -> None:
    path: Path = write("environments:\n", OURS)
    visits = f"{MEETING[:-1]}, device_test: {device_test}}}"
    path.write_text(
        path.read_text("utf-8").replace("    time_zone:", f"    visits: {visits}\n    time_zone:", 1), "utf-8"
    )
    assert [(problem.key, problem.why) for problem in pointless(load(path, {}))] == [
        (f"environments.prod.visits.device_test.{key}", why)
    ]
