"""The simulated sign-in server: a page with two test users, one-time codes, PKCE, id tokens; no socket, no clock.

Strict where a real server is: unknown client ids and redirect addresses, missing PKCE and codes used twice are refused. Its fault
plan says which mistakes it makes on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote_plus, urlencode, urlsplit

from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.tokens import TokenSigner, encoded

CODE_LIFETIME: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirUser:
    """A person of the simulated EHR."""

    subject: str
    name: str
    roles: tuple[str, ...] = ()
    resource: str = "Practitioner"


USERS: Final = (
    FhirUser(subject="dana", name="Dana Analyst", roles=("carebell-analyst",)),
    FhirUser(subject="kim", name="Kim Administrator", roles=("carebell-admin",)),
)


PATIENT: Final = FhirUser(subject="pat", name="Pat Example", resource="Patient")
"""Signed in at the simulated EHR's patient portal, and known to launches alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirLaunch:
    """A launch that the simulated EHR began: for whom, and its context."""

    user: FhirUser
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirClientSettings:
    """The application that is registered.

    Attributes:
        client_secret: None: a public client.
        redirect_uris: the registered ones; none: every address of this machine is.
    """

    client_id: str = "carebell"
    client_secret: str | None = field(default=None, repr=False)
    redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """A one-time code and what it stands for."""

    user: FhirUser
    redirect_uri: str
    challenge: str
    nonce: str | None
    audience: str | None
    ends_at: datetime
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAnswer:
    """A page, a JSON document or a redirect."""

    status: int = 200
    document: Mapping[str, Any] | None = None
    html: str | None = None
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class SimulatedSignIn:
    """Its codes, and what it answers. Not for several threads at once."""

    def __init__(
        self,
        client: FhirClientSettings,
        signer: TokenSigner,
        *,
        random_token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self.client = client
        self.signer = signer
        self.plan = FhirFaultPlan()
        self._random_token = random_token
        self._codes: dict[str, IssuedCode] = {}
        self._launches: dict[str, FhirLaunch] = {}

    def launch(self, context: Mapping[str, str], user: str = "dana") -> str:
        """Begin a launch for a user who is signed in; the word for its address. ValueError: no such user."""
        known = {person.subject: person for person in (*USERS, PATIENT)}
        if user not in known:
            raise ValueError(f"unknown user {user!r}; known: {', '.join(sorted(known))}")
        word = self._random_token(16)
        self._launches[word] = FhirLaunch(user=known[user], context=dict(context))
        return word

    def page(self, query: Mapping[str, str], *, base_url: str, issuer: str, now: datetime) -> PageAnswer:
        """The sign-in page, for an acceptable request; a launch needs none, its user is signed in."""
        problem = self._problem(query, base_url)
        if problem is not None:
            return _page("Sign-in refused", f"<p>{escape(problem)}</p>", status=400)
        if "launch" in query:
            return self.decide(query, base_url=base_url, issuer=issuer, now=now)
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in query.items()
        )
        buttons = "".join(
            f'<p><button name="user" value="{user.subject}">Sign in as {escape(user.name)}</button></p>'
            for user in USERS
        )
        refuse = '<p><button name="user" value="">Refuse</button></p>'
        return _page(
            "Simulated EHR",
            f"<p>{escape(query['client_id'])} asks who you are.</p><form method=post>{hidden}{buttons}{refuse}</form>",
        )

    def decide(self, form: Mapping[str, str], *, base_url: str, issuer: str, now: datetime) -> PageAnswer:
        """Back to the application, with a code or an error."""
        problem = self._problem(form, base_url)
        if problem is not None:
            return _page("Sign-in refused", f"<p>{escape(problem)}</p>", status=400)
        launched = self._launches.pop(form["launch"]) if "launch" in form else None  # it counts once
        user = (
            next((user for user in USERS if user.subject == form.get("user")), None)
            if launched is None
            else launched.user
        )
        faults = self.plan.faults
        back: dict[str, str] = {}
        if user is None or FhirFault.ACCESS_DENIED in faults:
            back = {"error": "access_denied", "error_description": "User has no rights to this application"}
        else:
            back["code"] = self._issue(form, user, now, {} if launched is None else launched.context)
        if FhirFault.NO_STATE not in faults:
            back["state"] = "another-state" if FhirFault.WRONG_STATE in faults else form["state"]
        if FhirFault.NO_CALLBACK_ISSUER not in faults:
            back["iss"] = "https://another.example" if FhirFault.WRONG_CALLBACK_ISSUER in faults else issuer
        address = form["redirect_uri"]
        return PageAnswer(status=303, location=f"{address}{'&' if '?' in address else '?'}{urlencode(back)}")

    def token(self, form: Mapping[str, str], authorization: str, *, issuer: str, now: datetime) -> PageAnswer:
        """The token endpoint."""
        faults = self.plan.faults
        if FhirFault.INVALID_CLIENT in faults or not self._is_client(form, authorization):
            return _error("invalid_client", status=401)
        if form.get("grant_type") != "authorization_code":
            return _error("unsupported_grant_type")
        issued = self._codes.pop(form.get("code", ""), None)
        if issued is None or now >= issued.ends_at or form.get("redirect_uri") != issued.redirect_uri:
            return _error("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if encoded(digest) != issued.challenge and FhirFault.IGNORES_PKCE not in faults:
            return _error("invalid_grant")
        document: dict[str, Any] = {
            "access_token": self._random_token(24),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "openid fhirUser",
            **issued.context,
        }
        if FhirFault.NO_ID_TOKEN not in faults:
            document["id_token"] = self.signer.signed(self._claims(issued, issuer, now), faults)
        return PageAnswer(document=document)

    def _problem(self, query: Mapping[str, str], base_url: str) -> str | None:
        if query.get("client_id") != self.client.client_id:
            return "This client id is not registered."
        address, registered = query.get("redirect_uri", ""), self.client.redirect_uris
        if address not in registered and (registered or not _on_this_machine(address)):
            return "This redirect address is not registered."
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            return "response_type must be code, and scope must hold openid."
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge") or not query.get("state"):
            return "A state and a code challenge (S256) are needed."
        if query.get("aud", base_url) != base_url:
            return f"aud must be {base_url}."
        if "launch" in query and ("launch" not in query["scope"].split() or query["launch"] not in self._launches):
            return "This launch is unknown or was used, or scope does not hold launch."
        return None

    def _issue(self, form: Mapping[str, str], user: FhirUser, now: datetime, context: Mapping[str, str]) -> str:
        """A code for this sign-in; with SWAPPED_CODE one that was issued for another."""
        swapped = FhirFault.SWAPPED_CODE in self.plan.faults
        code = self._random_token(16)
        self._codes[code] = IssuedCode(
            user=user,
            redirect_uri=form["redirect_uri"],
            challenge="another-challenge" if swapped else form["code_challenge"],
            nonce="another-nonce" if swapped else form.get("nonce"),
            audience=form.get("aud"),
            ends_at=now + CODE_LIFETIME,
            context=context,
        )
        return code

    def _claims(self, issued: IssuedCode, issuer: str, now: datetime) -> dict[str, Any]:
        faults, moment = self.plan.faults, int(now.timestamp())
        if FhirFault.EXPIRED in faults:
            moment -= 600
        elif FhirFault.FROM_THE_FUTURE in faults:
            moment += 600
        claims: dict[str, Any] = {
            "iss": "https://another.example" if FhirFault.WRONG_ISSUER in faults else issuer,
            "sub": issued.user.subject,
            "aud": "another-application" if FhirFault.WRONG_AUDIENCE in faults else self.client.client_id,
            "iat": moment,
            "exp": moment + 300,
            "auth_time": moment,
            "name": issued.user.name,
            "preferred_username": issued.user.subject,
            "roles": list(issued.user.roles),
            "fhirUser": f"{issued.audience or ''}/{issued.user.resource}/{issued.user.subject}",
        }
        if FhirFault.OTHER_PARTY in faults:
            claims |= {"aud": [self.client.client_id, "another-application"], "azp": "another-application"}
        if issued.nonce is not None:
            claims["nonce"] = "another-nonce" if FhirFault.WRONG_NONCE in faults else issued.nonce
        return claims

    def _is_client(self, form: Mapping[str, str], authorization: str) -> bool:
        expected_id, expected_secret = self.client.client_id, self.client.client_secret
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            except ValueError:
                return False
            return (unquote_plus(client_id), unquote_plus(secret)) == (expected_id, expected_secret)
        return form.get("client_id") == expected_id and form.get("client_secret") == expected_secret


def _on_this_machine(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _error(code: str, status: int = 400) -> PageAnswer:
    return PageAnswer(status=status, document={"error": code, "error_description": "simulated"})


def _page(title: str, body: str, *, status: int = 200) -> PageAnswer:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    return PageAnswer(status=status, html=f"{head}<body><main><h1>{title}</h1>{body}</main></body></html>")
