"""The Message resource of the simulated Twilio: one message's record, its JSON, and the list with filters and pages.

Source: Twilio's API 2010-04-01, Message resource (OpenAPI: `api.v2010.account.message`). A message's status is read off its
timeline at the asker's `now`; nothing has to be moved forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlencode

from simulator.outcomes import FINAL, StatusStep
from simulator.refusals import ApiError

VERSION = "2010-04-01"
_DATE_FILTERS = ("DateSent", "DateSent<", "DateSent>")


@dataclass(slots=True, kw_only=True)
class SimulatedSms:
    """One message, outbound or inbound. Only `body` ever changes: redaction empties it."""

    sid: str
    account_sid: str
    to: str = field(repr=False)
    sender: str
    service: str | None
    body: str = field(repr=False)
    segments: int
    steps: tuple[StatusStep, ...]
    direction: str = "outbound-api"

    def step(self, now: datetime) -> StatusStep:
        """Its status at `now`."""
        reached = self.steps[0]
        for step in self.steps:
            if step.at <= now:
                reached = step
        return reached

    def final(self, now: datetime) -> bool:
        return self.step(now).status in FINAL

    def sent_at(self, now: datetime) -> datetime | None:
        """When it left; None before that. Twilio sets it on a failed text too."""
        for step in self.steps:
            if step.status in FINAL | {"sent"} and step.at <= now:
                return step.at
        return None

    def shown_sender(self, now: datetime) -> str | None:
        """The number it leaves from; None while its Messaging Service has not chosen one."""
        return None if self.step(now).status == "accepted" else self.sender

    def as_json(self, now: datetime) -> dict[str, object]:
        step, sent = self.step(now), self.sent_at(now)
        sender = self.shown_sender(now)
        uri = f"/{VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "api_version": VERSION,
            "body": self.body,
            "date_created": _rfc2822(self.steps[0].at),
            "date_sent": None if sent is None else _rfc2822(sent),
            "date_updated": _rfc2822(step.at),
            "direction": self.direction,
            "error_code": step.error_code,
            "error_message": None if step.error_code is None else "The message was not delivered",
            "from": sender,
            "messaging_service_sid": self.service,
            "num_media": "0",
            "num_segments": "0" if sender is None else str(self.segments),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": step.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC))


def page_of_messages(
    messages: Iterable[SimulatedSms], query: Mapping[str, str], *, account_sid: str, now: datetime
) -> dict[str, object]:
    """One page of the list, newest first; `messages` oldest first.

    Filters: To, From, DateSent (that UTC day), DateSent< and DateSent> (inclusive). A message that has not been sent yet has
    no DateSent and matches none of the three. `next_page_uri` carries a token that names the last message shown, so pages
    stay put while new messages come in.
    """
    dates = {name: _read_date(query[name]) for name in _DATE_FILTERS if query.get(name)}
    chosen = [m for m in reversed(list(messages)) if _matches(m, query, dates, now)]
    size = min(_whole(query, "PageSize", 50, least=1), 1000)
    page = _whole(query, "Page", 0, least=0)
    begin = min(page * size, len(chosen))
    if token := query.get("PageToken"):
        begin = next((i + 1 for i, m in enumerate(chosen) if f"PA{m.sid}" == token), len(chosen))
    shown = chosen[begin : begin + size]
    base = f"/{VERSION}/Accounts/{account_sid}/Messages.json"
    filters = {k: v for k, v in query.items() if k not in ("Page", "PageSize", "PageToken")}

    def uri(number: int, **more: str) -> str:
        return f"{base}?{urlencode({**filters, 'PageSize': size, 'Page': number, **more})}"

    more = begin + size < len(chosen)
    return {
        "end": max(begin, begin + len(shown) - 1),
        "first_page_uri": uri(0),
        "messages": [m.as_json(now) for m in shown],
        "next_page_uri": uri(page + 1, PageToken=f"PA{shown[-1].sid}") if more else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": uri(page - 1) if page else None,
        "start": begin,
        "uri": uri(page),
    }


def _matches(
    message: SimulatedSms, query: Mapping[str, str], dates: Mapping[str, tuple[datetime, datetime]], now: datetime
) -> bool:
    if query.get("To") not in (None, "", message.to) or query.get("From") not in (None, "", message.shown_sender(now)):
        return False
    if not dates:
        return True
    sent = message.sent_at(now)
    return sent is not None and (
        ("DateSent" not in dates or sent.astimezone(UTC).date() == dates["DateSent"][0].date())
        and ("DateSent<" not in dates or sent <= dates["DateSent<"][1])
        and ("DateSent>" not in dates or sent >= dates["DateSent>"][0])
    )


def _read_date(text: str) -> tuple[datetime, datetime]:
    """First and last instant that a date or a time means, UTC. ApiError 20001 where it is neither."""
    try:
        if len(text) == 10:
            day = datetime.combine(datetime.fromisoformat(text).date(), time.min, UTC)
            return day, day + timedelta(days=1, microseconds=-1)
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError):
        raise ApiError(20001) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment, moment + timedelta(microseconds=999_999)  # written to the second


def _whole(query: Mapping[str, str], name: str, otherwise: int, *, least: int) -> int:
    text = query.get(name, "")
    if text == "":
        return otherwise
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ApiError(20001)
    return int(text)


def whole_page(key: str, items: Sequence[dict[str, object]], uri: str) -> dict[str, object]:
    """A list that always fits on its first page, in the paging form of API 2010-04-01."""
    return {
        key: list(items),
        "end": max(0, len(items) - 1),
        "first_page_uri": uri,
        "next_page_uri": None,
        "page": 0,
        "page_size": max(50, len(items)),
        "previous_page_uri": None,
        "start": 0,
        "uri": uri,
    }
