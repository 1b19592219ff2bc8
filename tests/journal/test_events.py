"""The list of events as a contract."""

from __future__ import annotations

import logging
import re
from typing import get_args

import pytest

from config.model import Alarms, Environment
from journal.alarms import ALARMS, AlarmName
from journal.events import ENTRIES, Entry, name_of
from journal.events.connections import ListenerDraining
from journal.events.database import DatabaseUpgraded
from journal.events.service import ClockBelieved
from journal.events.sms import SmsSent
from journal.fields import FIELDS
from journal.reference import alarms_table, events_table, fields_table, vocabularies
from scheduler.sms import SmsKind, SmsState

PATIENT = re.compile(r"phone|name$|body|content|payload|message_text|birth|address|mrn|dob")


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_is_documented(entry: Entry) -> None:
    names = [field.name for field in entry.fields]

    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", entry.name)
    assert entry.level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    assert re.fullmatch(r"[A-Z`].*\.", entry.meaning)
    assert re.fullmatch(r"[A-Z`].*\.", entry.advice)
    assert "|" not in entry.meaning + entry.advice
    assert set(names) <= set(FIELDS)
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES.values() if entry.level >= logging.ERROR], ids=lambda entry: entry.name
)
def test_an_error_says_what_to_do(entry: Entry) -> None:
    assert entry.advice != "Nothing to do."


def test_every_field_is_used_and_none_is_a_patients() -> None:
    used = {field.name for entry in ENTRIES.values() for field in entry.fields}

    assert used == set(FIELDS)
    assert [name for name in FIELDS if PATIENT.search(name) and name != "name"] == []


def test_an_events_name_is_its_classes_in_lower_case() -> None:
    assert name_of(DatabaseUpgraded) == "database_upgraded"


def test_a_group_stands_as_its_fields_where_it_is_declared() -> None:
    fields = {field.name: field for field in ENTRIES[SmsSent].fields}

    assert list(fields)[:7] == ["environment", "appointment", "kind", "rule", "sms", "to", "segments"]
    assert fields["sms"].path == "identity.sms"
    assert fields["kind"].values == tuple(SmsKind)
    assert fields["state"].values == tuple(SmsState)
    assert (fields["sid"].required, fields["due"].required) == (True, False)


def test_a_mistake_in_an_event_is_an_error_of_its_types() -> None:
    """mypy refuses each of these lines: it would report an `ignore` without an error as unused."""
    with pytest.raises(TypeError):
        ListenerDraining(listener="127.0.0.1:2575")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ListenerDraining(listener="127.0.0.1:2575", connections=1, peer="10.0.0.1")  # type: ignore[call-arg]
    draining = ListenerDraining(listener="127.0.0.1:2575", connections="one")  # type: ignore[arg-type]
    draining.connections = 1  # type: ignore[misc]
    ClockBelieved(reason="because", seconds=1.0)  # type: ignore[arg-type]


def test_the_table_of_events_holds_every_event() -> None:
    events = events_table().splitlines()

    assert [line.split("`")[1] for line in events[2:]] == [entry.name for entry in ENTRIES.values()]
    assert {line.count(" | ") for line in events[2:]} == {5}
    rows = {line.split("`")[1]: line for line in events[2:]}
    assert rows["message_refused"].endswith("| `feed_silent` `signature_failures` |")


def test_every_alarm_is_documented_and_its_events_exist() -> None:
    assert set(ALARMS) == set(get_args(AlarmName))
    names = {entry.name for entry in ENTRIES.values()}
    for name, kind in ALARMS.items():
        assert set(kind.events) <= names, name
        assert kind.severities
        assert re.fullmatch(r"[A-Z`].*\.", kind.meaning)
        assert re.fullmatch(r"[A-Z`].*\.", kind.advice)
        assert "|" not in kind.meaning + kind.advice
        assert f"| `{name}` |" in alarms_table()


def test_the_limit_of_an_alarm_is_a_key_of_the_configuration() -> None:
    for kind in ALARMS.values():
        section, _, key = (kind.key or "").rpartition(".")
        if section == "alarms":
            assert key in Alarms.model_fields
        elif kind.key is not None:
            assert key in Environment.model_fields


def test_the_table_of_fields_holds_every_field() -> None:
    fields = fields_table().splitlines()

    assert [line.split("`")[1] for line in fields[2:]] == list(FIELDS)
    assert {line.count(" | ") for line in fields[2:]} == {2}


def test_a_fields_words_stand_beside_it() -> None:
    rows = {line.split("`")[1]: line for line in fields_table().splitlines()[2:]}

    assert rows["scope"].endswith("| `all` `environment` `sender` |")
    assert "`clock_believed`: `put_right` `stayed`" in rows["reason"]
    assert vocabularies("control_id") == {}
