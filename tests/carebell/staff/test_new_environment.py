"""Drafts of new environments in the database: their author's alone, sealed, gone after a day."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.staff.new_environment import LASTS, NewEnvironments
from config.load import load
from ehr.fhir_check import check_offline
from portal.roles import Role
from store.engine import Store, open_store
from store.keys import create_key_file, read_key_file
from store.vault import Vault
from tests.portal.pages.staff import NOW, person, session_of
from tests.store.conftest import migrated_file

__all__ = ["migrated_file"]

KIM, DANA = session_of(person(Role.ADMINISTRATOR)), session_of(person(Role.ANALYST))


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(migrated_file, tmp_path / "carebell.db")
    store = open_store(f"sqlite:///{tmp_path / 'carebell.db'}")
    yield store
    store.close()


@pytest.fixture
def drafts(configuration: Path, store: Store, tmp_path: Path) -> NewEnvironments:
    create_key_file(tmp_path / "own.key")
    people = [person(role) for role in Role]
    return NewEnvironments(
        loaded=lambda: load(configuration, {}),
        store=store,
        vault=Vault(read_key_file(tmp_path / "own.key")),
        people=lambda: people,
        check_fhir=lambda url, kind, others: check_offline(url, kind=kind, others=others),
    )


def test_answers_come_back_to_their_author_until_a_day_is_over(drafts: NewEnvironments, store: Store) -> None:
    draft = drafts.begin(KIM, NOW)
    answers = {"allow_add": ("+12025550143", ""), "name": ("ünï",)}
    assert drafts.answers(draft, KIM, NOW) == {}
    assert drafts.keep(draft, KIM, answers, NOW)
    assert drafts.answers(draft, KIM, NOW) == answers
    assert drafts.answers(draft, DANA, NOW) is None
    assert not drafts.keep(draft, DANA, {}, NOW)
    assert drafts.answers("another", KIM, NOW) is None
    assert drafts.answers(draft, KIM, NOW + LASTS - timedelta(seconds=1)) == answers
    assert drafts.answers(draft, KIM, NOW + LASTS) is None
    assert not drafts.keep(draft, KIM, {}, NOW + LASTS)


def test_approvers_are_those_who_may_approve(drafts: NewEnvironments) -> None:
    assert drafts.approvers() == [("kim", "Kim"), ("dana", "Dana")]


def test_an_address_is_compared_with_those_of_other_environments(drafts: NewEnvironments) -> None:
    check = drafts.check_address("https://lamnahealthcare.example/fhir/api/FHIR/R4", "production")
    assert "The environment production has this address too." in check.findings[0].sentence
    assert not check.findings[0].is_error
