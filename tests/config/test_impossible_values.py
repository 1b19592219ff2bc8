"""Values that can never match, contradict another, or do nothing: refused or warned of, each with what was meant.

impossible.yaml and pointless.yaml are the tables. The last test holds that every key of the model stands in one of them, or
in a list of keys of which every well-written value works: a new key needs an answer.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from config.ineffective_settings import pointless
from config.load import load
from config.model import Configuration
from config.problems import ConfigurationError
from config.suggestions import country_meant, is_country, is_whole_zone, number_meant, zone_meant
from tests.config.conftest import SMALL, Write

IMPOSSIBLE: Final = YAML(typ="safe", pure=True).load(Path(__file__).with_name("impossible.yaml"))
POINTLESS: Final = YAML(typ="safe", pure=True).load(Path(__file__).with_name("pointless.yaml"))

INSTEAD_OF: Final = {
    "organization": 'organization: {name: Clinic, contact: "+1 425 555 0100"}\n',
    "http": "http: {port: 8080}\n",
    "kind": "  kind: console\n",
    "gateway_and_http": "  kind: console\n  twilio: {public_url: https://sms.example}\nhttp: {port: 8080}\n",
    "processing_ids": "      processing_ids: [P]\n",
    "zone": "    time_zone: America/Los_Angeles\n",
    "listener": "    listener: {port: 2575}\n",
    "certificates": "    certificates: [prod.cer]\n",
    "sender": "      facilities: [A]\n",
    "receiving": "      receiving_application: B\n      receiving_facility: C\n",
    "freshness": "    freshness: {max_age: 7d}\n",
    "from": '      from: "+14255550100"\n',
    "reminders": "        - {before: 24h}\n",
    "quiet": '      quiet_hours: {from: "21:00", to: "08:00"}\n',
    "allow_list": '      allow_list: ["+12025550143"]\n',
}
BEFORE: Final = {
    "top": "environments:\n",
    "gateway": "  kind: console\n",
    "environment": "    listener: {port: 2575}\n",
    "sms": "      reminders:\n",
    "storage": "  url: sqlite:///carebell.db\n",
}

ANY_VALUE_WORKS: Final = {
    "a switch, a choice or a number whose every value does something": (
        "gateway.kind", "gateway.twilio.on_ambiguous", "http.port", "log.level",
        "portal.sign_in.local.second_factor", "portal.edits",
        "environments.*.visits.meeting.kind", "environments.*.visits.launch.patients", "environments.*.visits.launch.group_visits",
        "environments.*.kind",
        "environments.*.enabled", "environments.*.authentication", "environments.*.reuse_of_control_id",
        "environments.*.on_transient", "environments.*.honour_ne", "environments.*.sms.approved",
        "environments.*.sms.landline", "environments.*.sms.reminders.always", "environments.*.listener.port",
        "environments.*.listener.max_message_bytes", "environments.*.listener.max_connections",
        "environments.*.listener.max_pipelined", "environments.*.sms.consent.organization_allows_sending",
        "environments.*.sms.consent.attendees_have_consented", "environments.*.sms.replies.enabled",
        "environments.*.sms.replies.answer", "environments.*.sms.replies.cannot_come",
        "environments.*.sms.replies.unknown",
    ),
    "held by check-config, which knows the words of STOP": (
        "environments.*.sms.replies.words.*.confirm", "environments.*.sms.replies.words.*.cannot_come",
        "environments.*.sms.replies.words.*.call_me",
    ),
    "held by tables of test_load.py (wrong.yaml): form, address or field path": (
        "gateway.twilio.account_sid", "gateway.twilio.api_base_url", "gateway.twilio.public_url",
        "gateway.twilio.auth_token", "gateway.http.url", "gateway.http.token", "gateway.http.public_url",
        "gateway.http.webhook_secret", "environments.*.fhir_base_url", "environments.*.ehr", "environments.*.answers",
        "environments.*.sms.consent.field", "environments.*.sms.join_link.field", "environments.*.sms.visit_mode.field",
        "environments.*.sms.templates", "join.words",
    ),
    "a file, which check_files opens": (
        "gateway.twilio.auth_token_file", "gateway.http.token_file", "gateway.http.webhook_secret_file",
        "gateway.http.certificate_authority", "gateway.reply_words", "environments.*.listener.tls.certificate",
        "environments.*.listener.tls.key", "environments.*.listener.tls.client_ca",
        "environments.*.writeback.hl7.tls.ca", "environments.*.writeback.hl7.tls.key",
        "environments.*.writeback.hl7.tls.certificate", "environments.*.writeback.hl7.signing.key",
        "environments.*.writeback.fhir.auth.key_file", "environments.*.writeback.fhir.auth.other_key_file",
        "environments.*.writeback.epic_status.client_id_file",
        "environments.*.visits.meeting.secret_file", "environments.*.visits.meeting.webhook_secret_file",
        "environments.*.visits.launch.client_secret_file",
    ),
}  # fmt: skip
COVERED_BY_A_RELATIVE: Final = {
    "gateway.twilio.timeout": "gateway.http.timeout",
    "storage.url": "storage.key_file",
    "portal.enabled": "portal.public_url",
    "portal.sign_in.local.enabled": "portal.sign_in",
    "gateway.file": "gateway.file",
    "environments.*.sms.confirmation.scheduled": "environments.*.sms.confirmation",
    "environments.*.sms.confirmation.updated": "environments.*.sms.confirmation",
    "environments.*.sms.confirmation.canceled": "environments.*.sms.confirmation",
    "environments.*.sms.quiet_hours.to": "environments.*.sms.quiet_hours",
    "environments.*.expect_during.from": "environments.*.expect_during",
    "environments.*.expect_during.to": "environments.*.expect_during",
    "environments.*.sms.reminders.before": "environments.*.sms.reminders",
    "environments.*.writeback.hl7.on.AR": "environments.*.writeback.hl7.on.AE",
    "environments.*.writeback.hl7.on.CE": "environments.*.writeback.hl7.on.AE",
    "environments.*.writeback.hl7.on.CR": "environments.*.writeback.hl7.on.AE",
    "environments.*.writeback.epic_status.map": "environments.*.writeback.fhir.map",
    "environments.*.writeback.hl7.sign": "environments.*.writeback.hl7.signing",
}
"""Keys of the same type, or whose fault is told at their section."""


def _written(row: dict[str, Any]) -> str:
    if row["in"] in INSTEAD_OF:
        assert INSTEAD_OF[row["in"]] in SMALL
        return SMALL.replace(INSTEAD_OF[row["in"]], row["write"], 1)
    anchor = BEFORE[row["in"]]
    assert anchor in SMALL
    indent = anchor[: len(anchor) - len(anchor.lstrip())]
    return SMALL.replace(anchor, f"{indent}{row['write']}{anchor}", 1)


def _name(row: dict[str, Any]) -> str:
    return re.sub(r"[^a-z0-9]+", "_", " ".join(row["write"].split()).lower()).strip("_")[:60]


@pytest.mark.parametrize("row", IMPOSSIBLE, ids=_name)
def test_what_can_never_match_is_refused(row: dict[str, Any], write: Write) -> None:
    path = write()
    path.write_text(_written(row), encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(path, {})
    assert str(raised.value).split("\n") == [f"carebell.yaml:{line}" for line in row["said"]]


@pytest.mark.parametrize("row", POINTLESS, ids=_name)
def test_what_does_nothing_is_warned_of(row: dict[str, Any], write: Write) -> None:
    path = write()
    path.write_text(_written(row), encoding="utf-8")
    assert [str(problem) for problem in pointless(load(path, {}))] == [f"carebell.yaml:{line}" for line in row["said"]]


def test_the_small_and_the_shipped_file_have_nothing_pointless(write: Write) -> None:
    assert pointless(load(write(), {})) == []
    assert pointless(load(Path(__file__).with_name("contract.yaml"), {})) == []


def test_location_zones_that_the_field_map_does_not_look_up(write: Write, tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "parser/fieldmaps/generic.yaml").read_text("utf-8")
    (tmp_path / "own.yaml").write_text(
        re.sub(r"(?m)^location_zone: .*$", "location_zone: []", shipped), encoding="utf-8"
    )
    path = write("    ehr: generic\n", "    ehr: own.yaml\n    location_zones: {SPOKANE: America/Los_Angeles}\n")
    [problem] = pointless(load(path, {}))
    assert (problem.line, problem.key) == (12, "environments.prod.location_zones")
    assert "has no location_zone" in problem.why


def _said_of(rows: list[dict[str, Any]]) -> set[str]:
    keys = {line.split(": ")[1] for row in rows for line in row["said"]}
    return {re.sub(r"\[\d+\]", "", re.sub(r"^environments\.\w+", "environments.*", key)) for key in keys}


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        written = f"{prefix}{info.alias or name}"
        inner = next(_sections(info.annotation), None)
        if inner is None:
            yield written
        else:
            yield from _leaves(inner, f"{written}.*." if get_origin(info.annotation) is dict else f"{written}.")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None or isinstance(annotation, types.UnionType):
        for part in get_args(annotation):
            yield from _sections(part)


def test_every_key_of_the_model_has_its_answer() -> None:
    tables = _said_of([*IMPOSSIBLE, *POINTLESS])
    answered = tables | {key for keys in ANY_VALUE_WORKS.values() for key in keys} | set(COVERED_BY_A_RELATIVE)
    leaves = set(_leaves(Configuration))
    # A dictionary's own keys stand in the tables by name.
    open_keys = {key for key in leaves if not any(said == key or said.startswith(f"{key}.") for said in answered)}
    assert open_keys == set()
    assert {key for keys in ANY_VALUE_WORKS.values() for key in keys} <= leaves
    assert set(COVERED_BY_A_RELATIVE) <= leaves
    assert set(COVERED_BY_A_RELATIVE.values()) <= tables


# What is proposed can be written


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30) | st.from_regex(r"[A-Za-z]{2,5}|[A-Z][a-z]+[ _/][A-Z][a-z]+", fullmatch=True))
def test_a_proposed_zone_country_or_number_is_a_right_one(text: str) -> None:
    zone, country, number = zone_meant(text), country_meant(text), number_meant(text)
    assert zone is None or is_whole_zone(zone)
    assert country is None or is_country(country)
    assert number is None or re.fullmatch(r"\+[1-9][0-9]{6,14}", number)


def test_no_number_of_a_list_is_repeated(write: Write) -> None:
    """Who may be texted in a test is a person; the sender's number is not."""
    numbers = ("+442079460018", "+15555550143", "2025550143")
    for number in numbers:
        path = write('      allow_list: ["+12025550143"]', f'      allow_list: ["{number}", "{number}"]')
        try:
            lines = [str(problem) for problem in pointless(load(path, {}))]
        except ConfigurationError as error:
            lines = str(error).split("\n")
        assert lines
        assert not any(number.removeprefix("+") in line for line in lines)
