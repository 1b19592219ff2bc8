"""Requests whose end can be read in two ways are refused, however they are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.http_limits import StrictConnection
from portal.request_framing import ambiguity, head_of

POST = b"POST /twilio/status HTTP/1.1\r\nHost: x\r\n"
BODY = b"abcde"
CHUNKED = b"5\r\nabcde\r\n0\r\n\r\n"

CERTAIN = {
    "no body": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length": POST + b"Content-Length: 5\r\n\r\n" + BODY,
    "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "other fields twice": POST + b"X-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\n\r\n" + BODY,
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
}
UNCERTAIN = {
    "both": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "both, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
    "both, in other letters": POST + b"transfer-ENCODING: Chunked\r\ncontent-LENGTH: 0\r\n\r\n" + CHUNKED,
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n" + BODY,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY,
    "a list of equal lengths": POST + b"Content-Length: 5, 5\r\n\r\n" + BODY,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\n" + BODY,
    "a folded coding": POST + b"X: y\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + BODY,
    "a fold before the first field": b"POST / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
    "bare line feeds": POST.replace(b"\r\n", b"\n") + b"Content-Length: 5\n\n" + BODY,
    "one bare line feed": POST + b"X: y\nContent-Length: 5\r\n\r\n" + BODY,
    "a bare carriage return": POST + b"X: y\rContent-Length: 5\r\n\r\n" + BODY,
    "an end of two line feeds": POST + b"Content-Length: 5\r\n\n" + BODY,
    "two hosts": POST + b"Host: y\r\nContent-Length: 5\r\n\r\n" + BODY,
    "chunked in HTTP/1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
}
REFUSED_BY_H11 = {
    "a signed length": POST + b"Content-Length: +5\r\n\r\n" + BODY,
    "a negative length": POST + b"Content-Length: -5\r\n\r\n" + BODY,
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\n" + BODY,
    "an empty length": POST + b"Content-Length:\r\n\r\n" + BODY,
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\n" + BODY,
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNKED,
    "chunked last of two": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "chunked and identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "a chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\nabcde\r\n0\r\n\r\n",
    "a chunk of a negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "a chunk with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "a chunk longer than its size": POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcde\r\n0\r\n\r\n",
    "a chunk of an endless size": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\nabcde",
}


def read(data: bytes, cuts: list[int]) -> list[str]:
    """What a connection makes of these bytes, cut at these places."""
    connection, seen = StrictConnection(16_384), []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    body = b""
    try:
        for start, end in pairwise(places):
            connection.receive_data(data[start:end])
            while (event := connection.next_event()) is not h11.NEED_DATA and event is not h11.PAUSED:
                if isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.Request | h11.EndOfMessage):
                    seen.append(type(event).__name__)
    except h11.RemoteProtocolError:
        return ["ambiguous" if connection.ambiguous else "not HTTP"]
    return [*seen, body.decode()]


CUTS = st.lists(st.integers(0, 400), max_size=8)


@pytest.mark.parametrize("name", CERTAIN)
@given(cuts=CUTS)
def test_an_ordinary_request_is_read(name: str, cuts: list[int]) -> None:
    body = "" if name in ("no body", "HTTP/1.0") else BODY.decode()
    assert read(CERTAIN[name], cuts) == ["Request", "EndOfMessage", body]


@pytest.mark.parametrize("name", UNCERTAIN)
@given(cuts=CUTS)
def test_an_uncertain_end_is_refused(name: str, cuts: list[int]) -> None:
    assert read(UNCERTAIN[name], cuts) in (["ambiguous"], ["not HTTP"])
    head = head_of(UNCERTAIN[name])
    assert head is not None
    assert ambiguity(head) is not None


@pytest.mark.parametrize("name", REFUSED_BY_H11)
@given(cuts=CUTS)
def test_what_the_strict_reading_leaves_to_h11_is_refused_there(name: str, cuts: list[int]) -> None:
    assert read(REFUSED_BY_H11[name], cuts) in (["ambiguous"], ["not HTTP"])


@given(
    st.lists(st.sampled_from(sorted(CERTAIN)), min_size=0, max_size=3),
    st.sampled_from(sorted(UNCERTAIN)),
)
def test_a_request_behind_others_is_judged_like_the_first(before: list[str], name: str) -> None:
    """Each is looked at from where the one before it ended."""
    connection = StrictConnection(16_384)
    for earlier in before:
        if earlier == "HTTP/1.0":
            continue
        connection.receive_data(CERTAIN[earlier])
        while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED) and connection.their_state is not h11.DONE:
            pass
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
    connection.receive_data(UNCERTAIN[name])
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r"])
def test_half_a_head_is_none_yet(data: bytes) -> None:
    assert head_of(data) is None
