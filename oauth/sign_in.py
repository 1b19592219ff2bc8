"""A whole sign-in: its start, and from its callback to the person in the only order in which the steps are safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedUser:
    """Who signed in from within an EHR, and what the EHR says it is about (`code_flow.Redeemed`)."""

    user: SignedInUser
    context: Mapping[str, str] = field(repr=False)


def start(
    server: SignInServer,
    client: ClientRegistration,
    *,
    scope: str,
    now: datetime,
    audience: str | None = None,
    launch: str | None = None,
) -> StartedSignIn:
    """A sign-in to send the browser to; see `code_flow.begin`.

    Raises:
        SsoExtraMissing: its answer could not be verified. Said before somebody gives a password for nothing.
    """
    require_sso()
    return begin(server, client, scope=scope, now=now, audience=audience, launch=launch)


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
    return complete_launch(fetcher, server, client, pending, parameters, now=now).user


def complete_launch(
    fetcher: Fetcher,
    server: SignInServer,
    client: ClientRegistration,
    pending: PendingSignIn,
    parameters: Parameters,
    *,
    now: datetime,
) -> LaunchedUser:
    """As `complete`, with what the EHR says of the launch."""
    code = check_callback(server, pending, parameters, now=now)
    redeemed = exchange(fetcher, server, client, pending, code)
    keys = fetch_keys(fetcher, server)
    user = verify_id_token(
        redeemed.id_token, keys, issuer=server.issuer, client_id=client.client_id, nonce=pending.nonce, now=now
    )
    return LaunchedUser(user=user, context=redeemed.context)
