"""The number that texts go to, and what stands against it: judged once for each state of an appointment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.outbound.recipient import Recipients, recipient_of
from scheduler.sms import Reason
from tests.carebell.samples import appointment
from tests.story.folder import load, make


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> RuntimeConfig:
    return runtime_config(load(make(tmp_path_factory.mktemp("recipients") / "clinic")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"consent": False}, Reason.NO_CONSENT),
        ({"phone": None, "phone_fault": "landline"}, Reason.LANDLINE),
    ],
)
def test_what_was_judged_once_is_not_judged_again(
    policies: RuntimeConfig, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: Reason | None
) -> None:
    recipients, visit = Recipients(policies), appointment(**changes)
    number = recipients(visit)
    assert number == recipient_of(visit, policies) == (visit.phone if reason is None else None)

    def judge(*_: Any) -> Any:
        raise AssertionError("judged again")

    monkeypatch.setattr("carebell.environment_policy.may_text", judge)
    assert recipients.blocked(visit) is reason


def test_a_later_state_of_the_appointment_is_judged_anew(policies: RuntimeConfig) -> None:
    recipients, visit = Recipients(policies), appointment()
    assert recipients(visit) is not None
    assert recipients.blocked(replace(visit, consent=False)) is Reason.NO_CONSENT


def test_nobody_who_died_is_texted_whatever_the_number(policies: RuntimeConfig) -> None:
    recipients, visit = Recipients(policies), appointment(deceased=True)
    recipients(visit)
    assert recipients.blocked(visit) is Reason.DECEASED


def test_an_environment_that_is_switched_off_has_no_recipient(policies: RuntimeConfig) -> None:
    visit = appointment(environment="elsewhere")
    assert Recipients(policies)(visit) is None
    assert recipient_of(visit, policies) is None
