"""Open a Twilio account's client, gateway and webhooks from the configuration."""

from __future__ import annotations

from typing import Any

from config.files import gateway_secrets
from config.gateways import AUTH_TOKEN
from config.load import Loaded
from config.problems import ConfigurationError
from notifier.gateway import OnDate, Resend, ignore_date
from notifier.reply_words import read_reply_words
from notifier.twilio.credentials import Credentials
from notifier.twilio.gateway import TwilioGateway
from notifier.twilio.http import BoundedHttpClient, make_client
from notifier.twilio.webhooks import SignatureCheck, TwilioWebhook, twilio_webhooks

Client = Any
"""twilio.rest.Client, which has no types."""


def open_twilio(loaded: Loaded, on_date: OnDate = ignore_date) -> tuple[Client, BoundedHttpClient]:
    """Twilio's client for the configured account, and the HTTP client that closes its connections.

    Args:
        on_date: gets the Date header of each answer.

    Raises:
        ConfigurationError: there is no account, or its token cannot be read.
    """
    account = loaded.configuration.gateway.twilio
    tokens = _tokens(loaded)
    for key, missing in (("account_sid", not account.account_sid), ("auth_token_file", not tokens)):
        if missing:
            raise ConfigurationError([loaded.problem(("gateway", "twilio", key), "needed to talk to Twilio")])
    http = BoundedHttpClient(account.api_base_url, account.timeout.total_seconds(), on_date)
    return make_client(Credentials(account_sid=account.account_sid, tokens=tokens), http), http


def open_twilio_gateway(loaded: Loaded, on_date: OnDate = ignore_date) -> TwilioGateway:
    """The gateway over the configured account. Arguments and exceptions as of `open_twilio`."""
    account = loaded.configuration.gateway.twilio
    client, http = open_twilio(loaded, on_date)
    resends = Resend.NEVER if account.on_ambiguous == "never_retry" else Resend.CANCELLATIONS
    return TwilioGateway(client, http, account.public_url, resends)


def open_twilio_webhooks(loaded: Loaded) -> tuple[TwilioWebhook, ...]:
    """The webhooks of the configured account; none without a token or a public URL.

    Raises:
        ConfigurationError: the token or the file of reply words cannot be read.
    """
    public_url, tokens = loaded.configuration.gateway.twilio.public_url, _tokens(loaded)
    if not tokens or public_url is None:
        return ()
    words = read_reply_words(loaded.configuration.gateway.reply_words)
    return twilio_webhooks(SignatureCheck(public_url=public_url, tokens=tokens), words)


def _tokens(loaded: Loaded) -> tuple[str, ...]:
    return tuple(token.get_secret_value() for token in gateway_secrets(loaded, AUTH_TOKEN))
