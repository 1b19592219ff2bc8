"""Every page of the route table with an address of it on a site after the clinic's week. One that is missing fails the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.browser import begun
from tests.browser.site import Site

Address = str | Callable[[Site], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Attributes:
    address: of the page; made from the site where a part of it is not known before.
    login: who looks; None: nobody is signed in.
    status: of the answer.
    full: the address with all that the site has, where `address` shows some of each kind; None: they are the same.
    """

    address: Address
    login: str | None = "kim"
    status: int = 200
    full: str | None = None

    def on(self, site: Site, *, full: bool = False) -> str:
        if full and self.full is not None:
            return self.full
        return self.address if isinstance(self.address, str) else self.address(site)


WALKS: Final[Mapping[str, Walk]] = {
    "/": Walk(address="/"),
    "/audit": Walk(address="/audit"),
    "/configuration": Walk(address="/configuration"),
    "/configuration/edit": Walk(address="/configuration/edit"),
    "/configuration/history": Walk(address="/configuration/history"),
    "/configuration/history/{version}": Walk(address=begun.version),
    "/configuration/preview/{proposal}": Walk(address=begun.proposal),
    "/configuration/preview/{proposal}/texts": Walk(address=begun.proposed_texts),
    "/environments/new/{draft}/{step}": Walk(address=begun.draft_step),
    "/environments/new": Walk(address="/environments/new"),
    "/environments/{environment}/records": Walk(address="/environments/production/records"),
    "/environments/{environment}/approval": Walk(address="/environments/production/approval"),
    "/environments": Walk(address="/environments"),
    "/environments/{environment}": Walk(address="/environments/production"),
    "/environments/{environment}/certificates": Walk(address="/environments/production/certificates"),
    "/environments/{environment}/feed": Walk(address="/environments/production/feed"),
    "/environments/{environment}/sms": Walk(address="/environments/production/sms"),
    "/help": Walk(address="/help"),
    "/holds": Walk(address="/holds"),
    "/logs": Walk(address="/logs?appointment=4707", full="/logs"),  # its text was refused: a warning, with what to do
    "/messages": Walk(address="/messages"),
    "/numbers": Walk(address="/numbers"),
    "/numbers/new": Walk(address="/numbers/new"),
    "/numbers/orders/{order}": Walk(address=begun.number_order),
    "/opt-outs": Walk(address="/opt-outs"),
    "/outbox": Walk(address="/outbox"),
    "/people": Walk(address="/people"),
    "/people/invite": Walk(address="/people/invite"),
    "/people/{person}": Walk(address="/people/id-dana"),
    "/reports/silences": Walk(address="/reports/silences"),
    "/reports/sms": Walk(address="/reports/sms"),
    "/reports/visits": Walk(address="/reports/visits"),
    "/replies": Walk(address="/replies"),
    "/returns": Walk(address="/returns"),
    "/set-up/{token}": Walk(address="/set-up/no-such-link", login=None, status=410),
    "/sign-in": Walk(address="/sign-in", login=None),
    "/sign-in/code": Walk(address="/sign-in/code", login=None),
    "/visits": Walk(address="/visits"),
    "/why": Walk(address="/why"),
    "/you": Walk(address="/you"),
    "/you/second-factor": Walk(address="/you/second-factor"),
}
"""Path of the route table -> how it is walked."""

NO_PAGES: Final[Mapping[str, str]] = {
    "/logs/newer": "lines that the log's page takes in",
    "/configuration/download": "a file",
    "/configuration/preview/{proposal}/in-force": "a part of the preview, which asks for it after saving",
    "/environments/{environment}/approval/state": "a part of the page Approval, which asks for it",
    "/numbers/orders/{order}/state": "a part of a number's order, which asks for it",
    "/visits/waiting": "a part of the page Visits, which asks for it",
    "/sign-in/oidc": "sends the browser to the organisation's provider",
    "/sign-in/oidc/callback": "takes the browser back from there",
    "/approval/callback": "takes the browser back from an EHR",
}
"""Path of the route table -> what it answers instead of a page that somebody opens."""
