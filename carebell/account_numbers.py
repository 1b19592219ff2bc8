"""The organisation's numbers at Twilio, for the command line and the portal: whose they are, what an act does, who did it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, get_args

from config.load import Loaded
from config.problems import ConfigurationError
from notifier.twilio.account import open_twilio
from notifier.twilio.numbers import NumberKind, OwnedNumber, Step, TwilioNumbers
from notifier.twilio.webhooks import INBOUND_PATH
from store import audit
from store.audit import AuditAction, Author
from store.engine import Transaction

KINDS: Final[Mapping[str, NumberKind]] = MappingProxyType({kind: kind for kind in get_args(NumberKind)})
"""Every kind of number that can be searched for, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberInUse:
    """A number of the account. `environments`: those that send from it."""

    owned: OwnedNumber
    environments: tuple[str, ...]


@contextmanager
def opened_account(loaded: Loaded) -> Iterator[TwilioNumbers]:
    """The numbers of the configured account.

    Raises:
        ConfigurationError: there is no account, or its token cannot be read.
    """
    client, http = open_twilio(loaded)
    try:
        yield TwilioNumbers(client)
    finally:
        http.close()


def in_use(numbers: TwilioNumbers, loaded: Loaded) -> tuple[NumberInUse, ...]:
    """The account's numbers, with who sends from them. Raises NumbersError."""
    senders = {name: environment.sms.sender for name, environment in loaded.configuration.environments.items()}
    return tuple(
        NumberInUse(owned=owned, environments=tuple(name for name, sender in senders.items() if sender == owned.number))
        for owned in numbers.list()
    )


def webhook_of(loaded: Loaded) -> str | None:
    """The URL for patients' replies; None: Twilio cannot reach us.

    Raises:
        ConfigurationError: `public_url` is not https.
    """
    url = loaded.configuration.gateway.twilio.public_url
    if url is None:
        return None
    if not url.startswith("https://"):
        raise ConfigurationError([loaded.problem(("gateway", "twilio", "public_url"), "Twilio's webhooks need https")])
    return url.rstrip("/") + INBOUND_PATH


def in_words(step: Step) -> str:
    """What a step does, after "would" or "done:"."""
    match step.action:
        case "buy":
            return f"buy {step.number}: costs money every month from now on"
        case "set_webhook":
            return f"forward patients' replies to {step.number} to {step.target}"
        case "attach_service":
            return f"put {step.number} into the Messaging Service {step.target}"


def audit_action(step: Step) -> AuditAction:
    return AuditAction.NUMBERS_BUY if step.action == "buy" else AuditAction.NUMBERS_LINK


def record(conn: Transaction, author: Author, step: Step, *, after: str | None = None, at: datetime) -> None:
    """An entry of the audit log, last in its transaction (`store.lock_order`). `after`: None: the step's target."""
    audit.append(
        conn, author, audit_action(step), subject=step.number, after=step.target if after is None else after, at=at
    )
