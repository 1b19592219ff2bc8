"""Uploads through the page: what is kept of one, and what is said. Every form and every name of one is fault P12."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.staff.certificates import Certificates, as_text, kept_file
from config.load import Loaded, load
from portal.pages.environments import certificates as certificates_page
from portal.roles import Role
from store import usage
from store.engine import Store
from tests.carebell.staff.uploads import GOOD, OLD, PAGE, Clinic, clinic, database, loaded, read_old
from tests.portal.pages.configurations import FakeDesk, problem
from tests.portal.pages.staff import browsing, words
from tests.store.conftest import migrated_file
from tests.story.folder import CLOCK, VECTORS, make

__all__ = ["clinic", "database", "loaded", "migrated_file"]


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


def test_one_that_signed_a_message_just_now_is_still_in_use(rotating: Clinic, database: Store) -> None:
    with database.write() as conn:
        usage.note(conn, "production", read_old(), CLOCK - timedelta(minutes=4, seconds=5))
    said = words(rotating.browser.get(PAGE))
    assert "Still in use Last message: 4 minutes ago" in said
    assert "messages signed with it are refused with SIG05" in said
    with database.write() as conn:
        usage.note(conn, "production", read_old(), CLOCK - timedelta(hours=1))
    assert "Still in use" not in words(rotating.browser.get(PAGE))


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
