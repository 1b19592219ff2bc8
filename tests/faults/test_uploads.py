"""P12: hostile certificates and file names at the portal: judged as `cert show` judges them, and written nowhere else."""

from __future__ import annotations

import pytest

from tests.carebell.staff.uploads import NAMES, ROWS, Clinic, clinic, database, loaded, upload_named, upload_of
from tests.faults.conftest import Tally
from tests.store.conftest import migrated_file

__all__ = ["clinic", "database", "loaded", "migrated_file"]


@pytest.mark.faults("P12")
def test_an_upload_is_judged_as_cert_show_judges_it(clinic: Clinic, tally: Tally) -> None:
    assert tally.fault.rounds == len(ROWS) + len(NAMES)
    for number in tally.rounds():
        if number < len(ROWS):
            upload_of(clinic, ROWS[number])
            tally.seen["judged alike"] += 1
        else:
            upload_named(clinic, NAMES[number - len(ROWS)])
            tally.seen["names not looked at"] += 1
        clinic.forget()
