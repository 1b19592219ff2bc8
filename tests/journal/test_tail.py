"""A page that follows the log: nothing twice, nothing lost, also across a rotation, and never more than a bounded part."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from journal import tail
from journal.read import Line, Wanted
from journal.tail import LogCursor


def written(number: int, level: str = "info") -> str:
    return json.dumps(
        {"time": f"2026-03-02T15:00:{number % 60:02}.000Z", "level": level, "event": "e", "number": number}
    )


def write(file: Path, numbers: Sequence[int], *, level: str = "info") -> None:
    with file.open("a") as stream:
        stream.writelines(written(number, level) + "\n" for number in numbers)


def numbers_of(lines: Sequence[Line]) -> list[int]:
    return [line.fields["number"] for line in lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "carebell.log"
    write(file, range(10))
    return file


def test_the_newest_lines_and_then_what_is_added(log: Path) -> None:
    part = tail.newest(log, Wanted(), 3)
    assert numbers_of(part.lines) == [7, 8, 9]
    assert part.cursor is not None
    write(log, [10, 11])
    more = tail.since(log, Wanted(), part.cursor, 10)
    assert (numbers_of(more.lines), more.has_gap, more.has_more) == ([10, 11], False, False)
    assert more.cursor is not None
    assert tail.since(log, Wanted(), more.cursor, 10).lines == []


@pytest.mark.parametrize("chunk", [1, 50, 83, 84, 85, 200, 4096])
def test_a_rare_line_is_found_in_any_piece(log: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces without it are passed over, whatever lies across their borders."""
    monkeypatch.setattr(tail, "_CHUNK", chunk)
    for place in (10, 11, 30, 31, 50):
        write(log, range(len(log.read_text().splitlines()), place))
        with log.open("a") as stream:
            stream.write(written(place).replace('"e"', '"rare"') + "\n")
    assert numbers_of(tail.newest(log, Wanted(event="rare"), 4).lines) == [11, 30, 31, 50]
    assert numbers_of(tail.newest(log, Wanted(event="rare"), 9).lines) == [10, 11, 30, 31, 50]
    assert numbers_of(tail.newest(log, Wanted(event="none"), 9).lines) == []


def test_a_line_that_is_being_written_comes_whole(log: Path) -> None:
    whole = written(10)
    with log.open("a") as stream:
        stream.write(whole[:20])
    part = tail.newest(log, Wanted(), 1)
    assert numbers_of(part.lines) == [9]
    assert part.cursor is not None
    assert tail.since(log, Wanted(), part.cursor, 10).lines == []
    with log.open("a") as stream:
        stream.write(whole[20:] + "\n")
    assert numbers_of(tail.since(log, Wanted(), part.cursor, 10).lines) == [10]


def test_the_rest_of_a_rotated_file_comes_first(log: Path) -> None:
    cursor = tail.newest(log, Wanted(), 1).cursor
    assert cursor is not None
    write(log, [10])
    log.rename(log.with_name("carebell.log.1"))
    assert tail.since(log, Wanted(), cursor, 10).lines == (), "the service has not opened its new file yet"
    write(log, [11, 12])
    part = tail.since(log, Wanted(), cursor, 10)
    assert (numbers_of(part.lines), part.has_gap) == ([10, 11, 12], False)
    assert part.cursor is not None
    assert tail.since(log, Wanted(), part.cursor, 10).lines == []


def test_right_after_a_rotation_the_file_before_it_is_shown_too(log: Path) -> None:
    log.rename(log.with_name("carebell.log.1"))
    write(log, [10])
    assert numbers_of(tail.newest(log, Wanted(), 4).lines) == [7, 8, 9, 10]


def test_what_was_compressed_or_cut_meanwhile_is_a_gap(log: Path) -> None:
    cursor = tail.newest(log, Wanted(), 1).cursor
    assert cursor is not None
    rotated = log.with_name("carebell.log.1.gz")
    with gzip.open(rotated, "wb") as stream:
        stream.write(log.read_bytes())
    log.unlink()
    log.with_name("other").write_text("so that the inode is not given again at once")
    write(log, [11])
    part = tail.since(log, Wanted(), LogCursor(inode=cursor.inode + 10**6, offset=cursor.offset), 10)
    assert (numbers_of(part.lines), part.has_gap) == ([11], True)
    assert part.cursor is not None
    with log.open("r+") as stream_again:
        stream_again.truncate()
    write(log, [])
    cut = tail.since(log, Wanted(), part.cursor, 10)
    assert (cut.lines, cut.has_gap) == ([], True)


def test_a_filter_reads_a_bounded_part_and_says_that_there_is_more(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, range(10, 200))
    write(log, [200], level="error")
    only_errors = Wanted(level=logging.ERROR)
    assert numbers_of(tail.newest(log, only_errors, 5).lines) == [200]
    begin = LogCursor(inode=log.stat().st_ino, offset=0)
    monkeypatch.setattr(tail, "MOST_BYTES", 1000)
    part, calls = tail.since(log, only_errors, begin, 5), 1
    while part.has_more:
        assert part.cursor is not None
        part, calls = tail.since(log, only_errors, part.cursor, 5), calls + 1
    assert numbers_of(part.lines) == [200]
    assert calls > 10
    assert numbers_of(tail.newest(log, Wanted(), 1000).lines)[-1] == 200
    assert len(tail.newest(log, Wanted(), 1000).lines) < 20


@pytest.mark.parametrize("chunk", [1, 7, 64, 10**6])
def test_lines_are_whole_wherever_a_chunk_ends(log: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_CHUNK", chunk)
    assert numbers_of(tail.newest(log, Wanted(), 100).lines) == list(range(10))


def test_without_a_log_there_is_nothing(tmp_path: Path) -> None:
    part = tail.newest(tmp_path / "carebell.log", Wanted(), 5)
    assert (list(part.lines), part.cursor) == ([], None)


@pytest.mark.parametrize("text", ["", "1", ":", "1:", "a:1", "1:-1", "1:2:3", "²:1", "1" * 30 + ":1"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert LogCursor.parse(text) is None


def test_a_cursor_comes_back_as_it_was_written() -> None:
    assert LogCursor.parse(str(LogCursor(inode=131074, offset=48210))) == LogCursor(inode=131074, offset=48210)
