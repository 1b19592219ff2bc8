"""Every case of INDEX.tsv through the command that showed its fault, held against its right value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.carebell.conftest import Carebell, carebell, configuration  # noqa: F401  (fixtures)
from tests.story.clinic import opened
from tests.story.folder import sign

CASES = Path(__file__).parent
SENT = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
"""MSH-7 of most of these messages."""


class Commands:
    """`carebell explain` and `carebell plan` on files of this folder, in the shipped configuration's production environment."""

    def __init__(self, run: Carebell, config: Path) -> None:
        self._run = run
        self._words = ("-c", config, "-e", "production", "--json")

    def explain(self, *names: str) -> dict[str, dict[str, Any]]:
        """What the last of the messages says, by the name of the value; warnings by their code."""
        rows = self._run("explain", *self._words, *map(_file, names)).rows
        return {row["value"] if row["name"] == "warning" else row["name"]: row for row in rows}

    def verify(self, tmp_path: Path, name: str) -> dict[str, Any]:
        """The answer that the message would get, signed, at its MSH-7."""
        signed = tmp_path / f"{name}.hl7"
        signed.write_bytes(sign(_file(name).read_bytes()))
        [row] = self._run("verify", *self._words, "--at", SENT.isoformat(), signed).rows
        return row

    def plan(self, *names: str) -> list[dict[str, Any]]:
        return self._run("plan", *self._words, *map(_file, names)).rows


def _file(name: str) -> Path:
    [path] = CASES.glob(f"{name}-*.hl7")
    return path


@pytest.fixture
def commands(carebell: Carebell, configuration: Path) -> Commands:  # noqa: F811
    return Commands(carebell, configuration)


def test_the_index_names_every_file() -> None:
    rows = [line.split("\t") for line in (CASES / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert all(len(row) == 4 for row in rows)
    assert sorted(name for row in rows for name in row[0].split()) == sorted(
        path.name.partition("-")[0] for path in CASES.glob("*.hl7")
    )


@pytest.mark.parametrize("name", ["p04", "p06", "p40", "r01"])
def test_a_number_is_read_however_it_was_written(name: str, commands: Commands) -> None:
    values = commands.explain(name)
    assert (values["phone"]["value"], values["phone"]["field"]) == ("***0143", "PID-13[1]")
    assert "PHONE_UNUSABLE" not in values


def test_r02_a_foreign_cell_does_not_hide_one_that_may_be_texted(commands: Commands) -> None:
    phone = commands.explain("r02")["phone"]
    assert (phone["value"], phone["field"]) == ("***0143", "PID-13[2]")
    [lost] = [candidate for candidate in phone["candidates"] if candidate["field"] == "PID-13[1]"]
    assert lost["value"] == "***0156"
    assert lost["why_not"] == "PID-13[2] may be texted, a number of AU may not (sms.countries: CA, US)"
    going = [row for row in commands.plan("r02") if row["status"] == "planned"]
    assert {row["kind"] for row in going} == {"booked", "reminder"}
    assert {row["to"] for row in going} == {"***0143"}


def test_d05_junk_in_the_telephone_field_throws_no_known_number_away(commands: Commands) -> None:
    before, after = commands.plan("d05a"), commands.plan("d05a", "d05b")
    assert {row["to"] for row in after} == {"***0143"}
    assert [row for row in after if row["kind"] == "reminder"] == [row for row in before if row["kind"] == "reminder"]
    values = commands.explain("d05b")
    assert values["phone"]["note"] == "given, but none can be texted: invalid_phone; keep the stored number"
    assert values["PHONE_UNUSABLE"]["field"] == "PID-13[1]"


def test_q11_a_character_written_as_a_hex_escape_for_each_byte_is_one_character(commands: Commands) -> None:
    location = commands.explain("q11")["location"]
    assert (location["value"], location["field"]) == ("SALA Ñ UNO", "PV1-3.1")


def test_p02_the_more_exact_of_agreeing_starts_decides(commands: Commands) -> None:
    values = commands.explain("p02")
    assert (values["start"]["value"], values["start"]["field"]) == ("2026-12-07T22:00:00Z", "SCH-11.4")
    assert not {"START_DATE_ONLY", "START_DISAGREES"} & set(values)
    assert {row["kind"] for row in commands.plan("p02") if row["status"] == "planned"} == {"booked", "reminder"}


def test_q06_a_unit_behind_the_number_is_read(commands: Commands) -> None:
    values = commands.explain("q06")
    assert (values["duration"]["value"], values["duration"]["field"]) == ("30", "SCH-9")


def test_p22_a_padded_time_is_read_as_without_its_spaces(commands: Commands, tmp_path: Path) -> None:
    values = commands.explain("p22")
    assert (values["start"]["value"], values["start"]["field"]) == ("2026-12-07T22:00:00Z", "SCH-11.4")
    assert (values["duration"]["value"], values["duration"]["field"]) == ("30", "SCH-11.5")
    verdict = commands.verify(tmp_path, "p22")
    assert (verdict["answer"], verdict["code"]) == ("AA", None)


def test_q16_a_control_id_that_no_answer_can_repeat_is_refused(commands: Commands, tmp_path: Path) -> None:
    verdict = commands.verify(tmp_path, "q16")
    assert (verdict["answer"], verdict["code"], verdict["err3"]) == ("AR", "SIG10", "104")
    assert verdict["text"] == "MSH-10 is longer than 199 characters"


def test_p15_a_waitlisted_visit_is_told_to_nobody(commands: Commands) -> None:
    assert commands.explain("p15")["status"]["value"] == "waitlist"
    rows = commands.plan("p15")
    assert {row["status"] for row in rows} == {"suppressed"}
    assert {row["reason"] for row in rows} == {"not_booked"}
    assert {row["kind"] for row in rows} == {"booked", "reminder"}


async def test_p15_it_is_told_when_it_is_booked(configuration: Path) -> None:  # noqa: F811
    content = _file("p15").read_bytes()
    booked = content.replace(b"Waitlist", b"Booked").replace(b"S12^SIU", b"S14^SIU").replace(b"P15-S12", b"P15-S14")
    async with opened(configuration, at=SENT) as clinic:
        acks = await clinic.send(sign(content))
        assert await clinic.pass_by(timedelta(hours=24)) == []
        acks += await clinic.send(sign(booked))
        texts = await clinic.pass_by(timedelta(days=9))
        assert [ack.code for ack in acks] == ["AA", "AA"]
    kinds = [text["kind"] for text in texts]
    assert (kinds[0], set(kinds)) == ("booked", {"booked", "reminder"})


def test_p16_an_alternate_coding_counts_and_the_contradiction_is_told(commands: Commands) -> None:
    values = commands.explain("p16")
    assert (values["status"]["value"], values["status"]["field"]) == ("arrived", "SCH-25")
    assert values["STATUS_DISAGREES"]["field"] == "SCH-25"


async def test_q16_the_longest_that_can_be_repeated_is(configuration: Path) -> None:  # noqa: F811
    async with opened(configuration, at=SENT) as clinic:
        content = _file("q16").read_bytes()
        acks = await clinic.send(sign(content), sign(content.replace(b"C" * 200, b"C" * 199)))
    assert [(ack.code, ack.failure, ack.segments["MSA"][2:3]) for ack in acks] == [
        ("AR", "SIG10", [""]),
        ("AA", "-", ["C" * 199]),
    ]


async def test_d05_the_log_says_why_and_the_text_goes_to_the_known_number(configuration: Path) -> None:  # noqa: F811
    async with opened(configuration, at=SENT) as clinic:
        first, second = (sign(_file(name).read_bytes()) for name in ("d05a", "d05b"))
        acks = await clinic.send(first)
        clinic.clock.move_to(SENT + timedelta(minutes=5))
        acks += await clinic.send(second)
        assert [ack.code for ack in acks] == ["AA", "AA"]
        line = clinic.events("message_accepted")[-1]
        assert line["warnings"] == "PHONE_UNUSABLE"
        assert line["number_fault"] == "PID-13[1] holds no telephone number"
        texts = await clinic.pass_by(timedelta(days=9))
    assert texts
    assert {text["to"] for text in texts} == {"+12025550143"}


async def test_d01_a_cancellation_in_a_repeated_hour_is_not_taken_for_older(configuration: Path) -> None:  # noqa: F811
    async with opened(configuration, at=datetime(2026, 11, 1, 8, 50, 20, tzinfo=UTC)) as clinic:
        booked, canceled = (sign(_file(name).read_bytes()) for name in ("d01a", "d01b"))
        acks = await clinic.send(booked)
        clinic.clock.move_to(clinic.clock.now() + timedelta(seconds=20))
        acks += await clinic.send(canceled)
        assert [ack.code for ack in acks] == ["AA", "AA"]
        assert [row for row in clinic.outbox("771001") if row[2] == "due"] == []
        assert [line.get("order_doubtful") for line in clinic.events("message_accepted")] == [None, "status"]
        texts = await clinic.pass_by(timedelta(days=9))
    assert texts == []


def test_d03_both_messages_carry_the_aliases_that_they_share(commands: Commands) -> None:
    first, second = (set(commands.explain(name)["aliases"]["value"].split(", ")) for name in ("d03a", "d03b"))
    assert first & second == {"EHR|LAMNA|placer|P9001|EHR", "EHR|LAMNA|visit|VN5501|"}
    assert first - second == {"EHR|LAMNA|filler|F9001|EHR"}


def test_d03_a_visit_rescheduled_under_a_new_id_is_not_reminded_at_its_old_time(commands: Commands) -> None:
    rows = commands.plan("d03a", "d03b")
    assert {row["reason"] for row in rows if row["appointment"] == "F9001" and row["kind"] == "reminder"} == {
        "superseded"
    }
    going = [(row["appointment"], row["kind"]) for row in rows if row["status"] == "planned"]
    assert set(going) == {
        ("F9002", "booked"),
        ("F9002", "reminder"),
    }  # in the quiet hours the patient was told nothing yet


def test_d03_explain_says_that_a_reschedule_may_replace_another_visit(commands: Commands) -> None:
    row = commands.explain("d03b")["replaces"]
    assert (row["value"], row["field"], row["candidates"]) == (
        "a visit known under another SCH-2 that shares this SCH-1 (placer) or PV1-19 (visit number)",
        "SCH-1.1",
        [],
    )
    assert "replaces" not in commands.explain("d03a")  # a booking replaces none


def test_d03_plan_names_the_visits_that_share_a_number_and_stay(
    carebell: Carebell,  # noqa: F811
    configuration: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    other_number = tmp_path / "d03b.hl7"
    other_number.write_bytes(_file("d03b").read_bytes().replace(b"VN5501", b"VN5502"))
    words = ("plan", "-c", configuration, "-e", "production", _file("d03a"), other_number)
    ended = carebell(*words, "--json")
    assert {(row["appointment"], *row["shares_id_with"]) for row in ended.rows} == {("F9001",), ("F9002", "F9001")}
    assert ended.err == (
        "carebell: warning: the S13 of F9002 shares a placer or visit number with F9001 but does not replace it: both stay; "
        "look in the hospital's system whether F9001 still takes place\n"
    )
    assert carebell(*words).err == ended.err
    replaced = carebell(*words[:-1], _file("d03b"), "--json")
    assert replaced.err == ""
    assert {tuple(row["shares_id_with"]) for row in replaced.rows} == {()}
