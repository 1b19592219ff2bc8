"""A browser of ten lines: it opens a sign-in address, presses a user's button, and says where it was sent back to."""

from __future__ import annotations

import html
import re
from http.client import HTTPConnection
from urllib.parse import parse_qsl, urlencode, urlsplit


def page_of(url: str) -> tuple[int, str]:
    """(status, HTML) of a page."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def signed_in(url: str, user: str = "dana") -> list[tuple[str, str]]:
    """The callback's parameters after `user` (empty: nobody) has decided on the page at `url`."""
    status, page = page_of(url)
    assert status == 200, page
    fields = {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    }
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", parts.path, urlencode({**fields, "user": user}), headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 303
        return parse_qsl(urlsplit(response.headers["Location"]).query, keep_blank_values=True)
    finally:
        connection.close()


def launched_back(url: str) -> list[tuple[str, str]]:
    """The callback's parameters of a launch at `url`, where nobody is asked anything."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        response.read()
        assert response.status == 303
        return parse_qsl(urlsplit(response.headers["Location"]).query, keep_blank_values=True)
    finally:
        connection.close()
