"""The service manager's protocol over a real datagram socket."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from carebell.bootstrap.service_manager import ServiceManager
from tests.story.clinic import opened
from tests.story.folder import change, make


@dataclass(frozen=True, slots=True)
class Manager:
    """A service manager's end of the socket."""

    socket: socket.socket
    address: str

    def heard(self) -> list[str]:
        """Every datagram that has arrived."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@carebell-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name[1:] if name.startswith("@") else name)
        channel.setblocking(False)
        yield Manager(channel, name)


def test_each_change_is_told(manager: Manager) -> None:
    service_manager = ServiceManager.of({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000000"}, 7)
    service_manager.microseconds = lambda: 5
    service_manager.ready("127.0.0.1:2575")
    service_manager.alive()
    service_manager.reloading()
    service_manager.reloaded()
    service_manager.stopping()
    assert service_manager.ping_every == 10.0
    assert [message.split("\n") for message in manager.heard()] == [
        ["READY=1", "STATUS=127.0.0.1:2575"],
        ["WATCHDOG=1"],
        ["RELOADING=1", "MONOTONIC_USEC=5", "STATUS=Reading the configuration again"],
        ["READY=1", "STATUS=127.0.0.1:2575"],
        ["STOPPING=1", "STATUS=Finishing what is in flight"],
    ]


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_sign_of_life_is_sent_to_who_waits_for_one(variables: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager.of({"NOTIFY_SOCKET": "/run/notify", **variables}, 7).ping_every == seconds


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_a_socket_that_it_can_reach_nothing_is_sent(address: str) -> None:
    service_manager = ServiceManager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}, 7)
    assert (service_manager.address, service_manager.ping_every) == (None, None)
    service_manager.ready("")


def test_a_service_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    ServiceManager(address=str(tmp_path / "gone")).ready("")


# In the service


def _settings(manager: Manager) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "40000"}, 7)


@pytest.mark.parametrize("manager", ["path"], indirect=True)
async def test_a_service_tells_its_whole_life(tmp_path: Path, manager: Manager) -> None:
    configuration = make(tmp_path / "clinic")
    heard: list[str] = []

    def has(words: str, *, times: int = 1) -> bool:
        heard.extend(manager.heard())
        return sum(message.startswith(words) for message in heard) >= times

    async with opened(configuration, reloads=True, manager=_settings(manager)) as clinic:
        assert has("READY=1\nSTATUS=")
        assert str(clinic.port()) in next(message for message in heard if message.startswith("READY=1"))
        await clinic.until(lambda: has("WATCHDOG=1", times=3))
        clinic.service.reload()
        await clinic.until(lambda: has("RELOADING=1"))
        await clinic.until(lambda: has("READY=1", times=2))
        change(configuration, {"organization": {"name": ""}})
        clinic.service.reload()
        await clinic.until(lambda: has("RELOADING=1", times=2))
        await clinic.until(
            lambda: has("READY=1", times=3)
        )  # refused: the old configuration stays, and the reload is over
        clinic.service.asked_to_end("SIGTERM")
        assert has("STOPPING=1")


async def test_workers_that_are_being_started_are_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine a worker's start takes longer than the first look for alarms waits."""

    class Starting:
        def down(self) -> dict[str, int]:
            return {"worker 1": 0}

    async with opened(make(tmp_path / "clinic")) as clinic:
        monkeypatch.setattr(clinic.service._receiving, "pool", Starting())
        monkeypatch.setattr(clinic.service, "_up", False)
        assert clinic.service._tasks_down() == {}
        monkeypatch.setattr(clinic.service, "_up", True)
        assert clinic.service._tasks_down() == {"worker 1": 0}
        monkeypatch.setattr(clinic.service._receiving, "pool", None)
