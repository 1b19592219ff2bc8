"""The record of what happened at the simulated Twilio; tests compare the tables of the database with it.

Append-only. Written on the simulator's thread, read from any: a snapshot is a tuple of frozen records. It holds the
numbers and texts of a rehearsal in clear, so it belongs into tests and on a loopback address only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request to create a message, whatever its result.

    Attributes:
        number: 1 for the first create request of this simulator.
        fault: the injected fault's name, or None.
        status: the HTTP status decided (it may never have left, see `fault`); None: cut off before anything was decided.
        code: Twilio's error code of a refusal, or None.
        sid: the message it made, or None.
    """

    number: int
    time: datetime
    to: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    fault: str | None = None
    status: int | None = None
    code: int | None = None
    sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One accepted message: what a patient would have been sent, and what would be billed.

    Attributes:
        sender: the number it left from. service: the Messaging Service it was addressed to, or None.
        request: `Received.number`.
    """

    sid: str
    time: datetime
    to: str = field(repr=False)
    sender: str
    service: str | None
    body: str = field(repr=False)
    segments: int
    params: Mapping[str, str] = field(repr=False)
    request: int

    @property
    def marker(self) -> str | None:
        """`m=` of its status callback's URL: the outbox row's random id."""
        return next(iter(parse_qs(urlsplit(self.params.get("StatusCallback", "")).query).get("m", [])), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One webhook that was posted to us, and the answer it got: an HTTP status, or None where nobody answered."""

    time: datetime
    url: str
    params: Mapping[str, str] = field(repr=False)
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A telephone number bought or released: what would have cost money."""

    time: datetime
    number: str
    released: bool = False


class Ledger:
    """Four append-only lists. Every property is a snapshot, oldest first."""

    def __init__(self) -> None:
        self._received: list[Received] = []
        self._taken: list[Taken] = []
        self._delivered: list[Delivered] = []
        self._purchases: list[Purchase] = []

    @property
    def received(self) -> tuple[Received, ...]:
        return tuple(self._received)

    @property
    def accepted(self) -> tuple[Taken, ...]:
        return tuple(self._taken)

    @property
    def webhooks(self) -> tuple[Delivered, ...]:
        return tuple(self._delivered)

    @property
    def purchases(self) -> tuple[Purchase, ...]:
        return tuple(self._purchases)

    def write(self, record: Received | Taken | Delivered | Purchase) -> None:
        match record:
            case Received():
                self._received.append(record)
            case Taken():
                self._taken.append(record)
            case Delivered():
                self._delivered.append(record)
            case Purchase():
                self._purchases.append(record)

    def as_json(self) -> dict[str, object]:
        """What `GET /simulator/ledger` answers; times are ISO 8601, UTC."""
        return {
            "received": [
                {
                    "number": r.number,
                    "time": r.time.isoformat(),
                    "to": r.to,
                    "from": r.sender,
                    "body": r.body,
                    "params": dict(r.params),
                    "fault": r.fault,
                    "status": r.status,
                    "code": r.code,
                    "sid": r.sid,
                }
                for r in self.received
            ],
            "accepted": [
                {
                    "sid": t.sid,
                    "time": t.time.isoformat(),
                    "to": t.to,
                    "from": t.sender,
                    "service": t.service,
                    "body": t.body,
                    "segments": t.segments,
                    "params": dict(t.params),
                    "request": t.request,
                    "marker": t.marker,
                }
                for t in self.accepted
            ],
            "webhooks": [
                {"time": d.time.isoformat(), "url": d.url, "params": dict(d.params), "status": d.status}
                for d in self.webhooks
            ],
            "purchases": [
                {"time": p.time.isoformat(), "number": p.number, "released": p.released} for p in self.purchases
            ],
        }
