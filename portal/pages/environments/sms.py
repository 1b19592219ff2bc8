"""SMS notifications of an environment: what is texted, when and to whom, with the texts as a patient's telephone shows them.

Rows of reminders are added and removed by buttons that send the form; nothing is saved before the preview.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from config.model import Environment
from portal.edit_forms import reminders
from portal.edit_forms import sms as sms_form
from portal.edit_forms.fields import EMPTY, changed, field_errors, key_fields, variables_of
from portal.environments import EnvironmentsDesk
from portal.forms import FieldError, Form
from portal.page_request import Answer, PageRequest, Shown
from portal.pages.environments.summary import tabs, wanted
from portal.proposals import Proposed, Proposer
from portal.roles import Permission
from portal.route_table import Page

LANGUAGES: Final = {"en": "English", "es": "Spanish", "fr": "French"}
KINDS: Final = {
    "booked": "Confirmation: scheduled",
    "updated": "Confirmation: updated",
    "canceled": "Confirmation: canceled",
    "reminder": "Reminder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPreview:
    """A text as a patient would get it.

    Attributes:
        title: what it is, such as `Reminder, video visit`. language: in words.
        text: "" where there is none, and then `problem` says why.
        segments: what the carrier charges. characters: of the text.
    """

    title: str
    language: str
    text: str
    segments: int = 0
    characters: int = 0
    is_short_alphabet: bool = True
    problem: str | None = None


class TextsDesk(Protocol):
    """What this page asks for, besides the configuration."""

    def senders(self) -> Sequence[str]:
        """The organisation's own numbers, as far as they are known without asking anybody."""
        ...

    def texts(
        self,
        environment: str | None,
        kinds: Sequence[tuple[str, str | None]],
        time_zone: str,
        at: datetime,
        asking: Collection[str] = (),
    ) -> Sequence[TextPreview]:
        """Texts of an example appointment in each language, by the environment's templates.

        Args:
            environment: None: one that is not there yet, by the built-in texts.
            kinds: (booked, updated, canceled or reminder; visit mode or None).
            time_zone: of the clinic. One that is not known yet is taken as UTC.
            asking: the kinds that ask the patient to confirm.
        """
        ...


def pages(desk: EnvironmentsDesk, proposer: Proposer, texts: TextsDesk) -> tuple[Page, ...]:
    path = "/environments/{environment}/sms"
    handlers = _SmsHandlers(desk, proposer, texts)
    return (
        Page(name="SMS notifications", path=path, handler=handlers.show, permission=Permission.SEE_CONFIGURATION),
        Page(
            name="Change the SMS notifications",
            path=path,
            method="POST",
            handler=handlers.change,
            permission=Permission.CHANGE_CONFIGURATION,
        ),
    )


@dataclass(frozen=True, slots=True)
class _SmsHandlers:
    desk: EnvironmentsDesk
    proposer: Proposer
    texts: TextsDesk

    def show(self, request: PageRequest) -> Answer:
        _, environment, _ = wanted(self.desk, request)
        return self._page(request, Form().filled(sms_form.shown(environment)))

    def change(self, request: PageRequest) -> Answer:
        name, environment, in_force = wanted(self.desk, request)
        form = after_button(request.form)
        if form is not None:
            return self._page(request, form)
        present, allow_list = sms_form.values_of(environment), environment.sms.allow_list
        values, errors = sms_form.typed(request.form, self._senders(environment), allow_list)
        set_elsewhere = variables_of(in_force.variables, name, sms_form.FIELDS)
        for field in sms_form.FIELDS:
            if field.name in set_elsewhere:
                values.pop(field.keys, None)
        edits = changed(name, present, values)
        if not errors and not edits:
            errors.append(FieldError(field="", sentence=EMPTY))
        if errors:
            return self._page(request, request.form.with_errors(*errors), status=422)
        proposed = self.proposer.propose(request.own_session, edits, base=request.form.text("base"))
        if isinstance(proposed, Proposed):
            return proposed.preview
        problems = field_errors(proposed.problems, key_fields(name, sms_form.fields(request.form)))
        again = request.form.with_errors(*problems)
        if proposed.is_stale:  # the list may be another one, so a place in it says nothing any more
            return self._page(request, _without(again, "allow_remove"), status=409)
        return self._page(request, again, status=422)

    def _senders(self, environment: Environment) -> list[str]:
        return list(dict.fromkeys([environment.sms.sender, *self.texts.senders()]))

    def _page(self, request: PageRequest, form: Form, status: int = 200) -> Shown:
        name, environment, in_force = wanted(self.desk, request)
        set_elsewhere = variables_of(in_force.variables, name, sms_form.FIELDS)
        kinds = sms_form.texts_shown(form)
        labels = {field.name: field.label for field in sms_form.FIELDS}
        texts = self.texts.texts(name, kinds, environment.time_zone, request.now, sms_form.asking(form))
        view = form_view(form, self._senders(environment), texts)
        view |= {
            "organization_name": in_force.configuration.organization.name,
            "action": f"/environments/{name}/sms",
            "tabs": tabs(name, request),
            "steps": [],
            "submit_words": "Preview the change",
            "base": self.proposer.base(),
            "may_change": request.may(Permission.CHANGE_CONFIGURATION),
            "is_test": environment.kind == "test",
            "allowed": sms_form.allowed_numbers(environment.sms.allow_list),
            "variables": {labels[field]: variable for field, variable in set_elsewhere.items()},
            "back": f"/environments/{name}",
        }
        return Shown(
            template="environments/sms.html", title=f"SMS notifications of {name}", view=view, form=form, status=status
        )


def after_button(form: Form) -> Form | None:
    """The form after [Add a reminder], [Remove] or [Show the texts]; None: none of them was pressed."""
    rows = reminders.rows_of(form)
    if form.flag("add"):
        added = reminders.with_rows(form, [*rows, reminders.ReminderRow()][: reminders.MOST])
        return _without(added, "add")
    if "remove" in form.values:
        kept = [row for position, row in enumerate(rows) if str(position) != form.text("remove")]
        return _without(reminders.with_rows(form, kept), "remove")
    return _without(form, "show") if form.flag("show") else None


def form_view(form: Form, senders: Sequence[str], texts: Sequence[TextPreview]) -> dict[str, object]:
    """What the fields and the telephone need, for this page and for a new environment."""
    chosen = form.text("sender")
    options = [*senders, chosen] if chosen and chosen not in senders else list(senders)
    return {
        "senders": [("", "Choose a number"), *((number, number) for number in options)],
        "rows": reminders.rows_of(form),
        "units": reminders.UNITS,
        "modes": reminders.MODES,
        "asking": sms_form.ASKING,
        "cannot_come": sms_form.CANNOT_COME,
        "join_links": sms_form.JOIN_LINKS,
        "may_add_row": len(reminders.rows_of(form)) < reminders.MOST,
        "texts": texts,
    }


def _without(form: Form, name: str) -> Form:
    values: Mapping[str, tuple[str, ...]] = {key: value for key, value in form.values.items() if key != name}
    return replace(form, values=values)
