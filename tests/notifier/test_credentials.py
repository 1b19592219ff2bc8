"""The token file: what it may hold, and that no token is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.credentials import CredentialError, read_credentials

SID = "AC" + "0" * 32
FIRST, SECOND = "token-of-spring", "token-of-winter"


def test_the_first_signs_and_all_validate(tmp_path: Path) -> None:
    file = tmp_path / "twilio.token"
    file.write_text(f"# rotated in March\n{FIRST}\n\n  {SECOND}  \r\n")
    assert read_credentials(SID, file).tokens == (FIRST, SECOND)


def test_no_token_in_a_repr(tmp_path: Path) -> None:
    file = tmp_path / "twilio.token"
    file.write_text(FIRST)
    assert FIRST not in repr(read_credentials(SID, file))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "token_empty"),
        (b"# nothing\n\n", "token_empty"),
        (b"two words\n", "token_malformed"),
        (b"short\n", "token_malformed"),
        (b"\xff\xfe-token-of-spring\n", "token_malformed"),
        (b"a" * 5000, "token_malformed"),
    ],
)
def test_what_a_token_file_may_not_be(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "twilio.token"
    file.write_bytes(content)
    with pytest.raises(CredentialError) as caught:
        read_credentials(SID, file)
    assert caught.value.code == code
    assert "spring" not in str(caught.value)


def test_missing_files_and_accounts(tmp_path: Path) -> None:
    for sid, file, code in (
        (SID, tmp_path / "none", "token_unreadable"),
        (SID, None, "token_missing"),
        ("", None, "account_sid"),
    ):
        with pytest.raises(CredentialError) as caught:
            read_credentials(sid, file)
        assert caught.value.code == code
