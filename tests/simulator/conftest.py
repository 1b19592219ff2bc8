"""A simulator on its own thread with a clock set by hand, the real client, and a receiver of webhooks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from simulator.account import AccountSettings
from simulator.twilio_api import RunningSimulator, running_simulator
from tests.simulator.client import twilio_client

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SENDER, OTHER_SENDER, VOICE = "+14255550100", "+14255550101", "+14255550109"
PATIENT = "+12025550143"
SERVICE = "MG" + "5" * 32
ACCOUNT = "AC" + "1" * 32


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class Mailbox:
    """A receiver of webhooks: (path with query, fields, signature) in order of arrival."""

    url: str = ""
    mail: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def statuses(self) -> list[str]:
        return [fields["MessageStatus"] for _, fields, _ in self.mail]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does; the deadline is only there to end a broken test."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def settings() -> AccountSettings:
    return AccountSettings(
        account_sid=ACCOUNT,
        auth_token="t0ken",
        numbers=(SENDER, OTHER_SENDER),
        voice_only=(VOICE,),
        services={SERVICE: (SENDER,)},
    )


@pytest.fixture
def simulator(clock: HandClock, settings: AccountSettings) -> Iterator[RunningSimulator]:
    with running_simulator(settings, clock=clock, rng=random.Random(1)) as running:
        yield running


@pytest.fixture
def client(simulator: RunningSimulator, settings: AccountSettings) -> Iterator[Any]:
    with twilio_client(simulator.url, settings.account_sid, settings.auth_token) as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = dict(parse_qsl(body, keep_blank_values=True))
            box.mail.append((self.path, fields, self.headers["X-Twilio-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_port}"
    yield box
    server.shutdown()
    thread.join()
    server.server_close()
