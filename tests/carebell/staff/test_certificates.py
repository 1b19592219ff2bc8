"""Uploads through the page: every form and every name that an upload may have (fault P12), and what is kept of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import pytest

from carebell.staff.certificates import Certificates, as_text, kept_file
from certs.cer import inspect, read_upload
from config.load import Loaded, load
from portal.pages.environments import certificates as certificates_page
from portal.roles import Role
from store import usage
from store.engine import Store, open_store
from tests.portal.pages.configurations import FakeDesk, problem
from tests.portal.pages.staff import Browser, browsing, words
from tests.store.conftest import migrated_file
from tests.story.folder import CLOCK, VECTORS, make

__all__ = ["migrated_file"]

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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: PurePath(row[1]).stem)
def test_an_upload_is_judged_as_cert_show_judges_it(clinic: Clinic, row: list[str]) -> None:
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


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_the_name_of_an_upload_is_never_looked_at(clinic: Clinic, name: str) -> None:
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


def test_what_is_kept_is_the_certificate_alone_and_readable_by_all(clinic: Clinic) -> None:
    before = os.umask(0o077)
    try:
        status, _ = clinic.upload(b"remember: the password is hunter2\n" + GOOD)
    finally:
        os.umask(before)
    assert status == 303
    [name] = clinic.files()
    file = clinic.folder / "certs" / name
    assert b"hunter2" not in file.read_bytes()
    assert file.stat().st_mode & 0o7777 == 0o644


def test_the_same_upload_twice_is_one_file(clinic: Clinic) -> None:
    assert [clinic.upload(GOOD)[0], clinic.upload(GOOD)[0]] == [303, 303]
    assert len(clinic.files()) == 1
    assert clinic.desk.proposed[0] == clinic.desk.proposed[1]


def test_a_link_or_another_file_in_the_way_is_never_written_through(tmp_path: Path) -> None:
    content = as_text(b"a certificate").encode()
    name = kept_file(tmp_path, "production", content)
    (tmp_path / name).unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    second = kept_file(tmp_path, "production", content)
    assert second != name
    assert (tmp_path / second).read_bytes() == content
    assert victim.read_text() == "precious"
    (tmp_path / name).unlink()
    (tmp_path / name).write_text("half a certif")
    third = kept_file(tmp_path, "production", content)
    assert (tmp_path / third).read_bytes() == content
    assert (tmp_path / name).read_text() == "half a certif"


def test_a_folder_that_cannot_be_written_is_said(clinic: Clinic) -> None:
    (clinic.folder / "certs").rmdir()
    (clinic.folder / "certs").write_text("a file")
    answer = clinic.browser.post(PAGE, {"base": clinic.desk.digest}, files={"certificate": ("a.cer", GOOD)})
    assert (answer.status_code, clinic.desk.proposed) == (422, [])
    assert "Carebell cannot write into the folder certs" in words(answer)


def test_no_file_chosen_and_a_problem_of_the_configuration_stand_at_the_field(clinic: Clinic) -> None:
    answer = clinic.browser.post(PAGE, {"base": clinic.desk.digest})
    assert answer.status_code == 422
    assert 'href="#certificate">Choose a .cer file.</a>' in answer.text
    clinic.desk.problems = (problem("environments.production.certificates[1]", "is listed already"),)
    status, said = clinic.upload(GOOD)
    assert (status, "Certificate: is listed already." in said) == (422, True)


def test_far_too_much_is_not_even_read(clinic: Clinic) -> None:
    assert clinic.upload(b"x" * 1_048_576)[0] == 413


def test_a_stale_page_uploads_nothing_into_the_configuration(clinic: Clinic) -> None:
    answer = clinic.browser.post(PAGE, {"base": "older"}, files={"certificate": ("a.cer", GOOD)})
    assert (answer.status_code, clinic.desk.proposed) == (409, [])


def test_roles(clinic: Clinic) -> None:
    clinic.browser.sign_in(Role.ANALYST, ["production"])
    assert clinic.upload(GOOD)[0] == 303
    assert clinic.desk.proposed[0][0] == "dana"
    clinic.browser.sign_in(Role.SUPPORT)
    assert clinic.upload(GOOD)[0] == 403
    assert "Upload certificate" not in words(clinic.browser.get(PAGE))


@pytest.fixture
def rotating(loaded: Loaded, database: Store) -> Iterator[Clinic]:
    """Two certificates; the old one signed a message a day ago."""
    path = make(loaded.path.parent.parent / "rotating")
    both = load(path, {})
    desk = FakeDesk(configuration=both.configuration)
    with database.write() as conn:
        usage.note(conn, "production", read_old(), CLOCK)
    pages = certificates_page.pages(desk, desk, Certificates(loaded=lambda: both, store=database))
    with browsing(pages, now=CLOCK) as browser:
        yield Clinic(path.parent, desk, browser.sign_in(Role.ADMINISTRATOR))


def test_the_page_says_what_each_is_and_when_it_was_last_used(rotating: Clinic) -> None:
    answer = rotating.browser.get(PAGE)
    said = words(answer)
    assert "CN=epic-bridges-prod" in said
    assert f"{CLOCK:%Y-%m-%dT%H:%M:%SZ}" in answer.text
    assert "No message was verified with it yet." in said
    assert read_old() in answer.text
    assert "Retire the old one, then another can be uploaded." in said


def test_a_third_is_refused_and_the_old_one_is_retired_by_its_place(rotating: Clinic) -> None:
    third = (VECTORS / "certs/accept/11-ec-p256.cer").read_bytes()
    answer = rotating.browser.post(PAGE, {"base": rotating.desk.digest}, files={"certificate": ("a.cer", third)})
    assert (answer.status_code, "Retire the old one first." in words(answer)) == (422, True)
    fields = {"base": rotating.desk.digest, "file": OLD}
    assert rotating.browser.post(f"{PAGE}/retire", fields).status_code == 303
    [(_, edits)] = rotating.desk.proposed
    assert [(key, str(value)) for key, value in edits.items()] == [
        ("environments.production.certificates.0", "Removed.REMOVED")
    ]
    gone = rotating.browser.post(f"{PAGE}/retire", fields | {"file": "another.cer"})
    assert (gone.status_code, "not in use any more" in words(gone)) == (422, True)


def test_the_only_certificate_stays(clinic: Clinic) -> None:
    answer = clinic.browser.post(f"{PAGE}/retire", {"base": clinic.desk.digest, "file": OLD})
    assert (answer.status_code, clinic.desk.proposed) == (422, [])
    assert "Upload the new one first." in words(answer)
