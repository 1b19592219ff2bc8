"""What happens around the demonstration that stays: a hospital that books, moves and cancels, carriers, patients who answer,
and the hospital's engine that is told of it.

Everything is invented, and nothing leaves this machine: the texts go to `simulator.twilio_api`, the answers to `simulator.inbound`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from carebell.commands.signer import Sign
from listener.client import MllpClient, SendError
from simulator.account import Account
from simulator.inbound import EngineAct
from simulator.outcomes import SimulatedOutcome
from simulator.patients import fictitious_number
from simulator.twilio_api import TwilioSimulator

FIRST: Final = 30
"""Messages at once, so that no page is empty."""
_PAUSE: Final = (2.0, 8.0)
"""Seconds between two messages."""
_REPLIES_PER_MESSAGE: Final = 0.4
_REPLIES: Final = {"C": 10, "N": 2, "R": 1, "Thank you!": 3, "OK": 2, "STOP": 2, "HELP": 1, "START": 1}
"""What patients write -> how often."""
_REFUSED: Final = 0.1
"""How many of what goes back the EHR refuses, so that the page Sent back has something to send again."""
_UNREACHABLE: Final = SimulatedOutcome(final="undelivered", error_code=30003, final_after=timedelta(seconds=20))
_NO_MOBILE: Final = SimulatedOutcome(final="undelivered", error_code=30006)
_INVALID: Final = SimulatedOutcome(refuse=21211)
_PATIENTS: Final = 2_000
"""Whose telephones are scripted; after so many bookings everybody else has a good one."""


def script_telephones(account: Account) -> None:
    """Of a hundred telephones a few are off, are landlines, or do not exist."""
    for every, outcome in ((13, _UNREACHABLE), (37, _NO_MOBILE), (41, _INVALID)):
        account.script.update({fictitious_number(index): outcome for index in range(every, _PATIENTS, every)})


def engine_script(rng: random.Random) -> Iterator[EngineAct]:
    """What the EHR's engine does with one message after the other, without end."""
    while True:
        yield EngineAct.AE if rng.random() < _REFUSED else EngineAct.AA


@dataclass(slots=True, kw_only=True)
class DemoFeed:
    """Attributes:
    connect: to the service's port. messages: unsigned, without end.
    sleep: waits so many seconds.
    """

    connect: Callable[[], Awaitable[MllpClient]]
    messages: Iterator[bytes]
    sign: Sign
    simulator: TwilioSimulator
    rng: random.Random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Until it is cancelled. A connection that breaks, at a reload of the ports, say, is made again."""
        count = FIRST
        while True:
            try:
                await self._send(count)
                count = 1
            except (SendError, OSError):
                pass
            await self.sleep(self.rng.uniform(*_PAUSE))
            if self.rng.random() < _REPLIES_PER_MESSAGE:
                self._reply()

    async def _send(self, count: int) -> None:
        client = await self.connect()
        try:
            for _ in range(count):
                await client.send(self.sign(next(self.messages)))
        finally:
            await client.close()

    def _reply(self) -> None:
        """One of those who got a text answers it."""
        texts = [text for text in self.simulator.account.messages if text.direction != "inbound"]
        if texts:
            text = self.rng.choice(texts)
            [word] = self.rng.choices(list(_REPLIES), list(_REPLIES.values()))
            self.simulator.receive(text.to, text.sender, word)
