"""The desk of the sign-in elsewhere, and a simulated provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.staff.provider import ProviderSignIn
from oauth.fetcher import Fetcher, FetchPolicy
from portal.pages.sign_in_elsewhere import Departure
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.sign_in import FhirClientSettings
from simulator.fhir.tokens import TokenSigner
from tests.carebell.staff.clinic_staff import DESK, ClinicStaff
from tests.oauth.browser import signed_in
from tests.story.folder import load, make


@dataclass
class Provider:
    """The desk, the simulated provider, and who comes in."""

    desk: ProviderSignIn
    simulator: FhirSimulator
    staff: ClinicStaff

    def depart(self, wanted: str = "/why", *, again: bool = False) -> Departure:
        departure = self.desk.depart(wanted, DESK, again=again)
        assert isinstance(departure, Departure)
        return departure

    def arrive(self, departure: Departure, user: str = "dana", token: str | None = None) -> object:
        return self.desk.arrive(token or departure.token, signed_in(departure.url, user), DESK)


@pytest.fixture
def provider(signer: TokenSigner, staff: ClinicStaff, tmp_path: Path) -> Iterator[Provider]:
    client = FhirClientSettings(client_secret="s3cret")
    with running_fhir_simulator(FhirSimulator(client, signer=signer)) as simulator:
        (tmp_path / "clinic").mkdir()
        secret = tmp_path / "clinic" / "oidc.secret"
        secret.write_text("s3cret\n")
        secret.chmod(0o400)
        oidc = {
            "name": "Lamna sign-in",
            "issuer": "https://login.lamna.example",
            "client_id": "carebell",
            "client_secret_file": "oidc.secret",
            "roles": {"carebell-admin": "administrator", "carebell-analyst": "analyst"},
        }
        loaded = load(make(tmp_path / "clinic", {"portal": {"enabled": True, "sign_in": {"oidc": oidc}}}))
        # The configuration takes https alone; the simulator speaks http, on this machine.
        section = loaded.configuration.portal
        assert section.sign_in.oidc is not None
        at_simulator = section.sign_in.oidc.model_copy(update={"issuer": simulator.issuer})
        sign_in = section.sign_in.model_copy(update={"oidc": at_simulator})
        staff.settings = section.model_copy(update={"sign_in": sign_in})
        staff.now = datetime.now(UTC)  # as the simulator's
        fetcher = Fetcher(FetchPolicy(loopback=True))
        desk = ProviderSignIn(
            context=staff.context,
            loaded=lambda: loaded,
            public_url="http://127.0.0.1:8443",
            fetcher_of=lambda _loaded: fetcher,
        )
        yield Provider(desk=desk, simulator=simulator, staff=staff)
