"""`status` beside a running service: what is in force, what is on disk, and what is to be done."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from carebell.commands.status import status
from store import leases
from tests.story.clinic import Clinic, opened
from tests.story.folder import CLOCK, change, load, make


class Asked:
    """`status`, run beside the service."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path = path
        self._capsys = capsys

    async def rows(self) -> tuple[int, dict[str, Any]]:
        self._capsys.readouterr()
        code = await asyncio.to_thread(status, self._path, as_json=True)
        shown: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, shown

    async def text(self) -> str:
        self._capsys.readouterr()
        await asyncio.to_thread(status, self._path, as_json=False)
        return self._capsys.readouterr().out


async def test_status_shows_what_is_in_force_and_what_is_on_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    asked = Asked(path, capsys)
    first = load(path).version
    async with opened(path, at=datetime.now(UTC), reloads=True) as clinic:
        _, running = await asked.rows()
        assert (
            running["configuration"]
            == running["configuration_on_disk"]
            == running["nodes"][0]["configuration"]
            == first
        )
        assert running["configuration_since"] == running["nodes"][0]["configured"]

        change(path, {"gateway": {"file": "absent/outbox.jsonl"}})
        second = load(path).version
        await clinic.until(lambda: bool(clinic.events("configuration_refused")))
        code, refused = await asked.rows()
        assert (code, refused["configuration"], refused["configuration_on_disk"]) == (1, first, second)
        assert f"ON DISK is {second}, not in force" in await asked.text()

        (tmp_path / "absent").mkdir()
        await clinic.until(lambda: _noted(clinic, path))
        _, taken = await asked.rows()
        assert taken["configuration"] == taken["configuration_on_disk"] == second
        assert taken["nodes"][0]["restart_for"] == ["gateway"]
        assert "waits for a restart: gateway" in await asked.text()


async def test_status_says_whether_the_staffs_pages_are_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as pages:
        port = pages.getsockname()[1]
        path = make(tmp_path, {"portal": {"enabled": True, "port": port, "public_url": "https://carebell.example.org"}})
        asked = Asked(path, capsys)
        async with opened(path, at=datetime.now(UTC)):
            _, shown = await asked.rows()
            assert shown["portal"] == {"url": "https://carebell.example.org", "listening": True}
            assert "portal    https://carebell.example.org: open\n" in await asked.text()
            pages.close()
            code, shown = await asked.rows()
            assert (code, shown["portal"]["listening"]) == (1, False)
            assert "NOT OPEN" in await asked.text()


async def test_status_says_nothing_of_pages_that_are_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path)
    asked = Asked(path, capsys)
    async with opened(path, at=datetime.now(UTC)):
        _, shown = await asked.rows()
        assert shown["portal"] is None
        assert "portal" not in await asked.text()


def _noted(clinic: Clinic, path: Path) -> bool:
    with clinic.service.store.read() as conn:
        return leases.seen(conn, since=CLOCK)[0].configuration == load(path).version
