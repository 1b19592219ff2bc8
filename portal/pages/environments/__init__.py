"""The pages about environments, one module a page. `pages` is their part of the route table."""

from __future__ import annotations

from portal.environments import EnvironmentsDesk
from portal.pages.environments import feed, summary
from portal.proposals import Proposer
from portal.route_table import Page


def pages(desk: EnvironmentsDesk, proposer: Proposer) -> tuple[Page, ...]:
    return (*summary.pages(desk), *feed.pages(desk, proposer))
