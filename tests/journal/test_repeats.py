"""Few lines for many refusals: none is held back unsaid, no source hides another's, and nothing grows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal.events.connections import ConnectionProbed
from journal.events.messages import MessageRefused
from journal.logs import Journal, setup
from journal.repeats import KEYS, KEYS_OF_SOURCE, LINES_OF_ALL, LINES_OF_SOURCE, SUMMARIES, RepeatLimiter
from tests.journal.conftest import NOW, some


class Written:
    """A limiter, and what it wrote."""

    def __init__(self, folder: Path, level: int = 10) -> None:
        self.file = folder / "carebell.log"
        self.file.unlink(missing_ok=True)
        self.journal: Journal = setup(now=lambda: NOW, file=self.file, level=level)
        self.limiter = RepeatLimiter(self.journal)

    def refuse(
        self, source: str = "192.0.2.1", reason: str = "SIG07", certificate: str | None = "AbCdEfGh", lines: int = 1
    ) -> None:
        self.limiter.emit(
            some(
                MessageRefused,
                code=reason,
                peer=source,
                thumbprint=certificate,
                control_id="C1",
                environment="test",
            ),
            reason=reason,
            source=source,
            certificate=certificate,
            lines=lines,
        )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]

    def finished(self) -> list[dict[str, Any]]:
        """The summaries of a round that ends now."""
        before = len(self.lines())
        self.limiter.finish_round()
        return self.lines()[before:]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    opened = Written(tmp_path)
    yield opened
    opened.journal.close()


def test_what_is_over_is_counted_and_told_at_the_end_of_the_round(written: Written) -> None:
    for _ in range(6):
        written.refuse(lines=2)
    assert [line["event"] for line in written.lines()] == ["message_refused"] * 2
    [summary] = written.finished()
    assert {name: value for name, value in summary.items() if name not in ("time", "level")} == {
        "event": "refusals_repeated", "of": "message_refused", "reason": "SIG07", "code": "SIG07", "peer": "192.0.2.1",
        "thumbprint": "AbCdEfGh", "environment": "test", "repeats": 4,
    }  # fmt: skip
    assert written.finished() == []


def test_a_new_round_begins_with_a_line(written: Written) -> None:
    written.refuse()
    written.refuse()
    written.finished()
    written.refuse()
    assert [line["event"] for line in written.lines()] == ["message_refused", "refusals_repeated", "message_refused"]


@pytest.mark.parametrize(
    "other", [{"source": "192.0.2.2"}, {"reason": "SIG05"}, {"certificate": "ZzZzZzZz"}, {"certificate": None}]
)
def test_another_source_reason_or_certificate_has_lines_of_its_own(written: Written, other: dict[str, Any]) -> None:
    for _ in range(50):
        written.refuse()
    for _ in range(6):
        written.refuse(**other)
    assert len(written.lines()) == 2
    assert sorted(line["repeats"] for line in written.finished()) == [5, 49]


def test_a_stranger_who_names_a_new_certificate_each_time_is_bounded_and_summed_up(written: Written) -> None:
    for number in range(50_000):
        written.refuse(certificate=f"{number:08}", lines=5)
    written.refuse(source="192.0.2.2")
    lines = written.lines()
    assert len(lines) == KEYS_OF_SOURCE + 1
    assert lines[-1]["peer"] == "192.0.2.2"
    assert sum(line["repeats"] for line in written.finished()) == 50_000 - KEYS_OF_SOURCE


def test_lines_that_repeat_leave_room_for_those_that_are_new(written: Written) -> None:
    for number in range(KEYS_OF_SOURCE - 1):
        for _ in range(10):
            written.refuse(certificate=f"{number:08}", lines=5)
    before = len(written.lines())
    assert before <= LINES_OF_SOURCE + KEYS_OF_SOURCE
    written.refuse(reason="SIG05", certificate="ZzZzZzZz")
    assert len(written.lines()) == before + 1


def test_a_crowd_of_sources_is_bounded_and_summed_up(written: Written) -> None:
    for number in range(20_000):
        written.refuse(source=f"2001:db8:{number:x}::/64")
    assert len(written.lines()) == LINES_OF_ALL
    held = written.limiter
    assert len(held._keys) <= KEYS
    assert len(held._keys_of_source) <= KEYS
    summaries = written.finished()
    assert len(summaries) == SUMMARIES + 1
    assert sum(line["repeats"] for line in summaries) == 20_000 - LINES_OF_ALL


def test_debug_events_are_limited_and_not_summed_up(tmp_path: Path) -> None:
    written = Written(tmp_path)
    for _ in range(10):
        written.limiter.emit(some(ConnectionProbed, peer="192.0.2.1"), reason="bare_connect", source="192.0.2.1")
    assert len(written.lines()) == 1
    assert written.finished() == []
    written.journal.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    events=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["SIG01", "SIG05", "SIG07"]), st.integers(0, 40)) | st.none(),
        max_size=300,
    ),
    lines=st.integers(1, 6),
)
def test_every_refusal_is_a_line_or_in_a_summary(
    tmp_path: Path, events: list[tuple[int, str, int] | None], lines: int
) -> None:
    """None is the end of a round. Nothing is lost, nothing is counted twice, and no bound is passed."""
    written, refused = Written(tmp_path), 0
    try:
        for event in (*events, None):
            if event is None:
                written.limiter.finish_round()
                continue
            source, reason, certificate = event
            refused += 1
            written.refuse(f"192.0.2.{source}", reason, f"{certificate:08}", lines)
            assert max(written.limiter._keys_of_source.values()) <= KEYS_OF_SOURCE
        logged = written.lines()
    finally:
        written.journal.close()
    written_out = [line for line in logged if line["event"] == "message_refused"]
    summed_up = sum(line["repeats"] for line in logged if line["event"] == "refusals_repeated")
    assert len(written_out) + summed_up == refused
    firsts = Counter((line["peer"], line["code"], line["thumbprint"]) for line in written_out)
    assert max(firsts.values(), default=0) <= lines * (1 + events.count(None))
