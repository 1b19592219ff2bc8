"""A proposal: what it changes in the file and for the texts that wait; saved here, or not.

A proposal lives 24 hours. Two presses of Save are one; after the file was changed by somebody else nothing is saved, and the page
shows the three texts side by side.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from portal.configuration import ConfigurationDesk, NotSaved, Preview
from portal.forms import FieldError, Form
from portal.page_request import Answer, Download, NotAllowed, NotThere, PageRequest, Redirect, Shown
from portal.proposals import NotProposed, Proposed
from portal.roles import Permission
from portal.route_table import Page

MOST_TEXTS: Final = 500
LONGEST_COMMENT: Final = 500
_PATH: Final = "/configuration/preview/{proposal}"
_POLLS: Final = 15
"""How often the page asks, a second apart, whether what was saved is in force."""
_TITLES: Final = {
    "open": "What this change does",
    "awaiting": "This change waits for an approval",
    "saved": "This change is saved",
    "withdrawn": "This change was withdrawn",
    "sent_back": "This change was sent back",
    "expired": "This change has expired",
}


def pages(desk: ConfigurationDesk) -> tuple[Page, ...]:
    see, change = Permission.SEE_CONFIGURATION, Permission.CHANGE_FEED
    return (
        Page(name="Preview", path=_PATH, permission=see, handler=partial(show, desk)),
        Page(name="In force?", path=f"{_PATH}/in-force", permission=see, passive=True, handler=partial(in_force, desk)),
        Page(name="Texts that change", path=f"{_PATH}/texts", permission=see, handler=partial(texts, desk)),
        Page(name="Save", path=f"{_PATH}/save", method="POST", permission=change, handler=partial(save, desk)),
        Page(name="Withdraw", path=f"{_PATH}/withdraw", method="POST", permission=change, handler=partial(withdraw, desk)),
        Page(name="Propose again", path=f"{_PATH}/again", method="POST", permission=change, handler=partial(again, desk)),
        Page(
            name="Download the patch",
            path=f"{_PATH}/patch",
            method="POST",
            permission=Permission.CHANGE_CONFIGURATION,
            handler=partial(patch, desk),
        ),
    )  # fmt: skip


def show(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    return _page(_wanted(desk, request), request, Form())


def in_force(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    """The part of the page that asks again and again until the saved version is in force."""
    return _page(_wanted(desk, request), request, Form())


def texts(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    preview = _wanted(desk, request)
    return Shown(
        template="configuration/texts.html",
        title="Texts that this change touches",
        view={"preview": preview, "rows": desk.text_changes(preview.id, MOST_TEXTS), "most": MOST_TEXTS},
    )


def save(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    preview = _own(desk, request)
    form, comment = request.form, request.form.text("comment")
    if preview.state == "open":
        if preview.needs_comment and not comment:
            error = FieldError(field="comment", sentence="Type why: this changes production.")
            return _page(preview, request, form.with_errors(error))
        if len(comment) > LONGEST_COMMENT:
            error = FieldError(field="comment", sentence=f"Use at most {LONGEST_COMMENT} characters.")
            return _page(preview, request, form.with_errors(error))
    outcome = desk.save(request.own_session, preview.id, comment, request.browser)
    if not isinstance(outcome, NotSaved):
        return Redirect(path=f"/configuration/preview/{preview.id}")
    return _not_saved(desk, request, outcome)


def _not_saved(desk: ConfigurationDesk, request: PageRequest, outcome: NotSaved) -> Shown:
    preview = _own(desk, request)
    if outcome.why == "over":
        return _page(preview, request, Form(), status=410)
    if outcome.why == "stale":
        sentence = "Somebody else changed carebell.yaml meanwhile. Nothing was written."
        return _page(preview, request, request.form.with_errors(FieldError(field="", sentence=sentence)), status=409)
    sentences = [problem.sentence for problem in outcome.problems] or [outcome.sentence]
    errors = [FieldError(field="", sentence=sentence) for sentence in sentences]
    if outcome.why == "unwritable":
        preview = replace(preview, read_only=outcome.sentence)
    return _page(preview, request, request.form.with_errors(*errors))


def withdraw(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    preview = _own(desk, request)
    desk.withdraw(request.own_session, preview.id)
    return Redirect(path=f"/configuration/preview/{preview.id}")


def again(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    preview = _own(desk, request)
    proposed = desk.propose_again(request.own_session, preview.id)
    if isinstance(proposed, Proposed):
        return proposed.preview
    problems = proposed.problems if isinstance(proposed, NotProposed) else ()
    sentences = [problem.sentence for problem in problems] or [
        "The same lines were changed on both sides. Edit the file as it is now."
    ]
    errors = [FieldError(field="", sentence=sentence) for sentence in sentences]
    return _page(preview, request, Form().with_errors(*errors), status=409)


def patch(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    preview = _wanted(desk, request)
    content = desk.patch(request.own_session, preview.id, request.browser)
    if content is None:
        return _page(preview, request, Form(), status=410)
    return Download(name=f"carebell-{preview.id[:8]}.patch", media_type="text/x-diff", chunks=[content])


def _wanted(desk: ConfigurationDesk, request: PageRequest) -> Preview:
    """The proposal that the address names. Who sees own environments alone sees own proposals alone."""
    preview = desk.preview(request.parameters["proposal"])
    if preview is None:
        raise NotThere
    if request.scope is not None and preview.author != request.person.login:
        raise NotAllowed(Permission.CHANGE_CONFIGURATION)
    return preview


def _own(desk: ConfigurationDesk, request: PageRequest) -> Preview:
    """As `_wanted`, to decide it: somebody who may change everything, or its author."""
    preview = _wanted(desk, request)
    if not request.may(Permission.CHANGE_CONFIGURATION) and preview.author != request.person.login:
        raise NotAllowed(Permission.CHANGE_CONFIGURATION)
    return preview


def _page(preview: Preview, request: PageRequest, form: Form, status: int | None = None) -> Shown:
    is_stale = bool(preview.conflict)
    may_decide = preview.state in ("open", "awaiting") and (
        request.may(Permission.CHANGE_CONFIGURATION) or preview.author == request.person.login
    )
    polls = request.query.get("polls", "0")
    asked = int(polls) if polls.isascii() and polls.isdecimal() and len(polls) < 4 else _POLLS
    return Shown(
        template="configuration/preview.html",
        title=_TITLES[preview.state],
        view={
            "preview": preview,
            "is_stale": is_stale,
            "may_save": may_decide and preview.state == "open" and not is_stale and preview.read_only is None,
            "may_decide": may_decide,
            "may_patch": request.may(Permission.CHANGE_CONFIGURATION),
            "next_poll": asked + 1 if asked < _POLLS else None,
        },
        form=form.filled({"comment": preview.comment}),
        status=status or (422 if form.errors else 200),
    )
