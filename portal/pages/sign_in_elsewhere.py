"""Signing in at the organisation's own provider (OpenID Connect): there by a link, and back by the provider's redirect.

The way there is a link and no form, because browsers apply `form-action` to a form's redirects too. What comes back counts once,
and in the browser that left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from portal.gate import why_refused
from portal.page_request import Answer, Away, PageRequest, Redirect, Shown
from portal.pages.sign_in import wanted_page
from portal.people import Browser, SignedIn, SignInRefused
from portal.route_table import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """To the provider. `token` is for the session's cookie, until the person comes back."""

    url: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Back from the provider. `wanted`: the page that was asked for before."""

    signed_in: SignedIn
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderProblem:
    """Nobody was signed in. `sentence`: what happened, why, and what to do."""

    sentence: str


class ProviderDesk(Protocol):
    """What these pages ask for."""

    def depart(self, wanted: str, browser: Browser, *, again: bool) -> Departure | ProviderProblem:
        """Args: again: the provider must ask for the password again, so that it is a proof."""
        ...

    def arrive(
        self, token: str, parameters: Sequence[tuple[str, str]], browser: Browser
    ) -> Arrival | SignInRefused | ProviderProblem:
        """Args: parameters: of the provider's redirect, in any order, doubled ones too."""
        ...


def pages(desk: ProviderDesk) -> tuple[Page, ...]:
    return (
        Page(name="Sign in elsewhere", path="/sign-in/oidc", signed_in=False, handler=partial(depart, desk)),
        Page(
            name="Back from signing in elsewhere",
            path="/sign-in/oidc/callback",
            signed_in=False,
            handler=partial(arrive, desk),
        ),
    )


def depart(desk: ProviderDesk, request: PageRequest) -> Answer:
    wanted = wanted_page(request.query.get("next", ""))
    outcome = desk.depart(wanted, request.browser, again="again" in request.query)
    if isinstance(outcome, ProviderProblem):
        return _problem(outcome.sentence)
    return Away(url=outcome.url, cookie=outcome.token)


def arrive(desk: ProviderDesk, request: PageRequest) -> Answer:
    parameters = [(name, value) for name, values in request.repeated.items() for value in values]
    outcome = desk.arrive(request.token, parameters, request.browser)
    if isinstance(outcome, ProviderProblem):
        return _problem(outcome.sentence)
    if isinstance(outcome, SignInRefused):
        return _problem(why_refused(outcome, request.now, wrong="You could not be signed in."))
    return Redirect(
        path=wanted_page(outcome.wanted), cookie=outcome.signed_in.token, known_by=outcome.signed_in.known_by
    )


def _problem(sentence: str) -> Shown:
    return Shown(
        template="sign_in_elsewhere.html", title="You were not signed in", view={"sentence": sentence}, status=403
    )
