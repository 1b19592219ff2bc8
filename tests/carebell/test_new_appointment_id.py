"""A reschedule under a new appointment id through the service: the old time is taken back, a series is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.inbound.process import ProcessingOutcome, ProcessingResult
from tests.carebell.pieces import Pieces, pieces, signed
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT = NOW + timedelta(days=10)


def say(service: Pieces, event: str, filler: str, placer: str, day: int, status: str = "Booked") -> ProcessingResult:
    content = unsigned(
        event,
        f"{event}{filler}{day}",
        sent=service.now,
        start=VISIT + timedelta(days=day),
        reference=filler,
        status=status,
    ).replace(f"SCH|{filler}^EPIC".encode(), f"SCH|{placer}^EPIC".encode())
    result = service.commit(service.validator.validate(signed(content), service.now))
    assert result is not None
    return result


def waiting(service: Pieces) -> set[str]:
    return {row.reference for row in service.rows() if row.state.value == "due" and row.kind.value == "reminder"}


def test_the_old_time_is_taken_back_and_later_messages_find_the_new_visit(tmp_path: Path) -> None:
    with pieces(tmp_path / "clinic", at=NOW, gateway=PocketTwilio(now=lambda: NOW)) as service:
        old = say(service, "S12", "F1", "P", 0)
        service.step(timedelta(minutes=5))
        service.tick()
        result = say(service, "S13", "F2", "P", 2)
        assert (result.appointment, result.replaces, result.shares_id_with) == ("F2", "F1", ())
        assert set(old.appointment_ids) < set(result.appointment_ids)  # its answer waits for what is on its way
        assert waiting(service) == {"F2"}
        service.step(timedelta(minutes=5))
        assert say(service, "S13", "F3", "P", 3).replaces == "F2"  # and again
        assert waiting(service) == {"F3"}
        service.step(timedelta(minutes=5))
        say(service, "S15", "F1", "P", 0, status="Cancelled")  # the old id is cancelled as well: nothing to the new one
        assert waiting(service) == {"F3"}
        service.step(timedelta(minutes=5))
        service.tick()
        sent = [(row.reference, row.kind.value) for row in service.rows() if row.sent_at is not None]
        assert sent == [("F1", "booked"), ("F3", "updated")]


def test_a_number_that_another_visit_has_is_no_obstacle_to_an_edit(tmp_path: Path) -> None:
    with pieces(tmp_path / "clinic", at=NOW, gateway=PocketTwilio(now=lambda: NOW)) as service:
        say(service, "S12", "F1", "P", 0)
        say(service, "S12", "F2", "Q", 1)
        service.step(timedelta(minutes=5))
        assert say(service, "S14", "F2", "P", 1).outcome is ProcessingOutcome.STORED
        assert waiting(service) == {"F1", "F2"}


@pytest.mark.parametrize("visits", [2, 3])
def test_the_visits_of_a_series_are_not_replaced(tmp_path: Path, visits: int) -> None:
    with pieces(tmp_path / "clinic", at=NOW, gateway=PocketTwilio(now=lambda: NOW)) as service:
        for number in range(visits):
            say(service, "S12", f"F{number}", "P", number)
        service.step(timedelta(minutes=5))
        result = say(service, "S13", "NEW", "P", 9)
        assert result.replaces is None
        assert set(result.shares_id_with) == {"F0", "F1"}  # two are enough to see that it is a series
        assert waiting(service) == {"NEW", *(f"F{number}" for number in range(visits))}
