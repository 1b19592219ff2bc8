"""A service of several processes behaves as one: answers, health, metrics, log, reload, a worker's and the supervisor's death."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from listener.client import MllpClient, SendError
from simulator.ehr import make_identity
from tests.faults.node import PATIENCE, Node, environment_of, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, Signer, send_one

ROLES = "listener,dispatcher,portal,housekeeping"


@dataclass(slots=True, kw_only=True)
class Shared:
    """A service with two workers. `health`: its URL."""

    folder: Path
    node: Node
    health: str
    hospital: Hospital

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "carebell.log").read_text("utf-8").splitlines()]
        return [line for line in lines if line["event"] == name]

    def worker_pids(self) -> dict[int, int]:
        """Worker -> its process, the one that was started last."""
        return {line["worker"]: line["pid"] for line in self.events("worker_started")}

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.health, timeout=PATIENCE) as answer:
            shown: dict[str, Any] = json.load(answer)
        return shown

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(self.health.replace("/health", "/metrics"), timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.02)

    def send(self, connections: int, each: int) -> None:
        asyncio.run(self._send(connections, each))

    async def _send(self, connections: int, each: int) -> None:
        clients = [await MllpClient.connect("127.0.0.1", self.node.port) for _ in range(connections)]
        for client in clients:
            for _ in range(each):
                await send_one(client, self.hospital.ledger, self.hospital.write(len(self.hospital.ledger.sent)))
        for client in clients:
            await client.close()


def _start(folder: Path, hospital: Hospital, *, port: int = 0) -> Shared:
    path = _configure(folder, hospital.identity.certificate, port=port)
    node = Node(path, roles=ROLES, workers=2)
    health = node.wait_for(r"http://\S+/health")[0]
    return Shared(folder=folder, node=node, health=health, hospital=hospital)


def _configure(folder: Path, *certificates: bytes, port: int = 0, other: int | None = None) -> Path:
    """`other`: a second environment's port."""

    def change(content: dict[str, Any]) -> None:
        content["http"] = {"enabled": True, "host": "127.0.0.1", "port": 0}
        if other is not None:
            own = make_identity("Other EHR", now=datetime.now(UTC), bits=2048)
            (folder / "other.cer").write_bytes(own.certificate)
            content["environments"]["other"] = {
                **content["environments"]["production"],
                "certificates": ["other.cer"],
                "listener": {"host": "127.0.0.1", "port": other},
            }

    return write_configuration(folder, certificates, port=port, change=change)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    service = _start(tmp_path_factory.mktemp("workers") / "clinic", Hospital())
    try:
        yield service
        assert service.node.stop() == 0
        assert service.hospital.ledger.acknowledged == read_rows(service.folder / "data").complete
    finally:
        if service.node.running:
            service.node.kill()


def test_health_metrics_and_log_speak_for_all_workers(shared: Shared) -> None:
    before, lines = shared.metric("carebell_messages_total"), len(shared.events("message_accepted"))
    shared.send(connections=4, each=5)
    assert shared.hospital.ledger.refused == {}
    shared.until(lambda: shared.metric("carebell_messages_total") == before + 20)
    assert len(shared.events("message_accepted")) == lines + 20
    state = shared.state()
    assert state["workers"] == {"ok": True, "running": 2, "wanted": 2, "restarts": state["workers"]["restarts"]}
    shared.until(lambda: shared.state()["listener"]["connections"] == 0)
    assert len(shared.events("service_started")) == len(shared.events("listener_started")) == 1


def test_connections_of_one_engine_are_spread(shared: Shared) -> None:
    async def connect() -> list[int]:
        clients = [await MllpClient.connect("127.0.0.1", shared.node.port) for _ in range(6)]
        await asyncio.to_thread(shared.until, lambda: sum(_sockets(shared)) == 6)
        spread = _sockets(shared)
        for client in clients:
            await client.close()
        return spread

    assert asyncio.run(connect()) == [3, 3]


def _sockets(shared: Shared) -> list[int]:
    """Open connections of the listener's port, by worker."""
    entries = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    here, established = f"{shared.node.port:04X}", "01"
    inodes = {f"socket:[{e[9]}]" for e in entries if e[1].endswith(f":{here}") and e[3] == established}
    counts = []
    for _, pid in sorted(shared.worker_pids().items()):
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
        counts.append(len(inodes.intersection(links)))
    return counts


def test_a_changed_configuration_is_in_force_with_every_worker_at_once(shared: Shared) -> None:
    """Directly after the line in the log, messages signed with the new key are accepted on connections to both workers."""
    old, new = shared.hospital.identity, make_identity("New key", now=datetime.now(UTC), bits=2048)
    changes = len(shared.events("configuration_changed"))
    _configure(shared.folder, old.certificate, new.certificate)
    shared.until(lambda: len(shared.events("configuration_changed")) == changes + 1)
    shared.hospital.identity, shared.hospital.signer = new, Signer(new)
    shared.send(connections=4, each=2)
    assert shared.hospital.ledger.refused == {}


def test_a_configuration_that_cannot_be_used_is_in_force_nowhere(shared: Shared) -> None:
    """Another program has the new port; and a new port that is free works with every worker."""
    changes, refusals = (len(shared.events(f"configuration_{name}")) for name in ("changed", "refused"))
    certificate = shared.hospital.identity.certificate
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        _configure(shared.folder, certificate, other=number)
        shared.until(lambda: len(shared.events("configuration_refused")) > refusals)
        assert str(number) in shared.events("configuration_refused")[-1]["problem"]
        assert len(shared.events("configuration_changed")) == changes
        shared.send(connections=2, each=1)
        assert shared.hospital.ledger.refused == {}
    shared.until(lambda: len(shared.events("configuration_changed")) == changes + 1)

    async def ask() -> list[bytes]:
        answers = []
        for _ in range(2):
            client = await MllpClient.connect("127.0.0.1", number)
            answers.append((await client.send(b"MSH|^~\\&|A|B|C|D|20260101||SIU^S12|1|P|2.3\r")).content)
            await client.close()
        return answers

    assert all(b"|AR|" in answer or b"|AE|" in answer for answer in asyncio.run(ask())), "its workers know the port"
    _configure(shared.folder, certificate)
    shared.until(lambda: len(shared.events("configuration_changed")) == changes + 2)
    with pytest.raises(SendError):
        asyncio.run(MllpClient.connect("127.0.0.1", number))


def test_a_second_service_on_the_same_port_is_refused(shared: Shared, tmp_path: Path) -> None:
    path = _configure(tmp_path / "second", shared.hospital.identity.certificate, port=shared.node.port)
    second = subprocess.run(
        [sys.executable, "-m", "carebell", "serve", "-c", str(path), "--workers", "2"],
        env=environment_of(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert second.returncode == 1
    assert "another program uses it" in second.stderr


def test_a_worker_that_dies_is_replaced(shared: Shared) -> None:
    restarts, victim = shared.state()["workers"]["restarts"], shared.worker_pids()[1]
    os.kill(victim, signal.SIGKILL)
    shared.until(lambda: shared.worker_pids()[1] != victim)
    ended = shared.events("worker_ended")[-1]
    assert (ended["worker"], ended["pid"], ended["reason"], ended["signal"]) == (1, victim, "killed", "SIGKILL")
    shared.until(lambda: shared.state()["workers"]["running"] == 2)
    assert shared.state()["workers"]["restarts"] == restarts + 1
    shared.send(connections=4, each=1)
    assert shared.hospital.ledger.refused == {}


def test_workers_do_not_outlive_their_supervisor_and_a_new_start_is_not_kept_waiting(tmp_path: Path) -> None:
    hospital = Hospital()
    first = _start(tmp_path / "clinic", hospital)
    pids = first.worker_pids().values()
    os.kill(first.node.pid, signal.SIGKILL)  # the supervisor alone
    second = _start(tmp_path / "clinic", hospital, port=first.node.port)
    first.until(lambda: not any(_lives(pid) for pid in pids))
    first.node.ended()
    second.send(connections=2, each=1)
    assert hospital.ledger.refused == {}
    assert second.node.stop() == 0
    assert hospital.ledger.acknowledged == read_rows(tmp_path / "clinic" / "data").complete


def _lives(pid: int) -> bool:
    try:
        state = re.search(r"^State:\s+(\S)", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
    except FileNotFoundError:
        return False
    return state is not None and state[1] != "Z"
