"""Messages: what was received in the last days and what it was answered. No message's content is kept, so none is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from portal.forms import Form
from portal.page_request import Answer, PageRequest, Shown
from portal.roles import Permission
from portal.route_table import Page

PAGE_ROWS: Final = 50
ANSWERS: Final = (("", "All"), ("refused", "Refused"), ("code", "Stored, with a remark"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """One message.

    Attributes:
        environment: "": nothing in it proved which one was meant.
        control_id: MSH-10; "": it had no usable one. event: `S12`, or "".
        appointment: as the hospital knows it, or "".
        code: ours, or "". meaning: the answer's words. advice: what to do, or "".
        peer: from where, where the log says it.
        zone: the clinic's; None: of no environment.
    """

    at: datetime
    environment: str
    control_id: str
    event: str
    appointment: str
    answer: str
    code: str
    meaning: str
    advice: str
    peer: str = ""
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessages:
    """Attributes: after: where the next page begins; "": this is the last one."""

    rows: Sequence[ShownMessage]
    after: str


class MessagesDesk(Protocol):
    """What this page asks for."""

    def environments(self, scope: frozenset[str] | None) -> Sequence[str]: ...

    def refused(self, environments: Sequence[str] | None) -> Sequence[ShownMessage]:
        """The newest messages of which nothing was stored, by this machine's log; None: all, of no environment too."""
        ...

    def why_no_log(self) -> str | None:
        """Why refusals cannot be shown here; None: they can."""
        ...

    def processed(self, environments: Sequence[str], after: str, limit: int, *, with_code: bool) -> ShownMessages:
        """Verified messages of the freshness window, the newest first. `with_code`: only those that were not simply accepted."""
        ...


def pages(desk: MessagesDesk) -> tuple[Page, ...]:
    return (Page(name="Messages", path="/messages", permission=Permission.SEE, menu=True, handler=partial(show, desk)),)


def show(desk: MessagesDesk, request: PageRequest) -> Answer:
    allowed = desk.environments(request.scope)
    chosen, only_refused = request.chosen_environment(allowed)
    answer = request.query.get("answer", "")
    answer = answer if answer in ("refused", "code") else ""
    after = request.query.get("after", "")
    environments = [chosen] if chosen else allowed
    refused = desk.refused(only_refused) if answer != "code" and not after else ()
    processed = ShownMessages(rows=(), after="")
    if answer != "refused":
        processed = desk.processed(environments, after, PAGE_ROWS, with_code=answer == "code")
    asked = [(name, value) for name, value in (("environment", chosen), ("answer", answer)) if value]
    return Shown(
        template="messages.html",
        title="Messages",
        view={
            "refused": refused,
            "shows_refused": answer != "code" and not after,
            "why_no_log": desk.why_no_log(),
            "processed": processed,
            "shows_processed": answer != "refused",
            "options": [("", "All"), *((name, name) for name in allowed)],
            "answers": ANSWERS,
            "more": f"/messages?{urlencode([*asked, ('after', processed.after)])}" if processed.after else "",
            "first_page": f"/messages?{urlencode(asked)}" if after else "",
        },
        form=Form().filled({"environment": chosen, "answer": answer}),
    )
