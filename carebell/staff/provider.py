"""Sign-in at the organisation's provider: the protocol is `oauth`'s, what is remembered and who somebody is `elsewhere`'s.

A sign-in that the provider answers out of its own session is no proof that the person sits there now. So it opens a session that
asks before an act that is hard to undo; then the provider must ask for the password again (`prompt=login`, `max_age=0`), and its
token must say that it did a moment ago (`auth_time`): whoever sits there could leave the words out of the address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from carebell.staff.elsewhere import ProviderIdentity, SigningInElsewhere
from carebell.staff.people_context import PeopleContext
from config.files import client_secret
from config.load import Loaded
from config.portal_settings import OidcSignIn
from oauth.code_flow import ClientRegistration, PendingSignIn
from oauth.discovery import discover_openid
from oauth.faults import OAuthFault
from oauth.fetcher import Fetcher
from oauth.id_token import SignedInUser
from oauth.sign_in import complete, start
from portal.pages.sign_in_elsewhere import Arrival, Departure, ProviderProblem
from portal.people import Browser, SignInRefused

_SCOPE: Final = "openid profile email"
_CALLBACK: Final = "/sign-in/oidc/callback"
_FRESH: Final = timedelta(minutes=5)
"""From typing the password at the provider to coming back."""
_CLOCKS: Final = timedelta(minutes=1)
_OFF: Final = ProviderProblem(sentence="This way of signing in is switched off. Nobody was signed in.")
_NOT_STARTED: Final = ProviderProblem(
    sentence="This answer belongs to no sign-in that was started in this browser, or it was used already. Start the sign-in again, "
    "in one window."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSignIn:
    """`portal.pages.sign_in_elsewhere.ProviderDesk`. It blocks for as long as the provider takes: 5 s for each of its answers.

    Attributes:
        loaded: the configuration as it is now.
        public_url: of the portal; the provider sends people back there.
        fetcher_of: the guarded way to the provider of a configuration.
    """

    context: PeopleContext
    loaded: Callable[[], Loaded]
    public_url: str
    fetcher_of: Callable[[Loaded], Fetcher]

    def depart(self, wanted: str, browser: Browser, *, again: bool) -> Departure | ProviderProblem:
        oidc = self.context.settings().sign_in.oidc
        if oidc is None:
            return _OFF
        fetcher = self.fetcher_of(self.loaded())
        try:
            server = discover_openid(fetcher, oidc.issuer)
            begun = start(server, self._client(oidc), scope=_SCOPE, now=self.context.now())
        except OAuthFault as fault:
            return ProviderProblem(sentence=fault.sentence)
        flow = json.dumps({"pending": begun.pending.to_json(), "wanted": wanted})
        token = SigningInElsewhere(self.context).leave(flow, browser)
        fresh = f"&{urlencode({'prompt': 'login', 'max_age': '0'})}" if again else ""
        return Departure(url=f"{begun.url}{fresh}", token=token)

    def arrive(
        self, token: str, parameters: Sequence[tuple[str, str]], browser: Browser
    ) -> Arrival | SignInRefused | ProviderProblem:
        oidc, elsewhere = self.context.settings().sign_in.oidc, SigningInElsewhere(self.context)
        kept = elsewhere.come_back(token)  # taken before anything else: an answer counts once
        if oidc is None:
            return _OFF
        if kept is None:
            return _NOT_STARTED
        flow, fetcher = json.loads(kept), self.fetcher_of(self.loaded())
        try:
            server = discover_openid(fetcher, oidc.issuer)
            pending = PendingSignIn.from_json(flow["pending"])
            user = complete(fetcher, server, self._client(oidc), pending, parameters, now=self.context.now())
        except OAuthFault as fault:
            return ProviderProblem(sentence=fault.sentence)
        confirmed = _is_fresh(user, self.context.now())
        done = elsewhere.sign_in(_identity(user, oidc.role_claim), browser, confirmed=confirmed)
        return done if isinstance(done, SignInRefused) else Arrival(signed_in=done, wanted=flow["wanted"])

    def _client(self, oidc: OidcSignIn) -> ClientRegistration:
        secret = client_secret(self.loaded())
        return ClientRegistration(
            client_id=oidc.client_id,
            redirect_uri=f"{self.public_url}{_CALLBACK}",
            client_secret=None if secret is None else secret.get_secret_value(),
        )


def _identity(user: SignedInUser, role_claim: str) -> ProviderIdentity:
    return ProviderIdentity(
        issuer=user.issuer,
        subject=user.subject,
        login=_text(user, "preferred_username") or _text(user, "email"),
        name=_text(user, "name"),
        roles=_words(user.claims.get(role_claim)),
    )


def _text(user: SignedInUser, claim: str) -> str:
    value = user.claims.get(claim)
    return value if isinstance(value, str) else ""


def _words(value: Any) -> tuple[str, ...]:
    """A claim of one word, or of a list of words."""
    values = value if isinstance(value, list) else [value]
    return tuple(word for word in values if isinstance(word, str))


def _is_fresh(user: SignedInUser, now: datetime) -> bool:
    """Whether the provider says that the person proved who it is a moment ago."""
    stamp = user.claims.get("auth_time")
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or not 0 < stamp < 2**40:
        return False
    age = now - datetime.fromtimestamp(stamp, UTC)
    return -_CLOCKS <= age <= _FRESH
