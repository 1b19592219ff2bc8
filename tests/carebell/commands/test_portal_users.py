"""`portal user` and `portal unlock`: from the first user to a lost second factor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.staff.passwords import HashCost, Passwords
from carebell.staff.people import StaffPeople
from carebell.staff.people_context import PeopleContext, approvers_by_environment
from portal.people import Browser, SignedIn, SignInRefused
from store.audit import entries
from store.engine import open_store
from store.keys import read_key_file
from store.vault import Vault
from tests.carebell.conftest import Carebell
from tests.story.folder import load, make

DESK = Browser(address="192.0.2.7")
PASSWORD = "violet ladder and a spoon"
USER = ("portal", "user")


@pytest.fixture
def clinic(tmp_path: Path, carebell: Carebell) -> Path:
    """A configuration with the portal on, without second factors."""
    section = {"enabled": True, "public_url": "https://carebell.lamna.example"}
    without = {"sign_in": {"local": {"second_factor": "none"}}}
    configuration = make(tmp_path / "clinic", {"portal": section | without})
    assert carebell("-c", configuration, "db", "upgrade").code == 0
    return configuration


@pytest.fixture
def people(clinic: Path) -> Iterator[StaffPeople]:
    """The portal's side of the same database."""
    loaded = load(clinic)
    store = open_store(f"sqlite:///{clinic.parent / 'carebell.db'}")
    context = PeopleContext(
        store=store,
        vault=Vault(read_key_file(clinic.parent / "carebell.key")),
        settings=lambda: loaded.configuration.portal,
        organization=lambda: loaded.configuration.organization.name,
        environments=lambda: approvers_by_environment(loaded.configuration),
        now=lambda: datetime.now(UTC),
        passwords=Passwords(HashCost(passes=1, memory_kib=8)),
    )
    yield StaffPeople(context)
    store.close()


def _token(link: str) -> str:
    address, _, token = link.rpartition("/")
    assert address == "https://carebell.lamna.example/set-up"
    return token


def test_the_first_user_sets_a_password_and_signs_in(carebell: Carebell, clinic: Path, people: StaffPeople) -> None:
    added = carebell("-c", clinic, *USER, "add", "Kim", "--role", "administrator", "--name", "Kim Lee")
    assert (added.code, added.err) == (0, "")
    sentence, link = added.out.splitlines()
    assert sentence.startswith("kim was added. This link sets the password, once, until ")
    assert isinstance(people.set_up(_token(link), PASSWORD, "", DESK), SignedIn)
    assert isinstance(people.sign_in("kim", PASSWORD, DESK), SignedIn)
    [row] = carebell("-c", clinic, *USER, "list", "--json").rows
    assert (row["login"], row["name"], row["role"], row["disabled"]) == ("kim", "Kim Lee", "administrator", None)
    assert "Kim Lee  administrator" in carebell("-c", clinic, *USER, "list").out


def test_a_lost_password_is_set_anew(carebell: Carebell, clinic: Path, people: StaffPeople) -> None:
    [first] = carebell("-c", clinic, *USER, "add", "kim", "--role", "administrator", "--json").rows
    [second] = carebell("-c", clinic, *USER, "invite", "kim", "--json").rows
    assert people.set_up_of(_token(first["link"])) is None
    assert people.set_up_of(_token(second["link"])) is not None
    with people._in.store.read() as conn:
        recorded = [(entry.action, entry.subject, entry.after) for entry in entries(conn)][-2:]
    assert recorded == [("person.invite", "kim", "administrator")] * 2
    assert _token(second["link"]) not in repr(recorded)


def test_switched_off_on_and_unlocked(carebell: Carebell, clinic: Path, people: StaffPeople) -> None:
    for login, role in (("kim", "administrator"), ("sam", "support")):
        [row] = carebell("-c", clinic, *USER, "add", login, "--role", role, "--json").rows
        assert isinstance(people.set_up(_token(row["link"]), PASSWORD, "", DESK), SignedIn)
    assert carebell("-c", clinic, *USER, "disable", "sam").out == "sam is switched off\n"
    assert isinstance(people.sign_in("sam", PASSWORD, DESK), SignInRefused)
    assert carebell("-c", clinic, *USER, "invite", "sam").sentence.startswith("this user is switched off")
    assert carebell("-c", clinic, *USER, "enable", "sam").out == "sam may sign in again\n"
    assert isinstance(people.sign_in("sam", PASSWORD, DESK), SignedIn)
    for number in range(20):
        for _ in range(5):
            people.sign_in("sam", "a wrong guess", Browser(address=f"198.51.100.{number}"))
    assert [row["locked"] for row in carebell("-c", clinic, *USER, "list", "--json").rows] == [False, True]
    assert carebell("-c", clinic, "portal", "unlock", "sam").out == "sam can be tried again\n"
    assert isinstance(people.sign_in("sam", PASSWORD, Browser(address="198.51.100.99")), SignedIn)
    last = carebell("-c", clinic, *USER, "disable", "kim")
    assert (last.code, last.out) == (1, "")
    assert last.sentence.startswith("this is the last administrator")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ("add k --role support", 2, "a user name has 2 to 64"),
        ("add kim --role root", 2, "--role: there are administrator, analyst, support, auditor"),
        ("add dana --role analyst -e west", 2, "--environment: carebell.yaml has no such environment"),
        ("invite nobody", 1, "there is no such user"),
        ("disable nobody", 1, "there is no such user"),
        ("enable nobody", 1, "there is no such user"),
    ],
)
def test_what_cannot_be_is_said(carebell: Carebell, clinic: Path, words: str, code: int, sentence: str) -> None:
    ended = carebell("-c", clinic, *USER, *words.split())
    assert (ended.code, ended.out) == (code, "")
    assert ended.sentence.startswith(sentence)


def test_a_user_is_added_once(carebell: Carebell, clinic: Path) -> None:
    add = (
        "-c",
        clinic,
        *USER,
        "add",
        "dana",
        "--role",
        "analyst",
        "-e",
        "production",
        "-e",
        "test",
        "-e",
        "production",
    )
    [row] = carebell(*add, "--json").rows
    assert row["environments"] == ["production", "test"]
    assert carebell(*add).sentence.startswith("there is such a user already")


def test_a_portal_that_is_off_is_said(carebell: Carebell, configuration: Path) -> None:
    carebell("-c", configuration, "db", "upgrade")
    added = carebell("-c", configuration, *USER, "add", "kim", "--role", "administrator")
    assert (added.code, added.out.splitlines()[1].partition("/set-up/")[0]) == (0, "http://127.0.0.1:8443")
    assert added.sentence.startswith("warning: portal.enabled is false")


@pytest.mark.parametrize("words", ["invite kim", "disable kim", "enable kim"])
def test_ctrl_c_changes_nothing(carebell: Carebell, clinic: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`disable` and `enable` are tried on who is the other, so that there is something to do."""

    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    carebell("-c", clinic, *USER, "add", "kim", "--role", "support")
    if words == "enable kim":
        carebell("-c", clinic, *USER, "disable", "kim")
    before = carebell("-c", clinic, *USER, "list", "--json").out
    with monkeypatch.context() as patch:
        patch.setattr("store.audit.append", press)
        ended = carebell("-c", clinic, *USER, *words.split())
    assert (ended.code, ended.sentence) == (130, "interrupted: nothing was changed")
    assert carebell("-c", clinic, *USER, "list", "--json").out == before
