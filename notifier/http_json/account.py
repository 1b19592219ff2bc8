"""Open the HTTP gateway and its webhooks from the configuration."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

from config.files import gateway_secrets
from config.gateways import BEARER_TOKEN, WEBHOOK_SECRET
from config.load import Loaded
from config.problems import ConfigurationError
from notifier.gateway import OnDate, ignore_date
from notifier.http_json.client import JsonClient, tls_context
from notifier.http_json.gateway import HttpJsonGateway
from notifier.http_json.webhooks import EventsWebhook
from notifier.reply_words import read_reply_words


def open_http_gateway(loaded: Loaded, on_date: OnDate = ignore_date) -> HttpJsonGateway:
    """The gateway at `gateway.http.url`.

    Args:
        on_date: gets the Date header of each answer.

    Raises:
        ConfigurationError: it has no address or no token, or the authority's file is not PEM.
    """
    account = loaded.configuration.gateway.http
    tokens = gateway_secrets(loaded, BEARER_TOKEN)
    if account.url is None or not tokens:
        key = "url" if account.url is None else "token_file"
        raise ConfigurationError([loaded.problem(("gateway", "http", key), "needed to talk to the gateway")])
    client = JsonClient(tokens[0].get_secret_value(), account.timeout.total_seconds(), tls_of(loaded), on_date)
    return HttpJsonGateway(client, account.url, account.public_url)


def tls_of(loaded: Loaded) -> ssl.SSLContext:
    """The TLS context that verifies the gateway's certificate.

    Raises:
        ConfigurationError: the authority's file is not PEM.
    """
    path = loaded.configuration.gateway.http.certificate_authority
    try:
        return tls_context(None if path is None else path.read_text(encoding="ascii"))
    except (OSError, ValueError, ssl.SSLError):
        keys = ("gateway", "http", "certificate_authority")
        raise ConfigurationError([loaded.problem(keys, "is not a PEM file of certificates")]) from None


def open_http_webhooks(loaded: Loaded) -> tuple[EventsWebhook, ...]:
    """The gateway's webhooks; none without a secret or a public URL.

    Raises:
        ConfigurationError: the secret or the file of reply words cannot be read.
    """
    secrets = gateway_secrets(loaded, WEBHOOK_SECRET)
    if not secrets or loaded.configuration.gateway.http.public_url is None:
        return ()
    values = tuple(secret.get_secret_value() for secret in secrets)
    words = read_reply_words(loaded.configuration.gateway.reply_words)
    return (EventsWebhook(secrets=values, now=lambda: datetime.now(UTC), words=words),)
