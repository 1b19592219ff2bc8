"""The log is what docs/reference says: every event is made somewhere, with every field that it documents.

That a field has a value of its type, and a word of its vocabulary, mypy checks at each of these places: an event is a dataclass.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest

import carebell
from carebell.inbound.listeners import _BAD_FRAMES, _LOST, _REFUSED, _TIMED_OUT, event_of
from journal import logs
from journal.events import ENTRIES, Event
from journal.events.base import FieldGroup
from journal.events.service import InternalError
from journal.events.shared import CertificateFacts, ErrorTrace, SmsIdentity
from listener.incidents import Incident, Kind

ROOMS = (Path(carebell.__file__).parent, Path(logs.__file__).parent)
CLASSES: dict[str, type[Event | FieldGroup]] = {
    declared.__name__: declared for declared in (*ENTRIES, CertificateFacts, SmsIdentity, ErrorTrace)
}


def made() -> dict[str, set[str | None]]:
    """Event or group -> the names that are given where it is made; None among them: by `**`, which no type checker sees through."""
    given: dict[str, set[str | None]] = defaultdict(set)
    for room in ROOMS:
        for path in room.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    given[node.func.id] |= {keyword.arg for keyword in node.keywords}
    return given


MADE = made()


@pytest.mark.parametrize("name", CLASSES)
def test_every_event_is_made_with_every_field(name: str) -> None:
    declared = {field.name for field in fields(CLASSES[name])}  # type: ignore[arg-type]  # each is a dataclass
    assert MADE[name] == declared


def test_the_reasons_in_the_log_are_the_listeners_codes() -> None:
    for table in (_BAD_FRAMES, _LOST, _REFUSED, _TIMED_OUT):
        assert {kind.code: reason for kind, reason in table.items()} == {reason: reason for reason in table.values()}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.level and kind is not Kind.HANDLER_FAILED])
def test_whatever_a_listener_reports_has_an_event(kind: Kind) -> None:
    assert not isinstance(event_of(Incident(kind=kind), "127.0.0.1:2575", "test"), InternalError)


def test_a_handlers_fault_is_logged_with_its_trace() -> None:
    try:
        raise ValueError("Jane Doe")
    except ValueError as error:
        event = event_of(Incident(kind=Kind.HANDLER_FAILED, error=error), "127.0.0.1:2575", None)

    assert isinstance(event, InternalError)
    assert (event.where, event.trace.exception) == ("listener", "ValueError")
    assert "in test_a_handlers_fault" in (event.trace.frames or "")
