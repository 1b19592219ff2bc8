"""What a reload does to listeners, and what the log and the database say of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from listener.client import MllpClient, SendError
from store import leases
from tests.story.clinic import Ack, Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, change, load, make

VISIT: Final = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
TRIAL: Final = {"facility": "LAMNATST", "processing_id": "T"}
_HOSTS = itertools.count(2)


@pytest.fixture
def host() -> str:
    """An address of 127/8 that no other test has: a fixed port needs one."""
    process = os.getpid()
    return f"127.{1 + (process >> 16) % 250}.{process % 256}.{next(_HOSTS)}"


def _listeners(host: str, **ports: int) -> dict[str, Any]:
    """Changes: production's and the test environment's port."""
    return {"environments": {name: {"listener": {"host": host, "port": port}} for name, port in ports.items()}}


def _addresses(clinic: Clinic) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(port.section.host, number, port.environments) for port, number in clinic.service.ports]


async def _reloaded(clinic: Clinic, path: Path, changes: dict[str, Any]) -> None:
    change(path, changes)
    await clinic.until(lambda: clinic.service.loaded.version == load(path).version)


async def _ask(host: str, port: int, control_id: str, **more: str) -> Ack:
    client = await MllpClient.connect(host, port)
    try:
        return Ack((await client.send(signed("S12", control_id, sent=CLOCK, start=VISIT, **more))).content)
    finally:
        await client.close()


def _names(clinic: Clinic, *names: str) -> list[str]:
    return [line["event"] for line in clinic.events() if line["event"] in names]


async def test_an_environment_that_is_new_is_listened_to_at_once(tmp_path: Path, host: str) -> None:
    path = make(tmp_path, _listeners(host, production=2575) | {})
    change(path, {"environments": {"test": {"enabled": False}}})
    async with opened(path, reloads=True) as clinic:
        assert _addresses(clinic) == [(host, 2575, ("production",))]
        await _reloaded(
            clinic, path, {"environments": {"test": {"enabled": True, "listener": {"host": host, "port": 2576}}}}
        )
        await clinic.until(lambda: len(clinic.service.ports) == 2)
        assert (await _ask(host, 2576, "1", **TRIAL)).code == "AA"
        assert (await _ask(host, 2575, "2")).code == "AA"
        await clinic.until(lambda: len(clinic.events("certificate_loaded")) == 3)
        assert [line["environment"] for line in clinic.events("certificate_loaded")] == [
            "production",
            "production",
            "test",
        ]
        assert _names(clinic, "certificate_rotated", "restart_needed") == []
        assert clinic.events("listener_started")[-1]["listener"] == f"{host}:2576"
        [node] = await asyncio.to_thread(_nodes, clinic)
        assert (node.configuration, node.restart_for) == (load(path).version, None)


async def test_an_environment_that_is_gone_is_drained_and_closed(tmp_path: Path, host: str) -> None:
    path = make(tmp_path, _listeners(host, production=2575, test=2576))
    async with opened(path, reloads=True) as clinic:
        client = await MllpClient.connect(host, 2576)
        assert Ack((await client.send(signed("S12", "1", sent=CLOCK, start=VISIT, **TRIAL))).content).code == "AA"
        await _reloaded(clinic, path, {"environments": {"test": None}})
        await clinic.until(lambda: "listener_stopped" in _names(clinic, "listener_stopped"))
        with pytest.raises(SendError, match="nothing listens"):
            await MllpClient.connect(host, 2576)
        await client.close()
        assert (await _ask(host, 2575, "2")).code == "AA"
        assert clinic.events("listener_stopped")[0]["listener"] == f"{host}:2576"


async def test_a_port_that_is_changed_moves(tmp_path: Path, host: str) -> None:
    path = make(tmp_path, _listeners(host, production=2575, test=2576))
    async with opened(path, reloads=True) as clinic:
        await _reloaded(clinic, path, _listeners(host, production=2577))
        await clinic.until(lambda: bool(clinic.events("listener_stopped")))
        assert _addresses(clinic) == [(host, 2576, ("test",)), (host, 2577, ("production",))]
        assert (await _ask(host, 2577, "1")).code == "AA"
        with pytest.raises(SendError, match="nothing listens"):
            await MllpClient.connect(host, 2575)


async def test_two_ports_are_exchanged_and_shared(tmp_path: Path, host: str) -> None:
    path = make(tmp_path, _listeners(host, production=2575, test=2576))
    async with opened(path, reloads=True) as clinic:
        await _reloaded(clinic, path, _listeners(host, production=2576, test=2575))
        assert (await _ask(host, 2576, "1")).code == "AA"
        assert (await _ask(host, 2575, "2", **TRIAL)).code == "AA"
        await _reloaded(clinic, path, _listeners(host, test=2576))
        await clinic.until(lambda: len(clinic.service.ports) == 1)
        assert (await _ask(host, 2576, "3")).code == "AA"
        assert (await _ask(host, 2576, "4", **TRIAL)).code == "AA"


async def test_an_address_that_another_program_has_keeps_the_old_one_until_it_is_free(
    tmp_path: Path, host: str
) -> None:
    path = make(tmp_path, _listeners(host, production=2575, test=2576))
    async with opened(path, reloads=True) as clinic:
        version = clinic.service.loaded.version
        with socket.create_server((host, 2577)):
            change(path, _listeners(host, production=2577))
            await clinic.until(lambda: bool(clinic.events("configuration_refused")))
            assert clinic.service.loaded.version == version
            assert (await _ask(host, 2575, "1")).code == "AA"
            assert "another program uses it" in clinic.events("configuration_refused")[0]["problem"]
        await clinic.until(lambda: clinic.service.loaded.version != version)
        assert (await _ask(host, 2577, "2")).code == "AA"
        assert len(clinic.events("configuration_refused")) == 1


async def test_an_address_within_the_old_one_takes_its_place_or_leaves_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = make(tmp_path, _listeners("0.0.0.0", production=port))
    async with opened(path, reloads=True) as clinic:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = {"test": {"listener": {"host": "127.0.0.1", "port": other.getsockname()[1]}}}
            narrowed = {"production": {"listener": {"host": "127.0.0.1"}}}
            change(path, {"environments": narrowed | taken})
            await clinic.until(lambda: bool(clinic.events("configuration_refused")))
            assert (await _ask("127.0.0.1", port, "1")).code == "AA"
        await clinic.until(lambda: clinic.service.loaded.version == load(path).version)
        assert (await _ask("127.0.0.1", port, "2")).code == "AA"
        assert {host for host, _, _ in _addresses(clinic)} == {"127.0.0.1"}


async def test_what_waits_for_a_restart_is_said_once_and_taken_back(tmp_path: Path) -> None:
    path = make(tmp_path)
    async with opened(path, reloads=True) as clinic:
        await _reloaded(clinic, path, {"log": {"level": "warning"}, "http": {"port": 8081}})
        await clinic.until(lambda: bool(clinic.events("restart_needed")))
        await clinic.until(lambda: _nodes(clinic)[0].restart_for == "http,log")
        await _reloaded(clinic, path, {"organization": {"name": "Lamna Clinics"}})
        await clinic.until(lambda: len(clinic.events("configuration_changed")) == 2)
        await _reloaded(clinic, path, {"log": {"level": "info"}, "http": {"port": 8080}})
        await clinic.until(lambda: _nodes(clinic)[0].restart_for is None)
        assert [line["keys"] for line in clinic.events("restart_needed")] == ["http,log"]


async def test_of_the_portal_only_its_address_waits_for_a_restart(tmp_path: Path) -> None:
    path = make(tmp_path, {"portal": {"enabled": True, "port": 0}})
    async with opened(path, reloads=True) as clinic:
        await _reloaded(clinic, path, {"portal": {"session": {"idle": "10m"}, "trusted_proxies": ["10.0.0.5"]}})
        await clinic.until(lambda: _nodes(clinic)[0].configuration == load(path).version)
        assert _nodes(clinic)[0].restart_for is None
        await _reloaded(clinic, path, {"portal": {"public_url": "https://carebell.example.org"}})
        await clinic.until(lambda: _nodes(clinic)[0].restart_for == "portal")
        await clinic.until(lambda: bool(clinic.events("restart_needed")))
        assert [line["keys"] for line in clinic.events("restart_needed")] == ["portal"]


async def test_what_stands_outside_the_files_is_tried_again_and_logged_once(tmp_path: Path) -> None:
    path = make(tmp_path)
    async with opened(path, reloads=True) as clinic:
        change(path, {"gateway": {"file": "later/outbox.jsonl"}})
        await clinic.until(lambda: bool(clinic.events("configuration_refused")))
        clinic.service.reload()
        await clinic.until(lambda: len(clinic.events("configuration_refused")) == 2)
        (tmp_path / "later").mkdir()
        await clinic.until(lambda: clinic.service.loaded.version == load(path).version)
        assert len(clinic.events("configuration_refused")) == 2


async def test_an_edit_in_the_first_moment_is_taken(tmp_path: Path) -> None:
    path = make(tmp_path)
    loaded = load(path)
    change(path, {"organization": {"name": "Lamna Clinics"}})
    async with opened(path, reloads=True, loaded=loaded) as clinic:
        await clinic.until(lambda: clinic.service.loaded.version == load(path).version)


def _nodes(clinic: Clinic) -> list[leases.Node]:
    with clinic.service.store.read() as conn:
        return leases.seen(conn, since=CLOCK)
