"""The answers about a new environment in words, as the last step shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.edit_forms import feed as feed_form
from portal.edit_forms import reminders
from portal.edit_forms import sms as sms_form
from portal.edit_forms.new_environment import KINDS, STEPS, Answers
from portal.forms import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredStep:
    """A step on the page of all answers: (question, answer) pairs."""

    id: str
    name: str
    path: str
    rows: Sequence[tuple[str, str]]


def answered_steps(answers: Answers, paths: Mapping[str, str], approvers: Mapping[str, str]) -> list[AnsweredStep]:
    """The answers of each step, with the page that changes them.

    Args:
        approvers: user name -> name.
    """
    form, ehrs, kinds = Form(values=answers), dict(feed_form.EHRS), {value: words for value, words, _ in KINDS}
    authentications = {value: words for value, words, _ in feed_form.AUTHENTICATIONS}
    rows: Mapping[str, Sequence[tuple[str, str]]] = {
        "name": [
            ("Name", form.text("name")),
            ("Kind", kinds.get(form.text("kind"), "")),
            ("Time zone", form.text("time_zone")),
            ("EHR", ehrs.get(form.text("ehr"), "")),
        ],
        "address": [("FHIR base URL", form.text("fhir_base_url") or "not given")],
        "approver": [
            ("Approver", approvers.get(form.text("approver"), form.text("approver")) or "not needed"),
            ("Client id in the EHR", form.text("client_id") or "not given"),
        ],
        "feed": [
            ("Listens on", f"{form.text('host')}, port {form.text('port')}"),
            ("MSH-4 sending facilities allowed", ", ".join(form.raw("facilities").split("\r\n"))),
            ("MSH-5 receiving application", form.text("receiving_application")),
            ("MSH-6 receiving facility", form.text("receiving_facility")),
            ("MSH-11 processing IDs allowed", ", ".join(form.all("processing_ids"))),
            ("The sender proves itself by", authentications.get(form.text("authentication"), "")),
        ],
        "sms": _sms_rows(form),
    }
    return [
        AnsweredStep(id=f"step-{step}", name=STEPS[step], path=paths[step], rows=step_rows)
        for step, step_rows in rows.items()
    ]


def _answering(form: Form) -> str:
    asking = sms_form.asking(form)
    words = ", ".join(word for kind, word in sms_form.ASKING if kind in asking)
    return f"asked in: {words or 'no text'}" if form.flag("replies_enabled") else "no"


def _sms_rows(form: Form) -> list[tuple[str, str]]:
    both = form.flag("consent_organization") and form.flag("consent_attendees")
    confirmations = [key for key, _ in sms_form.CONFIRMATIONS if form.flag(f"confirmation_{key}")]
    values = sms_form.typed(form, [form.text("sender")], None)[0]
    units = dict(reminders.UNITS)
    rows = [
        ("Consent", "both boxes are ticked" if both else "missing, so nothing is sent"),
        ("Phone number", str(values["sms", "from"])),
        ("Confirmation SMS", ", ".join(confirmations) or "none"),
        (
            "Reminder SMS",
            "; ".join(
                f"{row.count} {units.get(row.unit, '')} before {row.at}".strip() for row in reminders.rows_of(form)
            )
            or "none",
        ),
        ("Patients may answer", _answering(form)),
        ("Link to a video visit", dict(sms_form.JOIN_LINKS).get(values[sms_form.JOIN], "")),
        ("Quiet hours", f"{form.text('quiet_from')} to {form.text('quiet_to')}" if form.flag("quiet") else "none"),
        ("Texts for one number at most", f"{form.text('per_day')} in a day, {form.text('per_week')} in a week"),
    ]
    allowed = values["sms", "allow_list"]
    if allowed is not None:
        masked = ", ".join(number.masked for number in sms_form.allowed_numbers(allowed))
        rows.append(("Texts only these numbers", masked))
    return rows
