"""Hot reload: what is reported when files change in all the ways files change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.load import Loaded, load
from config.problems import ConfigurationError
from config.watch import Watch
from tests.config.conftest import SMALL


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[tuple[Watch, asyncio.Queue[Loaded | ConfigurationError]]]:
    """A running watch and the queue of what it reports."""
    watch = Watch(load(path, {}), lambda: load(path, {}), debounce_ms=50, recheck_ms=200)
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
    path.write_text(text, encoding="utf-8")


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
