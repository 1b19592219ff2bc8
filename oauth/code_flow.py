"""The authorization code flow with PKCE: build the address to sign in at, check the callback, exchange the code.

    begin ─> browser ─> sign-in server ─> browser ─> callback ─> check_callback ─> exchange ─> id token

Sources: RFC 6749, section 4.1; RFC 7636 (PKCE, S256 alone); RFC 9207 (`iss`); RFC 9700 (best practice); OpenID Connect Core 1.0,
section 3.1; SMART App Launch 2.2.0, "EHR launch". An access token is never kept: an exchange returns the id token and, of an EHR
launch, its context.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote_plus, urlencode

from oauth.discovery import SignInServer
from oauth.faults import SignInCode, SignInFault
from oauth.fetcher import Fetcher
from oauth.provider_errors import provider_fault

LIFETIME: Final = timedelta(minutes=10)
"""From the link to the callback: time for a password, a second factor and a forgotten token."""
_TOKEN_BYTES: Final = 32
_LONGEST_CODE: Final = 4_096
_NO_CONTEXT: Final = frozenset({"access_token", "id_token", "refresh_token", "token_type", "scope"})
_AGAIN: Final = "Start the sign-in again, in one window."

Parameters = Sequence[tuple[str, str]]
"""A callback's query, in its order, decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """How Carebell is registered with a sign-in server.

    Attributes:
        client_secret: None: a public client, which PKCE alone protects.
        redirect_uri: the callback's address, exactly as registered.
    """

    client_id: str
    redirect_uri: str
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """What must be remembered from the link to the callback, in the session and sealed: it holds secrets.

    Attributes:
        issuer: whose callback is awaited.
        ends_at: aware; a later callback is refused.
    """

    issuer: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    ends_at: datetime

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"ends_at": self.ends_at.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> PendingSignIn:
        """ValueError if `to_json` did not write it."""
        try:
            fields = json.loads(text)
            return cls(**(fields | {"ends_at": datetime.fromisoformat(fields["ends_at"])}))
        except (TypeError, KeyError, AttributeError):
            raise ValueError("no pending sign-in") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSignIn:
    """A sign-in that waits for its callback.

    Attributes:
        url: where the browser goes.
        shown: what the request says, without its secrets, for the person who must compare it with a registration.
    """

    url: str = field(repr=False)
    pending: PendingSignIn
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """What a code was exchanged for. The access token is not here.

    Attributes:
        context: the answer's further members that are texts, such as an EHR's launch context (SMART App Launch 2.2.0, "Launch
            context arrives with your access_token").
    """

    id_token: str = field(repr=False)
    context: Mapping[str, str] = field(repr=False)


def begin(
    server: SignInServer,
    client: ClientRegistration,
    *,
    scope: str,
    now: datetime,
    audience: str | None = None,
    launch: str | None = None,
    random_token: Callable[[int], str] = secrets.token_urlsafe,
) -> StartedSignIn:
    """Start a sign-in.

    Args:
        scope: words with blanks between; it must hold `openid`.
        audience: SMART's `aud`, the FHIR base URL.
        launch: the EHR's own word for a launch that it began.
        random_token: (bytes) -> that many random bytes as Base64url.
    """
    pending = PendingSignIn(
        issuer=server.issuer,
        state=random_token(_TOKEN_BYTES),
        nonce=random_token(_TOKEN_BYTES),
        verifier=random_token(_TOKEN_BYTES),
        ends_at=now + LIFETIME,
    )
    shown = [
        ("response_type", "code"),
        ("client_id", client.client_id),
        ("redirect_uri", client.redirect_uri),
        ("scope", scope),
        *([("aud", audience)] if audience is not None else []),
        ("code_challenge_method", "S256"),
    ]
    secret = [
        *([("launch", launch)] if launch is not None else []),
        ("state", pending.state),
        ("nonce", pending.nonce),
        ("code_challenge", challenge_of(pending.verifier)),
    ]
    endpoint = server.authorization_endpoint
    url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode([*shown, *secret])}"
    return StartedSignIn(url=url, pending=pending, shown=(("authorization_endpoint", endpoint), *shown))


def challenge_of(verifier: str) -> str:
    """RFC 7636, S256: Base64url of SHA-256, without padding."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_callback(server: SignInServer, pending: PendingSignIn, parameters: Parameters, *, now: datetime) -> str:
    """The one-time code of a callback that belongs to `pending`.

    The state is checked first: before it, nothing in a callback can be trusted to come from a sign-in that was started here.

    Raises:
        SignInFault: `state`, `expired`, `issuer`, `provider` (the server names an error) or `callback`.
    """
    given = dict(parameters)
    if len(given) != len(parameters):
        raise SignInFault(SignInCode.CALLBACK, f"The sign-in server's answer names something twice. {_AGAIN}")
    state = given.get("state", "")
    if not state or not _equal(state, pending.state):
        raise SignInFault(
            SignInCode.STATE,
            f"This answer belongs to no sign-in that was started in this window, so it was not used. {_AGAIN}",
        )
    if now >= pending.ends_at:
        raise SignInFault(
            SignInCode.EXPIRED, f"The sign-in took longer than {LIFETIME.seconds // 60} minutes. Start it again."
        )
    _check_issuer(server, pending, given.get("iss"))
    if "error" in given:
        raise provider_fault(given["error"], given.get("error_description"))
    code = given.get("code", "")
    if not code or len(code) > _LONGEST_CODE:
        raise SignInFault(SignInCode.CALLBACK, f"The sign-in server's answer has no code. {_AGAIN}")
    return code


def _check_issuer(server: SignInServer, pending: PendingSignIn, named: str | None) -> None:
    """RFC 9207, section 2.4, and that the pending sign-in was this server's."""
    missing = named is None and server.names_issuer
    if pending.issuer != server.issuer or missing or (named is not None and named != server.issuer):
        raise SignInFault(
            SignInCode.ISSUER,
            "The answer comes from another sign-in server than the one that was asked, so its code was given to nobody. "
            f"{_AGAIN} If it happens again, tell whoever runs Carebell.",
        )


def exchange(
    fetcher: Fetcher, server: SignInServer, client: ClientRegistration, pending: PendingSignIn, code: str
) -> Redeemed:
    """The id token for a code, and what was said with it. The access token is dropped here, unused; no refresh token is asked for.

    Raises:
        FetchFault: the server could not be asked.
        SignInFault: `code_refused`, `provider`, `token_answer` or `no_id_token`.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": pending.verifier,
    }
    authorization = None
    if client.client_secret is not None and server.takes_basic:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"  # RFC 6749, section 2.3.1
        authorization = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
    else:
        form["client_id"] = client.client_id
        if client.client_secret is not None:
            form["client_secret"] = client.client_secret
    answer = fetcher.post_form(server.token_endpoint, form, authorization=authorization)
    if answer.status != 200 or "error" in answer.document:
        raise provider_fault(answer.document.get("error"), answer.document.get("error_description"))
    if str(answer.document.get("token_type", "")).lower() != "bearer":
        raise SignInFault(
            SignInCode.TOKEN_ANSWER,
            "The sign-in server's answer to the code is not what the standard says (token_type). Ask whoever runs that server.",
        )
    id_token = answer.document.get("id_token")
    if not isinstance(id_token, str) or not id_token:
        raise SignInFault(
            SignInCode.NO_ID_TOKEN,
            "The server signed you in but does not say who you are: its answer has no id token. The application must be "
            "registered for the scope openid. Ask whoever registered Carebell with that server.",
        )
    context = {
        name: value for name, value in answer.document.items() if isinstance(value, str) and name not in _NO_CONTEXT
    }
    return Redeemed(id_token=id_token, context=context)


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
