"""A missing, wrong or foreign file: one clear sentence with its exit code, never a traceback, never half a service."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from carebell.commands import history as carebell_history
from store.engine import open_store
from store.keys import create_key_file, read_key_file
from store.vault import Vault
from tests.carebell.conftest import Carebell
from tests.listener.certificates import make as make_pair
from tests.story.folder import VECTORS, change, make, null

M01 = VECTORS / "messages/accept/m01-rs256-s12.hl7"
AT = ("--at", "2026-03-02T15:04:05Z")
PLACE = re.compile(r"^\S+carebell\.yaml:(\d+:\d+: | is empty)")


def _no_key(path: Path) -> None:
    path.with_name("carebell.key").unlink()


def _open_key(path: Path) -> None:
    path.with_name("carebell.key").chmod(0o644)


def _damaged_key(path: Path) -> None:
    key = path.with_name("carebell.key")
    key.unlink()
    key.write_text("not a key ring")
    key.chmod(0o400)


def _no_certificate(path: Path) -> None:
    (path.parent / "certs/01-prod-rsa3072.cer").unlink()


def _folder_for_certificate(path: Path) -> None:
    _no_certificate(path)
    (path.parent / "certs/01-prod-rsa3072.cer").mkdir()


def _text_for_certificate(path: Path) -> None:
    (path.parent / "certs/01-prod-rsa3072.cer").write_text("a letter", encoding="utf-8")


def _private_key_for_certificate(path: Path) -> None:
    source = VECTORS / "certs/refuse/04-private-key-pkcs8.cer"
    (path.parent / "certs/01-prod-rsa3072.cer").write_bytes(source.read_bytes())


def _one_key_in_two_environments(path: Path) -> None:
    source = path.parent / "certs/01-prod-rsa3072.cer"
    (path.parent / "certs/09-test-rsa2048.cer").write_bytes(source.read_bytes())
    shared = {"host": "127.0.0.1", "port": 2575}
    change(path, {"environments": {"production": {"listener": shared}, "test": {"listener": shared}}})


def _unknown_key(path: Path) -> None:
    change(path, {"environments": {"production": {"sms": {"reminder": []}}}})


def _bad_value(path: Path) -> None:
    change(path, {"environments": {"production": {"time_zone": "Mars/Olympus"}}})


def _not_yaml(path: Path) -> None:
    path.write_text("organization: {name: [\n")


def _empty(path: Path) -> None:
    path.write_text("")


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def _mutual_without_tls(path: Path) -> None:
    change(path, {"environments": {"production": {"authentication": "mutual-tls"}}})


def _tls_without_files(path: Path) -> None:
    tls = {"certificate": "absent.pem", "key": "absent.key"}
    change(path, {"environments": {"production": {"listener": {"tls": tls}}}})


def _tls_key_of_another(path: Path) -> None:
    first, second = make_pair(path.parent, "one.example"), make_pair(path.parent, "other.example")
    second.key_file.chmod(0o400)
    tls = {"certificate": first.certificate_file.name, "key": second.key_file.name}
    change(path, {"environments": {"production": {"listener": {"tls": tls}}}})


WRONG: list[tuple[Callable[[Path], None], str]] = [
    (_no_key, "carebell.key"),
    (_open_key, "carebell.key"),
    (_damaged_key, "carebell.key"),
    (_no_certificate, "01-prod-rsa3072.cer: The file cannot be read: there is no such file."),
    (_folder_for_certificate, "01-prod-rsa3072.cer: The file cannot be read: it is a folder or a device, not a file."),
    (_text_for_certificate, "01-prod-rsa3072.cer: The file contains no certificate in Base64."),
    (_private_key_for_certificate, "private key"),
    (_unknown_key, "did you mean"),
    (_bad_value, "time_zone"),
    (_not_yaml, "carebell.yaml"),
    (_empty, "is empty"),
    (_binary, "carebell.yaml"),
    (_mutual_without_tls, "listener.tls"),
    (_tls_without_files, "absent.pem"),
    (_tls_key_of_another, "other.example.key"),
]


@pytest.mark.parametrize(("spoil", "says"), WRONG, ids=lambda value: getattr(value, "__name__", "").strip("_"))
def test_a_wrong_configuration_never_starts(
    spoil: Callable[[Path], None], says: str, carebell: Carebell, configuration: Path
) -> None:
    spoil(configuration)
    ended = carebell("-c", configuration, "serve")
    assert (ended.code, ended.out) == (78, "")
    lines = [line.removeprefix("carebell: ") for line in ended.err.splitlines() if not line.startswith(("20", " "))]
    assert [line for line in lines if says in line]
    assert all(PLACE.match(line) for line in lines)
    assert not configuration.with_name("carebell.db").exists()
    # And check-config says so before.
    checked = carebell("-c", configuration, "check-config")
    assert checked.code == 78
    assert says in checked.out + checked.err
    # An editor can jump to each line as it stands.
    assert all(PLACE.match(line) for line in checked.err.splitlines())


def test_one_key_in_two_environments_never_starts(carebell: Carebell, configuration: Path) -> None:
    _one_key_in_two_environments(configuration)
    for command in ("serve", "check-config"):
        ended = carebell("-c", configuration, command)
        assert ended.code == 78
        assert "the same key is in production and test" in ended.out + ended.err


def test_check_config_says_where_in_json_too(carebell: Carebell, configuration: Path) -> None:
    _no_certificate(configuration)
    null(configuration, "environments", "production", "listener", "tls")
    change(configuration, {"environments": {"production": {"sms": {"approved": False}}}})
    ended = carebell("-c", configuration, "--json", "check-config")
    assert ended.code == 78
    assert [(row["key"].split(".")[-1], row["warning"]) for row in ended.rows] == [
        ("certificates[0]", False),
        ("approved", True),
    ]
    assert set(ended.rows[0]) == {"file", "line", "column", "key", "why", "warning"}


# The machine


def test_a_port_in_use_is_one_sentence(carebell: Carebell, configuration: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        change(configuration, {"environments": {"production": {"listener": {"port": port}}}})
        ended = carebell("-c", configuration, "serve")
        assert (ended.code, ended.out) == (1, "")
        assert f"cannot listen on 127.0.0.1:{port}: another program uses it, perhaps a carebell that runs" in ended.err
        assert "Traceback" not in ended.err
        change(configuration, {"environments": {"production": {"listener": {"port": 0}}}})
        change(configuration, {"http": {"enabled": True, "port": port}})
        ended = carebell("-c", configuration, "serve")
        assert (ended.code, ended.out) == (1, "")
        assert f"cannot listen on 127.0.0.1:{port}: " in ended.err
        change(configuration, {"http": {"enabled": False}, "portal": {"enabled": True, "port": port}})
        ended = carebell("-c", configuration, "serve")
        assert (ended.code, ended.out) == (1, "")
        assert f"cannot listen on 127.0.0.1:{port}: " in ended.err


def test_a_log_that_cannot_be_written_is_one_sentence(carebell: Carebell, configuration: Path) -> None:
    change(configuration, {"log": {"file": "absent/carebell.log"}})
    ended = carebell("-c", configuration, "serve")
    assert (ended.code, ended.out) == (78, "")
    assert "log.file: " in ended.sentence
    configuration.with_name("folder").mkdir()
    change(configuration, {"log": {"file": "folder"}})
    ended = carebell("-c", configuration, "serve")
    assert ended.code == 78
    assert "log.file: " in ended.sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and read everything")
def test_what_is_not_ours_is_77(carebell: Carebell, configuration: Path) -> None:
    folder = configuration.with_name("log")
    folder.mkdir(mode=0o500)
    change(configuration, {"log": {"file": "log/carebell.log"}})
    assert carebell("-c", configuration, "serve").code == 77
    secret = configuration.with_name("secret.hl7")
    secret.write_bytes(M01.read_bytes())
    secret.chmod(0o000)
    assert carebell("-c", configuration, "verify", "-e", "production", secret).code == 77


def test_what_the_system_forbids_is_77(
    carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    ended = carebell("sign", M01, "--key", M01, "--cert", M01)
    assert (ended.code, ended.sentence) == (77, f"{M01}: permission denied")


def test_a_file_where_a_folder_should_be_is_one_sentence(carebell: Carebell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    ended = carebell("init", tmp_path / "file" / "clinic")
    assert (ended.code, ended.sentence) == (1, f"{tmp_path / 'file' / 'clinic'}: not a directory")


def test_tls_options_without_tls_send_nothing(carebell: Carebell) -> None:
    for words in (("--tls-name", "mllp.example"), ("--tls-key", M01)):
        ended = carebell("send", M01, "--to", "127.0.0.1:1", *words)
        assert (ended.code, ended.sentence) == (2, "--tls-key and --tls-name go with --tls; nothing was sent")


def test_a_token_file_that_is_missing_is_said_to_be(carebell: Carebell, configuration: Path) -> None:
    account = {"account_sid": "AC" + "1f" * 16, "auth_token_file": "absent.token"}
    change(configuration, {"gateway": {"kind": "twilio", "twilio": account}})
    for command in (("serve",), ("check-config",), ("numbers", "list")):
        ended = carebell("-c", configuration, *command)
        assert ended.code == 78
        assert "gateway.twilio.auth_token_file: there is no file absent.token in " in ended.out + ended.err


def test_a_database_that_is_none(carebell: Carebell, configuration: Path) -> None:
    database = configuration.with_name("carebell.db")
    assert carebell("-c", configuration, "outbox").code == 78  # no tables yet
    database.write_bytes(b"this is no database at all" * 100)
    for command in ("serve", "outbox", "status"):
        ended = carebell("-c", configuration, command)
        assert (ended.code, ended.out) == (78, "")
        assert "database" in ended.err
    database.unlink()
    database.mkdir()
    assert carebell("-c", configuration, "outbox").code == 78


def test_a_database_under_another_key_is_told(carebell: Carebell, configuration: Path) -> None:
    assert carebell("-c", configuration, "db", "upgrade").code == 0
    _no_key(configuration)
    ended = carebell("-c", configuration, "outbox")
    assert ended.code == 78
    assert "storage.key_file: " in ended.sentence
    create_key_file(configuration.with_name("carebell.key"))
    assert carebell("-c", configuration, "outbox").code == 0


def test_another_installation_s_key_file_never_serves(carebell: Carebell, configuration: Path) -> None:
    """It knows no opt-out of this database, and what it seals is lost with the right file back."""
    assert carebell("-c", configuration, "db", "upgrade").code == 0
    key_file = configuration.with_name("carebell.key")
    with closing(open_store(f"sqlite:///{configuration.with_name('carebell.db')}")) as store, store.write() as conn:
        assert Vault(ring=read_key_file(key_file)).claim(conn)
    key_file.unlink()
    create_key_file(key_file)
    ended = carebell("-c", configuration, "serve")
    assert (ended.code, ended.out) == (78, "")
    assert "storage.key_file: is another installation's key file" in ended.err
    assert carebell("-c", configuration, "keys", "drop-unreadable").code == 1
    assert carebell("-c", configuration, "keys", "drop-unreadable", "--yes").code == 0
    with closing(open_store(f"sqlite:///{configuration.with_name('carebell.db')}")) as store, store.write() as conn:
        assert Vault(ring=read_key_file(key_file)).claim(conn)


# Messages


@pytest.fixture
def odd_files(tmp_path: Path) -> dict[str, Path]:
    files = {name: tmp_path / f"{name}.hl7" for name in ("empty", "blank", "binary", "text", "folder", "absent", "pdf")}
    files["empty"].write_bytes(b"")
    files["blank"].write_bytes(b"\r\n\r\n")
    files["binary"].write_bytes(bytes(range(256)) * 40)
    files["text"].write_text("Dear patient,\nyour visit is tomorrow.\n")
    files["pdf"].write_bytes(b"%PDF-1.7\n" + bytes(range(128, 256)))
    files["folder"].mkdir()
    return files


@pytest.mark.parametrize("name", ["empty", "blank", "binary", "text", "folder", "absent", "pdf"])
@pytest.mark.parametrize("command", ["verify", "explain", "plan", "sign", "send"])
def test_what_is_no_message(
    command: str, name: str, odd_files: dict[str, Path], carebell: Carebell, configuration: Path
) -> None:
    more: dict[str, tuple[object, ...]] = {
        "sign": (
            "--key",
            VECTORS / "keys/prod-rsa3072.key.pem",
            "--cert",
            VECTORS / "certs/accept/01-prod-rsa3072.cer",
        ),
        "send": ("--to", "127.0.0.1:1"),
    }
    words = more.get(command, ("-c", configuration, "-e", "production"))
    ended = carebell(command, odd_files[name], *words)
    assert ended.code == 1
    said = ended.out + ended.err
    assert said
    assert "Traceback" not in said
    assert "a bug" not in said
    assert "Dear" not in said


def test_verify_answers_what_is_no_message_as_the_listener_would(
    odd_files: dict[str, Path], carebell: Carebell, configuration: Path
) -> None:
    wanted = {"empty": ("AR", "NOHL7"), "text": ("AR", "NOHL7"), "binary": ("CLOSE", "FRAME"), "pdf": ("AR", "NOHL7")}
    files = [odd_files[name] for name in wanted]
    ended = carebell("-c", configuration, "verify", "-e", "production", *AT, "--json", *files)
    assert ended.code == 1
    assert {Path(row["file"]).stem: (row["answer"], row["code"]) for row in ended.rows} == wanted


def test_a_bug_of_ours_shows_where_it_is_and_nothing_of_the_message(
    carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blab(content: bytes, *_: object, **__: object) -> None:
        raise ValueError(content)

    monkeypatch.setattr(carebell_history, "unverified", blab)
    ended = carebell("-c", configuration, "plan", "-e", "production", M01)
    assert (ended.code, ended.out) == (1, "")
    assert ended.sentence.startswith("a bug: ValueError at commands/test_bad_input.py:")
    assert "TESTPATIENT" not in ended.err


def test_nobody_listens(carebell: Carebell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = carebell("send", M01, "--to", f"127.0.0.1:{port}")
    assert (ended.code, ended.sentence) == (75, f"nothing listens on 127.0.0.1:{port}")
    for to in ("127.0.0.1", "127.0.0.1:x", ":1", "127.0.0.1:70000"):
        assert carebell("send", M01, "--to", to).code == 2


def test_a_second_configuration_beside(carebell: Carebell, tmp_path: Path) -> None:
    """Two folders never touch each other's files."""
    first, second = make(tmp_path / "one"), make(tmp_path / "other")
    assert carebell("-c", first, "db", "upgrade").code == 0
    assert first.with_name("carebell.db").exists()
    assert not second.with_name("carebell.db").exists()
    assert list(Path.cwd().iterdir()) == []


HOSTILE = "a\x1b[2J\x9b31m\u202eb"
"""The name of a file somebody sends in: it would clear the screen, colour it, and turn the rest around."""


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("words", ["cert show", "explain -e production", "plan -e production", "verify -e production"])
def test_a_files_name_cannot_write_to_the_terminal(
    carebell: Carebell, tmp_path: Path, words: str, there: bool, as_json: bool
) -> None:
    file = tmp_path / f"{HOSTILE}.hl7"
    if there:
        file.write_bytes((VECTORS / "certs/accept/01-prod-rsa3072.cer" if "cert" in words else M01).read_bytes())
    ended = carebell("-c", make(tmp_path / "clinic"), *words.split(), *(("--json",) if as_json else ()), file)
    assert "a bug" not in ended.err
    for said in (ended.out, ended.err):
        assert all(line.isprintable() for line in said.split("\n")), ascii(said)


def test_nor_can_the_name_of_a_file_where_a_folder_should_be(carebell: Carebell, tmp_path: Path) -> None:
    file = tmp_path / HOSTILE
    file.touch()
    ended = carebell("init", file / "clinic")
    assert ended.code == 1
    assert ended.sentence.isprintable()


def test_a_name_that_is_not_utf_8_is_shown_all_the_same(carebell: Carebell, tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.cer"))
    file.write_bytes((VECTORS / "certs/accept/01-prod-rsa3072.cer").read_bytes())
    assert "b\\udcff.cer: accept" in carebell("cert", "show", file).out
    assert carebell("cert", "show", "--json", file).rows[0]["file"] == str(file)
