"""The simulated EHR: equal for equal seeds, plausible, readable by a foreign parser, and nobody's."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hl7
import phonenumbers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simulator.account import AccountSettings
from simulator.ehr import Mix, Sending, histories, make_identity, stream
from simulator.patients import AREA_CODES, fictitious_number
from simulator.shapes import Feed, ShapeName

BEGINS = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ENDS = BEGINS + timedelta(weeks=4)
SHAPES: list[ShapeName] = ["generic", "epic", "oracle_health"]


def rehearsal(seed: int = 1, count: int = 400, mix: Mix | None = None) -> list[Sending]:
    return histories(random.Random(seed), count=count, begins=BEGINS, ends=ENDS, mix=mix)


def test_a_seed_gives_the_same_rehearsal() -> None:
    feed = Feed()
    assert [s.write(feed) for s in rehearsal()] == [s.write(feed) for s in rehearsal()]
    assert [s.write(feed) for s in rehearsal()] != [s.write(feed) for s in rehearsal(2)]


def test_a_rehearsal_has_the_shares_it_was_asked_for() -> None:
    events = Counter(s.event for s in rehearsal(count=2000))
    assert events["S12"] == 2000
    assert 520 < events["S13"] < 680
    assert 240 < events["S15"] < 360
    assert min(events["S14"], events["S17"], events["S26"]) > 0
    assert {s.event for s in rehearsal(mix=Mix(moved=0, canceled=0, modified=0, no_show=0, deleted=0))} == {"S12"}


def test_each_history_is_one_that_can_happen() -> None:
    sendings = rehearsal(count=2000)
    assert [s.at for s in sendings] == sorted(s.at for s in sendings)
    assert len({s.control_id for s in sendings}) == len(sendings)
    by_reference: dict[str, list[Sending]] = {}
    for sending in sendings:
        by_reference.setdefault(sending.visit.reference, []).append(sending)
    for history in by_reference.values():
        assert re.fullmatch(r"S12(,S17|(,S14)?(,S13)?(,S15|,S26)?)", ",".join(s.event for s in history))
        for before, after in itertools.pairwise(history):
            assert before.at < after.at
            assert (after.at > after.visit.start) == (after.event == "S26")
        assert all(s.at < s.visit.start for s in history if s.event in ("S12", "S13"))
        assert all(s.at >= BEGINS for s in history)


def test_a_span_too_short_for_a_rehearsal_is_refused() -> None:
    with pytest.raises(ValueError, match="two days"):
        histories(random.Random(1), count=1, begins=BEGINS, ends=BEGINS + timedelta(days=1))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_foreign_parser_finds_the_appointment_where_the_shape_puts_it(shape: ShapeName) -> None:
    feed = Feed(shape=shape, zone="America/New_York")
    for sending in rehearsal(count=60):
        parsed: Any = hl7.parse(sending.write(feed).decode())
        visit = sending.visit
        assert str(parsed.segment("MSH")[10]) == sending.control_id
        assert str(parsed.segment("MSH")[9]).split("^")[:2] == ["SIU", sending.event]
        sch = parsed.segment("SCH")
        found = str(sch[1 if shape == "oracle_health" else 2]).split("^")[0]
        assert found == (f"{visit.reference}F" if shape == "generic" else visit.reference)
        written = str(sch[11]).split("^")[3]
        local = visit.start.astimezone(ZoneInfo("America/New_York"))
        assert written == local.strftime("%Y%m%d%H%M%S%z" if shape == "generic" else "%Y%m%d%H%M%S")
        assert str(sch[25]) == visit.status
        assert (
            re.sub("[^0-9]", "", str(parsed.segment("PID")[13]).replace("^^1^", "^"))[-10:] == visit.patient.phone[2:]
        )


def test_a_feed_speaks_for_itself_and_escapes_what_it_carries() -> None:
    feed = Feed(facility="LAMNATST", receiving_facility="LAMNATST", processing_id="T")
    written = [s.write(feed).decode() for s in rehearsal(count=60)]
    assert {w.split("|")[3] for w in written} == {"LAMNATST"}
    assert {w.split("\r")[0].split("|")[10] for w in written} == {"T"}
    assert any("MAIN \\T\\ 1ST" in w for w in written)
    assert not any("MAIN & 1ST" in w for w in written)


def test_a_stream_is_stamped_by_its_clock_and_looks_ahead_of_it() -> None:
    now = BEGINS

    def clock() -> datetime:
        return now

    messages = stream(random.Random(3), clock, feed=Feed(zone="UTC"))
    first = [next(messages).decode() for _ in range(500)]
    assert first == [m.decode() for m in itertools.islice(stream(random.Random(3), clock, feed=Feed(zone="UTC")), 500)]
    assert {m.split("|")[6] for m in first} == {"20260302080000+0000"}
    assert len({m.split("|")[9] for m in first}) == 500
    assert {m.split("|")[8][4:7] for m in first} == {"S12", "S13", "S14", "S15"}
    now += timedelta(days=40)
    assert next(messages).decode().split("|")[6] == "20260411080000+0000"
    starts = [m.split("SCH|")[1].split("|")[10].split("^")[3][:14] for m in first]
    assert min(starts) >= "20260303080000"


def test_no_number_is_anybodys_and_all_are_valid() -> None:
    numbers = [fictitious_number(i) for i in range(100 * len(AREA_CODES))]
    assert len(set(numbers)) == len(numbers) == 100 * len(set(AREA_CODES))
    assert set(AccountSettings().numbers).isdisjoint(numbers), (
        "Twilio refuses a text to the number that it leaves from (21266)"
    )
    assert all(re.fullmatch(r"\+1[2-9][0-9]{2}55501[0-9]{2}", number) for number in numbers)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers[::100])
    assert not any(re.search("0143", repr(s)) for s in rehearsal(count=200))


def test_an_identity_is_a_key_and_its_own_certificate() -> None:
    made = make_identity(now=BEGINS, bits=2048)
    certificate = x509.load_pem_x509_certificate(made.certificate)
    key: Any = load_pem_private_key(made.key, None)
    assert certificate.public_key() == key.public_key()
    assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert certificate.not_valid_before_utc < BEGINS < certificate.not_valid_after_utc
    assert b"PRIVATE" not in made.certificate
    assert "PRIVATE" not in repr(made)
