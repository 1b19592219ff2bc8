"""What an environment texts, as a form: consent, number, confirmations, reminders, quiet hours, limits, a test's numbers. Pure.

Numbers of the allow list are shown masked. Those that are new are typed, and the others are kept or ticked to be removed by
their place; so no page holds a saved number in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.model import Environment, Replies
from config.problems import Keys
from config.suggestions import number_meant
from parser.phone_number import PhoneNumber
from portal.edit_forms import reminders
from portal.edit_forms.fields import ConfigurationField, lines, whole_number
from portal.forms import FieldError, Form

CONFIRMATIONS: Final = (("scheduled", "booked"), ("updated", "updated"), ("canceled", "canceled"))
"""Key of `sms.confirmation` -> kind of text."""
_CONSENT: Final = (
    ("consent_organization", "organization_allows_sending"),
    ("consent_attendees", "attendees_have_consented"),
)
_CAPS: Final = (("per_day", "Texts in a day at most"), ("per_week", "Texts in a week at most"))
_LONGEST_SHORT_CODE: Final = 6
"""Digits."""
_ALLOW_LIST: Final[Keys] = ("sms", "allow_list")
_QUIET: Final[Keys] = ("sms", "quiet_hours")
_REPLIES: Final[Keys] = ("sms", "replies")
REPLIES_ENABLED: Final[Keys] = (*_REPLIES, "enabled")
ASKING: Final = (("booked", "scheduled"), ("updated", "updated"), ("reminder", "reminders"))
"""Kind of text -> words of its box."""
JOIN: Final[Keys] = ("visits", "join")
JOIN_USUAL: Final = "feed"
"""Of an environment whose file does not say it."""
JOIN_LINKS: Final = (
    ("feed", "the link that the message brings, if it brings one"),
    ("ours", "a link of Carebell's own, to its waiting room"),
    ("none", "no link"),
)
"""Value of `visits.join` -> words of the choice."""
CANNOT_COME: Final = (("report", "tell it so"), ("ask_ehr", "ask it to cancel the visit"))
FIELDS: Final = (
    *(ConfigurationField(name=name, label="Consent", keys=("sms", "consent", key)) for name, key in _CONSENT),
    ConfigurationField(name="sender", label="Phone number", keys=("sms", "from")),
    *(
        ConfigurationField(
            name=f"confirmation_{key}", label=f"Confirmation SMS {key}", keys=("sms", "confirmation", key)
        )
        for key, _ in CONFIRMATIONS
    ),
    ConfigurationField(name="reminders", label="Reminder SMS", keys=("sms", "reminders")),
    ConfigurationField(name="replies_enabled", label="Patients may answer", keys=REPLIES_ENABLED),
    ConfigurationField(name="replies_ask_booked", label="Texts that ask", keys=(*_REPLIES, "ask_in")),
    ConfigurationField(name="replies_answer", label="Thanks", keys=(*_REPLIES, "answer")),
    ConfigurationField(name="replies_cannot_come", label="The EHR", keys=(*_REPLIES, "cannot_come")),
    ConfigurationField(name="replies_unknown", label="Other messages", keys=(*_REPLIES, "unknown")),
    ConfigurationField(name="join", label="Link to a video visit", keys=JOIN),
    ConfigurationField(name="quiet", label="Quiet hours", keys=_QUIET),
    ConfigurationField(name="quiet_from", label="Quiet hours from", keys=(*_QUIET, "from")),
    ConfigurationField(name="quiet_to", label="Quiet hours to", keys=(*_QUIET, "to")),
    *(ConfigurationField(name=name, label=label, keys=("sms", "caps", name)) for name, label in _CAPS),
    ConfigurationField(name="allow_add", label="Texts only these numbers", keys=_ALLOW_LIST),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedNumber:
    """A saved number of the allow list: its place in the list, and its last digits."""

    place: int
    masked: str


def fields(form: Form) -> list[ConfigurationField]:
    """Every field of the form, its reminders' rows too, for the problems of their keys."""
    return [*FIELDS, *reminders.fields(len(reminders.rows_of(form)))]


def values_of(environment: Environment) -> dict[Keys, Any]:
    """The values of `FIELDS` as the file would have them."""
    sms = environment.sms
    rows = [reminders.row_of(reminder) for reminder in sms.reminders]
    quiet = sms.quiet_hours
    return {
        **{("sms", "consent", key): getattr(sms.consent, key) for _, key in _CONSENT},
        ("sms", "from"): sms.sender,
        **{("sms", "confirmation", key): getattr(sms.confirmation, key) for key, _ in CONFIRMATIONS},
        ("sms", "reminders"): reminders.values_of(rows)[0],
        **_replies_of(sms.replies),
        JOIN: environment.visits.join,
        _QUIET: None if quiet is None else {"from": f"{quiet.begins:%H:%M}", "to": f"{quiet.ends:%H:%M}"},
        **{("sms", "caps", name): getattr(sms.caps, name) for name, _ in _CAPS},
        _ALLOW_LIST: None if sms.allow_list is None else list(sms.allow_list),
    }


def shown(environment: Environment) -> dict[str, str]:
    """An environment's values as fields of the form, with its reminders as rows."""
    sms, values = environment.sms, values_of(environment)
    quiet: Mapping[str, str] = values[_QUIET] or {}
    shown_fields = {
        **{name: _box(values["sms", "consent", key]) for name, key in _CONSENT},
        "sender": sms.sender,
        "other_sender": "",
        **{f"confirmation_{key}": _box(values["sms", "confirmation", key]) for key, _ in CONFIRMATIONS},
        **replies_shown(sms.replies),
        "join": environment.visits.join,
        "quiet": _box(bool(quiet)),
        "quiet_from": quiet.get("from", "21:00"),
        "quiet_to": quiet.get("to", "08:00"),
        **{name: str(values["sms", "caps", name]) for name, _ in _CAPS},
        "allow_add": "",
    }
    for position, reminder in enumerate(sms.reminders):
        shown_fields |= reminders.row_of(reminder).fields(position)
    return shown_fields


def allowed_numbers(numbers: Sequence[str] | None) -> list[AllowedNumber]:
    """The saved numbers as the page shows them."""
    return [AllowedNumber(place=place, masked=PhoneNumber(number).masked) for place, number in enumerate(numbers or ())]


def typed(
    form: Form, senders: Sequence[str], allow_list: Sequence[str] | None
) -> tuple[dict[Keys, Any], list[FieldError]]:
    """What was typed as the file would have it, and what cannot even be written so.

    Args:
        senders: the numbers of the select.
        allow_list: as it is saved.
    """
    values: dict[Keys, Any] = {("sms", "consent", key): form.flag(name) for name, key in _CONSENT}
    errors: list[FieldError] = []
    sender = _sender(form)
    if not sender or (sender == form.text("sender") and sender not in senders):
        errors.append(FieldError(field="sender", sentence="Phone number: choose a number, or write another one below."))
    values["sms", "from"] = sender
    values |= {("sms", "confirmation", key): form.flag(f"confirmation_{key}") for key, _ in CONFIRMATIONS}
    values["sms", "reminders"], reminder_errors = reminders.values_of(reminders.rows_of(form))
    errors += reminder_errors
    values |= _replies(form)
    values[JOIN] = form.text("join") or JOIN_USUAL
    quiet = {"from": form.text("quiet_from"), "to": form.text("quiet_to")}
    values[_QUIET] = quiet if form.flag("quiet") else None
    for name, label in _CAPS:
        number = whole_number(form, name, label)
        if isinstance(number, FieldError):
            errors.append(number)
        else:
            values["sms", "caps", name] = number
    values[_ALLOW_LIST] = _allow_list(form, allow_list)
    return values, errors


def texts_shown(form: Form) -> list[tuple[str, str | None]]:
    """The texts that these choices send, each once, as (kind, visit mode or None)."""
    kinds: list[tuple[str, str | None]] = [
        (kind, None) for key, kind in CONFIRMATIONS if form.flag(f"confirmation_{key}")
    ]
    for row in reminders.rows_of(form):
        modes = row.modes.split(",") if row.modes in dict(reminders.MODES) and row.modes else [None]
        kinds += [("reminder", mode) for mode in modes]
    return list(dict.fromkeys(kinds))


def asking(form: Form) -> frozenset[str]:
    """The kinds of text that ask, by these choices."""
    if not form.flag("replies_enabled"):
        return frozenset()
    return frozenset(kind for kind, _ in ASKING if form.flag(f"replies_ask_{kind}"))


def replies_shown(replies: Replies) -> dict[str, str]:
    """The fields of `sms.replies`."""
    return {
        "replies_enabled": _box(replies.enabled),
        **{f"replies_ask_{kind}": _box(kind in replies.ask_in) for kind, _ in ASKING},
        "replies_answer": _box(replies.answer),
        "replies_cannot_come": replies.cannot_come,
        "replies_unknown": _box(replies.unknown == "once_a_day"),
    }


def _replies_of(replies: Replies) -> dict[Keys, Any]:
    return {
        REPLIES_ENABLED: replies.enabled,
        (*_REPLIES, "ask_in"): list(replies.ask_in),
        (*_REPLIES, "answer"): replies.answer,
        (*_REPLIES, "cannot_come"): replies.cannot_come,
        (*_REPLIES, "unknown"): replies.unknown,
    }


def _replies(form: Form) -> dict[Keys, Any]:
    """What was chosen; while replies are switched off the other choices stay as they are saved."""
    if not form.flag("replies_enabled"):
        return {REPLIES_ENABLED: False}
    return {
        REPLIES_ENABLED: True,
        (*_REPLIES, "ask_in"): [kind for kind, _ in ASKING if form.flag(f"replies_ask_{kind}")],
        (*_REPLIES, "answer"): form.flag("replies_answer"),
        (*_REPLIES, "cannot_come"): form.text("replies_cannot_come"),
        (*_REPLIES, "unknown"): "once_a_day" if form.flag("replies_unknown") else "never",
    }


def _sender(form: Form) -> str:
    other = form.text("other_sender")
    return _number(other) if other else form.text("sender")


def _allow_list(form: Form, present: Sequence[str] | None) -> list[str] | None:
    removed = form.all("allow_remove")
    kept = [number for place, number in enumerate(present or ()) if str(place) not in removed]
    added = [_number(line) for line in lines(form, "allow_add")]
    return None if present is None and not added else list(dict.fromkeys([*kept, *added]))


def _number(written: str) -> str:
    """`(425) 555-0100` as +14255550100; whatever is no telephone number as it was written."""
    is_telephone = re.fullmatch(r"[+0-9 ().-]+", written) and len(re.sub(r"[^0-9]", "", written)) > _LONGEST_SHORT_CODE
    return (number_meant(written) or written) if is_telephone else written


def _box(is_ticked: bool) -> str:
    return "1" if is_ticked else ""
