"""Configuration: the file with its problems beside their lines, and the same as a text to edit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from portal.configuration import ConfigurationDesk, ConfigurationFile, TextConflict
from portal.forms import FieldError, Form
from portal.page_request import Answer, Download, PageRequest, Shown
from portal.pages.configuration.seen_whole import require
from portal.proposals import Proposed, SettingProblem
from portal.roles import Permission
from portal.route_table import Page

MOST_BYTES: Final = 1_500_000
"""The largest file, 256 KiB, twice: as it was shown, and as it was edited; with a form's escapes."""


def pages(desk: ConfigurationDesk) -> tuple[Page, ...]:
    see, change = Permission.SEE_CONFIGURATION, Permission.CHANGE_CONFIGURATION
    path = "/configuration"
    return (
        Page(name="Configuration", path=path, permission=see, menu=True, handler=partial(show, desk)),
        Page(name="Download", path=f"{path}/download", permission=see, handler=partial(download, desk)),
        Page(name="Edit as text", path=f"{path}/edit", permission=change, handler=partial(edit, desk)),
        Page(
            name="Edit as text",
            path=f"{path}/edit",
            method="POST",
            permission=change,
            largest_body=MOST_BYTES,
            handler=partial(propose, desk),
        ),
    )


def show(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    require(request)
    file = desk.file()
    return Shown(
        template="configuration/file.html",
        title="Configuration",
        view={
            "file": file,
            "beside": _by_line(file.problems),
            "noted": _by_line(file.warnings),
            "elsewhere": [problem for problem in file.problems if problem.line is None],
            "noted_elsewhere": [warning for warning in file.warnings if warning.line is None],
            "may_change": request.may(Permission.CHANGE_CONFIGURATION),
        },
    )


def download(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    require(request)
    file = desk.file()
    return Download(name=file.name, media_type="application/yaml", chunks=[file.text.encode()])


def edit(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    file = desk.file()
    form = Form().filled({"text": file.text, "shown": file.text, "base": file.base})
    return _editor(file, form)


def propose(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    form = request.form
    proposed = desk.propose_text(request.own_session, form.raw("text"), shown=form.raw("shown"), base=form.text("base"))
    if isinstance(proposed, Proposed):
        return proposed.preview
    if isinstance(proposed, TextConflict):
        return Shown(
            template="configuration/conflict.html",
            title="Somebody else changed the file",
            view={"lines": proposed.lines},
            form=form,
            status=409,
        )
    errors = [FieldError(field="text", sentence=_sentence(problem)) for problem in proposed.problems]
    return _editor(desk.file(), form.with_errors(*errors), status=409 if proposed.is_stale else 422)


def _editor(file: ConfigurationFile, form: Form, status: int = 200) -> Shown:
    return Shown(
        template="configuration/edit.html",
        title="Edit the configuration as text",
        view={"read_only": file.read_only},
        form=form,
        status=status,
    )


def _by_line(problems: Sequence[SettingProblem]) -> dict[int, list[str]]:
    beside: dict[int, list[str]] = {}
    for problem in problems:
        if problem.line is not None:
            beside.setdefault(problem.line, []).append(problem.sentence)
    return beside


def _sentence(problem: SettingProblem) -> str:
    return f"Line {problem.line}: {problem.sentence}" if problem.line else problem.sentence
