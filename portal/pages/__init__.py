"""The portal's pages, one module a page or a family of pages. `all_pages` is the route table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from portal.pages import help_page, own_session, people_page, set_up, sign_in, you
from portal.pages.access import AccessDesk
from portal.pages.help_page import HelpDesk
from portal.pages.own_session import OwnSessionDesk
from portal.pages.sign_in import SignInWays
from portal.route_table import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """What the pages ask for: one Protocol for each module. `carebell.staff` implements them."""

    own_session: OwnSessionDesk
    help: HelpDesk
    access: AccessDesk
    sign_in_ways: Callable[[], SignInWays]


def all_pages(desks: Desks) -> tuple[Page, ...]:
    """The route table, in the order of the navigation."""
    return (
        *sign_in.pages(desks.access, desks.sign_in_ways),
        *set_up.pages(desks.access),
        *people_page.pages(desks.access),
        *own_session.pages(desks.own_session),
        *you.pages(desks.access),
        *help_page.pages(desks.help),
    )
