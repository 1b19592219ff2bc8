"""The demo's patient who answers a reminder, and its EHR that is told: both over real sockets of this machine.

The word comes in as Twilio hands a text over: a signed form, posted to the service's webhook. Carebell checks the signature,
understands the word, and tells a simulated interface engine, which answers over MLLP.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from carebell.bootstrap.service import Service
from carebell.commands.simulated_twilio import ACCOUNT, account_of
from carebell.samples import PHONE
from simulator.inbound import InboundEngine
from simulator.webhooks import post_form, sign

_TOKEN_FILE: Final = "keys/demo-twilio.token"  # noqa: S105  # a file's name
_SENDER: Final = "+14255550100"
_PUBLIC: Final = "https://sms.lamna.example"
"""What the signature is about. The form goes to the service's own address, as from a proxy in front of it."""


@dataclass(slots=True)
class DemoReplies:
    """Attributes:
    folder: of the demo's `carebell.yaml`; the token is written there.
    engine: what the EHR is told arrives there.
    """

    folder: Path
    engine: InboundEngine = field(default_factory=InboundEngine)
    _sent: int = 0

    async def start(self) -> Mapping[str, str]:
        """Let the engine listen. The environment variables by which the service hears patients and tells the engine."""
        port = await self.engine.start()
        path = self.folder / _TOKEN_FILE
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        hl7 = f"{{host: 127.0.0.1, port: {port}, sending_facility: LAMNA, receiving_application: EPIC, receiving_facility: LAMNA}}"
        production = "CAREBELL_ENVIRONMENTS__PRODUCTION__"
        return {
            "CAREBELL_GATEWAY__KIND": "twilio",
            "CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID": ACCOUNT,
            "CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN_FILE": _TOKEN_FILE,
            "CAREBELL_GATEWAY__TWILIO__PUBLIC_URL": _PUBLIC,
            f"{production}SMS__REPLIES__ENABLED": "true",
            f"{production}WRITEBACK": f"{{events: {{confirmed: hl7}}, hl7: {hl7}}}",
        }

    async def stop(self) -> None:
        """End the engine, and remove the token."""
        await self.engine.stop()
        (self.folder / _TOKEN_FILE).unlink(missing_ok=True)

    async def write(self, service: Service, word: str) -> int:
        """The patient's text; the webhook's HTTP status."""
        assert service.http is not None
        host, port = service.http
        self._sent += 1
        form = {"From": PHONE, "To": _SENDER, "Body": word, "MessageSid": f"SM{self._sent:032x}", "AccountSid": ACCOUNT}
        account, _ = account_of(service.loaded)
        signature = sign(account.inbound_url, form, account.auth_token)
        return await post_form(account.inbound_url, form, signature, f"http://{host}:{port}")
