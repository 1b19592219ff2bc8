"""What a fresh clone installs: every package by hash from the lock file alone, whatever the package index has published since.

The lock files are held to be complete (nothing is left to be resolved) and the installing script is run against an index on
loopback that offers newer releases of everything.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import sysconfig
import threading
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "setup.cfg").exists(), reason="not in a checkout: the tests run from the built wheel"
)
EXTRAS = {
    "requirements.lock": ("postgres", "speed", "sso"),
    "requirements-dev.lock": ("postgres", "speed", "sso", "test", "dev"),
    "requirements-browser.lock": ("postgres", "speed", "sso", "test", "dev", "browser"),
}
KNOWN = [
    "requirements.lock",
    "requirements-dev.lock",
    pytest.param(
        "requirements-browser.lock",
        marks=[
            pytest.mark.browser,
            pytest.mark.skipif(
                importlib.util.find_spec("playwright") is None,
                reason="what playwright needs is known where it is installed (make browser)",
            ),
        ],
    ),
]
"""The lock files whose packages are installed here, so that what these ask for can be read."""


# The lock files


@pytest.mark.parametrize("lock", KNOWN)
def test_a_lock_names_all_that_is_needed_and_nothing_else(lock: str) -> None:
    locked = _locked(lock)
    wanted = _needed(_declared(EXTRAS[lock]))
    assert sorted(wanted - set(locked)) == []
    assert sorted(set(locked) - wanted) == []


@pytest.mark.parametrize("lock", KNOWN)
def test_every_locked_version_is_one_that_its_users_accept(lock: str) -> None:
    locked = _locked(lock)
    unmet = [
        str(requirement)
        for requirement in (*_declared(EXTRAS[lock]), *(r for name in locked for r in _requirements(name, set())))
        if (version := locked.get(canonicalize_name(requirement.name))) and version not in requirement.specifier
    ]
    assert unmet == []


@pytest.mark.parametrize("lock", EXTRAS)
def test_every_locked_file_has_its_hash(lock: str) -> None:
    blocks = re.split(r"\n(?=\S)", (CHECKOUT / lock).read_text())
    assert [block.split()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []


def test_the_browser_tests_move_no_package_of_the_others() -> None:
    others, browser = _locked("requirements-dev.lock"), _locked("requirements-browser.lock")
    assert {name: browser.get(name) for name in others} == others
    wanted = {canonicalize_name(requirement.name) for requirement in _declared(("browser",))}
    assert sorted(wanted - set(browser)) == []


def test_what_is_installed_is_what_is_locked() -> None:
    installed: dict[str, Version] = {
        # The environment's own folder: setuptools adds one with older copies of its dependencies once it is imported.
        canonicalize_name(d.name): Version(d.version)
        for d in importlib.metadata.distributions(path=[sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    }
    locked = _locked("requirements-dev.lock")
    assert {name: installed.get(name) for name in locked} == locked


def _locked(lock: str) -> dict[str, Version]:
    """The packages that a lock file names for this interpreter."""
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*?)\s*\\?$", (CHECKOUT / lock).read_text(), re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    return {
        canonicalize_name(requirement.name): Version(str(requirement.specifier).removeprefix("=="))
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


def _declared(extras: Iterable[str]) -> list[Requirement]:
    """What setup.cfg and the build group of pyproject.toml ask for."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    sections = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in extras)]
    lines = [line.strip() for section in sections for line in section.splitlines() if line.strip()]
    return [Requirement(line) for line in (*lines, *project["dependency-groups"]["build"])]


def _needed(declared: Iterable[Requirement]) -> set[str]:
    """The names of all that is needed by these requirements, and by what they need, extras included."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(declared)
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            waiting += _requirements(key[0], requirement.extras)
    return {name for name, _ in seen}


def _requirements(name: str, extras: Iterable[str]) -> list[Requirement]:
    """What an installed package asks for here, with those of its extras."""
    declared = [Requirement(line) for line in importlib.metadata.requires(name) or ()]
    return [
        requirement
        for requirement in declared
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


# Installing them


@dataclass(frozen=True, slots=True)
class Index:
    """A package index on loopback. files: name of a file -> its bytes."""

    url: str
    files: dict[str, bytes]

    def line(self, name: str, version: str, *, extra: str = "") -> str:
        """A lock file's line for a file of the index."""
        digest = hashlib.sha256(self.files[f"{name}-{version}-py3-none-any.whl"]).hexdigest()
        return f"{name}{extra}=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture
def index() -> Iterator[Index]:
    """Two packages in two releases each; `clover` needs `barley` by its extra alone, and no newest release fits another."""
    files: dict[str, bytes] = {}
    for version in ("1.0", "2.0"):
        files |= _wheel("clover", version, ("barley>=1; extra == 'toml'",), extras=("toml",))
        files |= _wheel("barley", version)

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").removeprefix("simple/")
            links = "".join(f'<a href="/{file}">{file}</a>\n' for file in files if file.startswith(f"{name}-"))
            body = files.get(name, links.encode() if links else None)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/octet-stream" if name in files else "text/html")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Index(f"http://127.0.0.1:{server.server_port}/simple/", files)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def fresh_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One environment for all of these tests: each ends by taking out what it put in."""
    venv = tmp_path_factory.mktemp("set-up") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=240)
    return venv


@pytest.fixture
def venv(fresh_venv: Path) -> Iterator[Path]:
    yield fresh_venv
    uninstall = [str(fresh_venv / "bin/python"), "-m", "pip", "uninstall", "--yes", "--quiet", "clover", "barley"]
    subprocess.run(uninstall, check=True, capture_output=True, timeout=240)


def test_newer_releases_change_nothing(index: Index, venv: Path, tmp_path: Path) -> None:
    done = _install(venv, tmp_path, index.url, index.line("clover", "1.0") + index.line("barley", "1.0"))
    assert done.returncode == 0, done.stderr
    assert _installed(venv) == {"clover": "1.0", "barley": "1.0"}


def test_a_line_with_an_extra_resolves_nothing(index: Index, venv: Path, tmp_path: Path) -> None:
    done = _install(venv, tmp_path, index.url, index.line("clover", "1.0", extra="[toml]"))
    assert done.returncode == 0, done.stderr
    assert _installed(venv) == {"clover": "1.0"}


def test_a_file_that_is_gone_is_said_in_one_line(index: Index, venv: Path, tmp_path: Path) -> None:
    lock = index.line("clover", "1.0") + index.line("barley", "1.0")
    del index.files["barley-1.0-py3-none-any.whl"]
    done = _install(venv, tmp_path, index.url, lock)
    assert done.returncode == 1
    assert done.stderr == (
        f"set-up: barley==1.0 is named by {tmp_path / 'some.lock'}, but the package index has no such file for this Python "
        "any more; renew the lock with 'make renew'\n"
    )
    assert _installed(venv) == {}


def test_another_file_under_the_same_name_is_refused_in_one_line(index: Index, venv: Path, tmp_path: Path) -> None:
    lock = index.line("barley", "1.0") + index.line("clover", "1.0", extra="[toml]")
    index.files.update(_wheel("clover", "1.0", ("barley>=2",)))
    done = _install(venv, tmp_path, index.url, lock)
    assert done.returncode == 1
    assert done.stderr == (
        "set-up: clover[toml]==1.0: the index offers another file than the one "
        f"{tmp_path / 'some.lock'} has the hash of; nothing was installed from it\n"
    )
    assert _installed(venv) == {}


def test_an_index_out_of_reach_is_said_in_one_line(index: Index, venv: Path, tmp_path: Path) -> None:
    lock = index.line("clover", "1.0")
    done = _install(venv, tmp_path, "http://127.0.0.1:1/simple/", lock, PIP_RETRIES="1")
    assert done.returncode == 1
    assert done.stderr == (
        f"set-up: the package index cannot be reached (asked for clover==1.0); details: {venv / 'install.log'}\n"
    )


def _install(venv: Path, folder: Path, index: str, lock: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing of this machine's settings for pip."""
    (folder / "some.lock").write_text(lock)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_NO_CACHE_DIR": "1", **settings}
    command = ["sh", str(CHECKOUT / ".ci/install-lock"), str(venv), str(folder / "some.lock")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def _installed(venv: Path) -> dict[str, str]:
    [site] = venv.glob("lib/python*/site-packages")
    names = ("clover", "barley")
    return {d.name: d.version for d in importlib.metadata.distributions(path=[str(site)]) if d.name in names}


def _wheel(name: str, version: str, requires: Iterable[str] = (), extras: Iterable[str] = ()) -> dict[str, bytes]:
    """A wheel that holds nothing but its metadata."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {line}" for line in requires]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return {f"{name}-{version}-py3-none-any.whl": buffer.getvalue()}
