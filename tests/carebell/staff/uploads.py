"""Uploads through the page of certificates, and every form and every name that one may have (fault P12)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import pytest

from carebell.staff.certificates import Certificates
from certs.cer import inspect, read_upload
from config.load import Loaded, load
from portal.pages.environments import certificates as certificates_page
from portal.roles import Role
from store.engine import Store, open_store
from tests.portal.pages.configurations import FakeDesk
from tests.portal.pages.staff import Browser, browsing, words
from tests.story.folder import CLOCK, VECTORS, make

PAGE = "/environments/production/certificates"
ROWS = [line.split("\t") for line in (VECTORS / "certs.tsv").read_text("utf-8").splitlines()]
GOOD = (VECTORS / "certs/accept/10-prod-next-rsa3072.cer").read_bytes()
OLD = "01-prod-rsa3072.cer"
NAMES = (
    "../../../etc/cron.d/evil", "/etc/passwd", "..\\..\\evil.cer", "certs/../carebell.yaml", "carebell.key", "",
    "a\x00b.cer", "a\r\nX-Evil: 1.cer", '"><script>alert(1)</script>.cer', "x" * 5000, "CON", "-rf", "ünïcode.cer",
)  # fmt: skip


@dataclass
class Clinic:
    """A folder with its configuration, a browser at the page, and what was proposed."""

    folder: Path
    desk: FakeDesk
    browser: Browser

    def files(self) -> set[str]:
        return {file.name for file in (self.folder / "certs").iterdir()}

    def forget(self) -> None:
        """What was kept and proposed."""
        for file in (self.folder / "certs").iterdir():
            file.unlink()
        self.desk.proposed.clear()

    def upload(self, content: bytes, name: str = "new.cer") -> tuple[int, str]:
        """Status, and what somebody reads."""
        answer = self.browser.post(PAGE, {"base": self.desk.digest}, files={"certificate": (name, content)})
        return answer.status_code, words(answer)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("clinic")
    return load(make(folder, production=[f"accept/{OLD}"]), {})


@pytest.fixture(scope="module")
def database(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    copy = tmp_path_factory.mktemp("store") / "carebell.db"
    shutil.copy(migrated_file, copy)
    store = open_store(f"sqlite:///{copy}")
    yield store
    store.close()


@pytest.fixture
def clinic(loaded: Loaded, tmp_path: Path, database: Store) -> Iterator[Clinic]:
    own = replace(loaded, path=tmp_path / "carebell.yaml")
    (tmp_path / "certs").mkdir()
    desk = FakeDesk(configuration=own.configuration)
    pages = certificates_page.pages(desk, desk, Certificates(loaded=lambda: own, store=database))
    with browsing(pages, now=CLOCK) as browser:
        yield Clinic(tmp_path, desk, browser.sign_in(Role.ADMINISTRATOR))


def upload_of(clinic: Clinic, row: list[str]) -> None:
    """Upload the certificate of this row of the vectors: the page judges it as `cert show` does."""
    verdict, path, _ = row
    is_oversize = path.endswith("42-oversize.cer")  # described by the index, made here
    content = GOOD + b"\n" * 70_000 if is_oversize else (VECTORS / path).read_bytes()
    report = inspect(content, CLOCK)
    assert report.verdict == verdict
    status, said = clinic.upload(content, PurePath(path).name)
    if path.endswith(OLD) or (report.certificate and report.thumbprint == read_old()):
        assert (status, clinic.files()) == (422, set())
        assert "in use here already" in said
    elif verdict == "accept":
        assert report.certificate is not None
        assert status == 303
        [name] = clinic.files()
        [(_, edits)] = clinic.desk.proposed
        assert edits == {"environments.production.certificates.1": f"certs/{name}"}
        kept = read_upload(clinic.folder / "certs" / name, CLOCK)
        assert kept.thumbprint == report.thumbprint
    else:
        assert report.reason is not None
        assert (status, clinic.files(), clinic.desk.proposed) == (422, set(), [])
        assert " ".join(report.reason.split()) in said


def read_old() -> str:
    thumbprint = read_upload(VECTORS / "certs/accept" / OLD, CLOCK).thumbprint
    assert thumbprint is not None
    return thumbprint


def upload_named(clinic: Clinic, name: str) -> None:
    """Upload a good certificate and junk under this name: it is never looked at."""
    answer = clinic.browser.post(PAGE, {"base": clinic.desk.digest}, files={"certificate": (name, GOOD)})
    if answer.status_code == 303:
        [kept] = clinic.files()
        assert kept.startswith("production-")
        assert {file.name for file in clinic.folder.iterdir()} == {"certs"}
    else:  # a name that no form can carry
        assert (answer.status_code, clinic.files()) in ((400, set()), (422, set()))
    refused = clinic.browser.post(PAGE, {"base": clinic.desk.digest}, files={"certificate": (name, b"junk")})
    assert "<script>alert" not in refused.text
    assert len(name) < 100 or name not in refused.text
