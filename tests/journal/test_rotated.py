"""The log with its rotated files: every line once, in the order of its time, however rotation names and packs them."""

from __future__ import annotations

import bz2
import gzip
import json
import logging
import lzma
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.read import Wanted
from journal.rotated import read_log

BEGIN = datetime(2026, 3, 9, 19, 0, tzinfo=UTC)


def line(number: int, level: str = "info") -> bytes:
    time = (BEGIN + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
    return json.dumps({"time": time, "level": level, "event": f"e{number}"}).encode() + b"\n"


def write(file: Path, *numbers: int) -> None:
    content = b"".join(map(line, numbers))
    packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    file.write_bytes(packers.get(file.suffix, bytes)(content))


def must_be_readable(file: Path, why: str) -> None:
    raise AssertionError(file, why)


def events(path: Path, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 (frozen)
    return [line.event for line in read_log(path, wanted, must_be_readable)]


SCHEMES = {
    "numbered": ["carebell.log.2", "carebell.log.1"],
    "ten": ["carebell.log.10", "carebell.log.9"],
    "packed": ["carebell.log.2.gz", "carebell.log.1"],
    "all packed": ["carebell.log.3.xz", "carebell.log.2.bz2", "carebell.log.1.gz"],
    "dated": ["carebell.log-20260308", "carebell.log-20260309"],
    "dated, packed": ["carebell.log-20260308.gz", "carebell.log-20260309"],
    "dated by the hour": ["carebell.log-2026030918", "carebell.log-2026030919"],
    "dated by the second": ["carebell.log-1772910000", "carebell.log-1772920000.gz"],
    "with dashes": ["carebell.log.2026-03-08", "carebell.log.2026-03-09_18-00"],
    "before the ending": ["carebell-20260308.log", "carebell-20260309.log.gz"],
    "numbered before the ending": ["carebell.2.log", "carebell.1.log"],
    "dates that count down": ["carebell.log-20260309", "carebell.log-20260308"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rotated_files_come_first_and_oldest_first(tmp_path: Path, scheme: str) -> None:
    names = [*SCHEMES[scheme], "carebell.log"]
    for number, name in enumerate(names):
        write(tmp_path / name, 10 * number, 10 * number + 1)
    assert events(tmp_path / "carebell.log") == [f"e{10 * n + m}" for n in range(len(names)) for m in (0, 1)]


@pytest.mark.parametrize(
    "name",
    [
        "carebell.log.bak",
        "carebell.log.old.gz",
        "carebell.logs.1",
        "xcarebell.log.1",
        "carebell.log~",
        "other.log.1",
        "carebell.log.1.zip",
        "carebell.log.d",
    ],
)
def test_what_rotation_did_not_make_is_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path / "carebell.log", 5)
    (tmp_path / name).write_bytes(line(1))
    assert events(tmp_path / "carebell.log") == ["e5"]


def test_folders_and_files_of_others_among_them(tmp_path: Path) -> None:
    write(tmp_path / "carebell.log", 5)
    (tmp_path / "carebell.log.1").mkdir()
    (tmp_path / "carebell.log.2").write_bytes(b"not ours\n")
    (tmp_path / "carebell.log.3").write_bytes(b"")
    assert events(tmp_path / "carebell.log") == ["e5"]


def test_a_file_that_is_being_packed_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "carebell.log.1", 1)
    (tmp_path / "carebell.log.1.gz").write_bytes(gzip.compress(line(1))[:12])
    write(tmp_path / "carebell.log", 2)
    assert events(tmp_path / "carebell.log") == ["e1", "e2"]


@pytest.mark.parametrize("name", ["carebell.log.1.gz", "carebell.log.1.bz2", "carebell.log.1.xz"])
def test_a_damaged_file_hides_no_other(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, *range(100))
    whole = (tmp_path / name).read_bytes()
    write(tmp_path / "carebell.log", 200)
    for damaged in (whole[: len(whole) // 2], b"no packed file at all", whole[:20] + bytes(20) + whole[40:]):
        (tmp_path / name).write_bytes(damaged)
        unreadable: list[tuple[Path, str]] = []
        report = unreadable.append
        shown = list(read_log(tmp_path / "carebell.log", Wanted(), lambda *why, report=report: report(why)))
        assert shown[-1].event == "e200"
        assert [file.name for file, _ in unreadable] == [name]


def test_filters_reach_into_every_file(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"carebell.log.{4 - number}").write_bytes(line(10 * number) + line(10 * number + 1, "warning"))
    write(tmp_path / "carebell.log", 40)
    log = tmp_path / "carebell.log"
    assert events(log, Wanted(level=logging.WARNING)) == ["e1", "e11", "e21", "e31"]
    assert events(log, Wanted(since=BEGIN + timedelta(minutes=21))) == ["e21", "e30", "e31", "e40"]


def test_the_log_itself_may_be_missing_between_rotation_and_the_next_line(tmp_path: Path) -> None:
    log = tmp_path / "carebell.log"
    write(tmp_path / "carebell.log.1", 1)
    assert events(log) == ["e1"]
    steps: list[Callable[[], None]] = [lambda: write(log, 2), lambda: None]

    def idle() -> bool:
        if not steps:
            return False
        steps.pop(0)()
        return True

    assert [line.event for line in read_log(log, Wanted(), must_be_readable, idle=idle)] == ["e1", "e2"]


def test_following_goes_on_across_rotations_and_packing(tmp_path: Path) -> None:
    log = tmp_path / "carebell.log"
    write(tmp_path / "carebell.log.1", 1)
    write(log, 2)

    def rotate(number: int) -> None:
        (tmp_path / "carebell.log.1").rename(tmp_path / "carebell.log.2")
        log.rename(tmp_path / "carebell.log.1")
        write(log, number)

    def pack() -> None:
        write(tmp_path / "carebell.log.2.gz", 1)
        (tmp_path / "carebell.log.2").unlink()

    steps: list[Callable[[], None]] = [lambda: rotate(3), pack]

    def idle() -> bool:
        if not steps:
            return False
        steps.pop(0)()
        return True

    assert [line.event for line in read_log(log, Wanted(), must_be_readable, idle=idle)] == ["e1", "e2", "e3"]


def test_a_rotation_while_the_old_ones_are_read_loses_and_repeats_nothing(tmp_path: Path) -> None:
    log = tmp_path / "carebell.log"
    write(tmp_path / "carebell.log.1", 1)
    write(log, 2)
    lines = read_log(log, Wanted(), must_be_readable, idle=iter([True, False]).__next__)
    shown = [next(lines).event]
    (tmp_path / "carebell.log.1").rename(tmp_path / "carebell.log.2")
    log.rename(tmp_path / "carebell.log.1")
    write(log, 3)
    assert [*shown, *(line.event for line in lines)] == ["e1", "e2", "e3"]


@given(
    cuts=st.lists(st.integers(0, 30), max_size=6),
    suffixes=st.lists(st.sampled_from(["", ".gz", ".bz2", ".xz"]), min_size=7),
)
def test_wherever_it_was_cut(tmp_path_factory: pytest.TempPathFactory, cuts: list[int], suffixes: list[str]) -> None:
    log = tmp_path_factory.mktemp("cut") / "carebell.log"
    edges = [0, *sorted(cuts), 30]
    pieces = list(zip(edges, edges[1:], suffixes, strict=False))
    for index, (begin, end, suffix) in enumerate(pieces):
        last = index == len(pieces) - 1
        write(log if last else log.with_name(f"carebell.log.{len(pieces) - index}{suffix}"), *range(begin, end))
    assert events(log) == [f"e{number}" for number in range(30)]
