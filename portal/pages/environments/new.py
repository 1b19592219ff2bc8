"""A new environment in six steps, each a page. What was answered is kept on the server, so going back loses nothing.

Each step saves its answers, right or wrong, and goes on when they are right. The last one proposes the whole environment as one
edit; nothing is in force, and no file is written but the certificate's, before that proposal is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from certs.reasons import REASONS
from config.edit import Edit
from config.model import Configuration
from portal.edit_forms import feed as feed_form
from portal.edit_forms import new_environment
from portal.edit_forms import sms as sms_form
from portal.edit_forms.new_environment import CERTIFICATE, DONE, KINDS, STEPS, Answers
from portal.environments import EnvironmentsDesk
from portal.forms import FieldError, Form
from portal.page_request import Answer, NotThere, PageRequest, Redirect, Shown
from portal.pages.environments import sms as sms_page
from portal.pages.environments.answered import answered_steps
from portal.pages.environments.approval_desk import CALLBACK
from portal.pages.environments.certificates import CertificatesDesk, NotKept, judged
from portal.pages.environments.new_desk import AddressCheck, NewEnvironmentDesk
from portal.pages.environments.sms import TextsDesk
from portal.proposals import Proposed, Proposer
from portal.roles import Permission
from portal.route_table import Page

_BEGIN: Final = "/environments/new"
_LARGEST_BODY: Final = 262_144
_ORDER: Final = tuple(STEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WizardStep:
    """One step in the list of steps. `path`: None before it can be answered."""

    name: str
    path: str | None
    here: bool


def pages(
    desk: EnvironmentsDesk,
    proposer: Proposer,
    certificates: CertificatesDesk,
    texts: TextsDesk,
    new: NewEnvironmentDesk,
) -> tuple[Page, ...]:
    handlers = _Handlers(desk, proposer, certificates, texts, new)
    change = Permission.CHANGE_CONFIGURATION
    path = "/environments/new/{draft}/{step}"
    return (
        Page(name="Add an environment", path=_BEGIN, handler=handlers.first, permission=change),
        Page(name="Begin an environment", path=_BEGIN, method="POST", handler=handlers.begin, permission=change),
        Page(name="A step of an environment", path=path, handler=handlers.show, permission=change),
        Page(
            name="Answer a step",
            path=path,
            method="POST",
            handler=handlers.answer,
            permission=change,
            largest_body=_LARGEST_BODY,
            too_large=REASONS["TOO_LARGE"],
        ),
    )


@dataclass(frozen=True, slots=True)
class _Handlers:
    desk: EnvironmentsDesk
    proposer: Proposer
    certificates: CertificatesDesk
    texts: TextsDesk
    new: NewEnvironmentDesk

    def first(self, request: PageRequest) -> Answer:
        return self._page(request, "name", {}, None)

    def begin(self, request: PageRequest) -> Answer:
        """The first step's answers make the draft."""
        answers = new_environment.with_step({}, "name", request.form)
        errors = new_environment.errors_of("name", answers, self._configuration())
        if errors:
            return self._page(request, "name", answers, None, request.form.with_errors(*errors), status=422)
        session = request.own_session
        draft = self.new.begin(session, request.now)
        self.new.keep(draft, session, answers | {DONE: ("name",)}, request.now)
        return Redirect(path=_path(draft, "address"))

    def show(self, request: PageRequest) -> Answer:
        draft, step, answers = self._draft(request)
        if step == "answers" and (missing := _missing(answers)):
            return Redirect(path=_path(draft, missing))
        return self._page(request, step, answers, draft)

    def answer(self, request: PageRequest) -> Answer:
        draft, step, answers = self._draft(request)
        if step == "answers":
            return self._propose(request, draft, answers)
        if step == "sms" and (form := sms_page.after_button(request.form)) is not None:
            self._keep(request, draft, new_environment.with_step(answers, step, form))
            return self._page(request, step, answers, draft, form)
        form, upload_errors = self._with_certificate(request, step, answers)
        if step == "address" and (form.flag("check") or form.flag("use")):
            return self._check(request, draft, answers)
        answers = new_environment.with_step(answers, step, form)
        if form.flag("back"):
            self._keep(request, draft, answers)
            return Redirect(path=_path(draft, _ORDER[_ORDER.index(step) - 1]))
        errors = [*upload_errors, *new_environment.errors_of(step, answers, self._configuration())]
        if step == "approver" and form.text("approver") not in ("", *(login for login, _ in self.new.approvers())):
            errors.append(FieldError(field="approver", sentence="Choose a person of the list."))
        done = [known for known in answers.get(DONE, ()) if known != step]
        self._keep(request, draft, answers | {DONE: tuple(done if errors else [*done, step])})
        if errors:
            first_of_field = list({error.field: error for error in reversed(errors)}.values())[::-1]
            return self._page(request, step, answers, draft, form.with_errors(*first_of_field), status=422)
        return Redirect(path=_path(draft, _ORDER[_ORDER.index(step) + 1]))

    def _with_certificate(self, request: PageRequest, step: str, answers: Answers) -> tuple[Form, list[FieldError]]:
        """The form with the certificate as an answer: the one that was chosen now, or the one of before."""
        form = request.form
        if step != "feed":
            return form, []
        values = {name: value for name, value in form.values.items() if name != CERTIFICATE}
        before = {CERTIFICATE: answers[CERTIFICATE]} if CERTIFICATE in answers else {}
        if CERTIFICATE not in form.uploads:
            return Form(values=values | before), []
        verdict = judged(self.certificates, request)
        if verdict.refusal is not None:
            return Form(values=values | before), [FieldError(field=CERTIFICATE, sentence=verdict.refusal)]
        return Form(values=values | {CERTIFICATE: (verdict.content,)}), []

    def _check(self, request: PageRequest, draft: str, answers: Answers) -> Answer:
        form = request.form
        if form.flag("use"):
            form = Form(values={"fhir_base_url": (form.text("use"),)})
        answers = new_environment.with_step(answers, "address", form)
        self._keep(request, draft, answers)
        errors = new_environment.errors_of("address", answers, self._configuration())
        url = form.text("fhir_base_url")
        if not errors and not url:
            errors = [FieldError(field="fhir_base_url", sentence="FHIR base URL: enter an address to check.")]
        if errors:
            return self._page(request, "address", answers, draft, form.with_errors(*errors), status=422)
        check = self.new.check_address(url, Form(values=answers).text("kind"))
        return self._page(request, "address", answers, draft, form, check=check)

    def _propose(self, request: PageRequest, draft: str, answers: Answers) -> Answer:
        if missing := _missing(answers):
            return Redirect(path=_path(draft, missing))
        configuration, form = self._configuration(), Form(values=answers)
        errors = [
            FieldError(field=f"step-{step}", sentence=error.sentence)
            for step in _ORDER
            for error in new_environment.errors_of(step, answers, configuration)
        ]
        if errors:
            return self._page(request, "answers", answers, draft, Form().with_errors(*errors), status=422)
        name = form.text("name")
        try:
            file = self.certificates.keep(name, form.raw(CERTIFICATE))
        except NotKept as error:
            refused = Form().with_errors(FieldError(field="step-feed", sentence=str(error)))
            return self._page(request, "answers", answers, draft, refused, status=422)
        section, _ = new_environment.section_of(answers, configuration, file)
        proposed = self.proposer.propose(request.own_session, [Edit(("environments", name), section)])
        if isinstance(proposed, Proposed):
            return proposed.preview
        refused = Form().with_errors(*new_environment.errors_by_step(proposed.problems, answers))
        return self._page(request, "answers", answers, draft, refused, status=422)

    def _draft(self, request: PageRequest) -> tuple[str, str, Answers]:
        draft, step = request.parameters["draft"], request.parameters["step"]
        answers = self.new.answers(draft, request.own_session, request.now)
        if answers is None or step not in STEPS:
            raise NotThere
        return draft, step, answers

    def _keep(self, request: PageRequest, draft: str, answers: Answers) -> None:
        if not self.new.keep(draft, request.own_session, answers, request.now):
            raise NotThere

    def _configuration(self) -> Configuration:
        return self.desk.in_force().configuration

    def _page(
        self,
        request: PageRequest,
        step: str,
        answers: Answers,
        draft: str | None,
        form: Form | None = None,
        *,
        status: int = 200,
        check: AddressCheck | None = None,
    ) -> Shown:
        configuration = self._configuration()
        if form is None:
            form = Form(
                values={name: values for name, values in answers.items() if new_environment.belongs(step, name)}
            )
            if not form.values:
                form = form.filled(new_environment.defaults(step, answers, configuration))
        action = _BEGIN if draft is None else _path(draft, step)
        view: dict[str, object] = {
            "steps": _steps(draft, step, answers),
            "action": action,
            "back": None if step == "name" or draft is None else _path(draft, _ORDER[_ORDER.index(step) - 1]),
        }
        view |= self._step_view(request, step, answers, form, check)
        if step == "answers" and draft is not None:
            paths = {known: _path(draft, known) for known in _ORDER}
            view["answered"] = answered_steps(answers, paths, dict(self.new.approvers()))
        template = "environments/sms.html" if step == "sms" else f"environments/new_{step}.html"
        title = f"Add an environment: {STEPS[step]}"
        return Shown(template=template, title=title, view=view, form=form, status=status)

    def _step_view(
        self, request: PageRequest, step: str, answers: Answers, form: Form, check: AddressCheck | None
    ) -> Mapping[str, object]:
        known = Form(values=answers)
        match step:
            case "name":
                return {"kinds": KINDS, "ehrs": feed_form.EHRS}
            case "address":
                return {"check": check}
            case "approver":
                return {
                    "approvers": self._approver_options(known),
                    "is_production": known.text("kind") == "production",
                    "ehr": known.text("ehr"),
                    "redirect_uri": f"{self._portal_url()}{CALLBACK}",
                }
            case "feed":
                return {
                    "editable": {field.name for field in feed_form.FIELDS},
                    "variables": {},
                    "with_connection": False,
                    "authentications": feed_form.AUTHENTICATIONS,
                    "processing_ids": feed_form.PROCESSING_IDS,
                    "certificate": self._certificate(form, request.now),
                }
            case "sms":
                kinds = sms_form.texts_shown(form)
                asking, zone = sms_form.asking(form), known.text("time_zone")
                texts = self.texts.texts(None, kinds, zone, request.now, asking)
                return sms_page.form_view(form, self.texts.senders(), texts) | {
                    "organization_name": self._configuration().organization.name,
                    "tabs": [],
                    "base": "",
                    "may_change": True,
                    "is_test": known.text("kind") == "test",
                    "allowed": [],
                    "variables": {},
                    "submit_words": "Continue",
                }
            case "answers":
                return {"certificate": self._certificate(known, request.now)}
        return {}

    def _approver_options(self, known: Form) -> list[tuple[str, str]]:
        nobody = [] if known.text("kind") == "production" else [("", "Nobody: no approval is needed")]
        choose = [("", "Choose a person")] if known.text("kind") == "production" else []
        return [*choose, *nobody, *((login, f"{name} ({login})") for login, name in self.new.approvers())]

    def _portal_url(self) -> str:
        portal = self._configuration().portal
        return portal.url_at(portal.port)

    def _certificate(self, form: Form, at: datetime) -> Mapping[str, object] | None:
        content = form.raw(CERTIFICATE)
        if not content:
            return None
        verdict = self.certificates.judge(content.encode("ascii", "replace"), at)
        return {"subject": verdict.subject, "thumbprint": verdict.thumbprint, "not_after": verdict.not_after}


def _steps(draft: str | None, here: str, answers: Answers) -> list[WizardStep]:
    done = answers.get(DONE, ())
    return [
        WizardStep(
            name=name,
            path=_path(draft, step) if draft is not None and (step in done or step == here) else None,
            here=step == here,
        )
        for step, name in STEPS.items()
    ]


def _missing(answers: Answers) -> str | None:
    """The first step that is not answered yet; None: all are."""
    return next((step for step in _ORDER[:-1] if step not in answers.get(DONE, ())), None)


def _path(draft: str, step: str) -> str:
    return f"{_BEGIN}/{draft}/{step}"
