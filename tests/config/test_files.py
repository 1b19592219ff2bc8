"""Files and folders that a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.files import check_files, client_secret, gateway_secrets, relay_secret
from config.gateways import AUTH_TOKEN, BEARER_TOKEN, WEBHOOK_SECRET
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

    tokens = gateway_secrets(load(write(), TOKEN_FILE), AUTH_TOKEN)

    assert [token.get_secret_value() for token in tokens] == ["new", "old"]
    assert "new" not in repr(tokens)


def test_a_token_in_the_environment_comes_first(write: Write) -> None:
    tokens = gateway_secrets(load(write(), TOKEN_FILE | {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "direct"}), AUTH_TOKEN)

    assert [token.get_secret_value() for token in tokens] == ["direct"]


def test_no_tokens_without_twilio(write: Write) -> None:
    assert gateway_secrets(load(write(), {}), AUTH_TOKEN) == ()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "there is no file token in "), ("\n", "holds no token; write one a line")]
)
def test_a_missing_or_empty_token_file_is_told(content: str | None, why: str, write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    if content is not None:
        secret(tmp_path / "token", content)
    loaded = load(write(), TOKEN_FILE)

    with pytest.raises(ConfigurationError) as raised:
        gateway_secrets(loaded, AUTH_TOKEN)

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


HTTP = {
    "CAREBELL_GATEWAY__KIND": "http",
    "CAREBELL_GATEWAY__HTTP__URL": "https://gateway.example/texts",
    "CAREBELL_GATEWAY__HTTP__TOKEN_FILE": "bearer",
    "CAREBELL_GATEWAY__HTTP__PUBLIC_URL": "https://sms.example",
    "CAREBELL_GATEWAY__HTTP__WEBHOOK_SECRET_FILE": "hmac",
    "CAREBELL_GATEWAY__HTTP__CERTIFICATE_AUTHORITY": "ca.pem",
}


def test_every_file_of_the_http_gateway_is_looked_at(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    secret(tmp_path / "bearer", "t0ken\n", mode=0o644)
    secret(tmp_path / "hmac", "# none yet\n")
    loaded = load(write(), HTTP)

    assert {problem.key: problem.why for problem in check_files(loaded)} == {
        "gateway.http.token_file": "bearer is open to other accounts; chmod 0400 it",
        "gateway.http.webhook_secret_file": "holds no token; write one a line",
        "gateway.http.certificate_authority": f"there is no file ca.pem in {tmp_path}",
    }
    assert {"bearer", "hmac", "ca.pem"} <= {path.name for path in loaded.files}, "a new content is a change"


def test_the_secrets_of_the_http_gateway_come_newest_first(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "bearer", "t0ken\n")
    secret(tmp_path / "hmac", "new\nold\n")
    loaded = load(write(), HTTP)

    assert [token.get_secret_value() for token in gateway_secrets(loaded, BEARER_TOKEN)] == ["t0ken"]
    assert [token.get_secret_value() for token in gateway_secrets(loaded, WEBHOOK_SECRET)] == ["new", "old"]
    assert gateway_secrets(loaded, AUTH_TOKEN) == ()


OIDC = {
    "CAREBELL_PORTAL__ENABLED": "true",
    "CAREBELL_PORTAL__SIGN_IN__OIDC": "{name: Clinic, issuer: https://login.example, client_id: carebell, "
    "client_secret_file: oidc.secret, roles: {staff: support}}",
}


def test_the_client_secret_stands_alone_in_its_file(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    secret(tmp_path / "oidc.secret", "# of 2026\nsesame\n")
    loaded = load(write(), OIDC)

    value = client_secret(loaded)

    assert value is not None
    assert value.get_secret_value() == "sesame"
    assert check_files(loaded) == []
    assert tmp_path / "oidc.secret" in loaded.files, "a new content is a change"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0, "there is no file oidc.secret in {folder}"),
        ("sesame\n", 0o644, "oidc.secret is open to other accounts; chmod 0400 it"),
        ("sesame\nold\n", 0o400, "must hold the client secret alone on a line; lines that begin with # do not count"),
        ("\n", 0o400, "must hold the client secret alone on a line; lines that begin with # do not count"),
    ],
    ids=["missing", "open", "two", "empty"],
)
def test_a_client_secret_that_cannot_be_used_is_told(
    content: str | None, mode: int, why: str, write: Write, tmp_path: Path
) -> None:
    secret(tmp_path / "carebell.key")
    if content is not None:
        secret(tmp_path / "oidc.secret", content, mode)

    (problem,) = check_files(load(write(), OIDC))

    assert (problem.key, problem.why) == ("portal.sign_in.oidc.client_secret_file", why.format(folder=tmp_path))


def test_a_portal_that_is_off_needs_no_client_secret(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    loaded = load(write(), OIDC | {"CAREBELL_PORTAL__ENABLED": "false"})

    assert client_secret(loaded) is None
    assert check_files(loaded) == []


def _with_relay(write: Write) -> Path:
    visits = (
        "{join: ours, meeting: {url: 'https://meet.example/a'}, allowed_hosts: [meet.example],"
        " device_test: {enabled: true, ice_servers: ['turn:turn.example'], credential_file: turn.secret}}"
    )
    path: Path = write("environments:\n", "join: {enabled: true, public_url: https://visit.example}\nenvironments:\n")
    text = path.read_text("utf-8").replace("    time_zone:", f"    visits: {visits}\n    time_zone:", 1)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_relays_secret_stands_alone_in_its_file(write: Write, tmp_path: Path) -> None:
    secret(tmp_path / "carebell.key")
    secret(tmp_path / "turn.secret", "# coturn\nsesame\n")
    loaded = load(_with_relay(write), {})

    value = relay_secret(loaded, "prod")

    assert value is not None
    assert value.get_secret_value() == "sesame"
    assert check_files(loaded) == []
    assert tmp_path / "turn.secret" in loaded.files, "a new content is a change"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0, "there is no file turn.secret in {folder}"),
        ("sesame\n", 0o644, "turn.secret is open to other accounts; chmod 0400 it"),
        ("sesame\nold\n", 0o400, "must hold the relay's secret alone on a line; lines that begin with # do not count"),
    ],
    ids=["missing", "open", "two"],
)
def test_a_relays_secret_that_cannot_be_used_is_told(
    content: str | None, mode: int, why: str, write: Write, tmp_path: Path
) -> None:
    secret(tmp_path / "carebell.key")
    if content is not None:
        secret(tmp_path / "turn.secret", content, mode)

    (problem,) = check_files(load(_with_relay(write), {}))

    assert problem.key == "environments.prod.visits.device_test.credential_file"
    assert problem.why == why.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o400, "there is no file meeting.secret"),
        ("word\n", 0o444, "meeting.secret is open to other accounts; chmod 0400 it"),
        ("# nothing\n", 0o400, "must hold one secret a line"),
        ("two words\n", 0o400, "must hold one secret a line"),
        ("# old until May\nword\nnext-word\n", 0o400, None),
    ],
)
def test_a_meetings_secret_stands_in_a_file_of_its_own(
    write: Write, tmp_path: Path, content: str | None, mode: int, said: str | None
) -> None:
    secret(tmp_path / "carebell.key")
    path = write("environments:\n", "join: {enabled: true, public_url: https://visit.example}\nenvironments:\n")
    meeting = "{kind: jitsi, url: 'https://meet.example', app_id: a, secret_file: meeting.secret}"
    visits = f"    visits: {{join: ours, allowed_hosts: [meet.example], meeting: {meeting}}}\n"
    path.write_text(path.read_text("utf-8").replace("    time_zone:", f"{visits}    time_zone:", 1), encoding="utf-8")
    if content is not None:
        (tmp_path / "meeting.secret").write_text(content, encoding="utf-8")
        (tmp_path / "meeting.secret").chmod(mode)

    problems = check_files(load(path, {}))

    assert [problem.key for problem in problems] == (
        [] if said is None else ["environments.prod.visits.meeting.secret_file"]
    )
    assert said is None or said in str(problems[0])
