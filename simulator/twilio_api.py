"""`carebell simulator twilio`: Twilio's API 2010-04-01 on a local port, well enough for the real client, and its faults.

    account     takes requests' values, keeps messages, numbers, opt-outs    pure, told the time
    routes      HTTP paths onto the account                                  pure
    connection  bytes in and out, resets, half answers                       asyncio
    webhooks    signed callbacks to us                                       asyncio
    here        the three together, in a loop or on a thread of its own

Time comes from `clock`, which may be accelerated or set by hand: webhooks leave when *it* says so, looked at every 10 ms of
real time. Only `slow_seconds` and `hold_seconds` of a fault plan are real, because a client's time-out is.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from simulator.account import Account, AccountSettings
from simulator.connection import converse
from simulator.faults import FaultPlan
from simulator.ledger import Ledger
from simulator.messages import SimulatedSms
from simulator.outcomes import CallbackMode, SimulatedOutcome
from simulator.routes import HttpAnswer, Request, answer
from simulator.webhooks import Postman

TICK = 0.01
"""Real seconds between two looks at the clock."""

T = TypeVar("T")


def utc_now() -> datetime:
    return datetime.now(UTC)


class TwilioSimulator:
    """The simulator in the running loop: `await start()`, then `url`, then `await stop()`."""

    def __init__(
        self,
        settings: AccountSettings | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
        deliver_to: str | None = None,
    ) -> None:
        """`deliver_to`: scheme, host and port that webhooks are really sent to; None: where their URL says."""
        self.account = Account(settings or AccountSettings(), rng=rng or random.Random(), now=clock())
        self._clock = clock
        self._postman = Postman(
            token=self.account.settings.auth_token, ledger=self.account.ledger, clock=clock, deliver_to=deliver_to
        )
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._conversations: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns the base URL. OSError where the port is taken."""
        self._server = await asyncio.start_server(self._welcome, host, port)
        bound = self._server.sockets[0].getsockname()
        self.url = f"http://{bound[0]}:{bound[1]}"
        self._postman.start()
        self._ticker = asyncio.create_task(self._tick())
        return self.url

    async def stop(self) -> None:
        """Stop listening, drop every connection and every webhook still to come."""
        if self._server is None or self._ticker is None:
            return
        self._server.close()
        ending = [self._ticker, *self._conversations]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._postman.stop()

    def receive(self, patient: str, to: str, body: str) -> str | None:
        """A patient texts us; returns OptOutType. `to` is a number or a Messaging Service."""
        return self.account.receive(patient, to, body, self._clock())

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            await converse(
                reader,
                writer,
                self._handle,
                slow_seconds=lambda: self.account.faults.slow_seconds,
                hold_seconds=lambda: self.account.faults.hold_seconds,
            )
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._conversations.discard(task)

    async def _handle(self, request: Request) -> HttpAnswer:
        given = answer(self.account, request, self._clock())
        for webhook in given.first:
            await self._postman.deliver(webhook)
        return given

    async def _tick(self) -> None:
        while True:
            for webhook in self.account.webhooks_due(self._clock()):
                self._postman.hand_in(webhook)
            await asyncio.sleep(TICK)


async def serve_simulator(
    settings: AccountSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: Callable[[], datetime] = utc_now,
    rng: random.Random | None = None,
    deliver_to: str | None = None,
    ready: Callable[[str, Account], None] | None = None,
) -> None:
    """Serve until cancelled. `ready` is called once with the base URL and the account, to script it before the first request."""
    simulator = TwilioSimulator(settings, clock=clock, rng=rng, deliver_to=deliver_to)
    url = await simulator.start(host, port)
    try:
        if ready is not None:
            ready(url, simulator.account)
        await asyncio.get_running_loop().create_future()
    finally:
        await simulator.stop()


class RunningSimulator:
    """A simulator on its own thread, as tests hold it. Everything may be called from any thread."""

    def __init__(self, simulator: TwilioSimulator, loop: asyncio.AbstractEventLoop) -> None:
        self._simulator = simulator
        self._loop = loop
        self.settings = simulator.account.settings

    @property
    def url(self) -> str:
        return self._simulator.url

    @property
    def ledger(self) -> Ledger:
        return self._simulator.account.ledger

    @property
    def messages(self) -> tuple[SimulatedSms, ...]:
        return self._on_loop(lambda: self._simulator.account.messages)

    def script(self, number: str, outcome: SimulatedOutcome) -> None:
        """What happens to texts to this number from now on."""
        self._on_loop(lambda: self._simulator.account.script.update({number: outcome}))

    def faults(self, plan: FaultPlan) -> None:
        self._on_loop(lambda: setattr(self._simulator.account, "faults", plan))

    def callbacks(self, mode: CallbackMode) -> None:
        self._on_loop(lambda: setattr(self._simulator.account, "mode", mode))

    def receive(self, patient: str, to: str, body: str) -> str | None:
        return self._on_loop(lambda: self._simulator.receive(patient, to, body))

    def _on_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=30)


@contextlib.contextmanager
def running_simulator(
    settings: AccountSettings | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
    rng: random.Random | None = None,
    deliver_to: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[RunningSimulator]:
    """A simulator on a thread of its own, port 0 by default; gone when the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="twilio-simulator", daemon=True)
    thread.start()

    async def start() -> TwilioSimulator:
        simulator = TwilioSimulator(settings, clock=clock, rng=rng, deliver_to=deliver_to)
        await simulator.start(host, port)
        return simulator

    try:
        simulator = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=30)
        try:
            yield RunningSimulator(simulator, loop)
        finally:
            asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
