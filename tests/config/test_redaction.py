"""A kept text holds no number of a patient's and no secret, and is otherwise the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.problems import Keys
from config.redaction import is_kept_out, redacted, redacted_unread, shows_secrets
from tests.story import folder


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder.make(
        tmp_path_factory.mktemp("redaction"), {"environments": {"test": {"sms": {"force_to": "+12025550177"}}}}
    )


def _redacted(path: Path, text: str) -> str:
    return redacted(text, folder.load(path).configuration)


def test_numbers_of_people_go_and_our_own_stay(shipped: Path) -> None:
    text = shipped.read_text()
    kept = _redacted(shipped, text)
    assert "+12025550143" not in kept
    assert "***0143" in kept
    assert "***0177" in kept
    assert "+14255550100" in kept, "the sender's own number"
    assert kept.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a: 1  # call +1 202 555 0188 first\n", "a: 1  # call ***0188 first\n"),
        ("# auth_token: 0123456789abcdef\n", "# auth_token: ***\n"),
        ("# old password=hunter2 \n", "# old password=*** \n"),
        ("url: postgresql+psycopg://carebell:hunter2@db/carebell\n", "url: postgresql+psycopg://carebell:***@db/carebell\n"),
        ("url: postgresql+psycopg://carebell@db/carebell  # since 2026-11-21\n",) * 2,
        ("url: postgresql+psycopg://:hunter2@db/carebell\n", "url: postgresql+psycopg://:***@db/carebell\n"),
        ("# postgresql+psycopg://db/c?user=c&password=hunter2\n", "# postgresql+psycopg://db/c?user=c&password=***\n"),
        ('text: "Portal # token: hunter2"\n', 'text: "Portal # token: ***"\n'),
        ("# token: 'hunter2', old\n", "# token: '***', old\n"),
        ("# token: hun'ter2\n", "# token: ***\n"),
        ('contact: "+1 425 555 0100"  # shown to patients\n',) * 2,
        ('colour: "a#1202555018812"\n',) * 2,
        ("# 12025550143 and (202) 555-0143\n", "# ***0143 and (***0143\n"),
        ("port: 8080 # 65535 at most, see https://example.org/a#b\n",) * 2,
    ],
)  # fmt: skip
def test_comments_and_urls(shipped: Path, line: str, kept: str) -> None:
    assert _redacted(shipped, line) == kept


@pytest.mark.parametrize(
    ("url", "written", "kept"),
    [
        ("carebell:hun'ter2@db/c", "'{}carebell:hun''ter2@db/c'", "'{}carebell:***@db/c'"),
        ("carebell:hun'ter2@db/c", "{}carebell:hun'ter2@db/c", "{}carebell:***@db/c"),
        ('carebell:hun"ter2@db/c', r'"{}carebell:hun\"ter2@db/c"', '"{}carebell:***@db/c"'),
        ("db/c?user=c&password=hun'ter2", "{}db/c?user=c&password=hun'ter2", "{}db/c?user=c&password=***"),
    ],
)
def test_a_password_goes_however_it_is_spelt(shipped: Path, url: str, written: str, kept: str) -> None:
    scheme = "postgresql+psycopg://"
    configuration = folder.load(shipped).configuration
    storage = configuration.storage.model_copy(update={"url": f"{scheme}{url}"})
    text = redacted(
        f"storage: {{url: {written.format(scheme)}}}\n", configuration.model_copy(update={"storage": storage})
    )
    assert text == f"storage: {{url: {kept.format(scheme)}}}\n"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"storage": {"url": "postgresql+psycopg://c:hunter2@db/c"}}, True),
        ({"storage": {"url": "postgresql+psycopg://c:***@db/c"}}, False),
        ({"storage": {"url": "sqlite:///carebell.db"}}, False),
        ({"environments": {"test": {"sms": {"allow_list": ["***0143", "+12025550143"]}}}}, True),
        ({"environments": {"test": {"sms": {"allow_list": ["***0143"], "force_to": None}}}}, False),
    ],
)
def test_what_is_left_is_noticed(values: dict[str, object], shown: bool) -> None:
    assert shows_secrets(values) is shown


def test_the_shipped_file_loses_nothing_else(shipped: Path) -> None:
    text = (folder.VECTORS.parents[1] / "config/carebell.yaml").read_text()
    changed = [
        (before, after)
        for before, after in zip(text.splitlines(), _redacted(shipped, text).splitlines(), strict=True)
        if before != after
    ]
    assert [after for _, after in changed] == ['      allow_list: ["***0143"]    # a test environment texts only these']


@pytest.mark.parametrize(
    ("keys", "value", "kept_out"),
    [
        (("environments", "test", "sms", "allow_list"), ["+12025550143"], True),
        (("environments", "test", "sms", "allow_list", 0), "+12025550143", True),
        (("environments", "test", "sms"), {"force_to": "+12025550143"}, True),
        (("environments",), {"test": {"sms": {"allow_list": []}}}, True),
        (("storage", "url"), "postgresql+psycopg://user:word@host/db", True),
        (("storage",), {"url": "postgresql+psycopg://user:word@host/db"}, True),
        (("environments", "test", "sms", "from"), "+14255550101", False),
        (("http", "port"), 8080, False),
    ],
)
def test_what_is_kept_nowhere_in_the_clear(keys: Keys, value: object, kept_out: bool) -> None:
    assert is_kept_out(keys, value) is kept_out


def test_of_a_file_that_cannot_be_read_nothing_is_shown_that_may_be_a_number() -> None:
    text = "allow_list: [+12025550143, 303 555 0188\nurl: postgres://u:hunter2@db/x\n# password: hunter2\nport: 8080\n"
    shown = redacted_unread(text)
    assert shown == "allow_list: [***0143, ***0188\nurl: postgres://u:***@db/x\n# password: ***\nport: 8080\n"
