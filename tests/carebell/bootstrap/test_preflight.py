"""What is said about a configuration before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap.preflight import findings
from tests.story.folder import CLOCK, change, load, make

HTTP = {"url": "https://gateway.example/texts", "token_file": "gateway.token"}
EVENTS = {"public_url": "https://sms.example", "webhook_secret_file": "gateway.token"}


def about_gateway(folder: Path, **account: str) -> list[tuple[str, str, bool]]:
    """(key, why, whether it is only a warning) of what is said about the gateway."""
    path = make(folder, {"gateway": {"kind": "http", "http": HTTP | account}})
    (folder / "gateway.token").write_text("t0ken\n")
    (folder / "gateway.token").chmod(0o400)
    said = findings(load(path), CLOCK)
    return [(f.problem.key, f.problem.why, f.is_warning) for f in said if f.problem.key.startswith("gateway")]


def test_a_gateway_with_all_it_needs_is_not_mentioned(tmp_path: Path) -> None:
    assert about_gateway(tmp_path, **EVENTS) == []


@pytest.mark.parametrize(("url", "warned"), [("https://gateway.example/texts", True), ("http://127.0.0.1:9", False)])
def test_a_live_gateway_that_cannot_tell_us_of_a_stop_is_a_warning(tmp_path: Path, url: str, warned: bool) -> None:
    why = "is missing: no STOP arrives, and the status of every text is asked for after an hour"
    assert about_gateway(tmp_path, url=url) == ([("gateway.http.public_url", why, True)] if warned else [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("nothing", "is not a PEM file of certificates"),
        ("ü", "is not a PEM file of certificates"),
        (None, "there is no file"),
    ],
    ids=["no certificate", "not ascii", "absent"],
)
def test_a_private_authority_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content, "utf-8")
    [(key, said, is_warning)] = about_gateway(tmp_path, certificate_authority="ca.pem", **EVENTS)
    assert (key, is_warning) == ("gateway.http.certificate_authority", False)
    assert said.startswith(why)


def test_reply_words_of_ones_own_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("vi:\n  halt: [x]\n", "utf-8")
    path = make(tmp_path, {"gateway": {"reply_words": "own.yaml"}})
    [problem] = [f.problem for f in findings(load(path), CLOCK) if "own.yaml" in str(f.problem)]
    assert problem.why.startswith("unknown key; there are stop, ")
    change(path, {"gateway": {"reply_words": "absent.yaml"}})
    [problem] = [f.problem for f in findings(load(path), CLOCK) if f.problem.key == "gateway.reply_words"]
    assert problem.why.startswith("there is no file absent.yaml")


def test_a_twilio_account_without_callbacks_is_a_warning_too(tmp_path: Path) -> None:
    account: dict[str, Any] = {"account_sid": "AC" + "1f" * 16, "auth_token_file": "twilio.token", "public_url": None}
    path = make(tmp_path, {"gateway": {"kind": "twilio", "twilio": account}})
    (tmp_path / "twilio.token").write_text("t0ken\n")
    (tmp_path / "twilio.token").chmod(0o400)
    said = [f for f in findings(load(path), CLOCK) if f.problem.key.startswith("gateway")]
    assert [(f.problem.key, f.is_warning) for f in said] == [("gateway.twilio.public_url", True)]


def test_languages_that_the_patients_pages_do_not_have_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text(
        "fr: {page: {title: Votre visite}}\nes-MX: {lobby: {leave: Salirse}}\n", "utf-8"
    )
    (tmp_path / "texts.yaml").write_text(
        'vi: {opt_out: x, booked: {default: "{organization} {date} {contact} {opt_out}"}}\n', "utf-8"
    )
    meeting = {"url": "https://meet.example/{visit_code}"}
    ours = {"join": "ours", "meeting": meeting, "allowed_hosts": ["meet.example"]}
    path = make(
        tmp_path,
        {
            "join": {"enabled": True, "public_url": "https://visit.example", "words": "words.yaml"},
            "environments": {"production": {"visits": ours, "sms": {"templates": "texts.yaml"}}},
        },
    )
    said = {f.problem.key: f.problem.why for f in findings(load(path), CLOCK) if f.is_warning}
    assert said["join.words"].startswith("fr lacks ")
    assert said["join.words"].endswith(" phrases (page.questions, page.nothing, page.failed ...): no page is in it")
    assert said["environments.production.visits.join"].startswith("there are texts in vi, and no pages: ")


@pytest.mark.parametrize(
    ("fhir_map", "wanted", "why"),
    [
        ("oracle_health", "report", "report tells nobody"),
        ("oracle_health", "ask_ehr", None),
        ("generic", "report", None),
        ("generic", "ask_ehr", "ask_ehr asks nobody"),
    ],
)
def test_a_map_that_does_not_cancel_as_wanted_is_warned_of(
    tmp_path: Path, fhir_map: str, wanted: str, why: str | None
) -> None:
    fhir = {"auth": {"client_id": "a", "key_file": "fhir.key"}, "map": fhir_map}
    production = {
        "fhir_base_url": "https://ehr.example/r4",
        "writeback": {"events": {"cannot_come": "fhir"}, "fhir": fhir},
        "sms": {"replies": {"enabled": True, "cannot_come": wanted}},
    }
    path = make(tmp_path, {"environments": {"production": production}})
    said = [f.problem.why for f in findings(load(path), CLOCK) if f.problem.key.endswith("replies.cannot_come")]
    assert len(said) == (why is not None)
    assert all(sentence.startswith(str(why)) for sentence in said)
