"""Hot reload: what is reported when files change in all the ways files change."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.load import Loaded, load
from config.problems import ConfigurationError
from config.watch import Watch
from tests.config.conftest import SMALL


@asynccontextmanager
async def watching(
    path: Path,
    current: Loaded | None = None,
    read: Callable[[], Loaded] | None = None,
    read_seconds: float = 60.0,
) -> AsyncIterator[tuple[Watch, asyncio.Queue[Loaded | ConfigurationError]]]:
    """A running watch and the queue of what it reports.

    Args:
        current: what is in force; None: what the file says now.
        read: reads everything anew; None: `load`.
        read_seconds: the default is so long that no loaded machine reaches it.
    """
    watch = Watch(
        current or load(path, {}),
        read or (lambda: load(path, {})),
        debounce_ms=50,
        recheck_ms=200,
        read_seconds=read_seconds,
    )
    reports: asyncio.Queue[Loaded | ConfigurationError] = asyncio.Queue()

    async def collect() -> None:
        async for outcome in watch:
            await reports.put(outcome)

    task = asyncio.create_task(collect())
    try:
        yield watch, reports
    finally:
        watch.stop()
        await task


def save(path: Path, text: str) -> None:
    """Whole at once: a watch that reads while the file is being written would see a part of it."""
    written = path.with_name(f".{path.name}.written")
    written.write_text(text, encoding="utf-8")
    written.replace(path)


def loaded_port(outcome: Loaded | ConfigurationError) -> int:
    assert isinstance(outcome, Loaded), str(outcome)
    return outcome.configuration.http.port


def with_port(port: int | str) -> str:
    return SMALL.replace("port: 8080", f"port: {port}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "carebell.yaml"
    save(path, SMALL)
    return path


async def test_a_file_written_in_place(path: Path) -> None:
    async with watching(path) as (_, reports):
        save(path, with_port(9001))

        assert loaded_port(await reports.get()) == 9001


async def test_a_file_replaced_by_another(path: Path) -> None:
    async with watching(path) as (_, reports):
        for port in (9001, 9002):
            other = path.with_suffix(".swp")
            save(other, with_port(port))
            os.replace(other, path)

            assert loaded_port(await reports.get()) == port


async def test_a_wrong_file_is_reported_and_then_the_right_one(path: Path) -> None:
    async with watching(path) as (_, reports):
        save(path, with_port("x"))
        outcome = await reports.get()
        assert isinstance(outcome, ConfigurationError)
        assert outcome.problems[0].key == "http.port"

        save(path, with_port(9002))
        assert loaded_port(await reports.get()) == 9002


async def test_a_deleted_file_is_reported_and_its_return_too(path: Path) -> None:
    async with watching(path) as (_, reports):
        await asyncio.to_thread(path.unlink)
        assert "there is no such file" in str(await reports.get())

        save(path, SMALL)
        assert loaded_port(await reports.get()) == 8080


async def test_a_config_map_swapped_by_symlinks(tmp_path: Path) -> None:
    for number, port in enumerate((8080, 9001)):
        (tmp_path / f"..{number}").mkdir()
        save(tmp_path / f"..{number}" / "carebell.yaml", with_port(port))
    (tmp_path / "..data").symlink_to("..0")
    path = tmp_path / "carebell.yaml"
    path.symlink_to("..data/carebell.yaml")

    async with watching(path) as (_, reports):
        (tmp_path / "..next").symlink_to("..1")
        os.replace(tmp_path / "..next", tmp_path / "..data")

        assert loaded_port(await reports.get()) == 9001


async def test_texts_in_another_folder(path: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    texts = tmp_path / "own" / "texts.yaml"
    save(texts, "en: {booked: {default: One}}\n")
    save(path, SMALL.replace("      reminders:", "      templates: own/texts.yaml\n      reminders:"))

    async with watching(path) as (_, reports):
        save(texts, "en: {booked: {default: Two}}\n")

        outcome = await reports.get()
        assert isinstance(outcome, Loaded)
        assert outcome.templates["prod"].texts["en"]["booked"]["default"] == "Two"


async def test_a_file_that_was_missing_makes_it_right(path: Path, tmp_path: Path) -> None:
    async with watching(path) as (_, reports):
        save(path, SMALL.replace("      reminders:", "      templates: t.yaml\n      reminders:"))
        assert isinstance(await reports.get(), ConfigurationError)

        save(tmp_path / "t.yaml", "en: {booked: {default: One}}\n")
        assert isinstance(await reports.get(), Loaded)


async def test_sighup_reports_even_what_did_not_change(path: Path) -> None:
    async with watching(path) as (watch, reports):
        watch.reload()

        assert loaded_port(await reports.get()) == 8080


async def test_other_files_and_equal_content_are_not_reported(path: Path, tmp_path: Path) -> None:
    async with watching(path) as (_, reports):
        (tmp_path / "carebell.db").write_bytes(b"x")
        save(tmp_path / "other.yaml", "a: 1\n")
        save(path, SMALL)
        # What is reported next is the change after them, so nothing was reported for them.
        save(path, with_port(9001))

        assert loaded_port(await reports.get()) == 9001
        assert reports.empty()


# From the first moment on


def _in_place(path: Path) -> None:
    path.write_text(with_port(9001), encoding="utf-8")


def _renamed(path: Path) -> None:
    save(path.with_suffix(".swp"), with_port(9001))
    path.with_suffix(".swp").replace(path)


def _a_link_in_its_place(path: Path) -> None:
    save(path.with_suffix(".other"), with_port(9001))
    path.unlink()
    path.symlink_to(path.with_suffix(".other"))


def _same_size_and_time(path: Path) -> None:
    status = path.stat()
    path.write_text(with_port(9001), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


EDITS = {
    "in place": _in_place,
    "renamed": _renamed,
    "a link": _a_link_in_its_place,
    "same size and time": _same_size_and_time,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
async def test_an_edit_between_loading_and_watching_is_reported(path: Path, edit: Callable[[Path], None]) -> None:
    loaded = load(path, {})
    edit(path)
    async with watching(path, loaded) as (_, reports):
        assert loaded_port(await reports.get()) == 9001


async def test_a_named_file_that_changed_before_watching_is_reported(path: Path, tmp_path: Path) -> None:
    loaded = load(path, {})
    (tmp_path / "prod.cer").write_text("a certificate\n")
    async with watching(path, loaded) as (_, reports):
        assert loaded_port(await reports.get()) == 8080


async def test_an_edit_while_the_file_is_read_is_reported(path: Path) -> None:
    edits = [9002, 9003]

    def read() -> Loaded:
        loaded = load(path, {})
        if edits:
            save(path, with_port(edits.pop(0)))
        return loaded

    async with watching(path, read=read) as (watch, reports):
        watch.reload()
        assert [loaded_port(await reports.get()) for _ in range(3)] == [8080, 9002, 9003]


async def test_a_change_while_the_last_is_put_in_force_is_reported_beside_a_busy_log(path: Path) -> None:
    """The log lies in the folder and is written all the time, so that the watched folder never rests."""

    async def keep_writing() -> None:
        while True:
            with path.with_name("carebell.log").open("a", encoding="utf-8") as log:
                log.write("a line\n")
            await asyncio.sleep(0.005)

    watch = Watch(load(path, {}), lambda: load(path, {}), debounce_ms=50, recheck_ms=200)
    writing = asyncio.create_task(keep_writing())
    save(path, with_port(9001))
    seen = []
    try:
        async for outcome in watch:
            seen.append(loaded_port(outcome))
            save(path, with_port(9002))  # nobody watches while the caller has the last one in hand
            if len(seen) == 2:
                watch.stop()
    finally:
        writing.cancel()
    assert seen == [9001, 9002]


async def test_nothing_that_did_not_change_is_reported(path: Path) -> None:
    async with watching(path) as (watch, reports):
        await asyncio.sleep(0)
        save(path, with_port(9001))
        assert loaded_port(await reports.get()) == 9001
        watch.reload()
        assert loaded_port(await reports.get()) == 9001
        assert watch.asked
        assert reports.empty()


# What must not end it


class _NoDescriptors:
    """watchfiles' `awatch` where the process may open no more files."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    async def __anext__(self) -> None:
        raise RuntimeError("Too many open files")

    async def aclose(self) -> None:
        pass


async def test_it_goes_on_where_no_folder_can_be_watched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.watch.awatch", _NoDescriptors)
    async with watching(path) as (watch, reports):
        save(path, with_port(9001))
        assert loaded_port(await reports.get()) == 9001
        watch.reload()
        assert loaded_port(await reports.get()) == 9001


@pytest.mark.parametrize("name", ["carebell.yaml", "prod.cer"])
async def test_a_named_pipe_in_a_files_place_is_read_as_no_file(path: Path, name: str) -> None:
    async with watching(path) as (_, reports):
        path.with_name(name).unlink(missing_ok=True)
        os.mkfifo(path.with_name(name))
        path.with_suffix(".swp").write_text("")  # as an editor does beside it
        if name == "carebell.yaml":
            while "a named pipe" not in str(await reports.get()):
                pass
            await asyncio.to_thread(path.unlink)
        save(path, with_port(9001))
        while not isinstance(outcome := await reports.get(), Loaded) or loaded_port(outcome) != 9001:
            pass


async def test_reading_that_hangs_is_reported_and_what_comes_after_it_is_heard(path: Path) -> None:
    answers, hung = threading.Event(), threading.Event()

    def read() -> Loaded:
        hung.set()
        assert answers.wait(60)
        return load(path, {})

    async with watching(path, read=read, read_seconds=0.5) as (_, reports):
        save(path, with_port(9001))
        assert "took longer" in str(await reports.get())
        assert hung.is_set()
        answers.set()
        while not isinstance(outcome := await reports.get(), Loaded):
            pass
        assert loaded_port(outcome) == 9001


async def test_what_was_refused_is_reported_until_it_is_taken(path: Path) -> None:
    watch = Watch(load(path, {}), lambda: load(path, {}), debounce_ms=50, recheck_ms=50)
    save(path, with_port(9001))
    ports = []
    async for outcome in watch:
        ports.append(loaded_port(outcome))
        if len(ports) < 3:
            watch.refuse()
        elif len(ports) == 3:
            save(path, with_port(9002))
        else:
            watch.stop()
    assert ports == [9001, 9001, 9001, 9002]


async def test_the_end_does_not_wait_for_reading_that_hangs(path: Path) -> None:
    answers, hung = threading.Event(), threading.Event()

    def read() -> Loaded:
        hung.set()
        assert answers.wait(60)
        return load(path, {})

    watch = Watch(load(path, {}), read, debounce_ms=50, recheck_ms=50, read_seconds=3600)

    async def collect() -> None:
        async for _ in watch:
            pass

    task = asyncio.create_task(collect())
    watch.reload()
    await asyncio.to_thread(hung.wait, 60)
    watch.stop()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answers.set()
