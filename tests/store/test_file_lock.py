"""The lock file between processes. Two openings in one process exclude each other as two processes do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.fair_lock import FairLock
from store.faults import StoreFault
from store.file_lock import LockFile

PATIENCE = 60.0
_HOLDER = """
import os, sys
from pathlib import Path
from store.file_lock import LockFile
path = Path(sys.argv[1])
file = LockFile(path, os.stat(path.parent))
file.take(60)
file.mark("node")
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db-turns"


@pytest.fixture
def pair(path: Path) -> Iterator[tuple[LockFile, LockFile]]:
    owner = path.parent.stat()
    first, second = LockFile(path, owner), LockFile(path, owner)
    yield first, second
    first.close()
    second.close()


def test_one_has_the_turn_and_the_other_gives_up_after_its_patience(pair: tuple[LockFile, LockFile]) -> None:
    first, second = pair
    first.take(PATIENCE)
    with pytest.raises(StoreFault, match="lock") as caught:
        second.take(0.01)
    assert caught.value.code == "STORE_LOCKED"
    first.release()
    second.take(PATIENCE)  # whoever gave up has left nothing behind
    second.release()
    first.take(PATIENCE)
    first.release()


def test_who_comes_back_at_once_waits_behind_who_waited(path: Path, pair: tuple[LockFile, LockFile]) -> None:
    """Ten times: a process that writes page after page does not keep another one out."""
    first, second = pair
    order: list[str] = []

    def write(file: LockFile) -> None:
        file.take(PATIENCE)
        order.append("second")
        file.release()

    for _ in range(10):
        first.take(PATIENCE)
        waiting = threading.Thread(target=write, args=(second,))
        waiting.start()
        with _Probe(path) as probe:
            # Before it queues, it looks once whether the turn is free, and has the next one's place for that moment.
            while not (second._asked and probe.someone_waits()):
                threading.Event().wait(0.001)
        first.release()
        first.take(PATIENCE)
        order.append("first")
        first.release()
        waiting.join(PATIENCE)
    assert order == ["second", "first"] * 10


class _Probe:
    """A third opening, which sees whether somebody holds the place of the next one and waits."""

    def __init__(self, path: Path) -> None:
        self._file = LockFile(path, path.parent.stat())

    def __enter__(self) -> _Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def someone_waits(self) -> bool:
        import fcntl

        from store import file_lock

        if self._file._set(fcntl.F_WRLCK, file_lock._NEXT):
            self._file._set(fcntl.F_UNLCK, file_lock._NEXT)
            return False
        return True


def test_threads_of_two_processes_queue_for_one_turn(pair: tuple[LockFile, LockFile]) -> None:
    queues = [FairLock(PATIENCE, file) for file in pair]
    inside, most, done = 0, 0, 0

    def write(queue: FairLock) -> None:
        nonlocal inside, most, done
        for _ in range(50):
            with queue.turn():
                inside += 1
                most = max(most, inside)
                done += 1
                inside -= 1

    threads = [threading.Thread(target=write, args=(queue,)) for queue in queues * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (most, done) == (1, 300)


def test_the_dead_hold_nothing(path: Path) -> None:
    """A holder that is killed with kill -9 has released its turn and its mark."""
    file = LockFile(path, path.parent.stat())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        assert (file.is_marked("node"), file.is_marked("another")) == (True, False)
        with pytest.raises(StoreFault):
            file.take(0.01)
        holder.kill()
        holder.wait(PATIENCE)
    file.take(PATIENCE)
    assert not file.is_marked("node")
    file.release()
    file.close()


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("x", "link"):
        with pytest.raises(StoreFault, match=f"The lock file {tmp_path / name} cannot be opened"):
            LockFile(tmp_path / name, tmp_path.stat())
