"""Routes: what each HTTP path and method does to the simulated account; no socket, no clock.

    POST, GET          /2010-04-01/Accounts/{AC}/Messages.json
    GET, POST, DELETE  /2010-04-01/Accounts/{AC}/Messages/{SM}.json
    POST, GET          /2010-04-01/Accounts/{AC}/IncomingPhoneNumbers.json
    GET, POST, DELETE  /2010-04-01/Accounts/{AC}/IncomingPhoneNumbers/{PN}.json
    GET                /2010-04-01/Accounts/{AC}/AvailablePhoneNumbers/{US|CA}/Local.json
    POST               /v1/Services/{MG}/PhoneNumbers            (Twilio has it on messaging.twilio.com)

    GET   /simulator/ledger
    POST  /simulator/script     {"number": "+1...", "outcome": {...}}, without number: for all others
    POST  /simulator/inbound    {"from": "+1...", "to": "+1... or MG...", "body": "STOP"}
    POST  /simulator/faults     a fault plan, see `simulator.faults.read_plan`
    POST  /simulator/callbacks  {"mode": "reordered"}

The control paths ask for no password: the simulator holds nothing real and listens on loopback.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from simulator.account import Account, PendingWebhook
from simulator.faults import ScriptedFault, read_plan
from simulator.messages import VERSION, page_of_messages
from simulator.outcomes import CallbackMode, read_outcome
from simulator.refusals import ApiError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, read whole. `query` is raw, without `?`; header names are lower case."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What to send back, and how the connection is to misbehave. `payload` None: no content."""

    status: int
    payload: object = field(default=None, repr=False)
    fault: ScriptedFault | None = None
    first: tuple[PendingWebhook, ...] = ()


def answer(account: Account, request: Request, now: datetime) -> HttpAnswer:
    """The answer to one request; never raises for what a client sent."""
    try:
        if request.path.startswith("/simulator/"):
            return _control(account, request, now)
        return _api(account, request, now)
    except ApiError as error:
        return HttpAnswer(status=error.status, payload=error.payload())


def _api(account: Account, request: Request, now: datetime) -> HttpAnswer:
    parts = request.path.strip("/").split("/")
    if parts[:2] == ["v1", "Services"]:
        return _service(account, request, parts[2:], now)
    if len(parts) < 4 or parts[:2] != [VERSION, "Accounts"] or not parts[-1].endswith(".json"):
        raise ApiError(20404)
    owner, resource = parts[2], [*parts[3:-1], parts[-1].removesuffix(".json")]
    authentic = _authentic(account, request) and owner == account.settings.account_sid
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if (request.method, resource) == ("POST", ["Messages"]):
        created = account.create(form, now, authentic=authentic)
        if created.message is None:
            refusal = created.refusal or ApiError(20500)  # a reset needs no answer; none of this leaves
            return HttpAnswer(status=refusal.status, payload=refusal.payload(), fault=created.fault)
        shown = created.message.as_json(created.message.steps[0].at)
        return HttpAnswer(status=201, payload=shown, fault=created.fault, first=created.first)
    if not authentic:
        raise ApiError(20003)
    fault = account.faults.next_other()
    if fault is ScriptedFault.RESET_BEFORE:
        return HttpAnswer(status=500, fault=fault)
    if fault in (ScriptedFault.ERROR_500_BEFORE, ScriptedFault.TOO_MANY_REQUESTS, ScriptedFault.UNAVAILABLE):
        code = {ScriptedFault.ERROR_500_BEFORE: 20500, ScriptedFault.TOO_MANY_REQUESTS: 20429}.get(fault, 20503)
        raise ApiError(code)
    status, payload = _resource(account, request.method, resource, form, query, now)
    return HttpAnswer(status=status, payload=payload, fault=fault)


def _service(account: Account, request: Request, resource: list[str], now: datetime) -> HttpAnswer:
    if not _authentic(account, request):
        raise ApiError(20003)
    if request.method != "POST" or len(resource) != 2 or resource[1] != "PhoneNumbers":
        raise ApiError(20404)
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    return HttpAnswer(status=201, payload=account.join_service(resource[0], form.get("PhoneNumberSid", ""), now))


def _authentic(account: Account, request: Request) -> bool:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return False
    expected = f"{account.settings.account_sid}:{account.settings.auth_token}".encode()
    return hmac.compare_digest(given, expected)


def _resource(
    account: Account, method: str, resource: list[str], form: dict[str, str], query: dict[str, str], now: datetime
) -> tuple[int, object]:
    """Everything but the creation of messages."""
    own = account.settings.account_sid
    match method, resource:
        case "GET", ["Messages"]:
            return 200, page_of_messages(account.messages, query, account_sid=own, now=now)
        case "GET", ["Messages", sid]:
            return 200, account.message(sid).as_json(now)
        case "POST", ["Messages", sid]:
            return 200, account.change(sid, form, now).as_json(now)
        case "DELETE", ["Messages", sid]:
            account.delete(sid, now)
            return 204, None
        case "GET", ["IncomingPhoneNumbers"]:
            return 200, account.numbers.page(query)
        case "POST", ["IncomingPhoneNumbers"]:
            return 201, account.buy(form, now)
        case "GET", ["IncomingPhoneNumbers", sid]:
            return 200, account.numbers.get(sid).as_json(own)
        case "POST", ["IncomingPhoneNumbers", sid]:
            return 200, account.numbers.update(sid, form, now).as_json(own)
        case "DELETE", ["IncomingPhoneNumbers", sid]:
            account.release(sid, now)
            return 204, None
        case "GET", ["AvailablePhoneNumbers", country, "Local"]:
            return 200, account.numbers.for_sale(country, query)
        case _, ["Messages"] | ["Messages", _] | ["IncomingPhoneNumbers"] | ["IncomingPhoneNumbers", _]:
            raise ApiError(20004)
        case _:
            raise ApiError(20404)


def _control(account: Account, request: Request, now: datetime) -> HttpAnswer:
    if (request.method, request.path) == ("GET", "/simulator/ledger"):
        return HttpAnswer(status=200, payload=account.ledger.as_json())
    if request.method != "POST":
        raise ApiError(20404)
    try:
        given = json.loads(request.body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("a JSON object was expected")
        return HttpAnswer(status=200, payload=_steer(account, request.path, given, now))
    except (ValueError, TypeError) as error:
        return HttpAnswer(status=400, payload={"error": str(error)})


def _steer(account: Account, path: str, given: dict[str, object], now: datetime) -> dict[str, object]:
    match path:
        case "/simulator/script":
            outcome = given.get("outcome", {})
            if not isinstance(outcome, dict):
                raise ValueError("outcome must be an object")
            if "number" in given:
                account.script[str(given["number"])] = read_outcome(outcome)
            else:
                account.otherwise = read_outcome(outcome)
        case "/simulator/inbound":
            words = [given.get(name) for name in ("from", "to", "body")]
            if not all(isinstance(word, str) for word in words):
                raise ValueError("from, to and body are needed")
            return {"opt_out_type": account.receive(str(words[0]), str(words[1]), str(words[2]), now)}
        case "/simulator/faults":
            account.faults = read_plan(given)
        case "/simulator/callbacks":
            account.mode = CallbackMode(given.get("mode"))
        case _:
            raise ApiError(20404)
    return {"ok": True}
