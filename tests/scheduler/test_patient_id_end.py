"""scheduler/patient_id_end.py: 24 hours after the visit's end, or after its cancellation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.appointment import AppointmentStatus
from scheduler.patient_id_end import patient_id_end
from tests.store.samples import NOW, appointment

HOUR = timedelta(hours=1)
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("changes", "after_now"),
    [
        ({"duration": 2 * HOUR}, 2 * DAY + 2 * HOUR + DAY),
        ({"duration": None}, 2 * DAY + HOUR + DAY),
        ({"status": AppointmentStatus.ENDED}, 2 * DAY + HOUR + DAY),
        ({"status": AppointmentStatus.NOT_BOOKED}, 2 * DAY + HOUR + DAY),
        ({"status": AppointmentStatus.CANCELED}, DAY),
        ({"status": AppointmentStatus.CANCELED, "start": NOW - 2 * HOUR}, DAY - HOUR),
        ({"date_only": True, "start": NOW - 4 * HOUR, "zone": "America/Los_Angeles"}, DAY + 20 * HOUR),
        ({"status": AppointmentStatus.DELETED}, None),
        ({"start": None}, None),
    ],
)
def test_when_it_must_be_gone(changes: dict[str, Any], after_now: timedelta | None) -> None:
    expected = None if after_now is None else NOW + after_now
    assert patient_id_end(appointment(**changes), NOW) == expected
