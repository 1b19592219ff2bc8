"""Who acts: the account that signed in, not the one a command runs as, and never what a user can write into the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carebell import authors

UNSET = "4294967295"


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors, "account_of", {0: "root", 998: "carebell", 1000: "ann", 1001: "bob"}.__getitem__)


@pytest.mark.parametrize(
    ("uid", "login", "sudo", "who", "words"),
    [
        (1000, "1000", None, "cli:ann", ["uid=1000"]),
        (0, "1000", "ann", "cli:ann", ["uid=0", "as=root", "sudo=ann"]),
        (998, "1000", "ann", "cli:ann", ["uid=998", "as=carebell", "sudo=ann"]),
        (0, UNSET, "ann", "cli:ann", ["uid=0", "as=root", "sudo=ann"]),
        (0, UNSET, None, "cli:root", ["uid=0"]),
        (1001, UNSET, "ann", "cli:bob", ["uid=1001", "sudo=ann"]),  # bob may write what he likes into his environment
        (1001, "1001", "ann", "cli:bob", ["uid=1001", "sudo=ann"]),
        (0, "", None, "cli:root", ["uid=0"]),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_the_person_is_the_one_who_signed_in(
    tmp_path: Path, uid: int, login: str, sudo: str | None, who: str, words: list[str]
) -> None:
    (tmp_path / "loginuid").write_text(login)
    environ = {} if sudo is None else {"SUDO_USER": sudo}
    author = authors.person(environ, uid=uid, login_uid=tmp_path / "loginuid")
    assert author.who == who
    assert [word for word in author.origin.split() if word.partition("=")[0] in ("uid", "as", "sudo")] == words


def test_where_from_names_host_and_ssh_client() -> None:
    author = authors.person(
        {"SSH_CONNECTION": "10.1.2.3 50000 10.1.2.9 22", "LOGNAME": "eve"}, login_uid=Path("/nowhere")
    )
    assert author.origin.startswith(f"host={os.uname().nodename} ")
    assert "ssh=10.1.2.3" in author.origin
    assert "eve" not in author.who


def test_the_environment_forges_no_second_word() -> None:
    author = authors.person(
        {"SUDO_USER": "ann uid=0\x1b[2J\n" + "x" * 500}, uid=os.getuid(), login_uid=Path("/nowhere")
    )
    assert len([word for word in author.origin.split() if word.startswith("uid=")]) == 1
    assert author.origin.isprintable()
    assert len(author.origin) < 300


def test_an_edited_file_names_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "carebell.yaml"
    file.write_text("")
    author = authors.editor(file, "n1")
    assert author.who == f"file:{authors.account_of(os.getuid())}"
    assert author.origin == f"node=n1 file={file}"
    assert authors.editor(tmp_path / "none", "n1").who == "file:unknown"
