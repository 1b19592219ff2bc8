"""How the portal asks the organisation's own sign-in, and FHIR servers of environments that are still to come."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from carebell.bootstrap.ehr_fetching import Kind, fetcher_for
from config.addresses import is_loopback
from config.load import Loaded
from ehr.fhir_check import FhirCheck, check_fhir, check_offline
from oauth.fetcher import Fetcher, FetchPolicy, simulator_policy


def provider_fetcher(loaded: Loaded) -> Fetcher:
    """It asks the organisation's own sign-in: on the internet, in a listed network, or simulated in rehearsals."""
    oidc = loaded.configuration.portal.sign_in.oidc
    if oidc is None:
        return Fetcher()
    if is_loopback(oidc.issuer) and not loaded.configuration.gateway.is_live:
        return Fetcher(simulator_policy("test"))
    networks = tuple(ip_network(network) for network in oidc.networks)
    return Fetcher(FetchPolicy(networks=networks, networks_setting="portal.sign_in.oidc.networks"))


def fhir_checker(loaded: Callable[[], Loaded]) -> Callable[[str, Kind, dict[str, str]], FhirCheck]:
    """Checks a FHIR base URL that no environment has yet: (base URL, kind, the others' names and base URLs)."""

    def check(base_url: str, kind: Kind, others: dict[str, str]) -> FhirCheck:
        present = loaded()
        offline = [
            environment.approval.check == "offline" for environment in present.configuration.environments.values()
        ]
        if offline and all(offline):
            return check_offline(base_url, kind=kind, others=others)
        return check_fhir(fetcher_for(present, kind), base_url, kind=kind, others=others)

    return check
