"""No word and no code of a vendor stands outside that vendor's own package: a second gateway needs no other file touched."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ROOMS = (
    "carebell",
    "portal",
    "store",
    "scheduler",
    "parser",
    "certs",
    "listener",
    "journal",
    "notifier",
    "oauth",
    "ehr",
)
KNOWN = re.compile(
    r"carebell/.*(?:numbers|number_orders|simulat|simulated)[^/]*\.py"  # the commands that are for one vendor, by their contract
    r"|carebell/cli/audited\.py"  # which names every command
    r"|notifier/twilio/.*|notifier/gateways\.py"  # the vendor's room, and the one table that names all gateways
    r"|journal/foreign\.py"  # the loggers of libraries, by name
)
WORDS = re.compile(r"twilio|twiml|\b(?:Message|Account|Sms)Sid\b|Messaging Service", re.IGNORECASE)
CODES = re.compile(r"10001|20\d{3}|21\d{3}|30\d{3}|63018")


def files() -> list[Path]:
    return [
        path
        for room in ROOMS
        for path in sorted((CHECKOUT / room).rglob("*.py"))
        if KNOWN.fullmatch(str(path.relative_to(CHECKOUT))) is None
    ]


def leaks(text: str) -> list[tuple[int, str]]:
    lines = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        words = token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT) and WORDS.search(token.string)
        number = token.string.replace("_", "")
        code = token.type == tokenize.NUMBER and "_" not in token.string and CODES.fullmatch(number)
        quoted = token.type == tokenize.STRING and re.search(rf"\b(?:{CODES.pattern})\b", token.string)
        if words or code or quoted:
            lines.append((token.start[0], token.string[:60]))
    return lines


@pytest.mark.skipif(
    not (CHECKOUT / "setup.cfg").exists(), reason="not in a checkout: the tests run from the built wheel"
)
def test_no_vendor_is_known_outside_its_room() -> None:
    assert len(files()) > 100
    by_file = {str(path.relative_to(CHECKOUT)): leaks(path.read_text("utf-8")) for path in files()}
    assert {name: lines for name, lines in by_file.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    ["code = 21610\n", "# as Twilio says\n", "source = '30007'\n", "MessageSid = 1\n", '"""A Messaging Service."""\n'],
)
def test_a_leak_is_seen(text: str) -> None:
    assert leaks(text) != []
