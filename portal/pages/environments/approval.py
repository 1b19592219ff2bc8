"""Approval: what an environment is connected to, a proof that the approver reaches that EHR, and the approver's word.

To the EHR's sign-in leads a link, because browsers apply `form-action` to a form's redirects too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from portal.forms import FieldError, Form
from portal.page_request import Answer, NotAllowed, NotThere, PageRequest, Redirect, Shown
from portal.pages.environments.approval_desk import CALLBACK, STANDING_WORDS, ApprovalDesk, ApprovalView
from portal.pages.environments.new_desk import AddressCheck
from portal.pages.environments.summary import tabs
from portal.roles import Permission, Role
from portal.route_table import Page

_LONGEST_COMMENT: Final = 500
_POLLS: Final = 120
"""How often the page asks, five seconds apart, whether a signed message has proved access."""
_DONE: Final = {
    "proved": "It is noted. Look at the facts once more, then approve.",
    "approved": "Approved. Texts that waited for it leave within seconds, unless their time is long past.",
    "sent-back": "Sent back. Whoever changes the configuration reads why.",
}


def pages(desk: ApprovalDesk) -> tuple[Page, ...]:
    base = "/environments/{environment}/approval"

    def act(
        name: str, path: str, handler: Callable[[ApprovalDesk, PageRequest], Answer], confirm: bool = False
    ) -> Page:
        return Page(
            name=name,
            path=f"{base}/{path}",
            method="POST",
            permission=Permission.APPROVE,
            confirm=confirm,
            handler=partial(handler, desk),
        )

    return (
        Page(name="Approval", path=base, permission=Permission.SEE_CONFIGURATION, handler=partial(show, desk)),
        Page(
            name="Proved?",
            path=f"{base}/state",
            permission=Permission.SEE_CONFIGURATION,
            passive=True,
            handler=partial(show, desk),
        ),
        act("Check the FHIR base URL", "check", check),
        act("Give an administrator's word", "word", prove_by_word),
        act("Prove access at the EHR", "sign-in", leave),
        Page(
            name="Back from the EHR",
            path=CALLBACK,
            permission=Permission.APPROVE,
            handler=partial(come_back, desk),
        ),
        act("Approve", "approve", approve, confirm=True),
        act("Send back", "send-back", send_back),
    )


def show(desk: ApprovalDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form())


def check(desk: ApprovalDesk, request: PageRequest) -> Answer:
    checked = desk.check_address(_name(request), _proposal(request))
    if checked is None:
        sentence = "There is no FHIR base URL to ask. Give one on the page Feed."
        return _page(desk, request, request.form.with_errors(FieldError(field="", sentence=sentence)))
    return _page(desk, request, Form(), checked=checked)


def prove_by_word(desk: ApprovalDesk, request: PageRequest) -> Answer:
    _require_approver(desk, request)
    if request.role is not Role.ADMINISTRATOR:
        raise NotAllowed(sentence="Only an administrator can give a word in place of a proof.")
    wanted = request.form.text("fingerprint")
    outcome = desk.prove_by_word(request.own_session, _name(request), _proposal(request), wanted, request.browser)
    return _after(desk, request, outcome, "proved")


def leave(desk: ApprovalDesk, request: PageRequest) -> Answer:
    _require_approver(desk, request)
    outcome = desk.leave(request.own_session, _name(request), _proposal(request))
    if isinstance(outcome, str):
        return _after(desk, request, outcome, "")
    return Shown(
        template="environments/approval_leave.html",
        title="To the sign-in of your EHR",
        view={"name": _name(request), "url": outcome.url, "shown": outcome.shown, "back": _address(request)},
    )


def come_back(desk: ApprovalDesk, request: PageRequest) -> Answer:
    """The EHR sends the browser here by GET. The state that only this session has is what makes it count, once."""
    parameters = [(name, value) for name, values in request.repeated.items() for value in values]
    outcome = desk.come_back(request.own_session, parameters, request.browser)
    address = None if outcome.environment is None else _address_of(outcome.environment, outcome.proposal)
    return Shown(
        template="environments/approval_back.html",
        title="Access is not proved" if outcome.sentence else "Access is proved",
        view={"outcome": outcome, "address": address},
        status=422 if outcome.sentence else 200,
    )


def approve(desk: ApprovalDesk, request: PageRequest) -> Answer:
    _require_approver(desk, request)
    wanted = request.form.text("fingerprint")
    outcome = desk.approve(request.own_session, _name(request), _proposal(request), wanted, request.browser)
    if outcome is None and _proposal(request) is not None:
        return Redirect(path=f"/configuration/preview/{_proposal(request)}")
    return _after(desk, request, outcome, "approved")


def send_back(desk: ApprovalDesk, request: PageRequest) -> Answer:
    _require_approver(desk, request)
    comment = request.form.text("comment")
    if not comment or len(comment) > _LONGEST_COMMENT:
        sentence = f"Type why, in at most {_LONGEST_COMMENT} characters: whoever changes it reads this."
        return _page(desk, request, request.form.with_errors(FieldError(field="comment", sentence=sentence)))
    wanted = request.form.text("fingerprint")
    outcome = desk.send_back(request.own_session, _name(request), _proposal(request), wanted, comment, request.browser)
    if outcome is None and _proposal(request) is not None:
        return Redirect(path=f"/environments/{_name(request)}/approval?done=sent-back")
    return _after(desk, request, outcome, "sent-back")


def _after(desk: ApprovalDesk, request: PageRequest, sentence: str | None, done: str) -> Answer:
    if sentence is not None:
        return _page(desk, request, request.form.with_errors(FieldError(field="", sentence=sentence)))
    address = _address(request)
    return Redirect(path=f"{address}{'&' if '?' in address else '?'}done={done}")


def _name(request: PageRequest) -> str:
    return request.parameters["environment"]


def _proposal(request: PageRequest) -> str | None:
    return request.form.text("proposal") or request.query.get("proposal") or None


def _address(request: PageRequest) -> str:
    return _address_of(_name(request), _proposal(request))


def _address_of(environment: str, proposal: str | None) -> str:
    return f"/environments/{environment}/approval{'' if proposal is None else f'?proposal={proposal}'}"


def _wanted(desk: ApprovalDesk, request: PageRequest) -> ApprovalView:
    view = desk.approval(request.own_session, _name(request), _proposal(request))
    if view is None:
        raise NotThere
    return view


def _require_approver(desk: ApprovalDesk, request: PageRequest) -> None:
    """The configuration names the approvers; a role alone is not enough."""
    view = _wanted(desk, request)
    if not _is_approver(view, request):
        names = ", ".join(name for _, name in view.approvers) or "nobody yet"
        raise NotAllowed(
            sentence=f"Only its approvers may do this: {names}. `approval.approvers` in the configuration names them."
        )


def _is_approver(view: ApprovalView, request: PageRequest) -> bool:
    return request.may(Permission.APPROVE, _name(request)) and request.person.login in {
        login for login, _ in view.approvers
    }


def _page(desk: ApprovalDesk, request: PageRequest, form: Form, *, checked: AddressCheck | None = None) -> Shown:
    view, name = _wanted(desk, request), _name(request)
    polls = request.query.get("polls", "0")
    asked = int(polls) if polls.isascii() and polls.isdecimal() and len(polls) < 4 else _POLLS
    return Shown(
        template="environments/approval.html",
        title=f"Approval of {name}" if view.proposal is None else f"Approval of a change of {name}",
        view={
            "name": name,
            "tabs": tabs(name, request),
            "approval": view,
            "words": STANDING_WORDS[view.standing],
            "address": _address(request),
            "is_approver": _is_approver(view, request),
            "is_administrator": request.role is Role.ADMINISTRATOR,
            "may_check": request.may(Permission.APPROVE, name),
            "proved_here": view.proved_by == request.person.login,
            "checked": checked,
            "polled": asked > 0,
            "next_poll": asked + 1 if asked < _POLLS else None,
            "done": _DONE.get(request.query.get("done", ""), ""),
        },
        form=form,
        status=422 if form.errors else 200,
    )
