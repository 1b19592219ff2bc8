"""`cert show` and `sign`: what becomes of an upload, and of a message that is to be signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.carebell.conftest import Carebell
from tests.story.ehr import unsigned
from tests.story.folder import CLOCK, VECTORS, make, rows

KEYS = {
    "file", "verdict", "reason", "notices", "subject", "not_before", "not_after", "thumbprint", "algorithms", "header",
}  # fmt: skip
AT = ("--at", f"{CLOCK:%Y-%m-%dT%H:%M:%SZ}")
CERTS = [row for row in rows("certs.tsv") if (VECTORS / row[1]).exists()]  # 42-oversize is made below


def test_every_upload_is_judged_as_indexed(carebell: Carebell) -> None:
    ended = carebell("cert", "show", *AT, "--json", *(VECTORS / row[1] for row in CERTS))
    assert [(row["file"], row["verdict"]) for row in ended.rows] == [
        (str(VECTORS / path), verdict) for verdict, path, _ in CERTS
    ]
    assert ended.code == 1
    for row in ended.rows:
        assert set(row) == KEYS
        assert (row["reason"] is None) == (row["verdict"] == "accept")
        assert isinstance(row["notices"], list)
        assert isinstance(row["algorithms"], list)


def test_accepted_alone_is_0_and_the_header_is_ready_to_paste(carebell: Carebell) -> None:
    accepted = [VECTORS / path for verdict, path, _ in CERTS if verdict == "accept"]
    ended = carebell("cert", "show", *AT, "--json", *accepted)
    assert ended.code == 0
    table = dict(line.split("\t")[:2] for line in (VECTORS / "thumbprints.tsv").read_text().splitlines())
    [row] = [row for row in ended.rows if row["file"].endswith("01-prod-rsa3072.cer")]
    assert row["thumbprint"] == table["prod"]
    assert json.loads(row["header"]) == {"alg": "RS256", "typ": "hl7v2-sig", "x5t#S256": table["prod"]}
    assert (row["not_before"], row["not_after"]) == ("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z")
    assert row["algorithms"] == ["RS256", "PS256"]
    [row] = [row for row in ended.rows if row["file"].endswith("09-test-rsa2048.cer")]
    assert len(row["notices"]) == 1


def test_too_large_a_file_and_no_file(carebell: Carebell, tmp_path: Path) -> None:
    huge, folder = tmp_path / "huge.cer", tmp_path / "folder.cer"
    huge.write_bytes((VECTORS / CERTS[0][1]).read_bytes() + b"\n" * 1_100_000)
    folder.mkdir()
    ended = carebell("cert", "show", "--json", huge, folder, tmp_path / "absent.cer")
    assert ended.code == 1
    assert [row["verdict"] for row in ended.rows] == ["refuse"] * 3
    assert "64 KiB" in ended.rows[0]["reason"]


def test_for_people(carebell: Carebell) -> None:
    ended = carebell(
        "cert", "show", *AT, VECTORS / "certs/accept/01-prod-rsa3072.cer", VECTORS / "certs/refuse/16-csr.cer"
    )
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].endswith("01-prod-rsa3072.cer: accept")
    assert any(line.endswith("16-csr.cer: refuse") for line in lines)


# sign


PAIRS = {
    "RS256": ("prod-rsa3072", "01-prod-rsa3072"),
    "PS256": ("prod-rsa3072", "01-prod-rsa3072"),
    "ES256": ("ec-p256", "11-ec-p256"),
    "EdDSA": ("ed25519", "12-ed25519"),
}


def _pair(name: str) -> tuple[object, ...]:
    key, certificate = PAIRS[name]
    return "--key", VECTORS / f"keys/{key}.key.pem", "--cert", VECTORS / f"certs/accept/{certificate}.cer"


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "message.hl7"
    path.write_bytes(unsigned("S12", "SIGN1", sent=CLOCK, start=CLOCK))
    return path


@pytest.mark.parametrize("alg", PAIRS)
def test_what_sign_makes_verify_accepts(alg: str, message: Path, carebell: Carebell, tmp_path: Path) -> None:
    path = make(tmp_path / "clinic", production=(f"accept/{PAIRS[alg][1]}.cer",))
    signed = tmp_path / "signed.hl7"
    assert carebell("sign", message, *_pair(alg), "--alg", alg, "-o", signed).code == 0
    assert signed.read_bytes().startswith(message.read_bytes() + b"ZSG|1|")
    assert carebell("verify", "-c", path, "-e", "production", *AT, signed).code == 0


def test_without_output_it_goes_to_standard_output(message: Path, carebell: Carebell) -> None:
    ended = carebell("sign", message, *_pair("RS256"))
    assert (ended.code, ended.err) == (0, "")
    assert "\rZSG|1|" in ended.out.replace("\n", "\r")


def test_a_message_that_cannot_be_signed_so(message: Path, carebell: Carebell, tmp_path: Path) -> None:
    twice, key = tmp_path / "twice.hl7", _pair("ES256")
    twice.write_bytes((VECTORS / "messages/accept/m01-rs256-s12.hl7").read_bytes())
    for words, why in (
        ((twice, *_pair("RS256")), "ZSG"),
        ((message, *key[:2], *_pair("RS256")[2:]), "key"),
        ((message, *_pair("RS256"), "--alg", "ES256"), "ES256"),
        ((message, *_pair("RS256"), "--alg", "none"), "none"),
        ((message, *_pair("RS256")[:2], "--cert", VECTORS / "certs/refuse/16-csr.cer"), "16-csr.cer"),
        ((message, "--key", message, *_pair("RS256")[2:]), "key"),
        ((message, "--key", tmp_path / "absent.pem", *_pair("RS256")[2:]), "absent.pem"),
    ):
        ended = carebell("sign", *words)
        assert (ended.code, ended.out) == (1, "")
        assert why in ended.sentence
        assert "TESTPATIENT" not in ended.err


@pytest.mark.parametrize("command", ["sign", "send", "simulator"])
def test_swapped_files_are_called_swapped(command: str, message: Path, carebell: Carebell) -> None:
    key, certificate = _pair("RS256")[1], _pair("RS256")[3]
    words: dict[str, tuple[object, ...]] = {
        "sign": ("sign", message),
        "send": ("send", message, "--to", "127.0.0.1:1"),
        "simulator": ("simulator", "ehr", "--to", "127.0.0.1:1", "--count", "1"),
    }
    ended = carebell(*words[command], "--key", certificate, "--cert", key)
    assert (ended.code, ended.out) == (1, "")
    assert ended.sentence == f"--key and --cert are swapped: {certificate} is a certificate, {key} a private key"
    ended = carebell(*words[command], "--key", key, "--cert", key)
    assert (ended.code, ended.out) == (1, "")
    assert ended.sentence == f"--cert needs the key's certificate (.cer); {key} is a private key"
    ended = carebell(*words[command], "--key", key, "--cert", _pair("ES256")[3])
    assert (ended.code, ended.sentence) == (1, "the key is not the one the certificate was made for")


def test_the_message_itself_is_never_overwritten(message: Path, carebell: Carebell) -> None:
    before = message.read_bytes()
    ended = carebell("sign", message, *_pair("RS256"), "-o", message)
    assert (ended.code, message.read_bytes()) == (2, before)
