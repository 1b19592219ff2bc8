"""`verify`: every vector decides as its index says, storing nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path, PurePath

import pytest

from tests.carebell.conftest import Carebell
from tests.listener.certificates import make as make_pair
from tests.story.ehr import signed, unsigned
from tests.story.folder import CLOCK, PRODUCTION, VECTORS, change, make, rows

AT = f"{CLOCK:%Y-%m-%dT%H:%M:%SZ}"
M01 = VECTORS / "messages/accept/m01-rs256-s12.hl7"
# Two certificates of an environment at a time; the vectors need seven. x40's certificate is not among the vectors' files.
CONFIGURATIONS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("accept/11-ec-p256.cer", "accept/12-ed25519.cer"): ("m03", "m04", "x15", "x17"),
    ("accept/13-ca-issued-leaf.cer", "refuse/20-expired.cer"): ("x36", "x39"),
}
ELSEWHERE = {name for names in CONFIGURATIONS.values() for name in names} | {"x40"}


def _vectors(environment: str, wanted: set[str] | None = None) -> list[tuple[str, ...]]:
    vectors = [row for row in rows("vectors.tsv") if row[2] == environment]
    return [row for row in vectors if (PurePath(row[1]).name[:3] in wanted if wanted else _is_plain(row))]


def _is_plain(row: tuple[str, ...]) -> bool:
    return PurePath(row[1]).name[:3] not in ELSEWHERE


@pytest.mark.parametrize("environment", ["production", "test"])
def test_vectors_decide_as_indexed(environment: str, carebell: Carebell, configuration: Path) -> None:
    before = {path.name for path in configuration.parent.iterdir()}
    vectors = _vectors(environment)
    ended = carebell(
        "verify", "-c", configuration, "-e", environment, "--at", AT, "--json", *(VECTORS / row[1] for row in vectors)
    )
    decided = [(row["file"], row["answer"], row["code"]) for row in ended.rows]
    assert decided == [(str(VECTORS / row[1]), row[3], None if row[4] == "-" else row[4]) for row in vectors]
    assert ended.code == (0 if environment == "test" else 1)
    assert all(set(row) == {"file", "answer", "code", "err3", "text", "assumed"} for row in ended.rows)
    assert all((row["err3"] == "0") == (row["answer"] in ("AA", "CA")) for row in ended.rows)
    assert {path.name for path in configuration.parent.iterdir()} == before


@pytest.mark.parametrize("certificates", CONFIGURATIONS, ids=["ec", "leaf"])
def test_vectors_of_other_certificates_decide_as_indexed(
    certificates: tuple[str, ...], carebell: Carebell, tmp_path: Path
) -> None:
    path = make(tmp_path / "clinic", production=certificates)
    vectors = _vectors("production", set(CONFIGURATIONS[certificates]))
    ended = carebell(
        "verify", "-c", path, "-e", "production", "--at", AT, "--json", *(VECTORS / row[1] for row in vectors)
    )
    decided = [(row["answer"], row["code"]) for row in ended.rows]
    assert decided == [(row[3], None if row[4] == "-" else row[4]) for row in vectors]


def test_a_certificate_counts_as_long_as_it_is_configured(carebell: Carebell, tmp_path: Path) -> None:
    x61 = VECTORS / "messages/refuse/x61-retired-cert.hl7"
    for certificates, answer, code in (
        (("accept/14-retired-rsa2048.cer",), "AA", None),
        (PRODUCTION, "AR", "SIG05"),
    ):
        path = make(tmp_path / "clinic", production=certificates)
        [row] = carebell("verify", "-c", path, "-e", "production", "--at", AT, "--json", x61).rows
        assert (row["answer"], row["code"]) == (answer, code)


def test_hostile_messages_are_accepted(carebell: Carebell, configuration: Path) -> None:
    files = [VECTORS / row[0] for row in rows("hostile.tsv")]
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, "--json", *files)
    assert (ended.code, {row["answer"] for row in ended.rows}) == (0, {"AA"})
    assert len(ended.rows) == len(files)


@pytest.mark.parametrize(
    ("name", "answers", "text"),
    [
        ("f01-one", ["AA"], ""),
        ("f07-crlf-before-start", ["AA"], ""),
        ("f03-no-end", ["CLOSE"], "no end"),
        ("f04-http", ["CLOSE"], "HTTP"),
        ("f05-double-start", ["CLOSE"], "0x0B"),
        ("f09-tls-hello-on-plain-port", ["CLOSE"], "TLS"),
    ],
)
def test_framed_input(name: str, answers: list[str], text: str, carebell: Carebell, configuration: Path) -> None:
    file = VECTORS / "frames" / f"{name}.mllp"
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, "--json", file)
    assert [row["answer"] for row in ended.rows] == answers
    assert text in ended.rows[0]["text"]
    assert ended.rows[0]["code"] == (None if answers == ["AA"] else "FRAME")


def test_several_blocks_in_one_file_share_the_replay_memory(carebell: Carebell, configuration: Path) -> None:
    file = configuration.with_name("three.mllp")
    reused = (VECTORS / "messages/refuse/x46-control-id-reused.hl7").read_bytes()
    file.write_bytes(
        b"".join(b"\x0b" + content + b"\x1c\r\n" for content in (M01.read_bytes(), M01.read_bytes(), reused))
    )
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, "--json", file)
    assert [(row["answer"], row["code"]) for row in ended.rows] == [("AA", None), ("AA", None), ("AR", "SIG10")]
    # Each run has a memory of its own: nothing was stored.
    assert carebell("verify", "-c", configuration, "-e", "production", "--at", AT, M01).code == 0


def test_without_json_it_is_a_table_for_people(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, M01)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split()[:5] == ["File", "Answer", "Code", "ERR-3", "Why"]


def test_the_clock_decides(carebell: Carebell, configuration: Path) -> None:
    for at, code in (
        ("2026-03-09T15:02:59Z", None),
        ("2026-03-09T15:04:00Z", "SIG09"),
        ("2026-03-02T07:04:05-08:00", None),
    ):
        [row] = carebell("verify", "-c", configuration, "-e", "production", "--at", at, "--json", M01).rows
        assert row["code"] == code


def test_a_mutual_tls_environment_is_verified_as_if_its_certificate_was_presented(
    carebell: Carebell, tmp_path: Path
) -> None:
    path = make(tmp_path / "clinic")
    server = make_pair(path.parent, "carebell.example")
    server.key_file.chmod(0o400)
    tls = {"certificate": server.certificate_file.name, "key": server.key_file.name}
    change(path, {"environments": {"production": {"authentication": "mutual-tls", "listener": {"tls": tls}}}})
    bare = path.with_name("bare.hl7")
    bare.write_bytes(unsigned("S12", "1", sent=CLOCK, start=CLOCK))
    altered = VECTORS / "messages/refuse/x02-phone-changed.hl7"
    ended = carebell("verify", "-c", path, "-e", "production", "--at", AT, "--json", bare, M01, altered)
    assert [(row["answer"], row["code"]) for row in ended.rows] == [("AA", None), ("AA", None), ("AR", "SIG07")]
    assert {row["assumed"] for row in ended.rows} == {"client certificate"}
    said = carebell("verify", "-c", path, "-e", "production", "--at", AT, M01).out
    assert "the connection's certificate was not checked, but taken to be 01-prod-rsa3072.cer" in " ".join(said.split())
    # The other environment still asks for a signature.
    [row] = carebell("verify", "-c", path, "-e", "test", "--at", AT, "--json", bare).rows
    assert (row["code"], row["assumed"]) == ("SIG01", None)


def test_the_decision_is_told_even_where_no_answer_is_sent(carebell: Carebell, configuration: Path) -> None:
    change(configuration, {"environments": {"production": {"honour_ne": True}}})
    quiet = configuration.with_name("quiet.hl7")
    quiet.write_bytes(signed("S12", "1", sent=CLOCK, start=CLOCK + timedelta(days=9), accept="NE"))
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, "--json", quiet)
    assert ended.code == 0
    [row] = ended.rows
    assert (row["answer"], row["code"], row["err3"]) == ("CA", None, "0")
    assert "no answer is sent" in row["text"]


def test_an_environment_that_is_switched_off_refuses(carebell: Carebell, configuration: Path) -> None:
    change(configuration, {"environments": {"production": {"enabled": False}}})
    ended = carebell("verify", "-c", configuration, "-e", "production", "--at", AT, "--json", M01)
    assert (ended.code, [(row["answer"], row["code"]) for row in ended.rows]) == (1, [("AR", "DISABLED")])
    assert [row["text"] for row in ended.rows] == ["environment production is switched off (enabled: false)"]
    assert ended.sentence == "environment production is switched off (enabled: false): all its messages are refused"
