"""A simulated Twilio in a process of its own, which takes every text and answers late.

`python -m benchmarks.slow_twilio COUNT SECONDS` prints its URL, and after COUNT requests what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from ruamel.yaml import YAML

from simulator.account import AccountSettings
from simulator.faults import FaultPlan, ScriptedFault
from simulator.twilio_api import TwilioSimulator

_SENDER: Final = "+14255550100"
_ROOT: Final = Path(__file__).parents[1]
_PATIENCE: Final = 120.0
"""Seconds without a new request after which no more are expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowResult:
    """Attributes: rate: texts a second, from the first request to the last one's answer. most_at_once: requests under way, at
    most. cpu: cores that the simulator used."""

    rate: float
    most_at_once: int
    cpu: float


class SlowTwilio:
    """The started process; a context."""

    def __init__(self, count: int, seconds: float) -> None:
        self._command = [sys.executable, "-m", "benchmarks.slow_twilio", str(count), str(seconds)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        assert self._process.stdout is not None
        self._url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def configure(self, configuration: Path) -> None:
        """Texts of this configuration go to it."""
        content = YAML().load(configuration)
        settings = AccountSettings()
        token = configuration.with_name("token")
        token.write_text(settings.auth_token)
        token.chmod(0o400)
        content["gateway"] = {
            "kind": "twilio",
            "twilio": {
                "api_base_url": self._url,
                "account_sid": settings.account_sid,
                "auth_token_file": "token",
            },
        }
        YAML().dump(content, configuration)

    def result(self) -> SlowResult:
        """Wait for the last text. SystemExit: it never came."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("benchmark: the texts did not all reach the slow gateway")
        return SlowResult(**json.loads(line))


def most_at_once(times: list[float], seconds: float) -> int:
    """Requests under way together at most, each from its time on for `seconds`; `times` rise."""
    most = first = 0
    for last, moment in enumerate(times):
        while times[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _serve(count: int, seconds: float) -> None:
    simulator = TwilioSimulator(AccountSettings(segments_per_second={_SENDER: 1e6}))
    simulator.account.faults = FaultPlan(rates={ScriptedFault.SLOW: 1.0}, slow_seconds=seconds)
    print(await simulator.start(), flush=True)
    seen, idle_since, worked = 0, time.monotonic(), time.process_time()
    while seen < count:
        await asyncio.sleep(0.1)
        received = len(simulator.account.ledger.received)
        if received != seen:
            if seen == 0:
                worked = time.process_time()
            seen, idle_since = received, time.monotonic()
        elif time.monotonic() - idle_since > _PATIENCE:
            return
    times = sorted(request.time.timestamp() for request in simulator.account.ledger.received)
    elapsed = times[-1] - times[0] + seconds
    worked = time.process_time() - worked
    result = SlowResult(rate=len(times) / elapsed, most_at_once=most_at_once(times, seconds), cpu=worked / elapsed)
    print(json.dumps(asdict(result)), flush=True)
    await asyncio.sleep(_PATIENCE)  # the last answers leave; then it is killed


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
