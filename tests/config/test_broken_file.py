"""The database's place is found in a file that is broken anywhere else, and mostly where it is broken there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.broken_file import salvage_log_file, salvage_url

_BLOCK = "storage:\n  url: sqlite:////var/lib/clinic/texts.db   # the one\n\n  # and its key\n  key_file: /etc/clinic/texts.key\n"
_BEFORE = 'organization: {name: Clinic, contact: "555-0100"}\n'
_AFTER = "gateway:\n  kind: console\n"


def _salvage(folder: Path, content: bytes, environ: dict[str, str] | None = None) -> str:
    path = folder / "carebell.yaml"
    path.write_bytes(content)
    return salvage_url(path, environ or {})


@pytest.mark.parametrize(
    "text",
    [
        _BEFORE + _BLOCK + _AFTER,
        _BLOCK,
        "\ufeff" + _BLOCK + _AFTER,
        (_BEFORE + _BLOCK + _AFTER).replace("\n", "\r\n"),
        "organization: {name: Clinic\n" + _BLOCK + _AFTER,
        "organization:\n\tname: Clinic\n" + _BLOCK + _AFTER,
        _BEFORE + _BLOCK + "gateway: [\n",
        _BEFORE + _BLOCK + "\x00\n",
        _BEFORE + _BLOCK + "enviroments: {}\n",
        _BEFORE + "storage: {url: 'sqlite:////var/lib/clinic/texts.db', key_file: /etc/clinic/texts.key}\n" + _AFTER,
        _BEFORE + '"storage":\n  "url": "sqlite:////var/lib/clinic/texts.db"\n  "key_file": /etc/clinic/texts.key\n',
        _BEFORE + _BLOCK.replace("  key_file", "   key_file") + _AFTER,
        _BEFORE + _BLOCK.replace("storage:\n", "storage:\n  keyfile: x\n") + _AFTER,
        _BEFORE + _BLOCK.replace("storage:\n", "storage:\n  - \n") + _AFTER,
        _BEFORE + _BLOCK.replace("storage", "storge") + _AFTER,
        _BEFORE + _BLOCK.replace("url", "ulr") + _AFTER,
        _BEFORE + _BLOCK.replace("url:", "# url: postgresql+psycopg://old@host/db\n  ulr:") + _AFTER,
        _BEFORE + "  " + _BLOCK + _AFTER,
        _BEFORE + _BLOCK.replace("url: sqlite", 'url: "sqlite') + _AFTER,
        _BEFORE + "storage:\n- url: sqlite:////var/lib/clinic/texts.db\n- key_file: /etc/clinic/texts.key\n" + _AFTER,
    ],
)
def test_the_database_is_found(tmp_path: Path, text: str) -> None:
    url = _salvage(tmp_path, text.encode("utf-8"))
    assert url == "sqlite:////var/lib/clinic/texts.db"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"storage:", b"storage: 7\n", b"storage: {url: mysql://x}\n"]
)
def test_where_nothing_is_left_the_defaults_are_taken(tmp_path: Path, content: bytes) -> None:
    assert _salvage(tmp_path, content) == f"sqlite:///{tmp_path}/carebell.db"


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("key", ["url", "ulr"])
def test_a_quoted_name_may_hold_blanks(tmp_path: Path, key: str, quote: str) -> None:
    text = f"storage:\n  {key}: {quote}sqlite:////srv/our clinic/texts.db{quote}  # where\n"
    assert _salvage(tmp_path, text.encode()) == "sqlite:////srv/our clinic/texts.db"


def test_a_file_that_is_gone_or_none_leaves_the_defaults(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone.yaml", "pipe", "."):
        assert salvage_url(tmp_path / name, {}).endswith("/carebell.db")


def test_the_environments_variables_go_over_the_file(tmp_path: Path) -> None:
    environ = {"CAREBELL_STORAGE__URL": "sqlite:///other.db", "CAREBELL_HTTP__PORT__X": "nonsense"}
    assert _salvage(tmp_path, _BLOCK.encode(), environ) == f"sqlite:///{tmp_path}/other.db"


_LOG = "log:\n  file: logs/clinic.log  # ours\n  level: info\n"


@pytest.mark.parametrize(
    "text",
    [
        _LOG,
        _BEFORE + _LOG + _AFTER,
        (_BEFORE + _LOG + _AFTER).replace("\n", "\r\n"),
        "organization: {name: Clinic\n" + _LOG,
        _BEFORE + _LOG + "gateway: [\n",
        _BEFORE + "log: {file: 'logs/clinic.log'}\n" + _AFTER,
        _BEFORE + _LOG.replace("log:\n", "lgo:\n") + _AFTER,
        _BEFORE + _LOG.replace("  level", "\tlevel") + _AFTER,
        _BEFORE + "gateway:\n  kind: file\n  file: outbox.jsonl\n# file: old.log\n" + _LOG.replace("log:\n", "lgo:\n"),
    ],
)
def test_the_log_is_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "carebell.yaml"
    path.write_bytes(text.encode())
    assert salvage_log_file(path, {}) == tmp_path / "logs/clinic.log"


@pytest.mark.parametrize(
    ("text", "environ", "name"),
    [
        ("", {}, "carebell.log"),
        ("log: {level: info}\n", {}, "carebell.log"),
        ("log: {file: null}\n", {}, None),
        ("log: {file: 7}\n", {}, "carebell.log"),
        (_LOG, {"CAREBELL_LOG__FILE": "null"}, None),
        (_LOG, {"CAREBELL_LOG__FILE": "/var/log/carebell.log"}, "/var/log/carebell.log"),
    ],
)
def test_what_is_said_of_the_log(tmp_path: Path, text: str, environ: dict[str, str], name: str | None) -> None:
    path = tmp_path / "carebell.yaml"
    path.write_text(text)
    assert salvage_log_file(path, environ) == (None if name is None else tmp_path / name)


@given(at=st.integers(0, len(_BEFORE + _AFTER)), junk=st.text(max_size=20))
def test_no_edit_outside_the_section_hides_it(tmp_path_factory: pytest.TempPathFactory, at: int, junk: str) -> None:
    text = _BEFORE + _AFTER
    if at < len(_BEFORE):
        text = text[:at] + junk + text[at : len(_BEFORE)].rstrip("\n") + "\n" + _BLOCK + _AFTER
    else:
        text = _BEFORE + _BLOCK + text[len(_BEFORE) : at] + junk.replace("storage", "") + text[at:]
        if at == len(_BEFORE) and junk[:1] in (" ", "\t"):  # this would be an edit of the section itself
            return
    folder = tmp_path_factory.mktemp("edited")
    url = _salvage(folder, text.encode("utf-8", errors="replace"))
    assert url == "sqlite:////var/lib/clinic/texts.db"
