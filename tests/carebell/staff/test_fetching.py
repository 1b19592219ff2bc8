"""Whom the portal may ask: the public internet, what the configuration lists, and a simulator where no real text can leave."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap.ehr_fetching import fetcher_for
from carebell.staff.fetching import provider_fetcher
from config.load import Loaded
from oauth.faults import FetchFault
from oauth.fetcher import Fetcher
from tests.story.folder import load, make


@pytest.fixture
def loaded_with(tmp_path: Path) -> Callable[..., Loaded]:
    def write(oidc: dict[str, Any] | None = None) -> Loaded:
        section = {
            "name": "Clinic",
            "issuer": "https://login.example",
            "client_id": "c",
            "client_secret_file": "oidc.secret",
            "roles": {"admins": "administrator"},
        }
        portal = {"enabled": True, "sign_in": {"oidc": section | oidc} if oidc is not None else {}}
        return load(make(tmp_path / "clinic", {"portal": portal}))

    return write


def at_a_live_gateway(loaded: Loaded) -> Loaded:
    gateway = loaded.configuration.gateway.model_copy(update={"kind": "twilio"})
    assert gateway.is_live
    object.__setattr__(loaded, "configuration", loaded.configuration.model_copy(update={"gateway": gateway}))
    return loaded


def test_a_provider_in_the_hospital_is_asked_if_its_network_is_listed(loaded_with: Callable[..., Loaded]) -> None:
    listed = provider_fetcher(loaded_with({"networks": ["10.1.2.0/24"]}))
    assert (listed.policy.networks, listed.policy.loopback) == ((ip_network("10.1.2.0/24"),), False)


def test_the_refusal_names_the_key(loaded_with: Callable[..., Loaded]) -> None:
    policy = provider_fetcher(loaded_with({})).policy
    fetcher = Fetcher(policy, resolver=lambda _host, _seconds: (ip_address("10.1.2.3"),))
    with pytest.raises(FetchFault, match=r"or list its network under `portal.sign_in.oidc.networks`\."):
        fetcher.get("https://login.example/")
    fetcher = Fetcher(policy, resolver=lambda _host, _seconds: (ip_address("169.254.169.254"),))
    with pytest.raises(FetchFault, match=r"Use the server's public address\.$"):
        fetcher.get("https://login.example/")


def test_this_machine_is_asked_in_rehearsals_alone(loaded_with: Callable[..., Loaded]) -> None:
    simulated = {"issuer": "http://127.0.0.1:8090/oauth2"}
    assert provider_fetcher(loaded_with(simulated)).policy.loopback
    assert not provider_fetcher(loaded_with({})).policy.loopback
    assert not provider_fetcher(loaded_with()).policy.loopback
    assert not provider_fetcher(at_a_live_gateway(loaded_with(simulated))).policy.loopback
    assert fetcher_for(loaded_with(), "test").policy.loopback
    assert not fetcher_for(loaded_with(), "production").policy.loopback
    assert not fetcher_for(at_a_live_gateway(loaded_with()), "test").policy.loopback
