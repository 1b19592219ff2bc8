"""The order of checks, every code, and what an attacker or an interface engine does to a message on its way."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.envelope import Fault, read_header
from certs.keyring import Freshness, Keyring
from certs.message import Refusal, VerifiedMessage
from certs.unverified import unverified
from certs.verify import Verifier
from tests.certs.ring import (
    NOW,
    VECTORS,
    ZONE,
    b64,
    certificate,
    code,
    header,
    jws,
    payload,
    production,
    rsa_key,
    signed,
    thumbprint,
    trial,
    validate,
    with_diagnosis,
)

M01 = (VECTORS / "messages/accept/m01-rs256-s12.hl7").read_bytes()
M05 = (VECTORS / "messages/accept/m05-test-env.hl7").read_bytes()
X20 = (VECTORS / "messages/refuse/x20-test-key-on-production.hl7").read_bytes()
P = payload()
ROOT = Path(__file__).parent.parent.parent


def at_offset(**delta: float) -> str:
    """MSH-7 so far from the clock of the tests."""
    return (NOW + timedelta(**delta)).strftime("%Y%m%d%H%M%S+0000")


def test_a_verified_message_says_who_and_when() -> None:
    outcome = validate(signed(P))
    assert outcome == VerifiedMessage(
        payload=P,
        digest=outcome.digest,  # type: ignore[arg-type]  # compared in test_vectors
        msh=outcome.msh,
        environment="production",
        thumbprint=thumbprint("prod"),
        received_at=NOW,
        sent_at=NOW,
        sent_offset="+0000",
    )


def test_unsigned() -> None:
    outcome = validate(P)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3, outcome.environment, outcome.thumbprint) == ("SIG01", "100", None, None)
    assert outcome.msh.control_id == b"MSG1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "NOHL7"),
        (b"hello", "NOHL7"),
        (b"FHS|^~\\&\r" + M01, "BATCH"),
        (b"BHS|^~\\&\r" + M01, "BATCH"),
        (b"MSH", "SIG01"),
    ],
)
def test_not_one_message(content: bytes, expected: str) -> None:
    assert code(validate(content)) == expected


JWS = jws(P)
HEAD, _, SIGNATURE = JWS.split(".")
SECOND = b64(P)


@pytest.mark.parametrize(
    "segment",
    [
        "ZSG",
        "ZSG|",
        "ZSG|1",
        "ZSG|1|",
        f"ZSG||{JWS}",
        f"ZSG|01|{JWS}",
        f"ZSG|1 |{JWS}",
        f"ZSG|1|{JWS}|562^{'0' * 64}|more",
        f"ZSG|1|{JWS}||",
        f"ZSG|1|{JWS}|562",
        f"ZSG|1|{JWS}|562^{'G' * 64}",
        f"ZSG|1|{HEAD}.{SIGNATURE}",
        f"ZSG|1|{HEAD}..{SIGNATURE}.",
        f"ZSG|1|{HEAD}..{SIGNATURE}..AAAA",
        f"ZSG|1|{HEAD}.{SECOND}.{SIGNATURE}",
        f"ZSG|1|..{SIGNATURE}",
        f"ZSG|1|{HEAD}..",
        f"ZSG|1|{HEAD}..{SIGNATURE}=",
        f"ZSG|1|{HEAD}..{SIGNATURE[:20]} {SIGNATURE[20:]}",
        f"ZSG|1|{HEAD}..{SIGNATURE[:20]}\n{SIGNATURE[20:]}",
        f"ZSG|1|{HEAD}..{SIGNATURE[:20]}\t{SIGNATURE[20:]}",
        f"ZSG|1|{HEAD} ..{SIGNATURE}",
        f"ZSG|1|{HEAD[:10]}\n{HEAD[10:]}..{SIGNATURE}",
        f"ZSG|1| {JWS}",
        f"ZSG|1|{JWS} ",
        f"ZSG|1|{HEAD}..{SIGNATURE}A",
        f"ZSG|1|{HEAD}..{SIGNATURE.translate(str.maketrans('-_', '+/'))}+/",
        f"ZSG|1|{HEAD}..{'A' * 4096}",
        f"ZSG|1|{JWS}\rZSG|1|{JWS}",
        f"ZSG|1|{JWS}\rNTE|1",
        f"ZSG|1|{JWS}\rNTE|1\rZSG|1|{JWS}",
    ],
    ids=range(31),
)
def test_malformed_segment(segment: str) -> None:
    outcome = validate(P + segment.encode("ascii") + b"\r")
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG02", "102")


def test_signature_before_msh() -> None:
    assert code(validate(f"ZSG|1|{JWS}\r".encode("ascii") + P)) == "SIG02"


def test_empty_diagnosis_is_none() -> None:
    assert code(validate(P + f"ZSG|1|{JWS}|\r".encode("ascii"))) is None


@pytest.mark.parametrize(
    "head",
    [
        header(alg=None),
        header(typ=None),
        header(thumbprint=None),
        header(alg=1),
        header(alg=["RS256"]),
        header(typ={"typ": "hl7v2-sig"}),
        header(thumbprint=True),
        header(kid=7),
        header(typ="HL7V2-SIG"),
        header(typ="JWT"),
        header(thumbprint=""),
        header(thumbprint=thumbprint("prod") + "="),
        header(thumbprint=thumbprint("prod")[:-2]),
        header(thumbprint="ü" * 43),
        header(thumbprint=" " + thumbprint("prod")),
        header(b64=False, crit=["b64"]),
        header(crit=["exp"]),
        header(jku="https://example.invalid/"),
        header(x5u="https://example.invalid/"),
        header(x5t="AA"),
        header(cty="x"),
        header(nonce="x"),
        {},
        b"",
        b"null",
        b"[]",
        b'"alg"',
        b"{",
        json.dumps(header()).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(header()).encode(),
        json.dumps(header()).encode().replace(b"RS256", b"RS\xff256"),
        json.dumps(header())[:-1].encode() + b',"\\u0061lg":"RS256"}',
        json.dumps(header())[:-1].encode() + b',"kid":NaN}',
        json.dumps(header())[:-1].encode() + b',"kid":' + b"9" * 2000 + b"}",
        b"[" * 2600,
        b'{"a":' * 520,
        json.dumps(header()).encode() + b"x",
    ],
    ids=range(37),
)
def test_unacceptable_header(head: bytes | dict[str, object]) -> None:
    outcome = validate(signed(P, head))
    assert isinstance(outcome, Refusal)
    # An empty header is no header: the JWS itself is malformed.
    assert (outcome.code, outcome.err3) == ("SIG02" if head == b"" else "SIG03", "102")


def test_deep_header() -> None:
    deep = b64(b"[" * 10_000).encode("ascii")
    assert (
        code(validate(P + b"ZSG|1|" + deep + f"..{SIGNATURE}\r".encode("ascii"))) == "SIG02"
    )  # over 4096 bytes: not decoded
    for nested in (b"[" * 10_000, b'{"a":' * 10_000, b'{"kid":' + b"[" * 10_000 + b"]" * 10_000 + b"}"):
        fault = read_header(b64(nested).encode("ascii"))
        assert isinstance(fault, Fault)
        assert fault.code == "SIG03"


@pytest.mark.parametrize(
    "head",
    [
        header(kid="lamna-2026"),
        header(kid=""),
        json.dumps(header(), indent=2).encode(),
        json.dumps(dict(reversed(header().items()))).encode(),
        json.dumps(header()).replace("RS256", "\\u0052S256").encode(),
    ],
    ids=["kid", "empty-kid", "indented", "reversed", "escaped"],
)
def test_header_may_be_written_otherwise(head: bytes | dict[str, object]) -> None:
    assert code(validate(signed(P, head))) is None


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "", "rs256", "RS256 ", "HS256", "RS1", "RS384", "RS512", "PS384", "ES256", "ES256K", "EdDSA"],
)
def test_algorithm_refused(alg: str) -> None:
    outcome = validate(signed(P, header(alg=alg)))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG04", "103")
    assert outcome.environment == "production"
    assert outcome.thumbprint == thumbprint("prod")[:8]


def test_empty_signature_with_a_good_algorithm() -> None:
    assert code(validate(P + f"ZSG|1|{HEAD}..\r".encode("ascii"))) == "SIG02"


@pytest.mark.parametrize("name", ["attacker", "retired", "weak1024", "test", "future"])
def test_certificate_is_not_active_here(name: str) -> None:
    outcome = validate(signed(P, header(thumbprint=thumbprint(name))))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3, outcome.environment) == ("SIG05", "207", None)


def test_expired_and_not_yet_valid_certificate() -> None:
    entry = certificate("accept/01-prod-rsa3072.cer")
    second = timedelta(seconds=1)
    edges = (entry.not_before - second, entry.not_before, entry.not_after, entry.not_after + second)
    codes = [code(validate(signed(payload(sent=at.strftime("%Y%m%d%H%M%S+0000"))), at=at)) for at in edges]
    assert codes == ["SIG06", None, None, "SIG06"]


def test_wrong_signature_says_whether_bytes_changed() -> None:
    changed = with_diagnosis(signed(P), P).replace(b"CHECKUP", b"CHECK-UP")
    outcome = validate(changed)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG07", "207")
    assert f"{len(P)} signed, {len(P) + 1} received" in outcome.text
    other = validate(with_diagnosis(signed(P, key=rsa_key("prod-next-rsa3072")), P))
    assert isinstance(other, Refusal)
    assert other.code == "SIG07"
    assert "bytes agree: wrong key" in other.text


@pytest.mark.parametrize(
    ("fields", "err3"),
    [
        ({"kind": "T"}, "202"),
        ({"kind": ""}, "202"),
        ({"kind": "p"}, "202"),
        ({"facility": "OTHER"}, "207"),
        ({"facility": ""}, "207"),
        ({"facility": "LAMNA~OTHER"}, "207"),
        ({"application": "OTHER"}, "207"),
        ({"application": "apptsms"}, "207"),
        ({"receiver": "OTHER"}, "207"),
        ({"receiver": "LAMNA "}, "207"),
    ],
)
def test_binding(fields: dict[str, str], err3: str) -> None:
    outcome = validate(signed(payload(**fields)))  # type: ignore[arg-type]  # the keywords are those of `payload`
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG08", err3)


EVERYTHING_WRONG = {"kind": "T", "facility": "OTHER", "application": "", "receiver": "LAMNA2"}


@given(st.sets(st.sampled_from(sorted(EVERYTHING_WRONG))))
def test_every_mismatch_is_named_at_once_with_what_came_and_what_was_expected(wrong: set[str]) -> None:
    outcome = validate(signed(payload(**{name: EVERYTHING_WRONG[name] for name in wrong})))  # type: ignore[arg-type]
    told = {
        "kind": "MSH-11 is T, expected P",
        "facility": "MSH-4 is OTHER, expected LAMNA",
        "application": "MSH-5 is empty, expected APPTSMS",
        "receiver": "MSH-6 is LAMNA2, expected LAMNA",
    }
    if wrong:
        assert isinstance(outcome, Refusal)
        assert outcome.text == "; ".join(sentence for name, sentence in told.items() if name in wrong)
        assert outcome.err3 == ("202" if "kind" in wrong else "207")
    else:
        assert isinstance(outcome, VerifiedMessage)


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("5555550143", "something else (10 bytes)"),
        ("A5555550143", "something else (11 bytes)"),
        ("+1 555 555 0143", "something else (15 bytes)"),
        ("X" * 21, "something else (21 bytes)"),
        ("LAMNA\\X0D\\", "something else (10 bytes)"),
        ("Lamna Clinic 2", "Lamna Clinic 2"),
        ("North^2.16.840^ISO", "North"),
    ],
)
def test_only_what_looks_like_a_system_s_name_is_repeated(came: str, shown: str) -> None:
    outcome = validate(signed(payload(facility=came)))
    assert isinstance(outcome, Refusal)
    assert outcome.text == f"MSH-4 is {shown}, expected LAMNA"


def test_a_long_list_of_facilities_is_cut() -> None:
    binding = replace(production().binding, facilities=("A", "B", "C", "D", "Klinik Süd, das Haus am Park"))
    outcome = validate(signed(payload(facility="X")), replace(production(), binding=binding))
    assert isinstance(outcome, Refusal)
    assert outcome.text == "MSH-4 is X, expected A or B or C or 2 more"
    assert outcome.text.isascii()


SWITCHED_OFF = {
    "test": (certificate("accept/09-test-rsa2048.cer"),),
    "never": (certificate("accept/01-prod-rsa3072.cer"),),
}


def test_a_switched_off_environment_has_a_code_of_its_own() -> None:
    verifier = Verifier(Keyring([production()], SWITCHED_OFF))
    outcome = verifier.verify(M05, received_at=NOW)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3, outcome.environment) == ("DISABLED", "207", "test")
    assert outcome.text == "environment test is switched off (enabled: false)"
    assert outcome.thumbprint == thumbprint("test")[:8]
    assert not outcome.authenticated
    assert code(verifier.verify(M01, received_at=NOW)) is None, "a certificate that is in use stays in use"


TEST_HEADER = header(thumbprint=thumbprint("test"))
M05_PAYLOAD, M05_SEGMENT = M05.split(b"ZSG|1|")
M05_HEADER = M05_SEGMENT.split(b"..")[0]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(signed(P, TEST_HEADER), id="another key signed"),
        pytest.param(signed(P, header(thumbprint=thumbprint("test"), alg="ES256")), id="an algorithm of another key"),
        pytest.param(signed(P, header(thumbprint=thumbprint("test"), alg="none")), id="no algorithm"),
        pytest.param(M05_PAYLOAD + b"ZSG|1|" + M05_HEADER + b"..AAAA\r", id="a short signature"),
        pytest.param(M05.replace(b"|T|", b"|P|", 1), id="changed after signing"),
        pytest.param(P + b"ZSG|1|" + M05_SEGMENT, id="the signature of another message"),
        pytest.param(signed(P, header(thumbprint=thumbprint("attacker"))), id="a certificate that nobody uploaded"),
    ],
)
@pytest.mark.parametrize("peer", ["attacker", None])
def test_a_forged_signature_does_not_learn_which_environments_are_switched_off(forged: bytes, peer: str | None) -> None:
    verifiers = [Verifier(Keyring([production()], switched_off)) for switched_off in (SWITCHED_OFF, {})]
    known, unknown = (
        verifier.verify(forged, received_at=NOW, peer_thumbprint=thumbprint(peer) if peer else None)
        for verifier in verifiers
    )
    assert isinstance(known, Refusal)
    assert (known.code, known.err3, known.environment, known.authenticated) == ("SIG05", "207", None, False)
    assert known == unknown, "the answer is that of a certificate that nobody uploaded"


def test_an_empty_signature_does_not_learn_which_environments_are_switched_off() -> None:
    forged = M05_PAYLOAD + b"ZSG|1|" + M05_HEADER + b"..\r"
    known, unknown = (
        Verifier(Keyring([production()], switched_off)).verify(forged, received_at=NOW)
        for switched_off in (SWITCHED_OFF, {})
    )
    assert isinstance(known, Refusal)
    assert known == unknown


@pytest.mark.parametrize("shown", ["test", "attacker", None])
def test_an_unsigned_message_of_a_switched_off_sender_with_mutual_tls(shown: str | None) -> None:
    verifier = Verifier(Keyring([], {"test": SWITCHED_OFF["test"]}))
    outcome = verifier.verify(P, received_at=NOW, peer_thumbprint=thumbprint(shown) if shown else None)
    assert code(outcome) == ("DISABLED" if shown == "test" else "SIG01")


def test_the_connection_of_a_switched_off_sender_with_a_message_of_another() -> None:
    verifier = Verifier(Keyring([production(authentication="mutual-tls")], SWITCHED_OFF))
    outcome = verifier.verify(signed(P), received_at=NOW, peer_thumbprint=thumbprint("test"))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.text) == ("DISABLED", "environment test is switched off (enabled: false)")


def test_only_a_fresh_message_of_a_certain_sender_counts_as_authenticated() -> None:
    refusals = {
        "SIG01": P,
        "SIG05": signed(P, header(thumbprint=thumbprint("attacker"))),
        "SIG07": signed(P).replace(b"CHECKUP", b"CHECK-UP"),
        "SIG08": signed(payload(kind="T")),
        "SIG09": signed(payload(sent=at_offset(days=-8))),
        "SIG10": signed(payload(control_id="")),
        "SIG11": signed(payload(body=b"\x00\r")),
    }
    seen = {}
    for expected, message in refusals.items():
        outcome = validate(message)
        assert isinstance(outcome, Refusal)
        assert outcome.code == expected
        seen[expected] = outcome.authenticated
    assert [name for name, authenticated in seen.items() if authenticated] == ["SIG10"]


def test_binding_reads_the_first_component() -> None:
    assert code(validate(signed(payload(facility="LAMNA^1.2.3^ISO", kind="P^T")))) is None


WEEK = 7 * 24 * 3600


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-WEEK, None), (-WEEK - 1, "SIG09"), (-WEEK + 1, None), (300, None), (301, "SIG09"), (0, None)],
)
def test_freshness(seconds: int, expected: str | None) -> None:
    assert code(validate(signed(payload(sent=at_offset(seconds=seconds))))) == expected


def test_freshness_is_configurable() -> None:
    narrow = production(freshness=Freshness(max_age=timedelta(minutes=1), max_ahead=timedelta(0)))
    sent = {seconds: payload(sent=at_offset(seconds=seconds)) for seconds in (-61, -60, 0, 1)}
    assert [code(validate(signed(p), narrow)) for p in sent.values()] == ["SIG09", None, None, "SIG09"]


@pytest.mark.parametrize(
    "sent", ["", "yesterday", "2026", "20260230120000+0000", "20260302256000", "00000101000000", "20260302150405+9900"]
)
def test_time_that_is_none(sent: str) -> None:
    outcome = validate(signed(payload(sent=sent)))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG09", "102")


def test_time_without_offset_is_the_environments() -> None:
    outcome = validate(signed(payload(sent="20260302070405")))
    assert isinstance(outcome, VerifiedMessage)
    assert (outcome.sent_at, outcome.sent_offset) == (NOW, None)


@pytest.mark.parametrize(
    ("received", "within"),
    [
        ("2026-11-01T08:30:20", timedelta(minutes=5, seconds=20)),  # in the first of the two hours: not from the second
        ("2026-11-01T08:25:00", timedelta(seconds=1)),
        ("2026-11-01T09:30:20", timedelta(hours=1, seconds=1)),
    ],
)
def test_a_repeated_hour_means_nothing_that_is_too_far_ahead(received: str, within: timedelta) -> None:
    outcome = validate(signed(payload(sent="20261101013000")), at=datetime.fromisoformat(received + "Z"))
    assert isinstance(outcome, VerifiedMessage), outcome
    assert outcome.sent_within == within


def test_empty_control_id() -> None:
    outcome = validate(signed(payload(control_id="")))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG10", "205")


@pytest.mark.parametrize("byte", [*range(0x09), *range(0x0B, 0x0D), *range(0x0E, 0x20), 0x7F])
def test_control_characters(byte: int) -> None:
    outcome = validate(signed(payload(body=b"NTE|1||a" + bytes([byte]) + b"b\r")))
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.err3) == ("SIG11", "102")


@pytest.mark.parametrize("data", [b"a\tb", b"a\nb", "Zoë".encode(), b"Zo\xeb"])
def test_bytes_that_are_data(data: bytes) -> None:
    p = payload(body=b"NTE|1||" + data + b"\r")
    outcome = validate(signed(p))
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.payload == p


@pytest.mark.parametrize("separators", ["|^~\\", "|^~\\&!", "|~^\\&", "|", "|^~\\&##"])
def test_delimiters(separators: str) -> None:
    assert code(validate(signed(payload(separators=separators)))) == "SIG11"


def test_truncation_delimiter() -> None:
    assert code(validate(signed(payload(separators="|^~\\&#")))) is None


def test_second_header_and_bytes_before_it() -> None:
    assert code(validate(signed(payload(body=b"MSH|^~\\&|X\r")))) == "SIG11"
    for junk in (b"\xef\xbb\xbf", b" ", b"PID|1\r", b"\xff\xfe"):
        outcome = validate(junk + signed(P))
        assert isinstance(outcome, Refusal)
        assert outcome.code == "SIG11"
        assert outcome.msh.control_id == b"MSG1"  # even then the refusal names its message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Each has the fault of its own check and of every later one: the earliest speaks.
        (payload(kind="T", sent="", control_id="", body=b"\x00\r"), "SIG01"),
        (payload(kind="T", sent="", control_id="", body=b"\x00\r") + b"ZSG|2|x\r", "SIG02"),
        (
            signed(payload(kind="T", body=b"\x00\r"), header(alg="none", typ="x", thumbprint=thumbprint("test"))),
            "SIG03",
        ),
        (signed(payload(kind="T", body=b"\x00\r"), header(alg="none", thumbprint=thumbprint("test"))), "SIG05"),
        (signed(payload(kind="T", body=b"\x00\r"), header(alg="none")).replace(b"CHECKUP", b"X"), "SIG04"),
        (signed(payload(kind="T", body=b"\x00\r")).replace(b"CHECKUP", b"X"), "SIG07"),
        (signed(payload(kind="T", sent="", control_id="", body=b"\x00\r")), "SIG11"),
        (signed(payload(kind="T", sent="", control_id="")), "SIG08"),
        (signed(payload(sent="", control_id="")), "SIG09"),
        (signed(payload(control_id="")), "SIG10"),
    ],
    ids=["SIG01", "SIG02", "SIG03", "SIG05", "SIG04", "SIG07", "SIG11", "SIG08", "SIG09", "SIG10"],
)
def test_order_of_checks(content: bytes, expected: str) -> None:
    assert code(validate(content)) == expected


# What happens to line ends on the way.


@pytest.mark.parametrize(
    "carry",
    [
        lambda m: m.replace(b"\r", b"\n"),
        lambda m: m.replace(b"\r", b"\r\n"),
        lambda m: m.rstrip(b"\r"),
        lambda m: m + b"\r\n\n\r",
    ],
    ids=["lf", "crlf", "none-at-end", "more-at-end"],
)
def test_line_ends_of_the_transport(carry: Callable[[bytes], bytes]) -> None:
    outcome = validate(carry(signed(P)))
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.payload == P


def test_lone_lf_stays_data() -> None:
    p = payload(body=b"NTE|1||first\nPID|1|smuggled\r")
    outcome = validate(signed(p))
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.payload == p
    assert outcome.payload.count(b"\r") == 3


def test_smuggled_segment_needs_a_new_signature() -> None:
    p = payload(body=b"NTE|1||first\nPID|1|smuggled\r")
    assert code(validate(signed(p).replace(b"\nPID", b"\rPID"))) == "SIG07"


def test_lf_signature_segment_in_a_cr_message_is_data() -> None:
    assert code(validate(payload(body=b"NTE|1||x\nZSG|1|y\r"))) == "SIG01"


def test_lf_in_the_header_hides_nothing() -> None:
    """The header that was judged is the header that is parsed: up to the first CR, line feeds included."""
    outcome = validate(signed(payload(control_id="MSG1\nX")))
    assert isinstance(outcome, VerifiedMessage)
    assert outcome.msh.control_id == b"MSG1\nX"
    assert outcome.msh.version_id == b"2.5.1"


def test_no_flipped_bit_is_accepted() -> None:
    verifier = Verifier(Keyring([production()]))
    assert isinstance(verifier.verify(M01, received_at=NOW), VerifiedMessage)
    assert M01.count(b"|", M01.rindex(b"ZSG")) == 2  # no ZSG-3: every bit counts
    accepted = []
    for bit in range(8 * len(M01)):
        changed = bytearray(M01)
        changed[bit // 8] ^= 1 << bit % 8
        if isinstance(verifier.verify(bytes(changed), received_at=NOW), VerifiedMessage):
            accepted.append(bit)
    assert accepted == []


def test_diagnosis_is_not_authenticated_and_decides_nothing() -> None:
    wrong = signed(P).removesuffix(b"\r") + b"|1^" + b"0" * 64
    assert code(validate(wrong)) is None


# Environments.


def test_the_certificate_chooses_between_two_environments() -> None:
    both = (production(), trial())
    for message, environment in ((M01, "production"), (M05, "test")):
        outcome = validate(message, *both)
        assert isinstance(outcome, VerifiedMessage)
        assert outcome.environment == environment
    crossed = validate(X20, *both)
    assert isinstance(crossed, Refusal)
    assert (crossed.code, crossed.environment) == ("SIG08", "test")


def test_a_retired_certificate_is_gone_from_the_next_ring() -> None:
    assert code(validate(M01, production("accept/01-prod-rsa3072.cer", "accept/10-prod-next-rsa3072.cer"))) is None
    assert code(validate(M01, production("accept/10-prod-next-rsa3072.cer"))) == "SIG05"


def test_a_tls_certificate_does_not_replace_a_signature() -> None:
    assert code(validate(P, peer=thumbprint("prod"))) == "SIG01"


def test_mutual_tls_without_signature() -> None:
    outcome = validate(P, production(authentication="mutual-tls"), peer=thumbprint("next"))
    assert isinstance(outcome, VerifiedMessage)
    assert (outcome.payload, outcome.environment, outcome.thumbprint) == (P, "production", thumbprint("next"))


@pytest.mark.parametrize(
    ("message", "peer", "expected"),
    [
        (P, None, "SIG01"),
        (P, thumbprint("attacker"), "SIG05"),
        (P, "", "SIG01"),
        (signed(P), None, "SIG05"),
        (signed(P), thumbprint("attacker"), "SIG05"),
        (signed(P), thumbprint("prod"), None),
        (signed(P), thumbprint("next"), None),
        (signed(P).replace(b"CHECKUP", b"X"), thumbprint("prod"), "SIG07"),
        (P + b"ZSG\r", thumbprint("prod"), "SIG02"),
        (P + b"ZSG|1|x\r" + P, thumbprint("prod"), "SIG02"),
        (b"\xef\xbb\xbf" + P, thumbprint("prod"), "SIG11"),
        (payload(kind="T"), thumbprint("prod"), "SIG08"),
        (payload(sent=""), thumbprint("prod"), "SIG09"),
        (payload(control_id=""), thumbprint("prod"), "SIG10"),
        (payload(body=b"NTE|\x00\r"), thumbprint("prod"), "SIG11"),
        (b"hello", thumbprint("prod"), "NOHL7"),
    ],
    ids=range(16),
)
def test_mutual_tls(message: bytes, peer: str | None, expected: str | None) -> None:
    assert code(validate(message, production(authentication="mutual-tls"), peer=peer)) == expected


def test_mutual_tls_of_another_environment() -> None:
    trusts = (production(authentication="mutual-tls"), trial(authentication="mutual-tls"))
    assert code(validate(M01, *trusts, peer=thumbprint("test"))) == "SIG05"
    assert code(validate(P, *trusts, peer=thumbprint("test"))) == "SIG08"


@pytest.mark.parametrize("message", [P, signed(P)], ids=["unsigned", "signed"])
def test_mutual_tls_certificate_must_be_in_its_dates(message: bytes) -> None:
    names = ("accept/01-prod-rsa3072.cer", "refuse/20-expired.cer")
    trust = production(*names, authentication="mutual-tls")
    assert code(validate(message, trust, peer=thumbprint("expired"))) == "SIG06"


# Any bytes; who may make a verified message.


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda junk: P + b"ZSG|1|" + junk)))
def test_no_bytes_raise(content: bytes) -> None:
    for peer in (None, thumbprint("prod")):
        outcome = validate(content, production(authentication="mutual-tls"), peer=peer)
        assert isinstance(outcome, Refusal) or outcome.payload == content.rstrip(b"\r\n") + b"\r"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(M01)), st.binary(max_size=8), st.integers(0, 8))
def test_edited_messages_are_refused_or_the_same(at: int, junk: bytes, cut: int) -> None:
    outcome = validate(M01[:at] + junk + M01[at + cut :])
    if isinstance(outcome, VerifiedMessage):
        assert outcome.payload == M01[: M01.rindex(b"ZSG")]


def test_unverified_takes_the_signature_off_unread() -> None:
    given_ = P + b"ZSG|1|whatever\r"
    for content in (given_, P, b"\xef\xbb\xbf" + given_, given_.replace(b"\r", b"\r\n")):
        message = unverified(content, environment="production", zone=ZONE, received_at=NOW)
        assert (message.payload, message.sent_at) == (P, NOW)
        assert not isinstance(message, VerifiedMessage)
    odd = unverified(payload(sent="?"), environment="production", zone=ZONE, received_at=NOW)
    assert odd.sent_at == NOW
    with pytest.raises(ValueError, match="no MSH"):
        unverified(b"PID|1", environment="production", zone=ZONE, received_at=NOW)


ROOMS = (
    "carebell", "portal", "notifier", "store", "ehr", "scheduler", "parser", "certs", "listener", "config", "oauth", "journal",
)  # fmt: skip


def test_only_verification_makes_verified_messages() -> None:
    makers = set()
    for room in (*ROOMS, "simulator"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
                if name == "VerifiedMessage":
                    makers.add(file.relative_to(ROOT).as_posix())
    assert makers == {"certs/verify.py"}
