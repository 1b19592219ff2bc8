"""Pages from templates: Jinja2 with escaping always on and no undefined names. What every page has around it is added here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from portal.forms import CSRF_FIELD
from portal.page_request import PageRequest, Shown
from portal.route_table import Page
from portal.static_files import StaticFile

_CODE: Final = re.compile(r"`([^`]+)`")
_STEPS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuItem:
    """One line of the navigation."""

    name: str
    path: str
    here: bool


class Renderer:
    """Makes HTML of what a handler answered.

    Args:
        organization: its name, as it is now.
        zone: whose clock the times are shown at, where a page knows no better.
        static: see `portal.static_files`.
        pages: the route table, for the navigation.
    """

    def __init__(
        self,
        *,
        organization: Callable[[], str],
        zone: Callable[[], ZoneInfo],
        static: Mapping[str, StaticFile],
        pages: Sequence[Page],
    ) -> None:
        self._organization = organization
        self._zone = zone
        self._menu = [page for page in pages if page.menu]
        self._templates = Environment(
            loader=PackageLoader("portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "when": self._when,
            "day": self._day,
            "plain_time": self._plain_time,
            "ago": ago,
            "with_code": with_code,
        }
        self._templates.globals |= {
            "static": {name: file.address for name, file in static.items()},
            "carebell_version": version("carebell"),
            "hidden": hidden,
        }
        self._templates.globals["ui"] = self._templates.get_template("macros.html").module

    def html(self, shown: Shown, page_request: PageRequest, *, part: str | None = None) -> str:
        """The page, or one block of it.

        Args:
            part: the id that htmx wants to swap; a block by this name is the answer, if the template has it.
        """
        template = self._templates.get_template(shown.template)
        values = {**self._around(shown, page_request), **shown.view}
        if part is not None and part in template.blocks:
            return "".join(template.blocks[part](template.new_context(values)))
        return template.render(values)

    def _around(self, shown: Shown, page_request: PageRequest) -> dict[str, object]:
        session = page_request.session
        return {
            "title": shown.title,
            "form": shown.form,
            "request": page_request,
            "person": None if session is None else session.person,
            "csrf": Markup("") if session is None else hidden(CSRF_FIELD, session.csrf),
            "organization": self._organization(),
            "menu": [] if session is None else self._menu_of(page_request),
            "idle_seconds": None
            if session is None
            else int((min(session.idle_ends_at, session.ends_at) - page_request.now).total_seconds()),
            "now": page_request.now,
        }

    def _menu_of(self, page_request: PageRequest) -> list[MenuItem]:
        return [
            MenuItem(name=page.name, path=page.path, here=_is_below(page_request.path, page.path))
            for page in self._menu
            if page.permission is None or page_request.may(page.permission)
        ]

    # Filters

    def _when(self, instant: datetime | None, zone: ZoneInfo | None = None) -> Markup:
        """`<time>` at the clinic's clock, with UTC for machines; "never" for None."""
        if instant is None:
            return Markup("never")
        return _time_tag(instant, self._plain_time(instant, zone))

    def _day(self, instant: datetime, zone: ZoneInfo | None = None) -> Markup:
        return _time_tag(instant, f"{instant.astimezone(zone or self._zone()):%b %-d, %Y}")

    def _plain_time(self, instant: datetime, zone: ZoneInfo | None = None) -> str:
        """`Dec 3, 2026, 14:00:07 PST`."""
        return f"{instant.astimezone(zone or self._zone()):%b %-d, %Y, %H:%M:%S %Z}"


def hidden(name: str, value: str) -> Markup:
    """A hidden field."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(name, value)


def with_code(sentence: str) -> Markup:
    """A sentence of the product as HTML: what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  # it is escaped


def ago(instant: datetime | None, now: datetime) -> Markup:
    """`3 minutes ago`, with the exact time for machines; "never" for None."""
    if instant is None:
        return Markup("never")
    return _time_tag(instant, distance(now - instant))


def distance(time: timedelta) -> str:
    """`3 minutes ago`, `in 2 days`, `now`."""
    seconds = time.total_seconds()
    for size, unit in _STEPS:
        count = int(abs(seconds) // size)
        if count:
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "now"


def _time_tag(instant: datetime, words: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(
        f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", escape(words)
    )


def _is_below(path: str, menu_path: str) -> bool:
    return path == menu_path or (menu_path != "/" and path.startswith(f"{menu_path}/"))
