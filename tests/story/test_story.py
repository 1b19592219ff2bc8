"""One patient's appointment over a real socket: booked, reminded, moved, cancelled, forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from parser.phone_number import PhoneNumber
from store.phone_scan import scan_files
from tests.story.clinic import opened
from tests.story.ehr import PHONE, signed, unsigned
from tests.story.folder import CLOCK, make, texts

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)  # 14:00 in Los Angeles, 18 days ahead
PATIENT = "+12025550188"  # stands in no configuration
MOVED = datetime(2026, 3, 24, 17, 30, tzinfo=UTC)  # 10:30


async def test_from_booking_to_forgetting(tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        clinic.clock.move_to(CLOCK + timedelta(hours=2))  # 09:04 in Los Angeles: out of quiet hours
        [refused] = await clinic.send(unsigned("S12", "1", sent=clinic.clock.now(), start=VISIT))
        assert (refused.code, refused.control_id, refused.failure) == ("AR", "1", "SIG01")
        [booked] = await clinic.send(signed("S12", "2", sent=clinic.clock.now(), start=VISIT))
        assert (booked.code, booked.control_id, booked.failure) == ("AA", "2", "-")
        left = await clinic.pass_by(timedelta(minutes=2))
        assert [text["kind"] for text in left] == ["booked"]
        assert left[0].items() >= {
            "time": "2026-03-02T17:06:00Z", "environment": "production", "appointment": "900100", "to": PHONE,
            "from": "+14255550100", "segments": 1,
        }.items()  # fmt: skip
        assert "Fri, Mar 20 at 2:00 PM" in left[0]["body"]
        left = await clinic.pass_to(datetime(2026, 3, 14, tzinfo=UTC))
        assert [(text["kind"], text["time"]) for text in left] == [("reminder", "2026-03-13T17:00:00Z")]
        [moved] = await clinic.send(signed("S13", "3", sent=clinic.clock.now(), start=MOVED))
        assert moved.code == "AA"
        left = await clinic.pass_to(datetime(2026, 3, 18, tzinfo=UTC))
        assert [(text["kind"], text["time"]) for text in left] == [
            ("updated", "2026-03-14T00:01:00Z"),
            ("reminder", "2026-03-17T17:00:00Z"),
        ]
        assert all("Tue, Mar 24 at 10:30 AM" in text["body"] for text in left)
        [canceled] = await clinic.send(
            signed("S15", "4", sent=clinic.clock.now(), start=MOVED, status="Cancelled"),
        )
        assert canceled.code == "AA"
        left = await clinic.pass_by(timedelta(days=1))
        assert [text["kind"] for text in left] == ["canceled"]
        assert clinic.outbox("900100") == [
            ("booked", "scheduled", "delivered", "booked"),
            ("reminder", "7d@10:00", "delivered", "reminder"),
            ("updated", "updated", "delivered", "updated"),
            ("reminder", "7d@10:00", "delivered", "reminder"),
            ("canceled", "canceled", "delivered", "canceled"),
            ("reminder", "24h", "suppressed", "superseded"),
            ("reminder", "24h", "suppressed", "canceled"),
        ]
        assert await clinic.pass_to(MOVED + timedelta(days=2)) == []
    assert len(texts(tmp_path)) == 5
    assert b"carebell_log_fields_dropped_total 0.0" in clinic.service.metrics.render().splitlines()
    assert {line["effect"] for line in clinic.events("message_accepted")} == {"stored"}
    assert [line["speed"] for line in clinic.events("service_started")] == [1]


async def test_the_phone_is_forgotten_when_the_visit_begins(tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT, phone=PATIENT))
        await clinic.pass_to(VISIT - timedelta(minutes=1))
        assert clinic.phones() == ["***0188"]
        await clinic.pass_to(VISIT)
        assert clinic.phones() == [None]
        assert {path.name for path in clinic.files()} >= {
            "carebell.db",
            "carebell.db-wal",
            "carebell.log",
            "carebell.key",
        }
        assert scan_files(clinic.files(), PhoneNumber(PATIENT)) == []
        assert scan_files([tmp_path / "outbox.jsonl"], PhoneNumber(PATIENT)) != []


async def test_a_cancelled_visit_is_forgotten_when_its_text_has_settled(tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        await clinic.pass_by(timedelta(hours=2))
        await clinic.send(signed("S12", "1", sent=clinic.clock.now(), start=VISIT, phone=PATIENT))
        await clinic.pass_by(timedelta(minutes=5))
        await clinic.send(signed("S15", "2", sent=clinic.clock.now(), start=VISIT, status="Cancelled", phone=PATIENT))
        assert clinic.phones() == ["***0188"]
        assert [text["kind"] for text in await clinic.pass_by(timedelta(minutes=5))] == ["canceled"]
        assert clinic.phones() == [None]
        assert scan_files(clinic.files(), PhoneNumber(PATIENT)) == []


async def test_a_test_environment_texts_only_its_allow_list(tmp_path: Path) -> None:
    async with opened(make(tmp_path)) as clinic:
        await clinic.pass_by(timedelta(hours=2))
        now = clinic.clock.now()
        trial = {"facility": "LAMNATST", "processing_id": "T"}
        acks = await clinic.send(
            signed("S12", "1", sent=now, start=VISIT, reference="A1", **trial),
            signed("S12", "2", sent=now, start=VISIT, reference="A2", phone="+12025550177", **trial),
            environment="test",
        )
        assert [ack.code for ack in acks] == ["AA", "AA"]
        left = await clinic.pass_by(timedelta(minutes=2))
        assert [(text["environment"], text["appointment"]) for text in left] == [("test", "A1")]
        assert ("booked", "scheduled", "suppressed", "not_allow_listed") in clinic.outbox("A2")
