"""The file gateway: the contract's line, its mode, many writers, a disk that fails, and looking up what was written."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from notifier.file_gateway import FileGateway
from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, Gateway, NotSent
from parser.phone_number import PhoneNumber
from tests.notifier.samples import NOW, SMS, sms


def open_gateway(path: Path) -> FileGateway:
    return FileGateway(path, lambda: NOW)


def test_the_line_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    gateway: Gateway = open_gateway(path)
    assert gateway.send(sms(body="Señor – 😀\nnew line")) == Accepted(
        message_id=f"file-{SMS.id}-1", status=DeliveryStatus.DELIVERED
    )
    gateway.close()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "time": "2026-03-02T15:04:05Z",
        "id": "0f" * 16,
        "environment": "production",
        "appointment": "900100",
        "kind": "reminder",
        "from": "+14255550100",
        "to": "+12025550143",
        "body": "Señor – 😀\nnew line",
        "segments": 1,
        "attempt": 1,
    }


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    path.touch(mode=0o644)
    open_gateway(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = tmp_path / "made.jsonl"
    open_gateway(made).close()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_it_appends_and_two_gateways_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    first, second = open_gateway(path), FileGateway(path, lambda: NOW)
    texts = [sms(id=f"{number:032x}", body="x" * 900) for number in range(120)]
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda pair: (first, second)[pair[0] % 2].send(pair[1]), enumerate(texts)))
    assert all(isinstance(receipt, Accepted) for receipt in receipts)
    ids = [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(ids) == [text.id for text in texts]


def test_every_line_is_synced(tmp_path: Path) -> None:
    synced: list[int] = []
    gateway = FileGateway(tmp_path / "outbox.jsonl", lambda: NOW, synced.append)
    gateway.send(SMS)
    gateway.send(SMS)
    assert len(synced) == 2


def test_a_line_that_may_not_be_on_the_disk_is_ambiguous(tmp_path: Path) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    gateway = FileGateway(tmp_path / "outbox.jsonl", lambda: NOW, fail)
    assert gateway.send(SMS) == Ambiguous(why="file_not_synced")


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    gateway = open_gateway(path)
    gateway.send(SMS)
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, limits[1]))
    try:
        receipt = gateway.send(SMS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert receipt == NotSent(why="file_not_written")
    assert path.read_bytes() == before
    assert isinstance(gateway.send(SMS), Accepted)


def test_what_was_written_can_be_looked_up(tmp_path: Path) -> None:
    gateway = open_gateway(tmp_path / "outbox.jsonl")
    gateway.send(SMS)
    (sent,) = gateway.find(SMS, NOW) or []
    assert (sent.message_id, sent.status, sent.to, sent.body, sent.sent_at) == (
        f"file-{SMS.id}-1",
        "delivered",
        PhoneNumber("+12025550143"),
        SMS.body,
        NOW,
    )
    assert gateway.find(sms(attempt=2), NOW) == []
    assert gateway.fetch(sent.message_id) == sent
    assert gateway.fetch("file-other-1") is None
    assert gateway.forget(sent.message_id)


def test_a_folder_that_does_not_exist_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_gateway(tmp_path / "missing" / "outbox.jsonl")


def test_the_descriptor_is_closed(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    open_gateway(tmp_path / "outbox.jsonl").close()
    assert set(os.listdir("/proc/self/fd")) <= before
