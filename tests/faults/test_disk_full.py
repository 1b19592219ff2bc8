"""F5: while the disk is full nothing is acknowledged and nothing half stored; when there is room again, it goes on by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError
from tests.faults.conftest import Tally
from tests.faults.disk import Disk
from tests.faults.node import Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_all, send_one

pytestmark = [pytest.mark.faults("F5"), pytest.mark.timeout(3600)]

_GOOD = 20
_BAD = 8


async def _try(port: int, hospital: Hospital, count: int) -> None:
    """Send each once, on a connection of its own."""
    for _ in range(count):
        client = await MllpClient.connect("127.0.0.1", port)
        try:
            await send_one(client, hospital.ledger, hospital.write(len(hospital.ledger.sent)))
        except SendError:
            pass
        finally:
            client.abort()


def _fill_and_free(
    node: Node, hospital: Hospital, data: Path, tally: Tally, fill: Callable[[], None], free: Callable[[], None]
) -> int:
    """Rounds of room and no room; how many messages were answered while there was none, each of them stored."""
    ledger, answered = hospital.ledger, 0
    for _ in tally.rounds():
        asyncio.run(send_all(node.port, hospital, [hospital.write(len(ledger.sent)) for _ in range(_GOOD)]))
        fill()
        before = ledger.acknowledged
        asyncio.run(_try(node.port, hospital, _BAD))
        answered += len(ledger.acknowledged - before)
        assert read_rows(data).complete == read_rows(data).remembered == ledger.acknowledged
        free()
        asyncio.run(send_all(node.port, hospital, ledger.in_doubt))
    assert node.stop() == 0
    assert read_rows(data).complete == ledger.sent.keys() == ledger.acknowledged
    tally.seen["sent while full"] = _BAD * tally.done
    return answered


def test_no_answer_while_writes_find_no_space(disk: Disk, tally: Tally, tmp_path: Path) -> None:
    hospital = Hospital()
    configuration = write_configuration(
        tmp_path, [hospital.identity.certificate], url=f"sqlite:///{disk.folder}/carebell.db"
    )
    node = Node(configuration, environment=disk.environment())
    full, heal = partial(disk.fail, "full"), partial(disk.heal, "full")
    answered = _fill_and_free(node, hospital, disk.folder, tally, full, heal)
    assert answered == 0
    tally.seen["answered while no write found space"] = answered


@contextmanager
def _small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """A tmpfs of this size; skips where mounting one is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "carebell-test", place], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_no_answer_while_a_small_file_system_is_full(tally: Tally, tmp_path: Path) -> None:
    hospital = Hospital()
    data, ballast = tmp_path / "data", tmp_path / "data" / "ballast"
    with _small_disk(data, 16):
        node = Node(write_configuration(tmp_path, [hospital.identity.certificate]))

        def fill() -> None:
            """Leave no block. The database's log may still overwrite blocks it has: what is answered then must be stored."""
            file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
            with suppress(OSError):
                while os.write(file, bytes(4096)):
                    pass
            os.close(file)

        try:
            answered = _fill_and_free(node, hospital, data, tally, fill, ballast.unlink)
        finally:
            node.stop()
    assert answered < tally.seen["sent while full"], "the disk was never full"
    tally.seen["answered, and stored in blocks it had"] = answered
