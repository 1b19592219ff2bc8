"""`install` below a folder: what stands where, whose it is, what a second call does; and the unit, as systemd judges it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from carebell.commands import install
from carebell.commands.install import ServiceInstaller, service_configuration, unit_of
from carebell.exits import Stop
from config.files import check_files
from config.load import load
from tests.carebell.conftest import Carebell

PROGRAM = Path("/opt/carebell/bin/carebell")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other accounts")
analyses = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")


class System:
    """The system's programs, of which the folder's account is the trace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[list[str]] = []

    def __call__(self, words: Sequence[str]) -> None:
        self.calls.append([word.replace(str(self.root), "ROOT") for word in words])
        if words[0] == "systemd-sysusers":
            (self.root / "etc/group").write_text("root:x:0:\ncarebell:x:995:\n")
        for folder in ("secrets", "certs"):
            (self.root / "etc/carebell" / folder).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def system(tmp_path: Path) -> System:
    (tmp_path / "image").mkdir()
    return System(tmp_path / "image")


def _install(system: System, program: Path = PROGRAM) -> dict[str, str]:
    steps = ServiceInstaller(root=system.root, program=program, run=system).steps()
    return {str(path.relative_to(system.root)): what for path, what in steps}


@as_root
def test_everything_is_written_and_a_second_call_keeps_it(system: System) -> None:
    first = _install(system)
    assert set(first.values()) == {"wrote", "linked"}
    assert system.calls == [
        ["systemd-sysusers", "--root=ROOT", "carebell.conf"],
        ["systemd-tmpfiles", "--root=ROOT", "--create", "carebell.conf"],
    ]
    modes = {
        name: (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        for name in first
        if (status := (system.root / name).lstat()) and not stat.S_ISLNK(status.st_mode)
    }
    assert modes.pop("etc/carebell/carebell.yaml") == (0o640, 0, 995)
    assert modes.pop("etc/carebell/secrets/carebell.key") == (0o400, 0, 0)
    assert {mode for mode, _, _ in modes.values()} == {0o644}
    assert (system.root / "usr/local/bin/carebell").readlink() == PROGRAM
    before = {name: (system.root / name).read_bytes() for name in first if not name.startswith("usr")}
    assert set(_install(system).values()) == {"kept", "linked"}
    assert {name: (system.root / name).read_bytes() for name in before} == before


@as_root
def test_an_upgrade_replaces_the_unit_and_keeps_what_was_changed_by_hand(system: System) -> None:
    _install(system)
    unit, configuration = system.root / install.UNIT, system.root / install.CONFIGURATION
    unit.write_text("by hand")
    configuration.write_text("mine")
    steps = _install(system)
    assert (steps[str(install.UNIT)], steps[str(install.CONFIGURATION)]) == ("wrote", "kept")
    assert unit.read_text() == unit_of(PROGRAM)
    assert unit.with_name("carebell.service.before").read_text() == "by hand"
    assert configuration.read_text() == "mine"


@as_root
def test_another_program_named_carebell_is_left_alone(system: System) -> None:
    command = system.root / install.COMMAND
    command.parent.mkdir(parents=True)
    command.write_text("somebody's")
    assert _install(system)[str(install.COMMAND)] == "kept"
    assert command.read_text() == "somebody's"


@pytest.mark.parametrize("folder", ["my apps", "50%", "a$b", "a'b", "a\nUser=root", "a\\b"])
def test_a_program_whose_path_a_unit_cannot_name_is_refused(system: System, folder: str) -> None:
    with pytest.raises(Stop, match="systemd does not read every sign"):
        _install(system, Path("/opt", folder, "bin/carebell"))
    assert list(system.root.iterdir()) == []


@pytest.mark.parametrize(
    "program",
    [Path("/home", "ann", "bin/carebell"), Path("/root", ".venv/bin/carebell"), Path("/tmp", "x/bin/carebell")],
    ids=["home", "root", "tmp"],
)
def test_a_program_that_the_unit_hides_from_the_service_is_refused(system: System, program: Path) -> None:
    with pytest.raises(Stop, match="the service cannot see programs in /"):
        _install(system, program)
    assert list(system.root.iterdir()) == []


@as_root
@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None,
    reason="systemd's programs are not on this machine",
)
def test_systemd_makes_the_account_and_the_folders(tmp_path: Path) -> None:
    """The shipped files, read by the programs that read them on a machine."""
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    ServiceInstaller(root=root, program=PROGRAM, run=install._run).steps()
    [line] = [line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("carebell:")]
    _, _, uid, gid, _, home, shell = line.split(":")
    assert (home, shell) == ("/var/lib/carebell", "/usr/sbin/nologin")
    expected = {
        "etc/carebell": (0o750, 0, int(gid)),
        "etc/carebell/certs": (0o750, 0, int(gid)),
        "etc/carebell/secrets": (0o700, 0, 0),
        "var/lib/carebell": (0o700, int(uid), int(gid)),
        "var/log/carebell": (0o750, int(uid), int(gid)),
    }
    status = {name: (root / name).stat() for name in expected}
    assert {
        name: (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) for name, found in status.items()
    } == expected
    assert (root / install.CONFIGURATION).stat().st_gid == int(gid)


def test_a_failing_program_of_the_system_is_said() -> None:
    with pytest.raises(Stop, match=r"^false failed: "):
        install._run(["false"])
    with pytest.raises(Stop, match=r"^no-such-program is not on this machine"):
        install._run(["no-such-program"])


def test_who_is_not_root_is_refused(carebell: Carebell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ended = carebell("install")
    assert (ended.code, ended.sentence) == (
        77,
        "install writes into /etc and makes an account: run it as root (sudo)",
    )


# The configuration


def test_the_configuration_is_the_shipped_one_in_the_places_of_a_machine(tmp_path: Path) -> None:
    path = tmp_path / "carebell.yaml"
    path.write_text(service_configuration())
    configuration = load(path, {}).configuration
    assert configuration.storage.url == "sqlite:////var/lib/carebell/carebell.db"
    assert configuration.storage.key_file == tmp_path / "secrets/carebell.key"
    assert configuration.storage.marker_file == Path("/var/lib/carebell/marker")
    assert configuration.gateway.twilio.auth_token_file == tmp_path / "secrets/twilio.token"
    assert configuration.gateway.file == Path("/var/lib/carebell/outbox.jsonl")
    assert configuration.log.file == Path("/var/log/carebell/carebell.log")


def test_the_service_needs_no_secret_of_root_s(tmp_path: Path) -> None:
    """In the unit the key comes as a credential; the file that the configuration names is not there for the service."""
    path, credentials = tmp_path / "carebell.yaml", tmp_path / "credentials"
    path.write_text(service_configuration())
    credentials.mkdir()
    (credentials / "secrets_carebell.key").write_text("{}")
    (credentials / "secrets_carebell.key").chmod(0o400)
    loaded = load(path, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert [problem.key for problem in check_files(loaded) if "secret" in problem.why or "key" in problem.key] == []


# The unit


@analyses
def test_the_unit_is_as_closed_as_promised(tmp_path: Path) -> None:
    """systemd's own figure, 0 to 10; the project promises at most 2.0."""
    unit = tmp_path / "carebell.service"
    unit.write_text(unit_of(Path("/bin/true")))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    level = re.search(r"Overall exposure level for carebell\.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert (done.returncode, float(level[1]) <= 2.0) == (0, True), done.stdout


@analyses
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "carebell.service"
    unit.write_text(unit_of(Path("/bin/true")))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "carebell" in line]) == (0, [])
