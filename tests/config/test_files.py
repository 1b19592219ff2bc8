"""Files and folders that a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.files import check_files, twilio_tokens
from config.load import load
from config.problems import ConfigurationError
from tests.config.conftest import Write

TWILIO = {"CAREBELL_GATEWAY__KIND": "twilio", "CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID": "AC" + "0123456789abcdef" * 2}
TOKEN_FILE = TWILIO | {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN_FILE": "token"}


def secret(path: Path, content: str = "x\n", mode: int = 0o400) -> None:
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)


def test_nothing_to_say_when_all_is_there(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")

    assert check_files(load(write(), {})) == []


def test_missing_files_and_folders_are_told_at_their_place(write: Write, tmp_path: Path) -> None:
    path = write(
        "listener: {port: 2575}", "listener: {port: 2575, tls: {certificate: a.pem, key: b.pem, client_ca: .}}"
    )
    environ = {"CAREBELL_STORAGE__URL": "sqlite:///none/carebell.db", "CAREBELL_GATEWAY__FILE": "gone/out.jsonl"}
    loaded = load(path, environ | {"CAREBELL_GATEWAY__KIND": "file"})

    assert [str(problem) for problem in check_files(loaded)] == [
        f"carebell.yaml:2:1: storage.key_file: there is no file carebell.key in {tmp_path}; restore it from its backup; "
        "a new installation gets one from `carebell init`",
        f"carebell.yaml:13:34: environments.prod.listener.tls.certificate: there is no file a.pem in {tmp_path}",
        f"carebell.yaml:13:54: environments.prod.listener.tls.key: there is no file b.pem in {tmp_path}",
        f"carebell.yaml:13:66: environments.prod.listener.tls.client_ca: {tmp_path.name} is not a file",
        f"environment variable CAREBELL_GATEWAY__FILE: gateway.file: there is no folder {tmp_path}/gone",
        f"environment variable CAREBELL_STORAGE__URL: storage.url: there is no folder {tmp_path}/none",
    ]


def test_a_secret_that_others_can_read_is_told(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key", mode=0o644)

    (problem,) = check_files(load(write(), {}))

    assert problem.why == "carebell.key is open to other accounts; chmod 0400 it"


def test_tokens_come_from_the_file_newest_first(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "token", "new\nold\n")

    tokens = twilio_tokens(load(write(), TOKEN_FILE))

    assert [token.get_secret_value() for token in tokens] == ["new", "old"]
    assert "new" not in repr(tokens)


def test_a_token_in_the_environment_comes_first(write: Write) -> None:
    tokens = twilio_tokens(load(write(), TOKEN_FILE | {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "direct"}))

    assert [token.get_secret_value() for token in tokens] == ["direct"]


def test_no_tokens_without_twilio(write: Write) -> None:
    assert twilio_tokens(load(write(), {})) == ()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "there is no file token in "), ("\n", "holds no token; write one a line")]
)
def test_a_missing_or_empty_token_file_is_told(content: str | None, why: str, write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    if content is not None:
        secret(tmp_path / "token", content)
    loaded = load(write(), TOKEN_FILE)

    with pytest.raises(ConfigurationError) as raised:
        twilio_tokens(loaded)

    [problem] = raised.value.problems
    assert problem.why.startswith(why)
    assert check_files(loaded) == [problem]


@pytest.mark.parametrize(
    "name", ["n" * 5000, "a\\0b", "~nobody/key", "a\\x1b[2Jb"], ids=["long", "nul", "tilde", "escape"]
)
def test_names_that_no_file_has_are_problems_like_others(name: str, write: Write) -> None:
    loaded = load(write("  url: sqlite", f'  key_file: "{name}"\n  url: sqlite'), {})

    (problem,) = check_files(loaded)

    assert problem.key == "storage.key_file"
    assert problem.why.startswith("there is no file ")
    assert problem.why.isprintable()
