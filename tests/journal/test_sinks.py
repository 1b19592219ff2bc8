"""The log file under rotation, permissions and a full disk."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from journal.events import Event
from journal.logs import setup
from journal.sinks import LogFile, wants_colour
from tests.journal.conftest import NOW


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

        journal.emit(Event.SERVICE_STARTED, version="1")
        for broken in (half, full):
            monkeypatch.setattr(os, "write", broken)
            journal.emit(Event.SERVICE_STARTED, version="lost")
        monkeypatch.setattr(os, "write", real)
        journal.emit(Event.SERVICE_STOPPED, reason="done")

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
