"""One pair of keys for all simulated servers of these tests: making one takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oauth.fetcher import Fetcher, FetchPolicy
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from simulator.fhir.tokens import TokenSigner


@pytest.fixture(scope="session")
def signer() -> TokenSigner:
    return TokenSigner()


@pytest.fixture
def fhir(signer: TokenSigner) -> Iterator[FhirSimulator]:
    with running_fhir_simulator(FhirSimulator(signer=signer)) as simulator:
        yield simulator


@pytest.fixture
def fetcher() -> Fetcher:
    """With time for a loaded machine."""
    return Fetcher(FetchPolicy(loopback=True, deadline_seconds=60))
