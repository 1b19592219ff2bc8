"""A server's CPU and memory are those of all its processes, and none of them outlives its round."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.messages import Messages
from benchmarks.servers import Missing, Server, family, running

_WITH_A_WORKER = (
    "import subprocess, sys, time;"
    "worker = subprocess.Popen([sys.executable, '-c', 'import time; x = bytearray(30 << 20); time.sleep(600)'],"
    " start_new_session=True);"
    "print('ready', 4000, flush=True); time.sleep(600)"
)
NOTHING = Messages(file=Path(os.devnull), count=0, size=0, certificate=b"")


def _server(code: str) -> Server:
    return Server(name="it", does="nothing", command=lambda folder, messages: [sys.executable, "-c", code])


def test_workers_count_and_end_with_their_server(tmp_path: Path) -> None:
    with running(_server(_WITH_A_WORKER), tmp_path / "server", NOTHING) as it:
        supervisor, worker = it.processes
        assert supervisor == it.pid
        assert it.memory() > 0
        assert it.cpu_seconds() >= 0
    status = Path(f"/proc/{worker}/status")
    assert not status.exists() or "zombie" in status.read_text()
    assert family(it.pid) == []


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(Missing, match="no such thing"),
        running(_server("raise SystemExit('no such thing')"), tmp_path / "server", NOTHING),
    ):
        pytest.fail("it did not start")
