"""People: who may sign in, with which role. For administrators; each change asks for the password again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from portal.forms import FieldError, Form
from portal.page_request import Answer, NotThere, PageRequest, Redirect, Shown
from portal.pages.access import AccessDesk, sentence_of
from portal.people import ActRefusal, Browser, Invitation, NotDone, Person, Session
from portal.roles import Permission, Role
from portal.route_table import Page

ROLES: Final = (
    (Role.ADMINISTRATOR.value, "Administrator", "Changes settings, numbers and people."),
    (Role.ANALYST.value, "Analyst", "Connects feeds and approves, in own environments."),
    (Role.SUPPORT.value, "Support", "Finds out why a patient got no text, holds texts, adds opt-outs."),
    (Role.AUDITOR.value, "Auditor", "Reads everything, the audit log too, and changes nothing."),
)
_FIELDS: Final[dict[ActRefusal, str]] = {
    "login_taken": "login",
    "login_unusable": "login",
    "role_unknown": "role",
    "environment_unknown": "environments",
}
_DONE: Final = {
    "role": "The role is changed. This person is signed out everywhere.",
    "off": "Switched off. This person is signed out everywhere and cannot sign in.",
    "on": "Switched on again.",
    "unlocked": "Unlocked. This person can try to sign in again.",
    "signed-out": "Signed out everywhere.",
}
_Act = Callable[[Session, str, Browser], Person | NotDone | int]


def pages(desk: AccessDesk) -> tuple[Page, ...]:
    manage = Permission.MANAGE_PEOPLE

    def act(name: str, path: str, method: _Act, done: str) -> Page:
        return Page(
            name=name,
            path=f"/people/{{person}}/{path}",
            method="POST",
            permission=manage,
            confirm=True,
            handler=partial(_acted, desk, method, done),
        )

    return (
        Page(name="People", path="/people", permission=manage, menu=True, handler=partial(show, desk)),
        Page(name="Invite somebody", path="/people/invite", permission=manage, handler=partial(show_invite, desk)),
        Page(
            name="Invite somebody",
            path="/people/invite",
            method="POST",
            permission=manage,
            confirm=True,
            handler=partial(invite, desk),
        ),
        Page(name="One person", path="/people/{person}", permission=manage, handler=partial(show_person, desk)),
        Page(
            name="Change a role",
            path="/people/{person}/role",
            method="POST",
            permission=manage,
            confirm=True,
            handler=partial(change_role, desk),
        ),
        Page(
            name="New set-up link",
            path="/people/{person}/invite",
            method="POST",
            permission=manage,
            confirm=True,
            handler=partial(invite_again, desk),
        ),
        act("Sign somebody out everywhere", "sign-out", desk.people.sign_out_everywhere, "signed-out"),
        act("Unlock somebody", "unlock", desk.people.unlock, "unlocked"),
        act("Switch somebody off", "switch-off", desk.people.switch_off, "off"),
        act("Switch somebody on", "switch-on", desk.people.switch_on, "on"),
    )


def show(desk: AccessDesk, request: PageRequest) -> Answer:
    return Shown(template="people.html", title="People", view={"people": desk.people.people()})


def show_invite(desk: AccessDesk, request: PageRequest) -> Answer:
    return _invite_page(desk, Form())


def invite(desk: AccessDesk, request: PageRequest) -> Answer:
    form = request.form
    errors = [
        FieldError(field=field, sentence=sentence)
        for field, sentence in (
            ("name", "Type the person's name."),
            ("login", "Type a user name."),
            ("role", "Choose a role."),
        )
        if not form.text(field)
    ]
    if errors:
        return _invite_page(desk, form.with_errors(*errors))
    login, name, role = form.text("login").lower(), form.text("name"), form.text("role")
    outcome = desk.people.invite(request.own_session, login, name, role, form.all("environments"), request.browser)
    if isinstance(outcome, NotDone):
        return _invite_page(desk, form.with_errors(_error_of(outcome)))
    return _invited(desk, outcome)


def show_person(desk: AccessDesk, request: PageRequest) -> Answer:
    return _person_page(desk, request, _person(desk, request), Form())


def change_role(desk: AccessDesk, request: PageRequest) -> Answer:
    person = _person(desk, request)
    outcome = desk.people.change_role(
        request.own_session, person.id, request.form.text("role"), request.form.all("environments"), request.browser
    )
    if isinstance(outcome, NotDone):
        return _person_page(desk, request, person, request.form.with_errors(_error_of(outcome)))
    return Redirect(path=f"/people/{person.id}?done=role")


def invite_again(desk: AccessDesk, request: PageRequest) -> Answer:
    person = _person(desk, request)
    outcome = desk.people.invite_again(request.own_session, person.id, request.browser)
    if isinstance(outcome, NotDone):
        return _person_page(desk, request, person, request.form.with_errors(_error_of(outcome)))
    return _invited(desk, outcome)


def _acted(desk: AccessDesk, method: _Act, done: str, request: PageRequest) -> Answer:
    person = _person(desk, request)
    outcome = method(request.own_session, person.id, request.browser)
    if isinstance(outcome, NotDone):
        return _person_page(desk, request, person, request.form.with_errors(_error_of(outcome)))
    return Redirect(path=f"/people/{person.id}?done={done}")


def _person(desk: AccessDesk, request: PageRequest) -> Person:
    person = desk.people.person(request.parameters["person"])
    if person is None:
        raise NotThere
    return person


def _error_of(refusal: NotDone) -> FieldError:
    field = _FIELDS.get(refusal.reason, "") if refusal.reason is not None else ""
    return FieldError(field=field, sentence=sentence_of(refusal))


def _invite_page(desk: AccessDesk, form: Form) -> Shown:
    return Shown(
        template="people_invite.html",
        title="Invite somebody",
        view={"roles": ROLES, "environments": desk.environments()},
        form=form,
        status=422 if form.errors else 200,
    )


def _invited(desk: AccessDesk, invitation: Invitation) -> Shown:
    """The link is shown once, so this is no redirect."""
    return Shown(
        template="people_invited.html",
        title=f"Give this link to {invitation.person.name}",
        view={"invitation": invitation, "link": f"{desk.public_url}/set-up/{invitation.token}"},
    )


def _person_page(desk: AccessDesk, request: PageRequest, person: Person, form: Form) -> Shown:
    return Shown(
        template="people_person.html",
        title=person.name,
        view={
            "shown": person,
            "roles": ROLES,
            "environments": sorted({*desk.environments(), *person.environments}),
            "done": _DONE.get(request.query.get("done", ""), ""),
            "is_self": person.id == request.person.id,
        },
        form=form.filled({"role": person.role, "environments": person.environments}),
        status=422 if form.errors else 200,
    )
