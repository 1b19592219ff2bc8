"""The guarded fetcher against servers that lead inside, lie about their name, never end, or send too much."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from oauth.addresses import IpAddress
from oauth.faults import FetchCode, FetchFault
from oauth.fetcher import Fetcher, FetchPolicy, simulator_policy
from tests.oauth.servers import (
    Script,
    answer,
    drips,
    make_authority,
    scripted_server,
    sends,
    waits_for_the_end,
)

LOOPBACK = FetchPolicy(loopback=True, deadline_seconds=60)
"""With time for a loaded machine."""
BRIEF = FetchPolicy(loopback=True, deadline_seconds=0.5)
HERE = ip_address("127.0.0.1")


class Names:
    """A resolver with an answer for each question in turn; the last one stays."""

    def __init__(self, *answers: Sequence[IpAddress]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, host: str, seconds: float) -> Sequence[IpAddress]:
        assert seconds > 0
        self.questions.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def refused_with(fetcher: Fetcher, url: str) -> FetchFault:
    with pytest.raises(FetchFault) as caught:
        fetcher.get(url)
    return caught.value


def fetched(script: Script, fetcher: Fetcher | None = None, path: str = "/metadata") -> FetchFault:
    with scripted_server(script) as server:
        return refused_with(fetcher or Fetcher(LOOPBACK), f"http://127.0.0.1:{server.port}{path}")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return make_authority(tmp_path_factory.mktemp("authority"), "ehr.example")


# What comes back


def test_a_json_object_comes_back() -> None:
    with scripted_server(
        sends(answer({"fhirVersion": "4.0.1"}, media_type="application/fhir+json; charset=utf-8"))
    ) as server:
        document = Fetcher(LOOPBACK).get(f"http://127.0.0.1:{server.port}/metadata?x=1", accept="application/fhir+json")
    assert document == {"fhirVersion": "4.0.1"}
    [request] = server.requests
    assert request.startswith(b"GET /metadata?x=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in request.lower()
    assert b"accept: application/fhir+json" in request.lower()
    assert b"cookie" not in request.lower()


def test_a_form_is_posted_and_an_errors_object_comes_back() -> None:
    with scripted_server(sends(answer({"error": "invalid_grant"}, status=400))) as server:
        given = Fetcher(LOOPBACK).post_form(
            f"http://127.0.0.1:{server.port}/token", {"code": "a b&c"}, authorization="Basic eDp5"
        )
    assert (given.status, given.document) == (400, {"error": "invalid_grant"})
    [request] = server.requests
    assert request.endswith(b"\r\n\r\ncode=a+b%26c")
    assert b"authorization: basic edp5" in request.lower()
    assert "invalid_grant" not in repr(given)


def test_a_chunked_answer_after_an_interim_one() -> None:
    chunks = b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n'
    data = b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 x\r\nContent-Type: application/json\r\n" + chunks
    with scripted_server(sends(data)) as server:
        assert Fetcher(LOOPBACK).get(f"http://127.0.0.1:{server.port}/") == {"a": 1}


# Where a name leads


@pytest.mark.parametrize(
    "written",
    ["127.0.0.1", "::1", "10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00:ec2::254", "fe80::1",
     "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "::"],
)  # fmt: skip
def test_a_name_that_leads_inside_is_refused(written: str) -> None:
    with scripted_server(sends(answer())) as server:
        fault = refused_with(Fetcher(resolver=Names([ip_address(written)])), f"https://ehr.example:{server.port}/")
    assert fault.code is FetchCode.ADDRESS_REFUSED
    assert "Use the server's public address." in fault.sentence
    assert written not in fault.sentence
    assert server.connections == 0


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names([ip_address("8.8.8.8"), ip_address("10.0.0.5")])
    assert refused_with(Fetcher(resolver=names), "https://ehr.example/").code is FetchCode.ADDRESS_REFUSED


def test_addresses_in_the_url_are_checked_like_resolved_ones() -> None:
    for host in ("10.0.0.5", "169.254.169.254", "[::1]", "[fd00:ec2::254]"):
        assert refused_with(Fetcher(), f"https://{host}/").code is FetchCode.ADDRESS_REFUSED


def test_dns_rebinding_a_second_answer_does_not_matter(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The name is resolved once; the connection goes to the address that was checked."""
    names = Names([HERE], [ip_address("10.0.0.5")])
    with scripted_server(sends(answer({"fine": True})), tls[0]) as server:
        fetcher = Fetcher(LOOPBACK, resolver=names, tls=tls[1])
        assert fetcher.get(f"https://ehr.example:{server.port}/") == {"fine": True}
    assert names.questions == ["ehr.example"]
    again = refused_with(fetcher, f"https://ehr.example:{server.port}/")
    assert again.code is FetchCode.ADDRESS_REFUSED


def test_an_unknown_name_is_said() -> None:
    fault = refused_with(Fetcher(resolver=Names([])), "https://ehr.exmaple/")
    assert fault.code is FetchCode.NAME_UNKNOWN
    assert "ehr.exmaple" in fault.sentence


def test_a_late_resolver_is_said() -> None:
    def late(host: str, seconds: float) -> Sequence[IpAddress]:
        raise TimeoutError

    assert refused_with(Fetcher(resolver=late), "https://ehr.example/").code is FetchCode.TOO_SLOW


def test_the_systems_own_resolver_knows_this_machine() -> None:
    with scripted_server(sends(answer({"a": 1}))) as server:
        assert Fetcher(LOOPBACK).get(f"http://127.0.0.1:{server.port}/") == {"a": 1}


def test_a_listed_private_network_may_be_called_but_not_by_http() -> None:
    policy = FetchPolicy(networks=(ip_network("10.0.0.0/8"),), loopback=True)
    fetcher = Fetcher(policy, resolver=Names([ip_address("10.0.0.5")]))
    assert refused_with(fetcher, "http://localhost/").code is FetchCode.ADDRESS_REFUSED


def test_the_next_address_is_tried_if_one_refuses() -> None:
    with scripted_server(sends(answer({"a": 1}))) as server:
        names = Names([ip_address("::1"), HERE])
        assert Fetcher(LOOPBACK, resolver=names).get(f"http://localhost:{server.port}/") == {"a": 1}


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    fault = refused_with(Fetcher(LOOPBACK), f"http://127.0.0.1:{port}/")
    assert fault.code is FetchCode.NOT_CONNECTED
    assert "firewall" in fault.sentence


def test_a_firewall_that_drops_everything_is_no_slow_server() -> None:
    """A full backlog drops what asks for a connection, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        fault = refused_with(Fetcher(BRIEF), f"http://127.0.0.1:{full.getsockname()[1]}/")
    assert fault.code is FetchCode.NOT_CONNECTED


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with scripted_server(sends(answer({"direct": True}))) as server:
        assert Fetcher(LOOPBACK).get(f"http://127.0.0.1:{server.port}/") == {"direct": True}


def test_no_production_environment_reaches_this_machine() -> None:
    assert simulator_policy("test").loopback
    with pytest.raises(ValueError, match="production"):
        simulator_policy("production")
    assert not FetchPolicy().loopback


# Whose certificate it is


def test_the_certificate_is_checked_for_the_name_not_for_the_address(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with scripted_server(sends(answer()), tls[0]) as server:
        fetcher = Fetcher(LOOPBACK, resolver=Names([HERE]), tls=tls[1])
        fault = refused_with(fetcher, f"https://other.example:{server.port}/")
    assert fault.code is FetchCode.CERTIFICATE
    assert "Nothing was sent" in fault.sentence
    assert server.requests == []


def test_an_authority_that_nobody_knows(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with scripted_server(sends(answer()), tls[0]) as server:
        fault = refused_with(Fetcher(LOOPBACK, resolver=Names([HERE])), f"https://ehr.example:{server.port}/")
    assert fault.code is FetchCode.CERTIFICATE


def test_no_tls_at_that_port() -> None:
    with scripted_server(sends(b"HTTP/1.1 400 x\r\n\r\n"), reads=False) as server:
        fault = refused_with(Fetcher(LOOPBACK, resolver=Names([HERE])), f"https://ehr.example:{server.port}/")
    assert fault.code in (FetchCode.TLS, FetchCode.CONNECTION_LOST)
    assert "ehr.example" in fault.sentence


# What ends too late, or never


class SteppingClock:
    """Each look at it finds another tenth of a second gone."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def __call__(self) -> float:
        return next(self._ticks) / 10


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 x\r\nX-Long: ", answer(b"", headers="X: ")[:-4]],
    ids=["before the status line", "within a header", "in the headers"],
)
def test_a_server_that_drips_gains_nothing(head: bytes) -> None:
    fault = fetched(drips(head), Fetcher(FetchPolicy(loopback=True), clock=SteppingClock()))
    assert fault.code in (FetchCode.TOO_SLOW, FetchCode.NOT_HTTP)


def test_a_body_that_drips_is_too_slow() -> None:
    head = b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\n\r\n{"
    fault = fetched(drips(head), Fetcher(FetchPolicy(loopback=True), clock=SteppingClock()))
    assert fault.code is FetchCode.TOO_SLOW
    assert "did not answer completely in time" in fault.sentence


def test_a_silent_server_is_too_slow() -> None:
    fault = fetched(waits_for_the_end, Fetcher(BRIEF))
    assert fault.code is FetchCode.TOO_SLOW


def test_a_silent_handshake_is_too_slow(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fetcher = Fetcher(BRIEF, resolver=Names([HERE]), tls=tls[1])
        assert refused_with(fetcher, f"https://ehr.example:{silent.getsockname()[1]}/").code is FetchCode.TOO_SLOW


# What is too much, or something else


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    """Whether its length is said or not."""
    policy = FetchPolicy(loopback=True, deadline_seconds=60, most_bytes=10_240)
    for head in (b"Content-Length: 999999999\r\n", b""):
        data = b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\n" + head + b"\r\n" + b" " * 20_000
        fault = fetched(sends(data), Fetcher(policy))
        assert fault.code is FetchCode.TOO_LARGE
        assert "10 KiB" in fault.sentence


def test_the_largest_answer_is_read() -> None:
    text = json.dumps({"a": "x" * (262_144 - 9)}).encode()
    with scripted_server(sends(answer(text))) as server:
        assert len(Fetcher(LOOPBACK).get(f"http://127.0.0.1:{server.port}/")["a"]) == 262_135
    assert fetched(sends(answer(text + b" "))).code is FetchCode.TOO_LARGE


def test_headers_without_end_are_no_http() -> None:
    assert fetched(sends(b"HTTP/1.1 200 x\r\n" + b"X: y\r\n" * 20_000)).code is FetchCode.NOT_HTTP


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300])
def test_a_redirect_is_never_followed(status: int) -> None:
    location = "Location: https://ehr.example/api/FHIR/R4?token=secret\r\n"
    fault = fetched(sends(answer(status=status, headers=location)))
    assert (fault.code, fault.status, fault.location) == (FetchCode.REDIRECT, status, "https://ehr.example/api/FHIR/R4")
    assert "https://ehr.example/api/FHIR/R4: if that is the right address, use it" in fault.sentence
    assert "secret" not in fault.sentence


@pytest.mark.parametrize(
    "location", ["/inside", "http://169.254.169.254/", "javascript:alert(1)", "https://a@b.example/", ""]
)
def test_a_redirect_to_what_is_no_address_is_not_repeated(location: str) -> None:
    fault = fetched(sends(answer(status=302, headers=f"Location: {location}\r\n")))
    assert (fault.code, fault.location) == (FetchCode.REDIRECT, None)


@pytest.mark.parametrize(
    "data",
    [
        answer(b"<html>", media_type="text/html"),
        answer(b"{}", media_type="text/plain"),
        answer(b"{}", media_type=""),
        answer(b"[]"),
        answer(b"null"),
        answer(b"{"),
        answer(b'{"a": NaN}'),
        answer(b'{"a": 1e999999}' + b"}"),
        answer(b"\xff\xfe{}"),
        answer(b"[" * 100_000),
        answer(b'{"a": ' + b"9" * 100_000 + b"}"),
        answer(b"{}", headers="Content-Encoding: gzip\r\n"),
    ],
    ids=["page", "text", "no type", "list", "null", "half", "NaN", "tail", "UTF-16", "deep", "long number", "gzip"],
)
def test_what_is_no_json_object_is_said(data: bytes) -> None:
    fault = fetched(sends(data))
    assert fault.code is FetchCode.NOT_JSON
    assert "did not answer with JSON to /metadata" in fault.sentence


def test_a_status_is_said_with_its_meaning() -> None:
    fault = fetched(sends(answer({"resourceType": "OperationOutcome"}, status=404)))
    assert (fault.code, fault.status) == (FetchCode.STATUS, 404)
    assert "answered 404 to /metadata (nothing is there)" in fault.sentence


@pytest.mark.parametrize(
    "data",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x0a", b"HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n{}"],
)
def test_what_is_no_http_is_said(data: bytes) -> None:
    assert fetched(sends(data)).code is FetchCode.NOT_HTTP


def test_a_connection_that_closes_at_once() -> None:
    assert fetched(sends(b"")).code in (FetchCode.CONNECTION_LOST, FetchCode.NOT_HTTP)
