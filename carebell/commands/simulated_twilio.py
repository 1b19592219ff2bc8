"""`simulator twilio`: Twilio's API on this machine, for rehearsals and load tests. It sends no SMS and bills nothing."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from carebell.bootstrap.components import load
from carebell.commands.output import print_json
from carebell.commands.signals import signalled
from carebell.exits import OK, ConfigurationStop, Stop
from carebell.times import iso
from config.files import gateway_secrets
from config.gateways import AUTH_TOKEN
from config.load import Loaded
from config.problems import ConfigurationError
from notifier.twilio.webhooks import INBOUND_PATH
from parser.phone_number import PhoneNumber
from simulator.account import Account, AccountSettings
from simulator.ledger import Received
from simulator.twilio_api import serve_simulator

_WATCH: Final = 0.1
"""Seconds between two reads of the ledger."""
ACCOUNT: Final = "AC" + "51b0" * 8
"""It has the form that a configuration requires and belongs to nobody."""
_FOR_SERVICES: Final = "+14255550109"
"""The sender of a simulated Messaging Service if the configuration names no number."""


def twilio(config: Path | None, *, host: str, port: int, seed: int | None, count: int | None, as_json: bool) -> int:
    """Serve until a signal, or until `count` create requests arrived."""
    loaded = load(config) if config is not None else None
    settings, deliver_to = account_of(loaded)
    rng = random.Random(seed if seed is not None else secrets.randbits(32))  # noqa: S311 (a rehearsal's, not a secret)

    def ready(url: str, account: Account) -> None:
        numbers = [*settings.numbers, *settings.services]
        if as_json:
            print_json(
                {"url": url, "account_sid": settings.account_sid, "numbers": numbers, "callbacks_to": deliver_to}
            )
            return
        print(f"simulated Twilio at {url}; account {settings.account_sid}; senders {', '.join(numbers)}")
        print("carebell.yaml: gateway.kind: twilio, and under gateway.twilio")
        print(f"  api_base_url: {url}\n  account_sid: {settings.account_sid}")
        print(f"  auth_token_file: {_token_hint(loaded)}")
        print(
            f"ledger: GET {url}/simulator/ledger; faults, scripts, patients' texts: see the docstrings in simulator/",
            flush=True,
        )

    return asyncio.run(_serve_twilio(settings, host, port, rng, deliver_to, ready, _Watcher(count, as_json)))


def account_of(loaded: Loaded | None) -> tuple[AccountSettings, str | None]:
    """The account that a configuration expects, and the real address of its callbacks: the portal on this machine."""
    if loaded is None:
        return AccountSettings(account_sid=ACCOUNT), None
    section, http = loaded.configuration.gateway, loaded.configuration.http
    senders = list(dict.fromkeys(sender.sms.sender for sender in loaded.configuration.environments.values()))
    numbers = tuple(sender for sender in senders if not sender.startswith("MG"))
    services = [sender for sender in senders if sender.startswith("MG")]
    if services and not numbers:
        numbers = (_FOR_SERVICES,)
    public, plain = section.twilio.public_url, AccountSettings()
    tokens = [token.get_secret_value() for token in _tokens(loaded)]
    settings = AccountSettings(
        account_sid=section.twilio.account_sid or ACCOUNT,
        auth_token=tokens[0] if tokens else plain.auth_token,
        numbers=numbers,
        services=dict.fromkeys(services, numbers),
        inbound_url=public.rstrip("/") + INBOUND_PATH if public is not None else "",
        segments_per_second=section.segments_per_second,
    )
    return settings, f"http://{http.host}:{http.port}" if http.enabled and http.port else None


def _tokens(loaded: Loaded) -> Sequence[SecretStr]:
    try:
        return gateway_secrets(loaded, AUTH_TOKEN)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def _token_hint(loaded: Loaded | None) -> str:
    if loaded is not None and _tokens(loaded):
        return "unchanged: the simulator uses its first line"
    return f"a file, mode 0400, with the line {AccountSettings().auth_token}"


@dataclass(slots=True)
class _Watcher:
    """Prints each create request, and ends after `count` of them. None: never."""

    count: int | None
    as_json: bool
    shown_count: int = 0

    async def follow(self, account: Account) -> None:
        while self.count is None or self.shown_count < self.count:
            received = account.ledger.received
            for request in received[self.shown_count :]:
                self._say(request)
            self.shown_count = len(received)
            await asyncio.sleep(_WATCH)

    def _say(self, request: Received) -> None:
        to = PhoneNumber(request.to).masked
        if self.as_json:
            print_json({
                "time": iso(request.time), "to": to, "from": request.sender, "status": request.status, "code": request.code,
                "fault": request.fault, "sid": request.sid,
            })  # fmt: skip
            return
        result = f"refused with {request.code}" if request.code else "taken" if request.sid else "cut off"
        fault = f", {request.fault}" if request.fault else ""
        print(f"{iso(request.time)}  {request.sender} to {to}: {result}{fault}", flush=True)


async def _serve_twilio(
    settings: AccountSettings,
    host: str,
    port: int,
    rng: random.Random,
    deliver_to: str | None,
    ready: Callable[[str, Account], None],
    watcher: _Watcher,
) -> int:
    started_account: asyncio.Future[Account] = asyncio.get_running_loop().create_future()

    def started(url: str, account: Account) -> None:
        ready(url, account)
        started_account.set_result(account)

    serving = asyncio.create_task(
        serve_simulator(settings, host=host, port=port, rng=rng, deliver_to=deliver_to, ready=started)
    )
    try:
        waiting: set[asyncio.Future[Any]] = {serving, started_account}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        with signalled() as signal_received:
            following = asyncio.create_task(watcher.follow(started_account.result()))
            awaited: set[asyncio.Future[Any]] = {following, signal_received}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            following.cancel()
    except BrokenPipeError:  # standard output was closed
        raise
    except OSError as error:
        raise Stop(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return OK
