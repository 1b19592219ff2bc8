"""The list of events as a contract."""

from __future__ import annotations

import logging
import re

import pytest

from journal.events import Event
from journal.fields import FIELDS
from journal.reference import events_table, fields_table

PATIENT = re.compile(r"phone|name$|body|content|payload|message_text|birth|address|mrn|dob")


@pytest.mark.parametrize("event", Event, ids=lambda event: event.label)
def test_is_documented(event: Event) -> None:
    entry = event.value

    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.label)
    assert entry.level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    assert entry.meaning.endswith(".")
    assert entry.advice.endswith(".")
    assert "|" not in entry.meaning + entry.advice
    assert set(entry.fields) <= set(FIELDS)
    assert len(set(entry.fields)) == len(entry.fields)


@pytest.mark.parametrize(
    "event", [event for event in Event if event.level >= logging.ERROR], ids=lambda event: event.label
)
def test_an_error_says_what_to_do(event: Event) -> None:
    assert event.value.advice != "Nothing to do."


def test_every_field_is_used_and_none_is_a_patients() -> None:
    used = {name for event in Event for name in event.fields}

    assert used == set(FIELDS)
    assert [name for name in FIELDS if PATIENT.search(name) and name != "name"] == []


def test_the_tables_hold_every_event_and_field() -> None:
    events, fields = events_table().splitlines(), fields_table().splitlines()

    assert [line.split("`")[1] for line in events[2:]] == [event.label for event in Event]
    assert [line.split("`")[1] for line in fields[2:]] == list(FIELDS)
    assert {line.count(" | ") for line in events[2:]} == {4}
