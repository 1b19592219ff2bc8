"""What may arrive instead of what was meant: damaged messages, frames, signature headers and configurations, by a seed."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

# Messages and frames

_MARKS: Final = (
    b"\x0b",
    b"\x1c",
    b"\r",
    b"\x1c\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\x1b",
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\\X00\\",
    b"\\.br\\",
    b"\\X" + b"0" * 40,
    b"MSH|^~\\&|",
    b"\rMSH|^~\\&|A",
    b"\rZSG|1|",
    b"\rZSG|1|e30..AA",
    b"ZSG",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xe2\x80\xae",
    b"9" * 400,
    b'""',
    b"-1",
    b"20260230256199",
    b"+",
    b"\x7f",
)


def _flip(rng: random.Random, content: bytearray) -> None:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    del content[at : at + rng.choice((1, 2, 10, 100, len(content)))]


def _double(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    piece = content[at : at + rng.choice((1, 5, 50))]
    content[at:at] = piece * rng.choice((1, 2, 20, 200))


def _mark(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content) + 1)
    content[at : at + rng.choice((0, 0, 1, 4))] = rng.choice(_MARKS)


def _shuffle(rng: random.Random, content: bytearray) -> None:
    segments = bytes(content).split(b"\r")
    rng.shuffle(segments)
    content[:] = b"\r".join(segments)


def _noise(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    content[at : at + 8] = rng.randbytes(8)


_HARMS: Final[Sequence[Callable[[random.Random, bytearray], None]]] = (
    _flip,
    _flip,
    _cut,
    _double,
    _mark,
    _mark,
    _shuffle,
    _noise,
)


def harmed(rng: random.Random, content: bytes) -> bytes:
    """Content after one to four harms."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if found:
            rng.choice(_HARMS)(rng, found)
    return bytes(found)


def framed(rng: random.Random, content: bytes) -> bytes:
    """The content as a block; one in ten is not quite one."""
    if rng.random() < 0.9:
        return b"\x0b" + content + b"\x1c\r"
    return rng.choice(
        (
            content + b"\x1c\r",
            b"\x0b" + content,
            b"\x0b" + content + b"\x1c",
            b"\x0b\x0b" + content + b"\x1c\r",
            b"\x0b" + content + b"\r",
            rng.randbytes(20) + b"\x0b" + content + b"\x1c\r",
            b"\r\n\x0b" + content + b"\x1c\r\r\n",
        )
    )


def in_pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """As a network may cut it."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# Signature headers

_OTHER: Final[Mapping[str, Sequence[Any]]] = {
    "alg": (
        "none",
        "None",
        "HS256",
        "rs256",
        "RS256 ",
        "ES256",
        "EdDSA",
        "RS512",
        "",
        5,
        None,
        True,
        ["RS256"],
        {"a": 1},
    ),
    "typ": ("JWT", "hl7v2-sig ", "HL7V2-SIG", "", 0, None, []),
    "x5t#S256": ("", "AAAA", "=" * 43, "A" * 43, "A" * 4000, 7, None, ["x"]),
}
_MORE: Final[Mapping[str, Any]] = {
    "crit": ["exp"], "jwk": {"kty": "RSA"}, "jku": "https://example.com/keys", "x5u": "https://example.com/cer", "x5c": ["AAAA"],
    "b64": False, "zip": "DEF", "cty": "x", "kid": 5, "x5t": "AAAA", "": "", "ALG": "RS256", "exp": 1,
}  # fmt: skip


def header(rng: random.Random, good: Mapping[str, str]) -> bytes:
    """A header's JSON: `good` in another spelling, or with something wrong."""
    members: dict[str, Any] = dict(good)
    match rng.randrange(8):
        case 0:
            name = rng.choice(list(_OTHER))
            members[name] = rng.choice(_OTHER[name])
        case 1:
            name = rng.choice(list(_MORE))
            members[name] = _MORE[name]
        case 2:
            del members[rng.choice(list(good))]
        case 3:
            members["kid"] = rng.choice(("", "2026", "k" * 600, "\u202e", "\U0001f600"))
        case 4:  # a name that stands twice
            text = json.dumps(members)
            name = rng.choice(list(good))
            return f"{text[:-1]}, {json.dumps(name)}: {json.dumps(rng.choice((good[name], 'none')))}}}".encode()
        case 5:
            return harmed(rng, json.dumps(members).encode())
        case 6:
            depth = rng.choice((10, 500, 1500))
            return rng.choice(
                (
                    b"[" * depth,
                    b'{"a":' * (depth // 5),
                    b"[" * depth + b"]" * depth,
                    b"1" * depth,
                    b"NaN",
                    b"null",
                    b'"x"',
                    b"",
                    b"\xef\xbb\xbf" + json.dumps(members).encode(),
                    json.dumps(members).encode("utf-16"),
                    rng.randbytes(40),
                )
            )
        case _:
            items = list(members.items())
            rng.shuffle(items)
            return json.dumps(dict(items), indent=rng.choice((None, 1, 4))).encode()
    return json.dumps(members, separators=(",", ":")).encode()


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def misspelled(rng: random.Random, encoded: bytes) -> bytes:
    """Base64url that is not as we would write it."""
    return rng.choice(
        (
            encoded + b"=",
            encoded + b"==",
            encoded + b"\n",
            b" " + encoded,
            encoded[:-1],
            encoded + b"A",
            encoded.replace(b"A", b"+", 1) + b"/",
            encoded[:5] + b"." + encoded[5:],
            encoded + b"\x00",
            b"",
        )
    )


# Configurations

_YAML: Final = (
    *"\t\n :-[]{}!|>%@`#'\"",
    *("&a ", "*a", "!!set ", "!!python/object/apply:os.getcwd []", "\x00", "\x1b", "\ufeff", "\u2028", "\U0001f600", "<<: "),
    *("---\n", "...\n", "? ", "~", "null", ".nan", "0x", "1e999", "true", "9" * 30, "-1", "{}", "[]", "&a [*a]"),
    *('"\\UFFFFFFFF"', '"\\xZZ"', "a: b: c", "[" * 24, "[" * 3000),
    "\nb0: &b0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 9)),
)  # fmt: skip


def configuration(rng: random.Random, text: str) -> bytes:
    """A configuration's file with a few pieces where they do not belong, or with other bytes."""
    if rng.random() < 0.2:
        content = bytearray(text.encode())
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)
    letters = list(text)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(letters))
        letters[start : start + rng.choice((0, 0, 1, 5, 40))] = rng.choice(_YAML)
    return "".join(letters).encode("utf-8", "surrogatepass")
