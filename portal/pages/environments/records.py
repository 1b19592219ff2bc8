"""Integration records: what the EHR's analysts enter, each value to be copied, and compared with what stands in the EHR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from portal.forms import FieldError, Form
from portal.page_request import Answer, Download, NotThere, PageRequest, Shown
from portal.pages.environments.summary import tabs
from portal.people import Browser, Session
from portal.roles import Permission
from portal.route_table import Page

RecordFormat = Literal["text", "csv", "json"]
FORMATS: Final[dict[RecordFormat, tuple[str, str]]] = {
    "text": ("txt", "text/plain"),
    "csv": ("csv", "text/csv"),
    "json": ("json", "application/json"),
}
"""Format -> (ending of the file's name, media type)."""
LONGEST_PASTE: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """One value to enter. `name`: stable."""

    name: str
    label: str
    value: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRecord:
    """One record. `missing`: why it has no values yet; None: it has."""

    kind: str
    title: str
    check_code: str
    rows: Sequence[RecordRow]
    missing: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSpan:
    """A stretch of characters: `same`, `missing` (in the record alone) or `extra` (in the EHR alone). `names`: of hidden ones."""

    kind: Literal["same", "missing", "extra"]
    text: str
    names: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownComparison:
    """What comparing found."""

    kind: str
    is_same: bool
    sentence: str
    spans: Sequence[ComparedSpan]


class RecordsDesk(Protocol):
    """What this page asks for."""

    def is_known(self, environment: str) -> bool:
        """Whether there is such an environment."""
        ...

    def records(self, environment: str) -> Sequence[ShownRecord] | None:
        """None: what the environment is connected to is not approved."""
        ...

    def download(self, by: Session, environment: str, form: RecordFormat, browser: Browser) -> bytes | None:
        """All records in one file; an entry of the audit log. None as `records`."""
        ...

    def compare(self, environment: str, kind: str, pasted: str) -> ShownComparison | None:
        """None: there is no such record."""
        ...


def pages(desk: RecordsDesk) -> tuple[Page, ...]:
    path, see = "/environments/{environment}/records", Permission.SEE_CONFIGURATION
    return (
        Page(name="Integration records", path=path, permission=see, handler=partial(show, desk)),
        Page(
            name="Download the records",
            path=f"{path}/download",
            method="POST",
            permission=see,
            handler=partial(download, desk),
        ),
        Page(
            name="Compare with the EHR",
            path=f"{path}/compare",
            method="POST",
            permission=see,
            handler=partial(compare, desk),
        ),
    )


def show(desk: RecordsDesk, request: PageRequest) -> Answer:
    return _page(desk, request, Form())


def download(desk: RecordsDesk, request: PageRequest) -> Answer:
    wanted, name = request.form.text("format"), request.parameters["environment"]
    if wanted not in FORMATS:
        raise NotThere
    content = desk.download(request.own_session, name, wanted, request.browser)
    if content is None:
        raise NotThere
    ending, media_type = FORMATS[wanted]
    return Download(name=f"carebell-records-{name}.{ending}", media_type=media_type, chunks=[content])


def compare(desk: RecordsDesk, request: PageRequest) -> Answer:
    form, pasted = request.form, request.form.raw("pasted")
    if len(pasted) > LONGEST_PASTE:
        sentence = f"Paste at most {LONGEST_PASTE:,} characters: one value, or one record."
        return _page(desk, request, form.with_errors(FieldError(field="pasted", sentence=sentence)))
    if not pasted.strip():
        sentence = "Paste what stands in the EHR."
        return _page(desk, request, form.with_errors(FieldError(field="pasted", sentence=sentence)))
    comparison = desk.compare(request.parameters["environment"], form.text("record"), pasted)
    if comparison is None:
        raise NotThere
    return _page(desk, request, form, comparison)


def _page(desk: RecordsDesk, request: PageRequest, form: Form, comparison: ShownComparison | None = None) -> Shown:
    name = request.parameters["environment"]
    if not desk.is_known(name):
        raise NotThere
    records = desk.records(name)
    return Shown(
        template="environments/records.html",
        title=f"Integration records of {name}",
        view={
            "name": name,
            "tabs": tabs(name, request),
            "records": records,
            "kinds": [(record.kind, record.title) for record in records or ()],
            "comparison": comparison,
        },
        form=form,
        status=422 if form.errors else 200,
    )
