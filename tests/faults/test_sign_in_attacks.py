"""P11: attacks on a sign-in at another server. Nobody is signed in, the sentence says why, and nothing that was sent is kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy import select

from config.load import Loaded
from oauth.fetcher import Fetcher, FetchPolicy
from portal.pages.sign_in_elsewhere import Arrival, Departure, ProviderProblem
from simulator.fhir.faults import FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirSimulator
from store.tables import metadata, sessions
from tests.carebell.staff.clinic_staff import DESK
from tests.carebell.staff.conftest import staff
from tests.carebell.staff.provider_desk import Provider, provider
from tests.faults.conftest import Tally
from tests.oauth.attacks import ATTACKS
from tests.oauth.browser import signed_in
from tests.oauth.conftest import fetcher, fhir, signer

__all__ = ["fetcher", "fhir", "provider", "signer", "staff"]

HARMLESS: Final = {FhirFault.DSTU2, FhirFault.NO_SMART, FhirFault.IGNORES_PKCE, FhirFault.OLD_SCOPES}
"""What a provider is not asked for, and what only it can mend."""
WRONG: Final = sorted(set(FhirFault) - HARMLESS, key=lambda fault: fault.value)


@pytest.mark.faults("P11")
def test_no_attack_on_the_protocol_signs_anybody_in(fetcher: Fetcher, fhir: FhirSimulator, tally: Tally) -> None:
    assert tally.fault.rounds == len(ATTACKS)
    for number in tally.rounds():
        name, attack = list(ATTACKS.items())[number]
        refused = attack.run(fetcher, fhir)
        fhir.plan(FhirFaultPlan())
        assert refused is not None, f"{name}: somebody was signed in"
        assert refused.fault.code is attack.code, name
        assert refused.fault.sentence.endswith("."), name
        said = "".join(traceback.format_exception_only(refused.fault)) + refused.fault.sentence + repr(refused.fault)
        assert refused.secrets, name
        assert [secret for secret in refused.secrets if secret in said] == [], name
        tally.seen["refused"] += 1


@pytest.mark.faults("P11")
def test_a_provider_that_does_wrong_signs_nobody_in(provider: Provider, tally: Tally) -> None:
    """At the portal itself: nobody is added, no session begins, and neither code nor token is in any row."""
    for number, fault in enumerate(WRONG):
        seconds = 0.5 if fault is FhirFault.SLOW else 60
        hurried = Fetcher(FetchPolicy(loopback=True, deadline_seconds=seconds))
        desk = replace(provider.desk, fetcher_of=_always(hurried))
        departure = desk.depart("/why", DESK, again=False)
        assert isinstance(departure, Departure), fault
        provider.simulator.plan(FhirFaultPlan(faults=frozenset({fault})))
        parameters = signed_in(departure.url)
        arrival = desk.arrive(departure.token, parameters, DESK)
        provider.simulator.plan(FhirFaultPlan())
        assert isinstance(arrival, ProviderProblem), fault
        assert arrival.sentence.endswith("."), fault
        assert provider.staff.people.people() == (), fault
        secrets = [departure.token, *(value for name, value in parameters if name in ("code", "state"))]
        assert _kept(provider, secrets) == [], fault
        tally.seen["refused at the portal"] += 1
        tally.progress(number + 1, len(WRONG))


@pytest.mark.faults("P11", proof=True)
def test_a_provider_that_does_right_signs_somebody_in(provider: Provider, tally: Tally) -> None:
    """And then a session is found, so it would be found after an attack."""
    departure = provider.depart()
    assert isinstance(provider.arrive(departure), Arrival)
    assert _kept(provider, []) == ["a session"]
    tally.seen["right, signed in"] += 1


def _always(fetcher: Fetcher) -> Callable[[Loaded], Fetcher]:
    return lambda _loaded: fetcher


def _kept(provider: Provider, secrets: list[str]) -> list[str]:
    """What there is in the database of a sign-in: sessions, and secrets or tokens in the clear."""
    found = []
    with provider.staff.store.read() as conn:
        found += ["a session" for _ in conn.execute(select(sessions))]
        for name, table in metadata.tables.items():
            content = repr(conn.execute(select(table)).all())
            found += [name for secret in (*secrets, "eyJ") if secret in content]
    return found
