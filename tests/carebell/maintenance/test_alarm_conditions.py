"""What is an alarm: certificates, silent feeds, breakers, holds, unknown texts, late forgetting, disks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap import components
from carebell.maintenance.alarm_conditions import (
    FORGETTING_LATE,
    Condition,
    of_certificates,
    of_host,
    of_service,
    watched_feeds,
)
from carebell.maintenance.certificates import registered
from config.load import Loaded
from scheduler.sms import HoldScope
from simulator.faults import FaultPlan, ScriptedFault
from store import alarms, forgetting, holds, usage
from store.engine import Store, Transaction
from store.holds import Hold
from tests.carebell.pieces import BORN, identity, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import PHONE, unsigned
from tests.story.folder import CLOCK, PRODUCTION, change, load, make, null

MONDAY = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)  # 10:00 in Los Angeles
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    opened = components.open_database(load(folder), upgrade=True)
    yield opened
    opened.close()


@pytest.fixture
def conn(store: Store) -> Iterator[Transaction]:
    """What a test writes is rolled back."""
    with store.write() as conn:
        undone = conn.begin_nested()
        yield conn
        undone.rollback()


def configured(folder: Path, **changes: Any) -> Loaded:
    change(folder, {"alarms": None})
    change(folder, {"alarms": changes.pop("alarms", {}), "environments": {"production": changes}})
    return load(folder)


def named(conditions: Iterator[Condition], alarm: str) -> list[tuple[str, str, str]]:
    return [(found.severity, found.subject, found.problem) for found in conditions if found.alarm == alarm]


# Certificates


def alone(folder: Path, **limits: Any) -> Loaded:
    """Production with its first certificate alone."""
    return configured(folder, alarms=limits, certificates=[f"certs/{Path(PRODUCTION[0]).name}"])


def with_successor(path: Path) -> Loaded:
    """Production with a certificate of this year, and one that is valid for much longer."""
    (path.parent / "certs" / "old.cer").write_bytes(identity().certificate)
    return configured(path, certificates=["certs/old.cer", f"certs/{Path(PRODUCTION[0]).name}"])


def test_a_certificate_without_a_successor_becomes_critical_in_its_last_week(folder: Path, conn: Transaction) -> None:
    loaded = alone(folder)
    [entry] = [entry for entry in registered(loaded, CLOCK) if entry.environment == "production"]
    subject, end = f"production {entry.certificate.thumbprint[:8]}", entry.certificate.not_after

    def at(left: timedelta) -> list[tuple[str, str]]:
        found = named(of_certificates(conn, loaded, end - left), "certificate_expiring")
        return [(severity, about) for severity, about, _ in found if about.startswith("production")]

    assert at(timedelta(days=30)) == []
    assert at(timedelta(days=30, seconds=-1)) == [("warning", subject)]
    assert at(timedelta(days=7, seconds=1)) == [("warning", subject)]
    assert at(timedelta(days=7)) == [("critical", subject)]
    assert at(timedelta(days=-1)) == [("critical", subject)]
    [(_, _, problem), *_] = named(of_certificates(conn, loaded, end + timedelta(days=1)), "certificate_expiring")
    assert problem == f"the certificate {entry.file.name} of production has expired"


def test_an_expired_certificate_beside_its_successor_wakes_nobody(folder: Path, conn: Transaction) -> None:
    loaded = with_successor(folder)
    end = min(entry.certificate.not_after for entry in registered(loaded, BORN))
    for left in (timedelta(days=3), timedelta(days=-3)):
        found = named(of_certificates(conn, loaded, end - left), "certificate_expiring")
        assert [(severity, "old.cer" in problem) for severity, _, problem in found] == [("warning", True)]


def test_the_limit_of_expiry_may_be_changed_and_switched_off(folder: Path, conn: Transaction) -> None:
    end = next(registered(alone(folder), CLOCK)).certificate.not_after
    earlier = end - timedelta(days=40)
    assert not named(of_certificates(conn, load(folder), earlier), "certificate_expiring")
    longer = alone(folder, certificate_expires="60d")
    assert named(of_certificates(conn, longer, earlier), "certificate_expiring")
    null(folder, "alarms", "certificate_expires")
    assert not named(of_certificates(conn, load(folder), end), "certificate_expiring")


def test_a_listed_certificate_that_verifies_nothing_is_unused(folder: Path, conn: Transaction) -> None:
    loaded = alone(folder)
    entry = next(registered(loaded, CLOCK))
    thumbprint = entry.certificate.thumbprint
    usage.active_since(conn, "production", thumbprint, CLOCK)
    for other in registered(loaded, CLOCK):
        usage.active_since(conn, other.environment, other.certificate.thumbprint, CLOCK)

    def at(days: int) -> list[str]:
        found = of_certificates(conn, loaded, CLOCK + timedelta(days=days))
        return [subject for _, subject, _ in named(found, "certificate_unused")]

    assert at(13) == []
    assert at(14) == [f"production {thumbprint[:8]}"]  # and none of the test environment
    usage.note(conn, "production", thumbprint, CLOCK + timedelta(days=10))
    assert at(14) == []
    assert at(24) == [f"production {thumbprint[:8]}"]


# Feeds


def test_a_feed_without_messages_for_longer_than_expected_is_silent(folder: Path, conn: Transaction) -> None:
    loaded = configured(folder, expect_every="2h")
    [subject] = watched_feeds(loaded)
    alarms.watch(conn, subject, MONDAY)

    def at(hours: float) -> list[tuple[str, str, str]]:
        return named(of_service(conn, loaded, MONDAY + timedelta(hours=hours)), "feed_silent")

    assert at(2) == []
    [(severity, environment, problem)] = at(2.1)
    assert (severity, environment) == ("warning", "production")
    assert problem == "no message of production was accepted for 2 hours of the time when messages are expected"


def test_the_night_does_not_count(folder: Path, conn: Transaction) -> None:
    office = {"from": "08:00", "to": "18:00", "days": ["mon", "tue"]}
    loaded = configured(folder, expect_every="2h", expect_during=office)
    [subject] = watched_feeds(loaded)
    evening = MONDAY + timedelta(hours=7)  # 17:00
    alarms.watch(conn, subject, evening)
    next_morning = evening + timedelta(hours=16)  # 09:00
    assert named(of_service(conn, loaded, next_morning), "feed_silent") == []
    assert named(of_service(conn, loaded, next_morning + timedelta(minutes=1)), "feed_silent")


def test_a_feed_that_nobody_expects_is_never_silent(folder: Path, conn: Transaction) -> None:
    change(folder, {"environments": {"production": {"expect_every": None, "expect_during": None}}})
    loaded = load(folder)
    assert watched_feeds(loaded) == []
    assert named(of_service(conn, loaded, MONDAY + timedelta(days=30)), "feed_silent") == []


# Texts


def test_breakers_and_holds_are_alarms(folder: Path, conn: Transaction) -> None:
    loaded = load(folder)
    holds.trip(conn, HoldScope.SENDER, "MG1", code=20003, at=MONDAY, probe_at=MONDAY)
    holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="wrong words", actor="cli:x", since=MONDAY))
    assert named(of_service(conn, loaded, MONDAY), "breaker_open") == [
        ("critical", "sender MG1", "the gateway refuses sender MG1 with code 20003: texts wait")
    ]
    assert named(of_service(conn, loaded, MONDAY), "held") == [("warning", "all", "texts are held (all): wrong words")]


def test_a_missing_approval_is_said_of_its_environment(folder: Path, conn: Transaction) -> None:
    reason = "its approval is missing"
    holds.hold(conn, Hold(scope=HoldScope.APPROVAL, name="test", reason=reason, actor="carebell", since=MONDAY))
    assert named(of_service(conn, load(folder), MONDAY), "held") == [
        ("warning", "approval test", "texts of test wait: its approval is missing")
    ]


def test_texts_that_stay_unknown_are_an_alarm_for_a_day(tmp_path: Path) -> None:
    twilio = PocketTwilio(now=lambda: MONDAY)
    twilio.account.faults = FaultPlan(by_recipient={PHONE: [ScriptedFault.RESET_BEFORE]})
    with pieces(tmp_path / "clinic", at=MONDAY, gateway=twilio, sms={"debounce": "0s"}) as service:
        service.hear(unsigned("S12", "c1", sent=MONDAY, start=MONDAY + timedelta(days=10)))
        service.tick()
        loaded = load(tmp_path / "clinic" / "carebell.yaml")

        def at(span: timedelta) -> list[tuple[str, str, str]]:
            with service.store.read() as conn:
                return named(of_service(conn, loaded, MONDAY + span), "unknown_texts")

        assert at(timedelta(minutes=30)) == []
        problem = "it is not known whether the gateway took 1 text of the last day"
        assert at(timedelta(minutes=31)) == [("warning", "", problem)]
        assert at(timedelta(days=2)) == []


def test_a_number_that_is_not_forgotten_in_time_is_critical(tmp_path: Path) -> None:
    start = MONDAY + timedelta(hours=1)
    with pieces(tmp_path / "clinic", at=MONDAY, gateway=PocketTwilio(now=lambda: MONDAY)) as service:
        service.hear(unsigned("S12", "c1", sent=MONDAY, start=start))
        loaded = load(tmp_path / "clinic" / "carebell.yaml")

        def at(now: datetime) -> list[str]:
            with service.store.read() as conn:
                return [severity for severity, _, _ in named(of_service(conn, loaded, now), "forgetting_late")]

        assert at(start + FORGETTING_LATE - timedelta(seconds=1)) == []
        assert at(start + FORGETTING_LATE) == ["critical"]
        service.step(to=start)
        service.retention.round()
        assert at(start + FORGETTING_LATE) == []


def test_a_visit_whose_cancellation_was_told_just_now_is_not_forgotten_late(tmp_path: Path) -> None:
    clock: list[datetime] = [MONDAY]
    twilio = PocketTwilio(now=lambda: clock[0])
    with pieces(tmp_path / "clinic", at=MONDAY, gateway=twilio) as service:
        loaded, start = load(tmp_path / "clinic" / "carebell.yaml"), MONDAY + timedelta(days=9)

        def minutes_pass() -> None:
            for _ in range(5):
                service.step(timedelta(minutes=1))
                clock[0] = service.now
                service.tick()
                for update in twilio.mail():
                    service.webhooks._status(update)

        service.hear(unsigned("S12", "c1", sent=MONDAY, start=start))
        minutes_pass()
        service.hear(unsigned("S15", "c2", sent=service.now, start=start, status="Cancelled"))
        minutes_pass()
        with service.store.read() as conn:
            assert forgetting.anything_due(conn, service.now), "the next round forgets it"
            assert named(of_service(conn, loaded, service.now), "forgetting_late") == []
            assert named(of_service(conn, loaded, service.now + FORGETTING_LATE), "forgetting_late")


# This machine


def test_a_disk_with_little_space_is_an_alarm_once(folder: Path) -> None:
    loaded = configured(folder, alarms={"disk_free_mb": 1000})

    def at(megabytes: int) -> list[tuple[str, str]]:
        found = of_host(loaded, "n1", lambda _: megabytes * MEGABYTE)
        return [(condition.severity, condition.subject) for condition in found]

    assert at(1000) == []
    assert at(999) == [("warning", str(folder.parent))]  # the database and the log are in one folder
    assert at(249) == [("critical", str(folder.parent))]


def test_a_folder_that_cannot_be_looked_at_is_left_out(folder: Path) -> None:
    def refuse(_: Path) -> int:
        raise PermissionError

    assert list(of_host(load(folder), "n1", refuse)) == []
