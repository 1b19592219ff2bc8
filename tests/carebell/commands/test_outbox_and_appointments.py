"""`explain`, `plan`, `outbox`, `appointments`, `logs` and `status`: the same facts, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carebell.commands import logs as carebell_logs
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.ehr import PHONE, signed, unsigned
from tests.story.folder import CLOCK, VECTORS, change, null

M01 = VECTORS / "messages/accept/m01-rs256-s12.hl7"
AT = ("--at", "2026-03-02T15:04:05Z")
OUTBOX = {
    "id", "environment", "appointment", "kind", "rule", "revision", "due", "state", "reason", "attempts", "sid", "to",
}  # fmt: skip
APPOINTMENTS = {"environment", "appointment", "start", "status", "revision", "phone", "purged_at"}
PLAN = {
    "appointment", "kind", "rule", "due", "expires", "status", "reason", "text", "segments", "to",
}  # fmt: skip


@pytest.fixture
def lived(configuration: Path) -> Path:
    """A clinic where A1 is booked, A2 was cancelled, and T1 is the test environment's; its service has stopped."""

    async def live() -> None:
        now = datetime.now(UTC)
        visit = now + timedelta(days=18)
        trial = {"facility": "LAMNATST", "processing_id": "T"}
        async with opened(configuration, at=now) as clinic:
            await clinic.send(
                signed("S12", "C2", sent=now, start=visit, reference="A2"),
                signed("S15", "C3", sent=now, start=visit, reference="A2", status="Cancelled"),
            )
            assert await clinic.pass_by(timedelta(minutes=2)) == []  # booked and cancelled at once: nothing to tell
            await clinic.send(
                signed("S12", "C1", sent=now, start=visit, reference="A1"),
                unsigned("S12", "C4", sent=now, start=visit, reference="A3"),
            )
            await clinic.send(signed("S12", "C1", sent=now, start=visit, reference="T1", **trial), environment="test")

    change(configuration, {"environments": {"production": {"sms": {"quiet_hours": {"from": "00:00", "to": "00:01"}}}}})
    asyncio.run(live())
    return configuration


# explain


def test_explain_names_the_field_and_the_losers(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "explain", "-e", "production", "--json", M01)
    assert (ended.code, ended.err) == (0, "")
    values = {row["name"]: row for row in ended.rows}
    assert set(values) >= {
        "key", "aliases", "start", "duration", "status", "phone", "language", "visit_mode", "join_link", "facility",
    }  # fmt: skip
    assert values["start"]["field"] == "SCH-11.4"
    assert "zone" in values["start"]
    assert values["phone"]["value"] == "***0143"
    assert (values["join_link"]["value"], values["join_link"]["candidates"]) == (None, [])
    for row in ended.rows:
        assert {"name", "value", "field", "candidates"} <= set(row)
        assert all(set(candidate) == {"field", "value", "why_not"} for candidate in row["candidates"])
    people = carebell("-c", configuration, "explain", "-e", "production", M01).out
    assert "not used: " in people
    assert "not used: empty" not in people
    for said in (ended.out, people):
        assert "5550143" not in said
        assert "TESTPATIENT" not in said


def test_explain_says_why_a_message_cannot_be_used(carebell: Carebell, configuration: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.hl7"
    bad.write_bytes(unsigned("S12", "1", sent=CLOCK, start=None))
    ended = carebell("-c", configuration, "explain", "-e", "production", "--json", bad)
    assert ended.code == 1
    assert ended.rows[0]["name"] == "rejected"
    assert "cannot be used" in carebell("-c", configuration, "explain", "-e", "production", bad).out


def test_explain_sums_up_a_folder(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "explain", "-e", "production", "--json", VECTORS / "messages/accept")
    assert ended.code == 0
    [row] = ended.rows
    assert row["messages"] == len(list((VECTORS / "messages/accept").glob("*.hl7")))
    assert row["fields"]["start"] == {"SCH-11.4": row["messages"]}


def test_explain_can_add_a_conformance_report(carebell: Carebell, configuration: Path) -> None:
    plain = carebell("-c", configuration, "explain", "-e", "production", "--json", M01)
    report = carebell("-c", configuration, "explain", "-e", "production", "--conformance", "--json", M01)
    assert report.code == 0
    extra = [row for row in report.rows if row not in plain.rows]
    assert {row["name"] for row in extra} <= {"warning"}
    assert "5550143" not in report.out


# plan


def test_plan_has_the_keys_of_the_contract(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", M01)
    assert (ended.code, ended.err) == (0, "")
    assert [(row["kind"], row["rule"], row["due"], row["status"]) for row in ended.rows] == [
        ("booked", "scheduled", "2026-03-02T16:00:00Z", "planned"),
        ("reminder", "7d@10:00", "2026-03-02T18:00:00Z", "planned"),
        ("reminder", "24h", "2026-03-08T19:00:00Z", "planned"),
    ]
    for row in ended.rows:
        assert set(row) >= PLAN
        assert (row["to"], row["segments"], row["appointment"]) == ("***0143", 1, "900100")


def test_plan_shows_which_texts_ask(carebell: Carebell, configuration: Path) -> None:
    replies = {"enabled": True, "ask_in": ["booked"]}
    change(configuration, {"environments": {"production": {"sms": {"replies": replies}}}})
    ended = carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", M01)
    assert [(row["kind"], "Reply C to confirm." in row["text"]) for row in ended.rows] == [
        ("booked", True),
        ("reminder", False),
        ("reminder", False),
    ]


def test_plan_tells_of_every_silence(carebell: Carebell, configuration: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.hl7"
    moved.write_bytes(unsigned("S15", "2", sent=CLOCK + timedelta(days=1), start=None, status="Cancelled"))
    at = ("--at", "2026-03-05T00:00:00Z")
    ended = carebell("-c", configuration, "plan", "-e", "production", *at, "--json", moved, M01)
    assert [(row["kind"], row["status"], row["reason"], row["text"] is None) for row in ended.rows] == [
        ("booked", "planned", "booked", False),
        ("reminder", "planned", "reminder", False),
        ("canceled", "planned", "canceled", False),
        ("reminder", "suppressed", "canceled", True),
    ]
    for_people = carebell("-c", configuration, "plan", "-e", "production", *at, moved, M01)
    assert "America/Los_Angeles" in for_people.out
    assert "does not go" in for_people.out


def test_plan_takes_a_message_sent_twice_as_one(carebell: Carebell, configuration: Path) -> None:
    again = VECTORS / "messages/accept/m21-identical-resend.hl7"
    once = carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", M01)
    assert carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", M01, again).rows == once.rows


def test_a_trial_that_is_forced_to_one_number_says_which(carebell: Carebell, lived: Path) -> None:
    change(lived, {"environments": {"test": {"sms": {"force_to": "+12025550199"}}}})
    null(lived, "environments", "test", "sms", "allow_list")
    file = lived.with_name("trial.hl7")
    trial = {"facility": "LAMNATST", "processing_id": "T"}
    file.write_bytes(unsigned("S12", "1", sent=CLOCK, start=CLOCK + timedelta(days=7), **trial))
    planned = carebell("-c", lived, "plan", "-e", "test", *AT, "--json", file)
    assert {row["to"] for row in planned.rows if row["status"] == "planned"} == {"***0199"}
    rows = carebell("-c", lived, "outbox", "-e", "test", "--json").rows
    assert {row["to"] for row in rows if row["state"] != "suppressed"} == {"***0199"}


def test_plan_takes_what_comes_at_once_in_the_order_of_its_sending(
    carebell: Carebell, configuration: Path, tmp_path: Path
) -> None:
    booked, moved = tmp_path / "b.hl7", tmp_path / "a.hl7"
    visit = CLOCK + timedelta(days=20)
    booked.write_bytes(unsigned("S12", "1", sent=CLOCK + timedelta(hours=1), start=visit))
    moved.write_bytes(unsigned("S13", "2", sent=CLOCK + timedelta(hours=2), start=visit + timedelta(days=1)))
    in_order = carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", booked, moved)
    assert [row["kind"] for row in in_order.rows if row["rule"] in ("scheduled", "updated")] == ["booked"]
    assert carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", moved, booked).rows == in_order.rows


def test_plan_neither_stores_nor_sends(carebell: Carebell, configuration: Path) -> None:
    before = sorted(configuration.parent.iterdir())
    carebell("-c", configuration, "plan", "-e", "production", *AT, M01)
    assert sorted(configuration.parent.iterdir()) == before


# outbox and appointments


def test_outbox_has_the_keys_of_the_contract(carebell: Carebell, lived: Path) -> None:
    ended = carebell("-c", lived, "outbox", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert all(set(row) >= OUTBOX for row in ended.rows)
    assert {row["to"] for row in ended.rows if row["appointment"] in ("A1", "T1")} == {"***0143"}
    assert {(row["environment"], row["appointment"]) for row in ended.rows} == {
        ("production", "A1"),
        ("production", "A2"),
        ("test", "T1"),
    }
    [booked] = [row for row in ended.rows if (row["appointment"], row["kind"]) == ("A1", "booked")]
    assert (booked["state"], booked["reason"], booked["attempts"], booked["sid"]) == ("due", "booked", 0, None)
    assert datetime.fromisoformat(booked["due"]).tzinfo is not None


def test_outbox_filters(carebell: Carebell, lived: Path) -> None:
    def shown(*words: str) -> set[tuple[str, str]]:
        return {(row["appointment"], row["state"]) for row in carebell("-c", lived, "outbox", *words, "--json").rows}

    assert shown("--appointment", "A2") == {("A2", "suppressed")}
    assert shown("--state", "due") == {("A1", "due"), ("T1", "due")}
    assert shown("-e", "test") == {("T1", "due")}
    assert shown("--appointment", "A2", "--state", "due") == set()
    nothing = carebell("-c", lived, "outbox", "--appointment", "A9")
    assert (nothing.code, "A9" in nothing.out) == (0, True)


def test_outbox_says_why_a_text_waits(carebell: Carebell, lived: Path) -> None:
    def waits() -> set[str | None]:
        return {row["waits"] for row in carebell("-c", lived, "outbox", "--appointment", "A1", "--json").rows}

    assert waits() == {"time"}
    assert "waits for its time" in carebell("-c", lived, "outbox").out
    assert "waits for its time" in carebell("-c", lived, "outbox", "--appointment", "A1").out
    change(lived, {"environments": {"production": {"enabled": False}}})
    assert waits() == {"switched_off"}
    assert {row["waits"] for row in carebell("-c", lived, "outbox", "--state", "suppressed", "--json").rows} == {None}


def test_outbox_says_of_a_text_that_will_not_go_or_is_held_before_its_time(carebell: Carebell, lived: Path) -> None:
    def waits(appointment: str) -> set[str | None]:
        return {row["waits"] for row in carebell("-c", lived, "outbox", "--appointment", appointment, "--json").rows}

    assert carebell("-c", lived, "hold", "-e", "production", "--reason", "wrong template").code == 0
    assert waits("A1") == {"hold"}
    assert "hold" not in waits("T1")
    table = carebell("-c", lived, "outbox", "--appointment", "A1").out
    assert "waits: on hold since" in table
    assert "(wrong template)" in " ".join(table.split())
    assert carebell("-c", lived, "optout", "add", "+12025550143").code == 0
    assert waits("A1") == {"opted_out"}
    timeline = carebell("-c", lived, "outbox", "--appointment", "A1").out
    assert "will not go: its number has opted out since" in " ".join(timeline.split())
    assert "waits for its time" not in timeline


def test_times_are_the_clinics_and_its_zone_is_named(carebell: Carebell, lived: Path) -> None:
    [row] = carebell("-c", lived, "outbox", "--json", "--appointment", "T1", "--state", "due").rows[:1]
    local = datetime.fromisoformat(row["due"]).astimezone(ZoneInfo("America/Los_Angeles"))
    for command in ("outbox", "appointments", "status"):
        assert "Times in America/Los_Angeles." in carebell("-c", lived, command).out.splitlines()
    assert f"{local:%Y-%m-%d %H:%M}" in carebell("-c", lived, "outbox").out
    change(lived, {"environments": {"test": {"time_zone": "Europe/Berlin"}}})
    said = carebell("-c", lived, "outbox").out
    assert said.splitlines()[0] == (
        "Times in each environment's zone: production America/Los_Angeles, test Europe/Berlin."
    )
    assert f"{local.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m-%d %H:%M}" in said
    assert carebell("-c", lived, "logs").err == "Times in UTC.\n"


def test_appointments_have_the_keys_of_the_contract(carebell: Carebell, lived: Path) -> None:
    ended = carebell("-c", lived, "appointments", "--json")
    assert ended.code == 0
    assert all(set(row) == APPOINTMENTS for row in ended.rows)
    appointments = {row["appointment"]: (row["environment"], row["status"], row["phone"]) for row in ended.rows}
    assert appointments == {
        "A1": ("production", "active", "***0143"),
        "A2": ("production", "canceled", None),
        "T1": ("test", "active", "***0143"),
    }
    [appointment] = carebell("-c", lived, "appointments", "--appointment", "A2", "--json").rows
    assert appointment["appointment"] == "A2"
    assert appointment["purged_at"] is not None
    assert PHONE[2:] not in ended.out


# logs


def test_logs_are_filtered(carebell: Carebell, lived: Path) -> None:
    def shown(*words: str) -> list[tuple[str, str | None]]:
        rows = carebell("-c", lived, "logs", "--json", *words).rows
        return [(row["event"], row.get("control_id")) for row in rows if "control_id" in row or "appointment" in row]

    assert shown("--appointment", "A1") == [("message_accepted", "C1")]
    assert shown("--control-id", "C4") == [("message_refused", "C4")]
    assert shown("--control-id", "C1") == [("message_accepted", "C1")] * 2
    assert shown("--level", "warning") == [("message_refused", "C4")]
    assert len(shown("--since", "1h")) == len(shown()) >= 5
    assert shown("--since", "1h", "--appointment", "A9") == []
    assert carebell("-c", lived, "logs", "--since", "soon").code == 2


def test_logs_for_people_are_one_line_an_event(carebell: Carebell, lived: Path) -> None:
    lines = (lived.parent / "carebell.log").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if json.loads(line)["level"] != "debug"]
    ended = carebell("-c", lived, "logs")
    assert (ended.code, len(ended.out.splitlines())) == (0, len(wanted))
    assert "\x1b" not in ended.out
    assert ended.err == "Times in America/Los_Angeles.\n"
    first = datetime.fromisoformat(json.loads(wanted[0])["time"]).astimezone(ZoneInfo("America/Los_Angeles"))
    assert ended.out.startswith(f"{first:%Y-%m-%d %H:%M:%S} INFO ")


@pytest.mark.parametrize("columns", [60, 80])
def test_on_a_terminal_log_lines_break_between_fields(
    columns: int, carebell: Carebell, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carebell_logs, "terminal_columns", lambda: columns)
    ended = carebell("-c", lived, "logs", "--control-id", "C4")
    [refused] = carebell("-c", lived, "logs", "--control-id", "C4", "--json").rows
    assert f"digest={refused['digest']}" in ended.out.split()
    assert [line for line in ended.out.splitlines() if len(line) > columns] == []


def test_logs_without_a_match_say_so(carebell: Carebell, lived: Path) -> None:
    for words in ((), ("--json",)):
        ended = carebell("-c", lived, "logs", "--appointment", "A9", "--since", "1h", *words)
        assert (ended.code, ended.out) == (0, "")
        assert ended.sentence.startswith("no line matches --appointment A9 --since 1h --level info in ")


def test_without_a_log_it_says_so(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "logs")
    assert ended.code == 1
    assert "no log yet" in ended.sentence


# status


def test_status_of_a_service_that_does_not_run(carebell: Carebell, lived: Path) -> None:
    ended = carebell("-c", lived, "status", "--json")
    assert ended.code == 1
    [row] = ended.rows
    assert set(row) >= {"configuration", "listeners", "certificates", "queue", "gateway", "environments"}
    assert {entry["listening"] for entry in row["listeners"]} == {False}
    assert [(entry["environment"], entry["verdict"]) for entry in row["certificates"]] == [
        ("production", "accept"), ("production", "accept"), ("test", "accept"),
    ]  # fmt: skip
    assert {entry["environment"]: entry["last_message"] is None for entry in row["environments"]} == {
        "production": False,
        "test": False,
    }
    assert row["queue"]["waiting"] >= 2
    assert row["gateway"]["kind"] == "file"
    people = carebell("-c", lived, "status")
    assert people.code == 1
    assert "NOT LISTENING" in people.out
