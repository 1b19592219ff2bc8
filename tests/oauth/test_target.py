"""What is no URL to call is refused before anything is asked."""

from __future__ import annotations

import pytest

from oauth.faults import FetchCode, FetchFault
from oauth.target import Target, read_target

REFUSED = {
    "http://ehr.example/fhir": FetchCode.NOT_HTTPS,
    "http://127.0.0.1:8080/fhir": FetchCode.NOT_HTTPS,
    "http://localhost/": FetchCode.NOT_HTTPS,
    "https://user@ehr.example/": FetchCode.USER_INFO,
    "https://user:secret@ehr.example/": FetchCode.USER_INFO,
    "https://@ehr.example/": FetchCode.USER_INFO,
    "": FetchCode.BAD_URL,
    "ehr.example/fhir": FetchCode.BAD_URL,
    "ftp://ehr.example/": FetchCode.BAD_URL,
    "file:///etc/passwd": FetchCode.BAD_URL,
    "gopher://ehr.example/": FetchCode.BAD_URL,
    "https://": FetchCode.BAD_URL,
    "https:///fhir": FetchCode.BAD_URL,
    "https://ehr.example:port/": FetchCode.BAD_URL,
    "https://ehr.example:0/": FetchCode.BAD_URL,
    "https://ehr.example:99999/": FetchCode.BAD_URL,
    "https://ehr.example/#fragment": FetchCode.BAD_URL,
    "https://ehr.example/#": FetchCode.BAD_URL,
    "https://ehr.example/a b": FetchCode.BAD_URL,
    "https://ehr.example/\r\nHost: other": FetchCode.BAD_URL,
    "https://ehr.exa\tmple/": FetchCode.BAD_URL,
    "https://ehr.example\\@other.example/": FetchCode.BAD_URL,
    "https://ehr\u3002example/": FetchCode.BAD_URL,
    "https://2130706433/": FetchCode.BAD_URL,
    "https://0x7f.1/": FetchCode.BAD_URL,
    "https://0177.0.0.1/": FetchCode.BAD_URL,
    "https://127.1/": FetchCode.BAD_URL,
    "https://[fe80::1%25eth0]/": FetchCode.BAD_URL,
    "https://[::1/": FetchCode.BAD_URL,
    "https://ehr..example/": FetchCode.BAD_URL,
    "https://" + "a" * 60 + "!/": FetchCode.BAD_URL,
    "https://ehr.example/" + "a" * 2000: FetchCode.BAD_URL,
}


@pytest.mark.parametrize("url", REFUSED, ids=[f"url-{number}" for number in range(len(REFUSED))])
def test_what_is_refused(url: str) -> None:
    with pytest.raises(FetchFault) as caught:
        read_target(url)
    assert caught.value.code is REFUSED[url]
    assert "secret" not in caught.value.sentence


def test_the_parts_of_a_good_one() -> None:
    assert read_target("https://EHR.Example./api/FHIR/R4?p=1") == Target(
        https=True, host="ehr.example", port=443, path="/api/FHIR/R4?p=1"
    )
    assert read_target("https://ehr.example:8443").authority == "ehr.example:8443"
    assert read_target("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_http_to_this_machine_where_a_simulator_may_be(host: str) -> None:
    assert read_target(f"http://{host}:8099/fhir", loopback=True).port == 8099
    with pytest.raises(FetchFault, match="http://"):
        read_target("http://ehr.example/fhir", loopback=True)


def test_the_sentences_say_what_to_do() -> None:
    for url, words in (
        ("http://ehr.example/", "Use the address that begins with https://."),
        ("https://a@ehr.example/", "give the address without it"),
        ("ehr.example", "It should look like https://ehr.clinic.example/api/FHIR/R4."),
    ):
        with pytest.raises(FetchFault) as caught:
            read_target(url)
        assert words in caught.value.sentence
