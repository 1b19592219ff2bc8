"""carebell/environment_policy.py: the configuration in the form that the code uses; both sides know the same names."""

from __future__ import annotations

from datetime import timedelta

from carebell.environment_policy import runtime_config
from config.load import load
from config.writeback_settings import EVENT_NAMES
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackPolicy
from tests.config.conftest import Write, small, write

__all__ = ["small", "write"]

WRITEBACK = """    writeback:
      events: {confirmed: hl7, waiting: none}
      retry_for: {confirmed: until_start, default: 2h}
      hl7: {host: e.example, port: 6661, sending_facility: A, receiving_application: B, receiving_facility: C}
    listener: {port: 2575}
"""


def test_both_sides_know_the_same_events() -> None:
    assert set(EVENT_NAMES) == {event.value for event in WritebackEvent}


def test_nothing_goes_back_unless_an_event_is_named(write: Write) -> None:
    [policy, *_] = runtime_config(load(write(), {})).policies.values()
    assert policy.writeback.channels == {}


def test_named_events_go_back_for_their_time(write: Write) -> None:
    policies = runtime_config(load(write("    listener: {port: 2575}\n", WRITEBACK), {})).policies
    assert policies["prod"].writeback == WritebackPolicy(
        channels={WritebackEvent.CONFIRMED: WritebackChannel.HL7},
        retry_for={"confirmed": "until_start", "default": timedelta(hours=2)},
    )
    assert policies["test"].writeback.channels == {}
