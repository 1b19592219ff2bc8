"""The log file under rotation, permissions and a full disk."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from pathlib import Path

import pytest

from journal.events.service import ServiceStarted, ServiceStopped
from journal.logs import setup
from journal.sinks import LogFile, wants_colour
from tests.journal.conftest import NOW, some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "carebell.log"


def nothing() -> None:
    """Counts nothing."""


def test_a_new_file_is_for_its_group_at_most(path: Path) -> None:
    before = os.umask(0)
    try:
        LogFile(path, nothing).close()
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("before", "after"), [(0o666, 0o640), (0o644, 0o640), (0o600, 0o600)])
def test_a_file_that_is_there_is_narrowed_and_never_widened(path: Path, before: int, after: int) -> None:
    path.touch()
    path.chmod(before)
    LogFile(path, nothing).close()
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_file_that_logrotate_made_is_narrowed(path: Path) -> None:
    file = LogFile(path, nothing)
    path.rename(path.with_suffix(".1"))
    path.touch()
    path.chmod(0o644)
    file.write("one")
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_pipe_stays_as_it_is(path: Path) -> None:
    os.mkfifo(path)
    path.chmod(0o666)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    LogFile(path, nothing).close()
    os.close(reader)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_pipe_that_nobody_reads_stops_nothing_and_is_used_when_somebody_does(path: Path) -> None:
    """Opening it for writing waits for a reader; the service must not."""
    os.mkfifo(path)
    lost: list[int] = []
    file = LogFile(path, lambda: lost.append(1))
    assert file.write("one") == 0
    assert (file.failures, len(lost)) == (1, 1)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert file.write("two") == 1
    assert os.read(reader, 100) == b"two\n"
    os.close(reader)
    file.write("three")
    assert file.failures == 2
    file.close()


def test_a_pipe_that_is_full_loses_lines_and_does_not_wait(path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = LogFile(path, nothing)
    while not file.failures:
        file.write("x" * 4000)
    while os.read(reader, 65536):
        if file.write("again"):
            break
    file.close()
    os.close(reader)
    assert file.lost == 0


def test_somebody_elses_file_is_written_and_said_to_be_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not ours")

    path.touch()
    path.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", refuse)
    with setup(now=lambda: NOW, file=path):
        pass
    [line] = map(json.loads, path.read_text("utf-8").splitlines())
    assert (line["event"], line["level"], line["file"]) == ("log_open_to_others", "warning", path.name)


def test_it_appends(path: Path) -> None:
    path.write_text("old\n", encoding="ascii")
    file = LogFile(path, nothing)
    file.write("new")
    file.close()

    assert path.read_text(encoding="ascii") == "old\nnew\n"


def test_it_follows_a_rotation_and_a_deletion(path: Path) -> None:
    file = LogFile(path, nothing)
    file.write("one")
    path.rename(path.with_suffix(".1"))
    file.write("two")
    path.unlink()
    file.write("three")
    file.close()

    assert path.with_suffix(".1").read_text(encoding="ascii") == "one\n"
    assert path.read_text(encoding="ascii") == "three\n"
    assert file.failures == 0


def test_a_full_disk_is_counted_and_the_next_line_begins_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[None] = []
    with setup(now=lambda: NOW, file=path, on_failure=lambda: failed.append(None)) as journal:
        real = os.write

        def half(descriptor: int, data: bytes) -> int:
            return real(descriptor, data[: len(data) // 2])

        def full(_descriptor: int, _data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        journal.emit(some(ServiceStarted, version="1"))
        for broken in (half, full):
            monkeypatch.setattr(os, "write", broken)
            journal.emit(some(ServiceStarted, version="lost"))
        monkeypatch.setattr(os, "write", real)
        journal.emit(some(ServiceStopped, reason="done"))

        assert journal.failures == len(failed) == 2

    lines = path.read_text(encoding="ascii").splitlines()
    assert [line.endswith("}") for line in lines] == [True, False, True, True]
    assert '"event":"service_stopped"' in lines[2]
    assert '"event":"log_resumed","file":"carebell.log","lines_lost":2' in lines[3]


def test_a_folder_that_is_gone_is_counted_and_its_return_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(folder / "log", nothing)
    (folder / "log").unlink()
    folder.rmdir()
    assert file.write("lost") == 0
    folder.mkdir()

    assert file.write("back") == 1
    assert (folder / "log").read_text(encoding="ascii") == "back\n"
    assert file.failures == 1
    file.close()


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colours"),
    [
        (Tty(), {}, True),
        (Tty(), {"NO_COLOR": ""}, True),
        (Tty(), {"NO_COLOR": "1"}, False),
        (Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_only_where_wanted(stream: io.StringIO, environ: dict[str, str], colours: bool) -> None:
    assert wants_colour(stream, environ) is colours


def test_of_several_lines_those_that_a_full_disk_cut_off_are_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[None] = []
    file = LogFile(path, lambda: failed.append(None))
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:6]))
    assert file.write_all(["one", "two", "three"]) == 0
    monkeypatch.undo()
    assert (file.failures, len(failed)) == (2, 2)
    assert file.write_all(["four", "five"]) == 2
    file.close()
    assert path.read_text() == "one\ntw\nfour\nfive\n"
