"""Signals at every moment of `serve`: a storm at its start, bad reloads before its end, and what hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carebell.bootstrap.signals import ServeSignals
from carebell.exits import REFUSED
from tests.faults.node import PATIENCE, Node, environment_of
from tests.story.folder import change, make


@contextmanager
def _started(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "carebell", "serve", "-c", str(path), "--workers", "1"],
        env=environment_of(os.environ),
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until_sighup_is_handled(pid: int) -> None:
    """The interpreter's own first moments are nobody's: from our first line on the signal must not end the process."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        status = Path(f"/proc/{pid}/status").read_text()
        masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigCgt"))]
        if any(mask & 1 for mask in masks):
            return
        time.sleep(0.001)
    raise AssertionError("SIGHUP was never handled")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which signals are handled")
def test_a_storm_of_sighup_at_the_start_ends_nothing(tmp_path: Path) -> None:
    path = make(tmp_path)
    with _started(path) as process:
        assert process.stdout is not None
        _until_sighup_is_handled(process.pid)
        listening = threading.Event()

        def storm() -> None:
            while process.poll() is None and not listening.is_set():
                process.send_signal(signal.SIGHUP)
                time.sleep(0.002)

        thread = threading.Thread(target=storm)
        thread.start()
        words = []
        for line in process.stdout:
            words.append(line)
            if "listening:" in line:
                break
        listening.set()
        thread.join(PATIENCE)
        assert process.poll() is None, words
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which signals are handled")
def test_sigterm_in_the_middle_of_the_start_ends_it(tmp_path: Path) -> None:
    path = make(tmp_path)
    with _started(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # the first word of the log
        process.send_signal(signal.SIGTERM)
        words = process.stdout.read()
        assert process.wait(PATIENCE) == 0, words
        assert "Traceback" not in words


def _typo(path: Path) -> None:
    path.write_text(path.read_text() + "nonsense: 1\n")


def _no_yaml(path: Path) -> None:
    path.write_text("\tx")


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def _pipe(path: Path) -> None:
    _gone(path)
    os.mkfifo(path)


def _pipe_for_a_certificate(path: Path) -> None:
    [certificate, *_] = sorted((path.parent / "certs").iterdir())
    _pipe(certificate)


BAD: tuple[Callable[[Path], None], ...] = (_typo, _no_yaml, _gone, _pipe, _pipe_for_a_certificate)


def test_bad_reloads_leave_a_service_that_ends_when_it_is_told_to(tmp_path: Path) -> None:
    path = make(tmp_path)
    text = path.read_text()
    node = Node(path)
    for damage in (*BAD, *BAD):
        _gone(path)
        path.write_text(text)
        damage(path)
        node.signal(signal.SIGHUP)
        node.wait_for("configuration refused")
    assert node.stop() == 0


def test_a_good_reload_is_taken_after_bad_ones(tmp_path: Path) -> None:
    path = make(tmp_path)
    text = path.read_text()
    node = Node(path)
    for damage in (_no_yaml, _pipe):
        damage(path)
        node.signal(signal.SIGHUP)
        node.wait_for("configuration refused")
    _gone(path)
    path.write_text(text)
    change(path, {"organization": {"name": "Lamna Clinics"}})
    node.wait_for("configuration changed")
    assert node.stop() == 0


# What does not end by itself


async def test_what_hangs_is_cut_off() -> None:
    left = asyncio.Event()
    codes: list[int] = []
    loop = asyncio.get_running_loop()

    def leave(code: int) -> None:
        codes.append(code)
        loop.call_soon_threadsafe(left.set)

    signals = ServeSignals(seconds=0.01, leave=leave)
    signals.limit_end()
    signals.limit_end()
    async with asyncio.timeout(PATIENCE):
        await left.wait()
    assert codes == [REFUSED]


_HANGS = """
import threading, time
import carebell.bootstrap.reload, carebell.bootstrap.signals, carebell.bootstrap.service
{patch}
import sys
sys.argv = ["carebell", "serve", *sys.argv[1:]]
from carebell.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ("carebell.bootstrap.reload.prepare = lambda *_: time.sleep(3600)", 0),
        (
            "carebell.bootstrap.service.Service.stop = lambda self: time.sleep(3600)\n"
            "init = carebell.bootstrap.signals.ServeSignals.__init__\n"
            "carebell.bootstrap.signals.ServeSignals.__init__ = lambda self, **more: init(self, seconds=0.5)",
            REFUSED,
        ),
    ],
    ids=["a reload", "the loop"],
)
def test_sigterm_ends_a_service_in_which_something_hangs(tmp_path: Path, patch: str, code: int) -> None:
    path = make(tmp_path)
    program = tmp_path / "hangs.py"
    program.write_text(_HANGS.format(patch=patch))
    node = Node(path, program=(sys.executable, str(program)))
    node.signal(signal.SIGHUP)
    time.sleep(0.2)
    assert node.stop() == code
