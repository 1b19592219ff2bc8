"""A whole sign-in: its start, and from its callback to the person in the only order in which the steps are safe."""

from __future__ import annotations

from datetime import datetime

from oauth.code_flow import (
    ClientRegistration,
    Parameters,
    PendingSignIn,
    StartedSignIn,
    begin,
    check_callback,
    exchange,
)
from oauth.discovery import SignInServer
from oauth.fetcher import Fetcher
from oauth.id_token import SignedInUser, fetch_keys, require_sso, verify_id_token


def start(
    server: SignInServer, client: ClientRegistration, *, scope: str, now: datetime, audience: str | None = None
) -> StartedSignIn:
    """A sign-in to send the browser to; see `code_flow.begin`.

    Raises:
        SsoExtraMissing: its answer could not be verified. Said before somebody gives a password for nothing.
    """
    require_sso()
    return begin(server, client, scope=scope, now=now, audience=audience)


def complete(
    fetcher: Fetcher,
    server: SignInServer,
    client: ClientRegistration,
    pending: PendingSignIn,
    parameters: Parameters,
    *,
    now: datetime,
) -> SignedInUser:
    """Who signed in. It blocks for up to two requests; no token outlives it.

    Args:
        pending: must be forgotten by the caller before this is called, so that a callback counts once.

    Raises:
        OAuthFault: nobody was signed in.
    """
    code = check_callback(server, pending, parameters, now=now)
    token = exchange(fetcher, server, client, pending, code)
    keys = fetch_keys(fetcher, server)
    return verify_id_token(
        token, keys, issuer=server.issuer, client_id=client.client_id, nonce=pending.nonce, now=now
    )  # fmt: skip
