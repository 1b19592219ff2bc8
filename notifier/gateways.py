"""The list of all gateways. A new gateway needs its own package and a line in each table of this file.

A gateway's client is imported when the gateway is opened; `check-config` and most commands need none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, TextIO

from config.load import Loaded
from config.problems import ConfigurationError, Problem
from notifier.console import ConsoleGateway
from notifier.failures import Failure, unmapped
from notifier.file_gateway import FileGateway
from notifier.gateway import Gateway, OnDate, ignore_date
from notifier.http_json import codes as http_codes
from notifier.reply_words import read_reply_words
from notifier.twilio import codes as twilio_codes
from notifier.webhook import Webhook

CODE_TABLES: Final[Mapping[str, Mapping[int, Failure]]] = MappingProxyType(
    {"twilio": twilio_codes.FAILURES, "http": http_codes.FAILURES}
)
"""Kind of gateway -> its failures by code. No two share a code."""

_FAILURES: Final = {code: failure for table in CODE_TABLES.values() for code, failure in table.items()}
SAMPLE_CODE: Final = 30003
"""A delivery that failed, for previews."""


def open_gateway(loaded: Loaded, now: Callable[[], datetime], stream: TextIO, on_date: OnDate = ignore_date) -> Gateway:
    """The gateway that the configuration names.

    Args:
        now: the service's clock, for what the file gateway writes.
        stream: where the console gateway prints.
        on_date: gets the Date header of each answer of a gateway that answers over HTTP.

    Raises:
        ConfigurationError: a setting is missing, or a file that it needs cannot be used.
    """
    section = loaded.configuration.gateway
    match section.kind:
        case "console":
            return ConsoleGateway(stream)
        case "file":
            return FileGateway(section.file, now)
        case "twilio":
            from notifier.twilio.account import open_twilio_gateway

            return open_twilio_gateway(loaded, on_date)
        case "http":
            from notifier.http_json.account import open_http_gateway

            return open_http_gateway(loaded, on_date)


def open_webhooks(loaded: Loaded) -> tuple[Webhook, ...]:
    """The webhooks of the configured gateway; none if it has none, or if there is no public URL.

    Raises:
        ConfigurationError: a file that they need cannot be used.
    """
    match loaded.configuration.gateway.kind:
        case "twilio":
            from notifier.twilio.account import open_twilio_webhooks

            return open_twilio_webhooks(loaded)
        case "http":
            from notifier.http_json.account import open_http_webhooks

            return open_http_webhooks(loaded)
        case _:
            return ()


def check_gateway(loaded: Loaded) -> list[Problem]:
    """Problems that only reading a gateway's files shows. `config.files.check_files` has checked that they exist."""
    problems: list[Problem] = []
    section = loaded.configuration.gateway
    if section.reply_words is not None:
        problems += _problems_of(lambda: read_reply_words(section.reply_words))
    if section.kind == "http":
        from notifier.http_json.account import tls_of

        problems += _problems_of(lambda: tls_of(loaded))
    return problems


def _problems_of(read: Callable[[], object]) -> tuple[Problem, ...]:
    try:
        read()
    except ConfigurationError as error:
        return tuple(error.problems)
    return ()


def failure_of(code: int) -> Failure:
    """The failure of a stored code of any gateway; an unmapped failure if no table has it."""
    return _FAILURES.get(code) or unmapped(code)
