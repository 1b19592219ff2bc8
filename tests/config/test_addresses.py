"""URLs that must not lead inside, and other addresses."""

from __future__ import annotations

import pytest

from config.addresses import (
    e164,
    ehr_server,
    https_or_loopback,
    https_or_loopback_origin,
    is_loopback,
    issuer,
    network,
    public_https,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://fhir.example/api/R4",
        "https://fhir.example:8443/api",
        "https://8.8.8.8/fhir",
        "https://[2606:4700::1111]/fhir",
        "https://xn--bcher-kva.example/",
    ],
)
def test_public_addresses_are_taken(url: str) -> None:
    assert public_https(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://fhir.example",
        "ftp://fhir.example",
        "fhir.example",
        "https://",
        "https:///path",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://127.0.0.1/",
        "https://127.9.9.9/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[2002:a00:1::]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://me:secret@fhir.example/",
        "https://fhir.example/?next=1",
        "https://fhir.example/#x",
        "https://fhir.example /",
        "https://fhir.example:99999/",
        "https://fhir.exämple/",
        "https://fhir\t.example/",
        "https://[::1",
        "https://a..b%2f/",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|has|is not"):
        public_https(url)


def test_plain_http_is_for_this_machine_alone() -> None:
    assert https_or_loopback("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"
    assert https_or_loopback("https://sms.example") == "https://sms.example"
    with pytest.raises(ValueError, match="must be https"):
        https_or_loopback("http://10.0.0.1")


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://Carebell.Example/", "https://carebell.example"),
        ("https://carebell.example:443", "https://carebell.example"),
        ("https://carebell.example:8443", "https://carebell.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8443", "http://[::1]:8443"),
    ],
)
def test_an_origin_is_what_browsers_send(written: str, origin: str) -> None:
    assert https_or_loopback_origin(written) == origin


@pytest.mark.parametrize("url", ["http://carebell.example", "http://10.0.0.5:8443", "https://carebell.example/portal"])
def test_the_portal_is_a_whole_host_that_nobody_on_the_way_reads(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be https|must not have a path"):
        https_or_loopback_origin(url)


def test_an_issuer_keeps_its_slash() -> None:
    assert issuer("https://login.example/") == "https://login.example/"
    with pytest.raises(ValueError, match="must be https"):
        issuer("http://login.example")


def test_loopback() -> None:
    assert is_loopback("http://[::1]:1")
    assert not is_loopback("https://localhost.example")


def test_networks() -> None:
    assert network("10.0.0.0/24") == "10.0.0.0/24"
    with pytest.raises(ValueError, match="is not an address or network"):
        network("10.0.0.1/24")


@pytest.mark.parametrize(
    "written",
    ["2025550143", "+1 202 555 0143", "+02025550143", "+1202555014x", "+1", "", "+12025550143\n"],
    ids=["no plus", "spaces", "country code zero", "letter", "too short", "empty", "line end"],
)
def test_other_telephone_numbers_are_refused_without_repeating_them(written: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164") as raised:
        e164(written)

    assert "555" not in str(raised.value)


def test_a_strange_host_is_refused_at_once() -> None:
    """The pattern for host names once took a time that doubled with each letter."""
    with pytest.raises(ValueError, match="characters that host names do not have"):
        public_https("https://" + "a" * 60 + "!/")


def test_a_simulated_ehr_is_on_this_machine() -> None:
    for url in (
        "http://127.0.0.1:8090/api/FHIR/R4",
        "http://localhost:1/R4",
        "https://[::1]/R4",
        "https://ehr.example/R4",
    ):
        assert ehr_server(url) == url
    for url in (
        "http://ehr.example/R4",
        "http://10.0.0.1/R4",
        "https://10.0.0.1/R4",
        "http://me:secret@127.0.0.1/",
        "ftp://127.0.0.1/",
    ):
        with pytest.raises(ValueError, match=r"must|is not"):
            ehr_server(url)
