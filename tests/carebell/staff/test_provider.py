"""Whole sign-ins at a simulated provider, by the desk that the pages ask; the attacks on the protocol are in tests/oauth."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from carebell.staff.provider import _is_fresh
from oauth.id_token import SignedInUser
from portal.pages.sign_in_elsewhere import Arrival, ProviderProblem
from portal.people import SignInRefused
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from tests.carebell.staff.clinic_staff import DESK
from tests.carebell.staff.provider_desk import Provider, provider
from tests.oauth.browser import signed_in
from tests.oauth.conftest import signer

__all__ = ["provider", "signer"]


def test_a_person_comes_back_signed_in(provider: Provider) -> None:
    arrival = provider.arrive(provider.depart())
    assert isinstance(arrival, Arrival)
    person = arrival.signed_in.session.person
    assert (person.login, person.name, person.role, arrival.wanted) == ("dana", "Dana Analyst", "analyst", "/why")
    assert provider.staff.people.session(arrival.signed_in.token) is not None
    again = provider.arrive(provider.depart())
    assert isinstance(again, Arrival)
    assert again.signed_in.session.person.id == person.id


def test_an_answer_counts_once_and_in_its_own_browser(provider: Provider) -> None:
    departure = provider.depart()
    other = provider.depart()
    parameters = signed_in(departure.url)
    crossed = provider.desk.arrive(other.token, parameters, DESK)
    assert isinstance(crossed, ProviderProblem), "another window's"
    assert isinstance(provider.desk.arrive("f" * 64, parameters, DESK), ProviderProblem), "another browser's"
    assert isinstance(provider.desk.arrive(departure.token, parameters, DESK), Arrival)
    replayed = provider.desk.arrive(departure.token, parameters, DESK)
    assert isinstance(replayed, ProviderProblem)
    assert "used already" in replayed.sentence


def test_no_session_is_a_departure(provider: Provider) -> None:
    """The token of somebody who is signed in brings nobody back."""
    kim = provider.staff.add()
    provider.staff.now = datetime.now(UTC)
    departure = provider.depart()
    assert isinstance(provider.arrive(departure, token=kim.token), ProviderProblem)
    assert provider.staff.people.session(kim.token) is not None


def test_what_the_provider_says_wrongly_signs_nobody_in(provider: Provider) -> None:
    provider.simulator.plan(FhirFaultPlan(faults=frozenset({FhirFault.WRONG_NONCE})))
    refused = provider.arrive(provider.depart())
    assert isinstance(refused, ProviderProblem)
    assert "nobody was signed in" in refused.sentence
    assert provider.staff.people.people() == ()


def test_who_has_no_role_there_is_told_so(provider: Provider) -> None:
    oidc = provider.staff.settings.sign_in.oidc
    assert oidc is not None
    other = oidc.model_copy(update={"roles": {"others": "support"}})
    sign_in = provider.staff.settings.sign_in.model_copy(update={"oidc": other})
    provider.staff.settings = provider.staff.settings.model_copy(update={"sign_in": sign_in})
    assert provider.arrive(provider.depart()) == SignInRefused(reason="no_role")


def test_a_provider_that_is_not_there_is_said(provider: Provider) -> None:
    departure, parameters = provider.depart(), [("code", "c"), ("state", "s")]
    provider.simulator.stop()
    assert isinstance(provider.desk.depart("/", DESK, again=False), ProviderProblem)
    assert isinstance(provider.desk.arrive(departure.token, parameters, DESK), ProviderProblem)


def test_where_it_is_switched_off_nobody_leaves_or_arrives(provider: Provider) -> None:
    departure = provider.depart()
    provider.staff.use()
    off = ProviderProblem(sentence="This way of signing in is switched off. Nobody was signed in.")
    assert provider.desk.depart("/", DESK, again=False) == off
    assert provider.desk.arrive(departure.token, [], DESK) == off


def test_a_proof_is_asked_for_in_the_address(provider: Provider) -> None:
    assert "prompt=login&max_age=0" in provider.depart(again=True).url
    assert "prompt" not in provider.depart().url
    arrival = provider.arrive(provider.depart(again=True))
    assert isinstance(arrival, Arrival)
    assert arrival.signed_in.session.is_confirmed(provider.staff.now)


@pytest.mark.parametrize(
    ("claims", "fresh"),
    [
        ({"auth_time": 0}, True),
        ({"auth_time": -299.0}, True),
        ({"auth_time": 59}, True),
        ({"auth_time": -301}, False),
        ({"auth_time": 61}, False),
        ({"auth_time": "0"}, False),
        ({"auth_time": 1e300}, False),
        ({"auth_time": True}, False),
        ({}, False),
    ],
)
def test_only_a_password_of_this_moment_is_a_proof(claims: dict[str, Any], fresh: bool) -> None:
    """The provider says when it was typed, in seconds since 1970; here, from now."""
    now = datetime(2026, 12, 1, 17, tzinfo=UTC)
    stamp = claims.get("auth_time")
    if type(stamp) is int or type(stamp) is float:
        claims = {"auth_time": stamp + now.timestamp()}
    user = SignedInUser(issuer="https://login.lamna.example", subject="s", claims=claims)
    assert _is_fresh(user, now) is fresh
