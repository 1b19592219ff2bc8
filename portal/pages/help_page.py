"""Help: whom to ask, and where the documentation is. In the same place on every page."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from portal.page_request import Answer, PageRequest, Shown
from portal.roles import Permission
from portal.route_table import Page


class HelpDesk(Protocol):
    """What this page asks for."""

    def administrators(self) -> list[str]:
        """Names."""
        ...


def pages(desk: HelpDesk) -> tuple[Page, ...]:
    return (Page(name="Help", path="/help", handler=partial(show, desk)),)


def show(desk: HelpDesk, request: PageRequest) -> Answer:
    view = {
        "administrators": desk.administrators(),
        "may_manage_numbers": request.may(Permission.MANAGE_NUMBERS),
    }
    return Shown(template="help.html", title="Help", view=view)
