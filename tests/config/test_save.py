"""carebell.yaml is replaced whole, by one writer at a time, and never over somebody else's change."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import save as saving
from config.digests import digest_of
from config.save import SaveConflict, SaveRefused, save

OLD, NEW = b"a: 1\n# why\n", b"a: 2\n# why\n"
STEPS = ("created", "written", "synced", "exchanged", "folder synced")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "carebell.yaml"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def test_a_save_keeps_mode_and_owner_and_leaves_no_other_file(file: Path) -> None:
    steps: list[str] = []
    save(file, NEW, base=digest_of(OLD), reached=steps.append)
    assert file.read_bytes() == NEW
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == [file.name]
    assert tuple(steps) == STEPS


def test_a_symlink_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    save(link, NEW, base=digest_of(OLD))
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_a_changed_file_is_a_conflict_and_stays(file: Path) -> None:
    file.write_bytes(b"a: 9\n")
    with pytest.raises(SaveConflict, match="changed by somebody else") as conflict:
        save(file, NEW, base=digest_of(OLD))
    assert conflict.value.present == b"a: 9\n"
    assert file.read_bytes() == b"a: 9\n"
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("step", STEPS[:4])
def test_an_editor_that_writes_at_any_step_wins(file: Path, step: str) -> None:
    """vi takes no lock; its change between our look and our write must not be lost."""

    def edit(reached: str) -> None:
        if reached == step:
            beside = file.with_name("vi.tmp")
            beside.write_bytes(b"a: 9\n")
            beside.replace(file)

    with pytest.raises(SaveConflict) as conflict:
        save(file, NEW, base=digest_of(OLD), reached=edit)
    assert conflict.value.present == b"a: 9\n"
    assert file.read_bytes() == b"a: 9\n"
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_is_the_old_file_or_the_new_one(file: Path, step: str) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom config.digests import digest_of\nfrom config.save import save\n"
        "path = Path(sys.argv[1])\n"
        "save(path, b'a: 2\\n# why\\n', base=digest_of(path.read_bytes()), "
        "reached=lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == sys.argv[2] else None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, file, step], check=False)
    assert ended.returncode == -9
    assert file.read_bytes() == (NEW if step == "folder synced" else OLD)
    present = file.read_bytes()
    save(file, b"a: 3\n", base=digest_of(present))
    assert file.read_bytes() == b"a: 3\n"
    assert os.listdir(file.parent) == [file.name], "what the killed writer left is gone"


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_full_disk_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(SaveRefused, match="no space left on device"):
        save(file, NEW, base=digest_of(OLD))
    assert file.read_bytes() == OLD
    assert os.listdir(file.parent) == [file.name]


def test_without_an_exchange_the_file_is_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_exchanged", lambda *_: False)
    save(file, NEW, base=digest_of(OLD))
    assert file.read_bytes() == NEW
    assert os.listdir(file.parent) == [file.name]


def test_a_config_map_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/carebell.yaml").write_bytes(OLD)
    (tmp_path / "carebell.yaml").symlink_to("..data/carebell.yaml")
    with pytest.raises(SaveRefused, match="ConfigMap"):
        save(tmp_path / "carebell.yaml", NEW, base=digest_of(OLD))
    assert (tmp_path / "carebell.yaml").read_bytes() == OLD


def test_what_is_known_without_writing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert saving.why_not_writable(file) is None
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    why = saving.why_not_writable(file)
    assert why is not None
    assert why.endswith("and the service runs as account 4000000")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not write into the folder" in str(saving.why_not_writable(file))
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/carebell.yaml").write_bytes(OLD)
    mounted = tmp_path / "mounted.yaml"
    mounted.symlink_to("..data/carebell.yaml")
    assert "ConfigMap" in str(saving.why_not_writable(mounted))


def test_another_account_s_file_is_not_taken_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    owned = os.stat_result((*file.stat()[:4], 4_000_000, *file.stat()[5:10]))
    monkeypatch.setattr(Path, "stat", lambda self, **_: owned)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(SaveRefused, match="belongs to account 4000000: write it as that account or as root"):
        save(file, NEW, base=digest_of(OLD))
    assert file.read_bytes() == OLD


def test_of_many_writers_each_builds_on_the_one_before(file: Path) -> None:
    """Every accepted save began with what the save before it had left: no writer's line is lost."""

    def append(writer: int) -> int:
        accepted = 0
        for line in range(25):
            before = file.read_bytes()
            try:
                save(file, before + b"# %d %d\n" % (writer, line), base=digest_of(before))
                accepted += 1
            except SaveConflict:
                continue
        return accepted

    with ThreadPoolExecutor(4) as pool:
        accepted = sum(pool.map(append, range(4)))
    lines = file.read_bytes().removeprefix(OLD).splitlines()
    assert len(lines) == accepted > 0
    assert len(set(lines)) == len(lines)
