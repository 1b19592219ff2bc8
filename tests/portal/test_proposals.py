"""A problem of a change stands beside the form's field that it is about."""

from __future__ import annotations

import pytest

from portal.forms import FieldError
from portal.proposals import NotProposed, Proposed, SettingProblem

FIELDS = {
    "environments.test.sms": "sms",
    "environments.test.sms.reminders": "reminders",
    "environments.test.sms.from": "number",
}


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("environments.test.sms.from", FieldError(field="number", sentence="Must be a number")),
        ("environments.test.sms.reminders[0].before", FieldError(field="reminders", sentence="[0].before must be a number")),
        ("environments.test.sms.fromage", FieldError(field="sms", sentence="fromage must be a number")),
        ("environments.test", FieldError(field="", sentence="environments.test must be a number")),
        ("", FieldError(field="", sentence="Must be a number")),
    ],
)  # fmt: skip
def test_the_nearest_field_has_the_error(key: str, error: FieldError) -> None:
    problem = SettingProblem(key=key, place="carebell.yaml:1:1", line=1, why="must be a number")
    assert NotProposed(problems=(problem,)).errors(FIELDS) == (error,)


def test_what_was_proposed_is_shown_next() -> None:
    assert Proposed(id="a1").preview.path == "/configuration/preview/a1"
