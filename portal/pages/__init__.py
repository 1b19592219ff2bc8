"""The portal's pages, one module a page or a family of pages. `all_pages` is the route table."""

from __future__ import annotations

from dataclasses import dataclass

from portal.pages import help_page, own_session
from portal.pages.help_page import HelpDesk
from portal.pages.own_session import OwnSessionDesk
from portal.route_table import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """What the pages ask for: one Protocol for each module. `carebell.staff` implements them."""

    own_session: OwnSessionDesk
    help: HelpDesk


def all_pages(desks: Desks) -> tuple[Page, ...]:
    """The route table, in the order of the navigation."""
    return (
        *own_session.pages(desks.own_session),
        *help_page.pages(desks.help),
    )
