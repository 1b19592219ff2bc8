"""The feed of an environment: what the EHR is, where its messages arrive and what they must say."""

from __future__ import annotations

from functools import partial

from portal.edit_forms import feed as feed_form
from portal.edit_forms.fields import EMPTY, ConfigurationField, changed, field_errors, key_fields, variables_of
from portal.environments import EnvironmentsDesk, PresentConfiguration
from portal.forms import FieldError, Form
from portal.page_request import Answer, PageRequest, Shown
from portal.pages.environments.summary import tabs, wanted
from portal.proposals import Proposed, Proposer
from portal.roles import Permission
from portal.route_table import Page


def pages(desk: EnvironmentsDesk, proposer: Proposer) -> tuple[Page, ...]:
    path = "/environments/{environment}/feed"
    see, change_feed = Permission.SEE_CONFIGURATION, Permission.CHANGE_FEED
    return (
        Page(name="Feed", path=path, handler=partial(show, desk, proposer), permission=see),
        Page(
            name="Change the feed",
            path=path,
            method="POST",
            handler=partial(change, desk, proposer),
            permission=change_feed,
        ),
    )


def show(desk: EnvironmentsDesk, proposer: Proposer, request: PageRequest) -> Answer:
    return _page(desk, proposer, request, Form())


def change(desk: EnvironmentsDesk, proposer: Proposer, request: PageRequest) -> Answer:
    name, environment, in_force = wanted(desk, request)
    fields = _fields(request, name, in_force)
    values, errors = feed_form.typed(request.form, fields)
    present = feed_form.values_of(environment)
    if values.get(("ehr",), environment.ehr) not in dict(feed_form.ehr_options(environment.ehr)):
        errors.append(FieldError(field="ehr", sentence="EHR: choose one of the list."))
    edits = changed(name, present, values)
    if not errors and not edits:
        errors.append(FieldError(field="", sentence=EMPTY))
    if errors:
        return _page(desk, proposer, request, request.form.with_errors(*errors), status=422)
    proposed = proposer.propose(request.own_session, edits, base=request.form.text("base"))
    if isinstance(proposed, Proposed):
        return proposed.preview
    problems = field_errors(proposed.problems, key_fields(name, feed_form.FIELDS))
    status = 409 if proposed.is_stale else 422
    return _page(desk, proposer, request, request.form.with_errors(*problems), status=status)


def _fields(request: PageRequest, name: str, in_force: PresentConfiguration) -> list[ConfigurationField]:
    """Those that this person may change here."""
    allowed: tuple[ConfigurationField, ...] = ()
    if request.may(Permission.CHANGE_CONFIGURATION):
        allowed = feed_form.FIELDS
    elif request.may(Permission.CHANGE_FEED, name):
        allowed = feed_form.SENDER
    set_elsewhere = variables_of(in_force.variables, name, allowed)
    return [field for field in allowed if field.name not in set_elsewhere]


def _page(desk: EnvironmentsDesk, proposer: Proposer, request: PageRequest, form: Form, status: int = 200) -> Shown:
    name, environment, in_force = wanted(desk, request)
    present = feed_form.shown(feed_form.values_of(environment))
    set_elsewhere = variables_of(in_force.variables, name, feed_form.FIELDS)
    editable = {field.name for field in _fields(request, name, in_force)}
    if form.values:  # an unticked box sends nothing, so what was not sent is not ticked
        present = {key: value for key, value in present.items() if key not in editable}
    return Shown(
        template="environments/feed.html",
        title=f"Feed of {name}",
        status=status,
        form=form.filled(present),
        view={
            "name": name,
            "tabs": tabs(name, request),
            "base": proposer.base(),
            "ehrs": feed_form.ehr_options(environment.ehr),
            "authentications": feed_form.AUTHENTICATIONS,
            "processing_ids": feed_form.PROCESSING_IDS,
            "editable": editable,
            "with_connection": True,
            "variables": set_elsewhere,
        },
    )
