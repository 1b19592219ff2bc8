"""The configurations that took effect: a list, what one said, how two differ; and back to one of them."""

from __future__ import annotations

from functools import partial

from portal.configuration import ConfigurationDesk
from portal.forms import FieldError, Form
from portal.page_request import Answer, NotThere, PageRequest, Redirect, Shown
from portal.pages.configuration.seen_whole import require
from portal.proposals import Proposed
from portal.roles import Permission
from portal.route_table import Page

_BETWEEN = "..."


def pages(desk: ConfigurationDesk) -> tuple[Page, ...]:
    path, see = "/configuration/history", Permission.SEE_CONFIGURATION
    return (
        Page(name="History of the configuration", path=path, permission=see, handler=partial(show, desk)),
        Page(name="A version", path=f"{path}/{{version}}", permission=see, handler=partial(version, desk)),
        Page(
            name="Restore a version",
            path=f"{path}/{{version}}/restore",
            method="POST",
            permission=Permission.CHANGE_CONFIGURATION,
            confirm=True,
            handler=partial(restore, desk),
        ),
    )


def show(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    require(request)
    before, after = request.query.get("before", ""), request.query.get("after", "")
    if before.replace("-", "").isalnum() and after.replace("-", "").isalnum():
        return Redirect(path=f"/configuration/history/{before}{_BETWEEN}{after}")
    rows = desk.history()
    choices = [(row.name, f"{row.version}, {row.at:%Y-%m-%d %H:%M} UTC") for row in rows]
    newest = {"after": rows[0].name, "before": rows[0].before or rows[0].name} if rows else {}
    return Shown(
        template="configuration/history.html",
        title="History of the configuration",
        view={"rows": rows, "choices": choices},
        form=Form().filled(newest),
    )


def version(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    require(request)
    name = request.parameters["version"]
    if _BETWEEN in name:
        return _comparison(desk, request)
    return _version(desk, request, Form())


def _version(desk: ConfigurationDesk, request: PageRequest, form: Form) -> Shown:
    text = desk.version(request.parameters["version"])
    if text is None:
        raise NotThere
    return Shown(
        template="configuration/version.html",
        title=f"Version {text.row.version}",
        view={"text": text, "may_restore": request.may(Permission.CHANGE_CONFIGURATION) and not text.is_present},
        form=form,
        status=422 if form.errors else 200,
    )


def _comparison(desk: ConfigurationDesk, request: PageRequest) -> Shown:
    before, _, after = request.parameters["version"].partition(_BETWEEN)
    comparison = desk.compare(before, after)
    if comparison is None:
        raise NotThere
    return Shown(
        template="configuration/compare.html",
        title=f"From {comparison.before.version} to {comparison.after.version}",
        view={"comparison": comparison},
    )


def restore(desk: ConfigurationDesk, request: PageRequest) -> Answer:
    proposed = desk.restore(request.own_session, request.parameters["version"])
    if proposed is None:
        raise NotThere
    if isinstance(proposed, Proposed):
        return proposed.preview
    errors = [FieldError(field="", sentence=problem.sentence) for problem in proposed.problems]
    return _version(desk, request, Form().with_errors(*errors))
