"""P11: attacks on a proof of access to an EHR. Nothing is proved, a sentence says why, and no answer counts twice."""

from __future__ import annotations

import pytest

from simulator.fhir.server import FhirSimulator
from tests.carebell.staff.approval_clinic import FAULTS, Clinic, attempt_with, clinic, fhir
from tests.faults.conftest import Tally
from tests.oauth.conftest import fetcher, signer
from tests.store.conftest import migrated_file

__all__ = ["clinic", "fetcher", "fhir", "migrated_file", "signer"]


@pytest.mark.faults("P11")
def test_an_ehr_that_does_wrong_proves_nothing(clinic: Clinic, fhir: FhirSimulator, tally: Tally) -> None:
    for number, fault in enumerate(FAULTS):
        attempt_with(clinic, fhir, fault)
        tally.seen["refused at the EHR's"] += 1
        tally.progress(number + 1, len(FAULTS))
