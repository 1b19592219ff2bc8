"""What is said of the senders' certificates as time goes by: each warning once, whatever the restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap import components
from carebell.maintenance.certificates import CertificateMonitor, registered
from config.load import Loaded
from journal.logs import Journal, setup
from journal.metrics import Metrics
from store import usage
from store.engine import Store
from tests.carebell.pieces import BORN, identity
from tests.story.folder import load, make

DAY = timedelta(days=1)


class Clinic:
    """Production with one certificate of a year; a monitor can be started again and again."""

    def __init__(self, loaded: Loaded, store: Store, journal: Journal, log: Path) -> None:
        self.loaded, self.store, self.metrics = loaded, store, Metrics()
        self._journal, self._log = journal, log
        [entry] = [entry for entry in registered(loaded, BORN) if entry.environment == "production"]
        self.certificate = entry.certificate

    def look(self, at: datetime) -> None:
        """A service that has just started looks once."""
        CertificateMonitor(
            store=self.store, loaded=lambda: self.loaded, journal=self._journal, metrics=self.metrics
        ).look(at)

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]
        return [line for line in lines if line["event"] == event and line["environment"] == "production"]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    path = make(tmp_path / "clinic", {"environments": {"production": {"certificates": ["certs/hospital.cer"]}}})
    (path.parent / "certs" / "hospital.cer").write_bytes(identity().certificate)
    loaded = load(path)
    store = components.open_database(loaded, upgrade=True)
    with setup(now=lambda: BORN, file=tmp_path / "carebell.log") as journal:
        yield Clinic(loaded, store, journal, tmp_path / "carebell.log")
    store.close()


def test_each_warning_before_the_end_is_given_once_whatever_the_restarts(clinic: Clinic) -> None:
    end = clinic.certificate.not_after
    for days in (70, 60, 60, 59, 45, 30, 29, 14, 7, 7, 3, 1, 0.5):
        clinic.look(end - days * DAY)
    assert [line["days_left"] for line in clinic.said("certificate_expiring")] == [60, 30, 14, 7, 1]
    assert clinic.said("certificate_expired") == []
    clinic.look(end + DAY)
    [expired] = clinic.said("certificate_expired")
    assert (expired["days_left"], expired["file"]) == (-1, "hospital.cer")


def test_a_service_that_was_off_catches_up_with_one_line(clinic: Clinic) -> None:
    end = clinic.certificate.not_after
    clinic.look(end - 70 * DAY)
    clinic.look(end - 5 * DAY)
    assert [line["days_left"] for line in clinic.said("certificate_expiring")] == [5]


def test_one_that_signs_nothing_is_said_to_be_unused(clinic: Clinic) -> None:
    clinic.look(BORN)
    clinic.look(BORN + 13 * DAY)
    assert clinic.said("certificate_unused") == []
    clinic.look(BORN + 14 * DAY)
    assert len(clinic.said("certificate_unused")) == 1
    with clinic.store.write() as conn:
        usage.note(conn, "production", clinic.certificate.thumbprint, BORN + 14 * DAY)
    clinic.look(BORN + 20 * DAY)
    assert len(clinic.said("certificate_unused")) == 1


def test_the_metrics_show_what_is_in_use_now_and_no_other(clinic: Clinic) -> None:
    gone = ("production", "gone1234")
    clinic.metrics.certificate_days_left.labels(*gone).set(5)
    clinic.look(BORN)
    labels = {"environment": "production", "thumbprint": clinic.certificate.thumbprint[:8]}
    registry = clinic.metrics.registry
    days = (clinic.certificate.not_after - BORN) // DAY
    assert registry.get_sample_value("carebell_certificate_days_left", labels) == days
    expiry = registry.get_sample_value("carebell_certificate_expiry_timestamp_seconds", labels)
    assert expiry == clinic.certificate.not_after.timestamp()
    assert 'thumbprint="gone1234"' not in clinic.metrics.render().decode()
