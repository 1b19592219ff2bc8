"""Check that the end of a request is unambiguous: the strict reading of RFC 9112, sections 2.2, 5.2, 6.1 and 6.3.

If two programs disagree where a request ends, an attacker can make them read different requests from the same bytes (request
smuggling), and a reverse proxy is in front of this port. h11 accepts bare line feeds, folded fields, a repeated Content-Length and
a Content-Length together with Transfer-Encoding; here each of them is refused. h11 itself refuses the rest:
lengths that are not a number, codings other than `chunked`, white space before a colon, chunks whose size cannot be read.
"""

from __future__ import annotations

import re
from typing import Final

_END: Final = re.compile(rb"\n\r?\n")  # as h11 looks for it
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_ONCE: Final = (b"content-length", b"transfer-encoding", b"host")


def head_of(data: bytes) -> bytes | None:
    """The request's head at the start of `data`, with its empty line; None: it is not complete yet."""
    end = _END.search(data)
    return None if end is None else data[: end.end()]


def ambiguity(head: bytes) -> str | None:
    """Why the end of the request with this head is uncertain, without quoting its bytes; None: it is certain."""
    if _BARE.search(head):
        return "a line that does not end in CR LF"
    start, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    names: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            return "a folded header field"
        names.append(line.partition(b":")[0].strip().lower())
    for name in _ONCE:
        if names.count(name) > 1:
            return f"{name.decode()} more than once"
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and not re.fullmatch(rb"[ \t]*[0-9]{1,20}[ \t]*", value):
            return "a content-length that is not one number"
    if b"transfer-encoding" in names:
        if b"content-length" in names:
            return "content-length beside transfer-encoding"
        if start.endswith(b"HTTP/1.0"):
            return "transfer-encoding in HTTP/1.0"
    return None
